"""How two servers' verdicts of Autobahn are compared; and that both of ours echo."""

from websockets.asyncio.client import connect

from autobahn.echoing import both
from autobahn.verdicts import Worse, best, counts, in_order, worse

OK = {"behavior": "OK", "behaviorClose": "OK"}
LAX = {"behavior": "NON-STRICT", "behaviorClose": "OK"}
BAD = {"behavior": "FAILED", "behaviorClose": "WRONG CODE"}


def test_nothing_is_no_worse_than_nothing():
    assert list(worse({}, {})) == []
    assert best({}, {}) == {}


def test_a_missing_case_and_an_unknown_word_are_the_worst():
    assert [one.case for one in worse({}, {"1.1.1": OK})] == ["1.1.1", "1.1.1"]
    unknown = {"behavior": "WHATEVER", "behaviorClose": "OK"}
    assert list(worse({"1.1.1": unknown}, {"1.1.1": LAX})) == [
        Worse("1.1.1", "behavior", "WHATEVER", "NON-STRICT")
    ]
    assert list(worse({}, {"1.1.1": BAD})) == [
        Worse("1.1.1", "behaviorClose", "FAILED", "WRONG CODE")
    ]


def test_each_verdict_is_compared_with_the_other_servers():
    assert list(worse({"1.1": OK, "2.2": BAD}, {"1.1": BAD, "2.2": BAD})) == []
    (one,) = worse({"1.1": LAX}, {"1.1": OK})
    assert str(one) == "case 1.1, behavior: ours NON-STRICT, the library's OK"


def test_of_two_runs_the_better_verdict_counts():
    assert best({"1.1": LAX, "1.2": OK}, {"1.1": OK, "1.2": BAD}) == {"1.1": OK, "1.2": OK}


def test_cases_are_in_the_order_of_their_numbers_and_counted():
    assert in_order({"1.10.1": OK, "1.2.3": OK}) == ["1.2.3", "1.10.1"]
    assert counts({"1.1": OK, "1.2": LAX, "1.3": OK}, "behavior") == {"NON-STRICT": 1, "OK": 2}


async def test_both_servers_echo():
    async with both() as urls:
        for url in urls.values():
            async with connect(url, compression=None) as socket:
                for message in ("", "text", b"octets", "x" * 5000):
                    await socket.send(message)
                    assert await socket.recv() == message
