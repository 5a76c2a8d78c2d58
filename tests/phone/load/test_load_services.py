"""The services as a process of their own, against our adapters and their real SDKs."""

import asyncio
import json
import struct
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from voice_ai.codec.formats import PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode, ulaw_encode
from voice_ai.errors import ProviderError
from voice_ai.phone.load.levels import sample, segment, symbol
from voice_ai.providers.deepgram.aura import AuraTextToSpeech, AuraUtterance
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.providers.openai.model import OpenAILanguageModel
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo, TextDelta, TextEnded
from voice_ai.turn.events import AgentSaid, CallerSaid, EndOfTurn, Said, StartOfTurn, Update

CALL = CallInfo("CA1")
PATIENCE_S = 10.0
TURNS = {"first_turn_s": 0.6, "turn_s": 2.0, "speech_s": 0.8}


class Services:
    """The process, once it listens."""

    def __init__(self, process: asyncio.subprocess.Process, addresses: dict[str, str]) -> None:
        self.deepgram_url = addresses["deepgram_url"]
        self.openai_base_url = addresses["openai_base_url"]
        self._process = process

    def begin(self) -> None:
        self._process.stdin.write(b"begin\n")

    async def end(self) -> dict[str, Any]:
        self._process.stdin.write(b"end\n")
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self._process.stdout.readline())

    async def until(self, holds: Any) -> dict[str, Any]:
        """Return the results once they are so."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(found := await self.end()):
                await asyncio.sleep(0.02)
        return found


async def started(argument: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voice_ai.phone.load.services", argument),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**26,
    )


@asynccontextmanager
async def serving(**plan: Any) -> AsyncIterator[Services]:
    """The services; they end in good order and have nothing to complain of."""
    process = await started(json.dumps(plan))
    try:
        async with asyncio.timeout(PATIENCE_S):
            line = await process.stdout.readline()
        yield Services(process, json.loads(line))
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            errors = await process.stderr.read()
            assert (await process.wait(), errors) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def frames(call: int, n: int, audio: AudioFormat = PCM16_16K) -> list[bytes]:
    n_samples = audio.rate_hz // 50
    linear = [struct.pack("<h", sample(one)) * n_samples for one in islice(segment(call, 0), n)]
    return linear if audio.encoding == "linear16" else [ulaw_encode(one) for one in linear]


def symbols(audio: bytes, fmt: AudioFormat) -> list[int | None]:
    if fmt.encoding == "mulaw":
        audio = ulaw_decode(audio)
    n_octets = fmt.rate_hz // 25
    middles = range(n_octets // 2, len(audio), n_octets)
    return [symbol(int.from_bytes(audio[m : m + 2], "little", signed=True)) for m in middles]


async def hear(
    services: Services, sent: Sequence[bytes], until: Any, audio: AudioFormat = PCM16_16K
) -> list[Any]:
    """Send frames, four at a time, and return the events up to one."""
    events = []
    flux = FluxSpeechToText("load", services.deepgram_url, audio=audio)
    async with asyncio.timeout(PATIENCE_S), flux.open(CALL) as stream:
        for start in range(0, len(sent), 4):
            stream.send(b"".join(sent[start : start + 4]))
            await asyncio.sleep(0)  # for the kernel to take it: what it does not, waits for more
        async for event in stream:
            events.append(event)
            if event == until or isinstance(until, type) and isinstance(event, until):
                break
    return events


async def listen(utterance: AuraUtterance) -> tuple[bytes, list[int]]:
    audio, spoken = b"", []
    async with asyncio.timeout(PATIENCE_S):
        async for event in utterance:
            match event:
                case Audio(data):
                    audio += data
                case SpokenTo(n_chars):
                    spoken.append(n_chars)
    return audio, spoken


async def ask(model: OpenAILanguageModel, *texts: str) -> list[str]:
    """Say things to one dialogue; return its answers."""
    answers, said = [], []
    async with asyncio.timeout(PATIENCE_S), model.open(CALL, "Be brief.", []) as dialogue:
        for turn, text in enumerate(texts, 1):
            said.append(CallerSaid(2 * turn - 1, text))
            answer = ""
            async with dialogue.reply(2 * turn, tuple(said)) as events:
                async for event in events:
                    if event != TextEnded():
                        assert isinstance(event, TextDelta)
                        answer += event.text
            said.append(AgentSaid(2 * turn, answer, True))
            await dialogue.settle(2 * turn, tuple(said))
            answers.append(answer)
    return answers


@pytest.mark.parametrize("argument", ["", "[]", '{"what": 1}', '{"turn_s": 0.5}'])
async def test_settings_that_cannot_be_used_end_it(argument):
    process = await started(argument)
    async with asyncio.timeout(PATIENCE_S):
        out, errors = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"Traceback" not in errors and errors.count(b"\n") == 1


async def test_an_input_that_is_no_pipe_ends_it():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voice_ai.phone.load.services", "{}"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (
        2,
        b"commands come through a pipe, and the input is none\n",
    )


async def test_what_is_no_service_is_refused_and_told():
    async with serving() as services:
        for path in ("/", "/v9/listen?encoding=mulaw", "/v2/listen?encoding=opus&sample_rate=8000"):
            with pytest.raises(InvalidStatus, match="404"):
                await connect(services.deepgram_url + path)
        model = OpenAILanguageModel("load", services.openai_base_url + "/v2", model="gpt-5.6-luna")
        with pytest.raises(ProviderError, match="404"):
            async with model:
                await ask(model, "call 1 turn 1 says hello")
        violations = (await services.end())["violations"]
        assert len(violations) >= 4
        assert violations[0] == "a handshake for /, which is no service"
        assert "opus/8000" in violations[2]
        assert "/v1/v2/" in violations[3]


async def test_messages_that_are_unknown_are_told_and_do_no_harm():
    listens = "/v2/listen?encoding=mulaw&sample_rate=8000"
    async with serving() as services:
        for path, greeting in ((listens, "Connected"), ("/v1/speak", "Metadata")):
            async with connect(services.deepgram_url + path) as socket:
                assert await kind(socket) == greeting
                for message in ("what", "[]", '{"type":"What"}'):
                    await socket.send(message)
                await (await socket.ping())
        assert len((await services.end())["violations"]) == 6


async def kind(socket: ClientConnection) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return json.loads(await socket.recv())["type"]


async def test_flux_says_goodbye_as_the_service_does():
    async with serving() as services:
        url = services.deepgram_url + "/v2/listen?encoding=mulaw&sample_rate=8000"
        async with asyncio.timeout(PATIENCE_S), connect(url) as socket:
            await socket.send(bytes(8000))
            await socket.send('{"type":"CloseStream"}')
            messages = [json.loads(text) async for text in socket]
            with pytest.raises(ConnectionClosedOK):
                await socket.recv()
        assert [m["type"] for m in messages] == ["Connected"] + ["TurnInfo"] * 5
        assert [m["sequence_id"] for m in messages] == list(range(6))
        assert {m.get("event", "Update") for m in messages} == {"Update"}


async def test_aura_says_goodbye_as_the_service_does():
    async with serving() as services:
        async with asyncio.timeout(PATIENCE_S):
            async with connect(services.deepgram_url + "/v1/speak") as socket:
                for name in ("Flush", "Clear", "Flush", "Close"):
                    await socket.send(json.dumps({"type": name}))
                answers = [json.loads(text) async for text in socket][1:]
        kinds = ["Flushed", "Cleared", "Flushed"]
        assert [answer["type"] for answer in answers] == kinds
        assert [answer["sequence_id"] for answer in answers] == [0, 1, 2]


@pytest.mark.parametrize("fmt", [PCM16_16K, ULAW_8K], ids=str)
async def test_turns_come_at_their_audio(fmt):
    async with serving(**TURNS) as services:
        end = EndOfTurn(2, "call 0 turn 2 says hello", 3400, 3400)
        events = await hear(services, frames(0, 200, fmt), end, fmt)
        told = [event for event in events if not isinstance(event, Update)]
        assert told[:2] == [StartOfTurn(1), EndOfTurn(1, "call 0 turn 1 says hello", 1400, 1400)]
        assert told[2:] == [StartOfTurn(2), end]
        words = [event.transcript for event in events if isinstance(event, Update)]
        assert words[:3] == ["call", "call 0 turn", "call 0 turn 1 says"]


async def test_lost_and_reordered_frames_are_counted():
    async with serving(**TURNS) as services:
        sent = frames(5, 201)
        sent[120], sent[121] = sent[121], sent[120]
        del sent[60]
        await hear(services, sent, EndOfTurn)
        found = await services.until(lambda found: found["stt"]["n_frames"] == 200)
        counts = {"n_frames": 200, "n_lost": 1, "n_out_of_order": 1, "n_unknown": 0}
        assert found["stt"] == {"n_streams": 1, **counts}
        assert found["messages"]["frame"][-1] == 200


async def test_messages_tell_when_each_frame_was_there():
    async with serving() as services:
        before = time.monotonic()
        sent = frames(9, 40)
        async with FluxSpeechToText("load", services.deepgram_url, audio=PCM16_16K).open(CALL) as s:
            for start in range(0, 40, 4):
                s.send(b"".join(sent[start : start + 4]))
                await asyncio.sleep(0)
            found = (await services.until(lambda found: found["stt"]["n_frames"] == 40))["messages"]
        assert found["call"] == [9] * 9  # the first message is before the call is known
        assert found["frame"] == [7 + 4 * n for n in range(9)]
        assert found["at"] == sorted(found["at"])
        assert before < found["at"][0] and found["at"][-1] < time.monotonic()
        assert found["n_skipped"] == 0


@pytest.mark.parametrize("fmt", [PCM16_16K, PCM16_24K, ULAW_8K], ids=str)
async def test_an_utterance_comes_back_as_its_levels(fmt):
    async with serving(tts_chunk_ms=33) as services:
        voice = AuraTextToSpeech("load", services.deepgram_url, audio=fmt)
        async with voice.open(CALL) as opened, opened.utter() as utterance:
            await utterance.send("call 17 turn 3: yes. ")
            await utterance.send("It is so.")
            await utterance.finish()
            audio, spoken = await listen(utterance)
        first = list(islice(segment(17, 0), 3 * 21))
        assert symbols(audio, fmt) == first + list(islice(segment(17, 1), 50))
        assert spoken == [21, 30]
        found = await services.end()
        assert found["tts"] == {"n_connections": 1, "n_frames": 113, "n_clears": 0}
        assert found["violations"] == []


async def test_the_voice_is_paced_and_waits_for_its_first_byte():
    async with serving(tts_first_byte_ms=300) as services:
        voice = AuraTextToSpeech("load", services.deepgram_url, audio=ULAW_8K)
        async with voice.open(CALL) as opened, opened.utter() as utterance:
            before = time.monotonic()
            await utterance.send("call 1 turn 1")
            await utterance.finish()
            await listen(utterance)
            took_s = time.monotonic() - before
        # One second of audio, of which 0.2 s are lead, and the last piece's 0.02 s.
        assert 1.06 < took_s < PATIENCE_S
        late = (await services.end())["late_ms"]
        assert 0 <= late["p50"] <= late["p99"] <= late["max"] < 1000 * PATIENCE_S


async def test_what_is_cleared_is_not_heard():
    async with serving() as services:
        voice = AuraTextToSpeech("load", services.deepgram_url, audio=ULAW_8K)
        async with asyncio.timeout(PATIENCE_S), voice.open(CALL) as opened:
            async with opened.utter() as utterance:
                await utterance.send("call 17 turn 3: " + "and so on " * 30)
                await utterance.finish()
                async for event in utterance:
                    assert isinstance(event, Audio)
                    break
            async with opened.utter() as utterance:
                await utterance.send("call 17 turn 4: yes.")
                await utterance.finish()
                audio, _ = await listen(utterance)
        assert symbols(audio, ULAW_8K) == list(islice(segment(17, 1), 60))
        found = (await services.end())["tts"]
        assert found["n_clears"] == 1 and found["n_frames"] < 360


@pytest.mark.parametrize("history", ["conversation", "local"])
async def test_the_model_answers_to_the_turn(history):
    async with serving(reply_s=3.0) as services:
        model = OpenAILanguageModel(
            "load", services.openai_base_url, model="gpt-5.6-luna", history=history
        )
        async with model:
            await model.verify()
            answers = await ask(
                model, "call 4 turn 1 says hello", "call 4 turn 2 says hello", "and nothing more"
            )
        assert [answer[:15] for answer in answers[:2]] == ["call 4 turn 1: ", "call 4 turn 2: "]
        assert answers[2].startswith("nobody: ")
        assert {len(answer) for answer in answers} <= {49, 50}  # 3 s
        found = await services.end()
        assert found["llm"] == {"n_requests": 3}
        assert found["violations"] == ["a response was asked for to text that names no turn"]


async def test_an_answer_that_was_not_heard_can_be_mended():
    async with serving(llm_inter_token_ms=20) as services:
        model = OpenAILanguageModel("load", services.openai_base_url, model="gpt-5.6-luna")
        said: list[Said] = [CallerSaid(1, "call 4 turn 1 says hello")]
        async with asyncio.timeout(PATIENCE_S), model, model.open(CALL, "", []) as dialogue:
            for turn, n_events in ((2, 2), (4, 100)):  # aborted, and complete but cut short
                async with dialogue.reply(turn, tuple(said)) as events:
                    async for _ in events:
                        n_events -= 1
                        if not n_events:
                            break
                said.append(AgentSaid(turn, f"call 4 turn {turn // 2}:", False))
                await dialogue.settle(turn, tuple(said))
                said.append(CallerSaid(turn + 1, f"call 4 turn {turn // 2 + 1} says hello"))
            async with dialogue.reply(6, tuple(said)) as events:
                heard = [event async for event in events]
                text = "".join(it.text for it in heard if isinstance(it, TextDelta))
        assert text.startswith("call 4 turn 3: ")
        assert (await services.end())["violations"] == []


async def test_a_whole_turn_is_in_the_table():
    pace = {"tts_first_byte_ms": 60, "llm_first_token_ms": 80, "llm_inter_token_ms": 5}
    async with serving(**TURNS, **pace) as services:
        before = time.monotonic()
        events = await hear(services, frames(11, 300), EndOfTurn)
        model = OpenAILanguageModel("load", services.openai_base_url, model="gpt-5.6-luna")
        async with model:
            (answer,) = await ask(model, events[-1].transcript)
        voice = AuraTextToSpeech("load", services.deepgram_url, audio=ULAW_8K)
        async with voice.open(CALL) as opened, opened.utter() as utterance:
            await utterance.send(answer[:20])
            await utterance.send(answer[20:40])
            await utterance.finish()
            await listen(utterance)
        row = (await services.end())["turns"][0]
        assert (row["call"], row["turn"], row["segment"]) == (11, 1, [11, 0])
        order = ["start_of_turn", "end_of_turn", "request", "first_token", "first_text"]
        times = [row[name] for name in [*order, "first_audio"]]
        assert times == sorted(times)
        assert before < times[0] and times[-1] < time.monotonic()
        assert 0.08 <= row["first_token"] - row["request"] < PATIENCE_S
        assert 0.06 <= row["first_audio"] - row["first_text"] < PATIENCE_S


async def test_a_window_begins_anew_and_streams_go_on():
    async with serving(first_turn_s=60) as services:
        flux = FluxSpeechToText("load", services.deepgram_url, audio=PCM16_16K)
        sent = frames(3, 200)
        async with flux.open(CALL) as stream:
            stream.send(b"".join(sent[:100]))
            await services.until(lambda found: found["stt"]["n_frames"] == 100)
            services.begin()
            assert (await services.end())["stt"]["n_frames"] == 0
            stream.send(b"".join(sent[100:]))
            found = await services.until(lambda found: found["stt"]["n_frames"] == 100)
        counts = {"n_frames": 100, "n_lost": 0, "n_out_of_order": 0, "n_unknown": 0}
        assert found["stt"] == {"n_streams": 1, **counts}
        assert found["messages"]["frame"] == [199]
        assert 0 < found["cpu_s"] < PATIENCE_S


async def test_an_unknown_command_is_told():
    process = await started("{}")
    async with asyncio.timeout(PATIENCE_S):
        _, errors = await process.communicate(b"what\n")
    assert (process.returncode, errors) == (0, b"unknown command b'what'; known are begin, end\n")
