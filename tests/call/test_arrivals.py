"""How a call's audio came in, told once for 80 ms of it."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from voice_ai.call.arrivals import Arrivals


@dataclass
class Audio:
    until_ms: float = 0.0
    received_ms: float = 0.0
    n_waiting: int = 0

    def put(self, data: bytes, timestamp_ms: int, /) -> None:
        raise AssertionError("nobody puts")

    def take(self, n_octets: int, /) -> bytes:
        raise AssertionError("nobody takes")


class Stream:
    """Audio that comes in messages of 80 ms; `elapsed_ms` is our clock."""

    def __init__(self, first_ms: float = 0.0) -> None:
        self.audio = Audio(until_ms=first_ms)
        self.arrivals = Arrivals(self.audio)
        self.elapsed_ms = 0.0

    def go_on(self, n_messages: int = 1, takes_ms: float = 80.0) -> None:
        for _ in range(n_messages):
            self.elapsed_ms += takes_ms
            self.come(80)

    def come(self, n_ms: float) -> None:
        self.audio.until_ms += n_ms
        self.audio.received_ms += n_ms
        self.arrivals.came(self.elapsed_ms)

    @property
    def counts(self) -> tuple[int, int]:
        return self.arrivals.n_lost, self.arrivals.n_late


def test_of_a_call_without_audio_nothing_is_lost() -> None:
    assert Stream().counts == (0, 0)
    assert Stream(first_ms=5000).counts == (0, 0)


def test_a_stream_that_begins_late_by_its_own_timestamps_has_lost_nothing() -> None:
    stream = Stream(first_ms=160)
    stream.go_on(50)
    assert stream.counts == (0, 0)


def test_what_the_timestamps_leave_out_is_lost() -> None:
    stream = Stream(first_ms=160)
    stream.go_on(10)
    stream.audio.until_ms += 60
    stream.elapsed_ms += 60
    stream.go_on(10)
    assert stream.counts == (3, 0)


def test_audio_that_was_overtaken_is_lost_until_it_comes() -> None:
    stream = Stream()
    stream.go_on(10)
    stream.audio.until_ms += 40
    stream.go_on(1)
    assert stream.counts[0] == 2
    stream.audio.received_ms += 40
    stream.go_on(1)
    assert stream.counts[0] == 0


def test_sent_twice_is_not_lost() -> None:
    stream = Stream()
    stream.go_on(10)
    stream.audio.received_ms += 200
    assert stream.counts == (0, 0)


def test_what_a_network_has_held_back_is_late_and_not_lost() -> None:
    stream = Stream()
    stream.go_on(10)
    stream.elapsed_ms += 500
    stream.come(500)  # 25 frames at once: the first 20 of them more than 100 ms late
    stream.go_on(10)
    assert stream.counts == (0, 19)


def test_unevenness_of_a_network_is_not_late() -> None:
    stream = Stream()
    for n in range(100):
        stream.elapsed_ms = 80 * (n + 1) + 39 * (n % 2)
        stream.come(80)
    assert stream.counts == (0, 0)


def test_clocks_that_run_apart_make_nothing_late_in_a_day() -> None:
    stream = Stream()
    stream.go_on(24 * 3600 * 1000 // 80, takes_ms=80 * 1.0002)
    assert stream.counts == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(1, 30)), max_size=50))
def test_no_more_is_late_than_came(messages: list[tuple[float, int]]) -> None:
    stream, n_frames = Stream(), 0
    for wait_ms, n in messages:
        stream.elapsed_ms += wait_ms
        stream.come(20 * n)
        n_frames += n
        assert 0 <= stream.arrivals.n_late <= n_frames
        assert stream.arrivals.n_lost == 0
