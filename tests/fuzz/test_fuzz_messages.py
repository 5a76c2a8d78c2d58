"""Mutated messages against every parser, some thousands of them; `make fuzz` has the millions."""

import random

import pytest

from fuzz import fuzz_messages, parsers
from fuzz.corpus import BETWEEN, CALLER, SEQUENCE, START, STOP
from fuzz.mutations import MUTATIONS, VALUES, Pool, mutated
from fuzz.parsers import PARSERS, Parser, WrongError

N = 20_000


def test_nothing_at_all_goes_to_every_parser():
    for name in PARSERS:
        assert fuzz_messages.check(name, b"") in ("taken", "refused")


@pytest.mark.parametrize("name", PARSERS)
def test_good_messages_are_taken(name):
    # Not each: some pools are for two parsers, and a good answer may say that all went wrong.
    assert "taken" in [PARSERS[name].check(good) for good in PARSERS[name].pool.good]


def test_a_stream_of_too_long_an_id_is_refused():
    long = START.replace(b'"streamSid":"MZ', b'"streamSid":"MZ' + b"9" * 300)
    assert PARSERS["sequence"].check(BETWEEN.join((long, *CALLER, STOP))) == "refused"
    assert PARSERS["sequence"].check(SEQUENCE) == "taken"


@pytest.mark.parametrize("mutate", set(MUTATIONS), ids=lambda one: one.__name__)
def test_a_mutation_takes_anything(mutate):
    rng = random.Random(1)
    for text in (b"", b"x", b'{"a":1}', *VALUES[:20]):
        assert isinstance(mutate(rng, text, Pool((text,))), bytes)


def test_a_seed_decides_the_inputs():
    pool = PARSERS["twilio"].pool
    first, again, other = (list(mutated(random.Random(n), pool, 500)) for n in (1, 1, 2))
    assert first == again != other


def test_mutated_messages_are_taken_or_refused_as_documented():
    counts = fuzz_messages.run_batch(seed=random.randrange(10**6), n=N)
    for name, parser in PARSERS.items():
        of_it = [counts[f"{name} {told}"] for told in ("taken", "refused")]
        assert sum(of_it) >= N * parser.share // 50
        assert min(of_it) > 0, f"{name} is never asked both ways: {of_it}"


def test_what_a_parser_lets_through_is_kept_and_can_be_tried_again(monkeypatch, tmp_path):
    def broken(data: bytes) -> str:
        raise KeyError(data)

    monkeypatch.setitem(PARSERS, "to twilio", Parser(Pool((b"{}",)), broken))
    with pytest.raises(fuzz_messages.Failure) as failed:
        fuzz_messages.run_batch(seed=1, n=1000)
    file = failed.value.keep(tmp_path)
    assert file.read_bytes() == failed.value.data
    with pytest.raises(KeyError):
        fuzz_messages.replay(file)


def test_an_error_that_is_too_long_or_says_nothing_is_a_fault():
    for text in ("", "x" * 401):
        with pytest.raises(WrongError):
            parsers.refused(parsers.ProtocolError(text))


def test_growth_is_counted_from_the_warm_batches_on():
    assert fuzz_messages.growth({}) == 0
    assert fuzz_messages.growth({1: [1] * 5}) == 0
    assert fuzz_messages.growth({1: [1, 2, 3, 4, 5, 100, 130], 2: [0] * 9}) == 30
