"""The mixer by examples, and against a model that goes sample by sample."""

from hypothesis import given
from hypothesis import strategies as st

from voice_ai.call.recorder import OCTETS_A_MS, SILENCE, Mixer


def sides(stereo: bytes) -> tuple[bytes, bytes]:
    return stereo[::2], stereo[1::2]


def ms(letter: str, n_ms: float) -> bytes:
    return letter.encode() * round(n_ms * OCTETS_A_MS)


def test_nothing_makes_nothing():
    mixer = Mixer()
    mixer.clear(0.0)
    assert mixer.caller(b"") == b""


def test_a_caller_to_whom_nothing_is_said():
    assert sides(Mixer().caller(ms("c", 20))) == (ms("c", 20), SILENCE * 160)


def test_what_was_sent_before_anything_came_is_heard_from_the_begin():
    mixer = Mixer()
    mixer.agent(ms("a", 30), 0.0)
    assert sides(mixer.caller(ms("c", 20))) == (ms("c", 20), ms("a", 20))
    assert sides(mixer.caller(ms("c", 20))) == (ms("c", 20), ms("a", 10) + SILENCE * 80)


def test_it_is_heard_from_when_it_is_sent():
    mixer = Mixer()
    mixer.caller(ms("c", 20))
    mixer.agent(ms("a", 5), 25.0)
    assert sides(mixer.caller(ms("c", 20)))[1] == SILENCE * 40 + ms("a", 5) + SILENCE * 80


def test_or_from_the_end_of_what_was_sent_before():
    mixer = Mixer()
    mixer.agent(ms("a", 10), 0.0)
    mixer.agent(ms("b", 5), 3.0)
    mixer.agent(ms("d", 5), 20.0)
    heard = sides(mixer.caller(ms("c", 30)))[1]
    assert heard == ms("a", 10) + ms("b", 5) + SILENCE * 40 + ms("d", 5) + SILENCE * 40


def test_a_clear_drops_what_is_not_played_and_nothing_else():
    mixer = Mixer()
    mixer.agent(ms("a", 100), 0.0)
    mixer.caller(ms("c", 20))
    mixer.clear(30.0)
    mixer.agent(ms("b", 5), 30.0)
    assert sides(mixer.caller(ms("c", 20)))[1] == ms("a", 10) + ms("b", 5) + SILENCE * 40


def test_a_clear_at_the_very_end_of_what_was_sent():
    mixer = Mixer()
    mixer.agent(ms("a", 20), 0.0)
    mixer.clear(20.0)
    mixer.clear(500.0)
    assert sides(mixer.caller(ms("c", 30)))[1] == ms("a", 20) + SILENCE * 80


def test_what_is_missing_of_the_caller_is_silent_and_takes_its_time():
    mixer = Mixer()
    mixer.agent(ms("a", 50), 0.0)
    mixer.caller(ms("c", 20))
    said, heard = sides(mixer.caller(ms("d", 20), 40.0))
    assert said == SILENCE * 320 + ms("d", 20)
    assert heard == ms("a", 30) + SILENCE * 240


class Model:
    """What the far end plays, one sample of 125 µs after the other."""

    def __init__(self):
        self.waits = []  # (not before this sample, the sample)
        self.now = 0
        self.heard = bytearray()

    def send(self, ulaw):
        self.waits += [(self.now, octet) for octet in ulaw]

    def clear(self):
        self.waits.clear()

    def play(self, n):
        for _ in range(n):
            begins = self.waits and self.waits[0][0] <= self.now
            self.heard.append(self.waits.pop(0)[1] if begins else 0xFF)
            self.now += 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 60)),
        st.tuples(st.just("clear"), st.just(0)),
        # Time passes at the far end; what it says meanwhile reaches us in this piece, or later.
        st.tuples(st.just("passes"), st.integers(0, 50)),
        st.tuples(st.just("comes"), st.just(0)),
        st.tuples(st.just("is lost"), st.integers(0, 50)),
    )
)


@given(STEPS)
def test_it_is_what_the_far_end_played_sample_by_sample(steps):
    model, mixer, stereo, said = Model(), Mixer(), b"", b""
    waiting, gap, letter = b"", 0, 0
    for what, n in [*steps, ("passes", 1), ("comes", 0)]:
        if what == "send":
            letter = letter % 200 + 1
            model.send(bytes([letter]) * n)
            mixer.agent(bytes([letter]) * n, model.now / OCTETS_A_MS)
        elif what == "clear":
            model.clear()
            mixer.clear(model.now / OCTETS_A_MS)
        elif what == "passes":
            model.play(n)
            waiting += bytes(model.now % 256 for _ in range(n))
        elif what == "is lost" and not waiting:
            model.play(n)
            gap += n
        elif what == "comes":
            stereo += mixer.caller(waiting, gap / OCTETS_A_MS)
            said += SILENCE * gap + waiting
            waiting, gap = b"", 0
    assert sides(stereo) == (said, bytes(model.heard))
