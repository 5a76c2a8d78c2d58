"""Recorded calls on uvloop and loopback sockets: announced, kept, listened to, and never lost."""

import asyncio
import os
import stat
from itertools import groupby
from pathlib import Path

import httpx
import numpy as np
import pytest
from processes import started

from fakes.aura import FakeAura
from fakes.deepgram import FakeDeepgram
from fakes.flux import FakeFlux
from fakes.handset import CHAR_MS, calling, letters
from fakes.openai_api import FakeOpenAI
from serving import serving
from voice_ai import Agent, ulaw_decode, ulaw_encode
from voice_ai.call.record import CallRecord
from voice_ai.phone import CallPlan, place_call, tones
from voice_ai.phone.riff import parse_wav
from voice_ai.server.recording_file import HEAD_OCTETS, audio_octets

STORY = "one two three four five six seven eight nine ten eleven twelve thirteen."
NOTICE = "This call is recorded."
SILENCE = 0xFF
# What the caller says: too short to be taken for speech.
BEEP = ulaw_encode((8000 * np.sin(np.arange(240) * 0.8)).astype("<i2").tobytes())


def plays(octets: bytes) -> tuple[bytes, bytes]:
    """Read it as a player does; return what both sides' µ-law is."""
    samples, rate_hz = parse_wav(octets, "recording", 600.0)
    assert rate_hz == 8000
    n_octets = audio_octets(octets)
    assert n_octets == 2 * len(samples) == len(octets) - HEAD_OCTETS
    return octets[HEAD_OCTETS::2], octets[HEAD_OCTETS + 1 :: 2]


def spelt(heard: bytes) -> str:
    runs = [(code, len(list(run))) for code, run in groupby(heard)]
    return "".join(chr(code) * round(n / 8 / CHAR_MS) for code, n in runs if code != SILENCE)


def squeezed(heard: bytes) -> bytes:
    return bytes(heard).replace(bytes([SILENCE]), b"")


async def get(http: httpx.AsyncClient, call_sid: str) -> bytes:
    answer = await http.get("/api/recording", params={"call_sid": call_sid})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    return answer.content


@pytest.mark.parametrize("stt_audio", ["mulaw/8000", "linear16/16000"])
async def test_a_recorded_call(tmp_path: Path, stt_audio: str) -> None:
    deepgram = FakeDeepgram(FakeFlux(silence_ms=60_000), FakeAura(letters))
    agent = Agent(instructions="x", greeting="Hello.", fillers=[])
    async with (
        serving(
            agent=agent,
            deepgram=deepgram,
            openai=FakeOpenAI([STORY, "Yes."]),
            tts_audio="mulaw/8000",
            stt_audio=stt_audio,
            record=True,
            data_dir=tmp_path / "data",
        ) as world,
        httpx.AsyncClient(base_url=world.app.url) as http,
    ):
        async with calling(world) as phone:
            await phone.hears(f"{NOTICE} Hello.")
            phone.say(BEEP)
            await phone.asks("Tell me a story.")
            await phone.until(lambda: "one two three" in phone.text)
            live = await get(http, phone.call_sid)
            await phone.recognised("StartOfTurn")
            await phone.recognised("Update", "Stop")
            await phone.recognised("EndOfTurn", "Stop it.")
            await phone.hears("Yes.")
        path = tmp_path / "data" / "recordings" / f"{phone.call_sid}.wav"
        async with asyncio.timeout(10):
            while "Yes." not in spelt(plays(await get(http, phone.call_sid))[1]):
                await asyncio.sleep(0.05)
        record: CallRecord = phone.record
        heard = bytes(phone.heard)
    assert record.is_recorded and record.summary()["recorded"]
    assert record.greeting == f"{NOTICE} Hello."
    assert spelt(plays(live)[1]).startswith(NOTICE)
    said, told = plays(path.read_bytes())
    # Up to a clear's way to the far end, letter for letter what was heard.
    assert spelt(told).startswith(f"{NOTICE} Hello.one two three")
    assert abs(len(squeezed(told)) - len(squeezed(heard))) <= 8 * 60
    assert squeezed(told)[: 8 * CHAR_MS * 30] == squeezed(heard)[: 8 * CHAR_MS * 30]
    assert spelt(told).rstrip().endswith("Yes.")
    loud = np.abs(np.frombuffer(ulaw_decode(said), "<i2").astype(int)) > 2000
    assert loud.sum() > 150
    if stt_audio == "mulaw/8000":
        assert BEEP in said
    assert {note.kind for note in record.notes} >= {"mark", "clear"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path: Path) -> None:
    deepgram = FakeDeepgram(FakeFlux(silence_ms=60_000), FakeAura(letters))
    agent = Agent(instructions="x", greeting="Hello.", fillers=[])
    async with serving(
        agent=agent, deepgram=deepgram, tts_audio="mulaw/8000", data_dir=tmp_path / "data"
    ) as world:
        async with calling(world) as phone:
            await phone.hears("Hello.")
        async with httpx.AsyncClient(base_url=world.app.url) as http:
            answer = await http.get("/api/recording", params={"call_sid": phone.call_sid})
        assert answer.status_code == 404
        assert not phone.record.is_recorded
        assert not phone.text.startswith(NOTICE)
    assert os.listdir(tmp_path) == []


async def test_a_server_that_is_killed_in_a_call_leaves_a_recording(tmp_path: Path) -> None:
    greeting = "Hello. " + "This is a long greeting. " * 10
    folder = tmp_path / "data" / "recordings"

    def latest() -> bytes:
        return b"".join(path.read_bytes() for path in folder.glob("*.wav"))

    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, RECORD=1, AGENT="long.toml") as server,
    ):
        (tmp_path / "long.toml").write_text(f'instructions = "x"\ngreeting = "{greeting}"\n')
        await server.until("Ready.")
        said = [ulaw_encode(tones.encode("Hello?"))]
        plan = CallPlan(server_url=server.url, utterances=said)
        async with asyncio.TaskGroup() as group:
            caller = group.create_task(place_call(plan))
            async with asyncio.timeout(30):
                while len(latest()) < HEAD_OCTETS + 3 * 16_000:
                    await asyncio.sleep(0.02)
            server.process.kill()
            await server.ended()
        assert caller.result().turns == []
    said_side, told = plays(latest())
    assert len(said_side) >= 3 * 8000
    assert len(told.replace(bytes([SILENCE]), b"")) > 8000
