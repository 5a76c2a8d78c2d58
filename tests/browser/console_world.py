"""The console on a port, and calls that nobody makes: their records are the test's to write."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import orjson

from voice_ai import ulaw_encode
from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, Note, NoteKind, TurnRecord
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.assets import Assets, read_assets
from voice_ai.server.console import Console
from voice_ai.server.front import Front, serve
from voice_ai.server.http import Request, Response, Routes, plain
from voice_ai.server.kept import Archive
from voice_ai.server.metrics import Metrics
from voice_ai.server.pages import Face, Pages
from voice_ai.server.readiness import Readiness
from voice_ai.turn.rules import Phase

ABOUT = {"version": "0", "ready": True, "waiting_for": "", "providers": "fakes", "webhook": "none"}


class Memory:
    """What stands for `Calls`."""

    n_live = 0

    def __init__(self) -> None:
        self.kept: list[CallRecord] = []

    def records(self) -> list[CallRecord]:
        return sorted(self.kept, key=lambda record: record.started_at, reverse=True)

    def find(self, call_sid: str) -> CallRecord | None:
        return next((r for r in self.records() if r.call.call_sid == call_sid), None)

    def add(self, call_sid: str, started_at: float, **fields: object) -> CallRecord:
        """Have a call from now on, begun at `started_at`, which lasts as long as the loop says."""
        call = CallInfo(call_sid, "MZ" + call_sid[2:], caller=str(fields.pop("caller", "")))
        record = CallRecord(call, started_at, **fields)  # type: ignore[arg-type]
        record.begin(asyncio.get_running_loop().time)
        self.kept.append(record)
        return record


class World:
    """A console: its address, the calls in it, their recordings, and what it was asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.memory = Memory()
        self.recordings: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refuses_with = 0

    async def recording(self, request: Request) -> Response:
        wav = self.recordings.get(request.query.removeprefix("call_sid="))
        return Response(200, wav, "audio/wav") if wav is not None else plain(404, "none is kept")

    async def about(self, request: Request) -> Response:
        return Response(200, orjson.dumps(ABOUT), "application/json")


class WatchedPages(Pages):
    """Pages that tell what they were asked for, and may be made to refuse."""

    world: World

    async def calls(self, request: Request) -> Response:
        self.world.asked.append(request.target)
        if self.world.refuses_with:
            return plain(self.world.refuses_with)
        return await super().calls(request)


@asynccontextmanager
async def console(archive: Archive | None = None) -> AsyncIterator[World]:
    """Serve a console until the block ends."""
    world, routes, door = World(), Routes(), Console()
    readiness: Readiness[object] = Readiness()
    readiness.set(object())
    routes.add("/api/about", GET=world.about)
    routes.add("/api/recording", GET=world.recording)
    pages = WatchedPages(
        Face("http://127.0.0.1/incoming-call", "fakes"),
        world.memory,  # type: ignore[arg-type]
        readiness,  # type: ignore[arg-type]
        Metrics(),
        archive=archive,
    )
    pages.world = world
    pages.add_to(routes)
    Assets(await asyncio.to_thread(read_assets), door).add_to(routes)
    async with serve(Front(routes), "127.0.0.1", 0) as bound:
        world.url = f"http://127.0.0.1:{bound.port}"
        yield world


def turn(
    record: CallRecord, caller: str, reply: str, *stages_ms: int, heard: str | None = None
) -> TurnRecord:
    """Add an answered turn; `stages_ms` are a latency's, `heard` is given if it was cut off."""
    edges = [asyncio.get_running_loop().time()]
    for stage_ms in stages_ms:
        edges.append(edges[-1] + stage_ms / 1000)
    end, decided, recognised, text, audio, sent = edges
    latency = Latency(end, decided, recognised, text, audio, sent, text - 0.02, sent + 0.12)
    made = record.add_turn(caller, latency)
    made.reply, made.over = reply, True
    made.heard = reply if heard is None else heard
    made.complete = heard is None
    return made


PHASES = [phase.value for phase in (Phase.LISTENING, Phase.CALLER_SPEAKING, Phase.THINKING)]


async def live_calls(world: World, n_calls: int, every_s: float) -> None:
    """Have calls of which something changes all the time; runs until it is cancelled."""
    live = []
    for number in range(n_calls):
        phase = PHASES[number % 3]
        started_at = 1.7e9 + number
        named = {"caller": f"+1555010{number:04d}", "phase": phase}
        live.append(world.memory.add(f"CA{number:032d}", started_at, **named))
    step = 0
    while True:
        await asyncio.sleep(every_s)
        step += 1
        for number, record in enumerate(live):
            record.phase = PHASES[(number + step) % 3]
            if (number + step) % 3 == 0:
                turn(record, "And on Monday?", "From nine to five.", 250, 20, 400, 120, 5)


def wav(stereo: bytes, said: int | None = None) -> bytes:
    """Return a recording whose head says that it has so many octets of audio."""
    said = len(stereo) if said is None else said
    form = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 7, 2, 8000, 16_000, 2, 8, 0)
    chunks = form + struct.pack("<4sII", b"fact", 4, said // 2)
    head = struct.pack("<4sI4s", b"RIFF", min(50 + said, 0xFFFFFFFF), b"WAVE") + chunks
    return head + struct.pack("<4sI", b"data", said) + stereo


HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


def finished_call(world: World, call_sid: str) -> CallRecord:
    """Keep a call in which everything has happened that can."""
    record = world.memory.add(call_sid, 1.79e9, caller="+15550100001", greeting="Hello there.")
    record.greeting_ms, record.is_recorded = 85, True
    record.failures += ["llm", "tts", "llm"]
    begun = asyncio.get_running_loop().time()
    said = [
        ("When do you open?", "We open at nine, every day but Sunday.", (300, 20, 420, 110, 4)),
        ("And where are you?", "At 12 Mill Lane, behind the old station.", (310, 25, 390, 140, 4)),
        (HOSTILE, "I did not understand that.", (500, 30, 1700, 450, 6)),
        ("Is there parking?", "Yes, there is a car park in front.", (280, 20, 380, 100, 4)),
        ("Thank you. Bye.", "Goodbye.", (260, 22, 300, 90, 4)),
    ]
    for number, (caller, reply, stages) in enumerate(said):
        made = turn(record, caller, reply, *stages)
        made.at_ms = 3000 + 5000 * number
    cut = record.turns[1]
    cut.heard, cut.complete = "At 12 Mill", False
    befell: list[tuple[int, NoteKind, str, str]] = [
        (9400, "barge_in", "the caller began to speak", ""),
        (9420, "clear", "", ""),
        (13900, "fault", "the model failed", f"503 Service Unavailable {HOSTILE}"),
        (14100, "filler", "One moment, please.", ""),
        (14200, "tool", "opening_hours", '{"day": "Monday"} -> "nine to five"'),
        (22000, "key", "5", ""),
    ]
    record.notes += [Note(*each) for each in befell]
    record.notes += [Note(at_ms, "mark", f"{at_ms}") for at_ms in range(4400, 25_000, 800)]
    record.begin(lambda: begun)
    record.end()
    record.duration_ms, record.reason = 26_500, "the caller hung up"
    world.recordings[call_sid] = wav(sound(26.5, made_of(record)))
    return record


def made_of(record: CallRecord) -> list[tuple[int, float, float]]:
    """Return what can be heard of a call: side, from and to, in seconds."""
    heard = [(1, 0.2, 1.4)]
    for each in record.turns:
        end = each.at_ms / 1000
        heard += [(0, end - 1.2, end), (1, end + 1.0, end + (1.4 if each.n == 2 else 2.6))]
    return heard


def sound(length_s: float, heard: list[tuple[int, float, float]]) -> bytes:
    """Return stereo µ-law in which these stretches are a voice's pitch, growing and fading."""
    sides = np.zeros((round(length_s * 8000), 2), dtype=np.int16)
    for side, begin, end in heard:
        t = np.arange(round((end - begin) * 8000)) / 8000
        shape = np.sin(np.pi * t / (end - begin)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
        tone = np.sin(2 * np.pi * (180 + 120 * side) * t) * shape * 12_000
        at = round(begin * 8000)
        sides[at : at + len(tone), side] = tone.astype(np.int16)[: len(sides) - at]
    return ulaw_encode(sides.tobytes())
