"""The fake Aura's connection, on a clock and a pacer of the test's."""

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from picows import WSMsgType

from voice_ai.codec.formats import ULAW_8K
from voice_ai.codec.g711 import ulaw_decode
from voice_ai.phone.load.levels import segment, symbol
from voice_ai.phone.load.services import aura
from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.pacing import EARLY_S
from voice_ai.phone.load.services.plan import Plan


class Frame:
    """What picows gives, of a text."""

    msg_type = WSMsgType.TEXT

    def __init__(self, **message: Any) -> None:
        self._data = json.dumps(message).encode()

    def get_payload_as_bytes(self) -> bytes:
        return self._data


class World:
    """The connection's transport, its pacer and its clock in one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **plan: Any) -> None:
        self.now_s = 1000.0
        self.sent: list[tuple[float, bytes | str]] = []
        self.n_asked = 0
        self._acts: list[tuple[float, Callable[[], None]]] = []
        self.measured = Measured()
        monkeypatch.setattr(aura, "monotonic", lambda: self.now_s)
        self._listener = aura.AuraListener(Plan(**plan), self.measured, self, ULAW_8K, 0)
        self._listener.on_ws_connected(self)
        self.sent.clear()

    def at(self, due_s: float, act: Callable[[], None]) -> None:
        self.n_asked += 1
        self._acts.append((due_s, act))

    def send(self, kind: object, data: bytes | str) -> None:
        self.sent.append((self.now_s, data))

    def say(self, *texts: str) -> None:
        for text in texts:
            self._listener.on_ws_frame(self, Frame(type="Speak", text=text))
        self._listener.on_ws_frame(self, Frame(type="Flush"))

    def clear(self) -> None:
        self._listener.on_ws_frame(self, Frame(type="Clear"))

    def pause(self) -> None:
        self._listener.pause_writing()

    def resume(self) -> None:
        self._listener.resume_writing()

    def hang_up(self) -> None:
        self._listener.on_ws_disconnected(self)

    def run(self, for_s: float = 60.0, off_s: float = 0.0) -> None:
        """Let time go by; the pacer is off by some of it."""
        end_s = self.now_s + for_s
        while due := [one for one in self._acts if one[0] + off_s <= end_s]:
            first = min(due, key=lambda one: one[0])
            self._acts.remove(first)
            self.now_s = max(self.now_s, first[0] + off_s)
            first[1]()
        self.now_s = end_s

    @property
    def symbols(self) -> list[int | None]:
        audio = ulaw_decode(b"".join(data for _, data in self.sent if isinstance(data, bytes)))
        middles = range(160, len(audio), 320)
        return [symbol(int.from_bytes(audio[m : m + 2], "little", signed=True)) for m in middles]

    @property
    def answers(self) -> list[str]:
        return [json.loads(data)["type"] for _, data in self.sent if isinstance(data, str)]


@pytest.fixture(params=[20, 33, 100, 1000])
def world(monkeypatch, request):
    return World(monkeypatch, tts_chunk_ms=request.param)


@pytest.mark.parametrize("off_s", [-EARLY_S, -EARLY_S / 2, 0.0, 0.005, 0.3])
def test_a_pacer_that_is_early_or_late_loses_nothing(world, off_s):
    world.say("call 7 turn 1: yes, yes.")
    world.run(off_s=off_s)
    assert world.symbols == list(islice(segment(7, 0), 72))
    assert world.answers == ["Flushed"]


@pytest.mark.parametrize("after_s", [0.0, 0.013, 0.2301, 0.24, 0.9])
def test_after_a_clear_only_the_new_text_is_heard_and_in_its_time(world, after_s):
    for n in range(3):
        world.say(f"call 7 turn {n}: yes, yes.")
        world.run(after_s)
        world.clear()
    world.sent.clear()
    began_s, n_asked = world.now_s, world.n_asked
    world.say("call 7 turn 9: yes.")
    world.run()
    assert world.symbols == list(islice(segment(7, 3), 57))
    assert world.answers == ["Flushed"]
    assert world.n_asked - n_asked <= len(world.sent)  # once for each piece, however many clears
    gaps_s = [at - began_s for at, data in world.sent if isinstance(data, bytes)]
    n_ms = [len(data) / 8 for _, data in world.sent if isinstance(data, bytes)]
    due_s = [max(0.0, sum(n_ms[:i]) / 1000 - 0.2) for i in range(len(n_ms))]
    assert gaps_s == pytest.approx(due_s, abs=EARLY_S + 1e-6)


def test_a_client_that_does_not_read_is_not_sent_more(world):
    world.say("call 7 turn 1: yes, yes.")
    world.pause()
    n_sent = len(world.sent)
    world.run(5.0)
    assert len(world.sent) == n_sent
    world.resume()
    world.run()
    assert world.symbols == list(islice(segment(7, 0), 72))
    assert world.measured.results(0)["violations"] == [
        "Aura connection 0: the voice was not read in time"
    ]


def test_nothing_is_sent_to_who_has_gone(world):
    world.say("call 7 turn 1: yes, yes.")
    world.hang_up()
    n_sent = len(world.sent)
    world.run()
    assert len(world.sent) == n_sent


def test_the_first_text_of_a_turn_is_noted_though_its_name_comes_later(world):
    world.measured.start_turn(7, 1, 1.0)
    world.measured.note((7, 1), "end_of_turn", 2.0)
    world.say("call 7 ", "turn 1: yes, yes.")
    (row,) = world.measured.results(0)["turns"]
    assert (row["first_text"], row["first_audio"], row["segment"]) == (1000.0, 1000.0, (7, 0))
