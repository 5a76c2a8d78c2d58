"""`python -m server call` as a newcomer runs it: no key, recorded speech, local models."""

import asyncio
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reference.wer import word_errors
from voice_ai.providers.local.hearing import LocalSpeechToText
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.agents import load_agent
from voice_ai.server.settings import Settings
from voice_ai.turn.events import EndOfTurn

pytestmark = pytest.mark.local

SPEECH = Path(__file__).parents[1] / "data" / "speech"
SAID = {
    "goforward": "go forward ten meters",
    "cards_001": "ten of clubs",
    "austen_0880": "he was not an ill disposed young man",
}
LIMIT_S = 120
# So much faster than it was spoken a recording is heard again; no more than 30 s of it may wait.
FASTER = 10
# Without an event for so long, there is nothing more to hear.
QUIET_S = 5.0


def newcomer() -> dict[str, str]:
    """An environment without any setting of ours."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours} | {"PORT": "1"}


def server(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=newcomer(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def ears() -> Iterator[LocalSpeechToText]:
    made = LocalSpeechToText()
    made.load()
    yield made
    made.close()


async def transcribed(ears: LocalSpeechToText, pcm16_8k: bytes) -> str:
    """Every turn that is heard in a recording."""
    words: list[str] = []
    quiet = bytes(8000 * 2 * 2)
    async with ears.open(CallInfo("CA1")) as stream, asyncio.TaskGroup() as group:

        async def send() -> None:
            for at in range(0, len(pcm16_8k), 1280):
                stream.send(pcm16_8k[at : at + 1280])
                await asyncio.sleep(0.08 / FASTER)
            stream.send(quiet)

        sending = group.create_task(send())
        events = aiter(stream)
        try:
            while True:
                async with asyncio.timeout(QUIET_S):
                    event = await anext(events)
                if isinstance(event, EndOfTurn):
                    words.append(event.transcript)
        except TimeoutError:
            assert sending.done()
    return " ".join(words)


def test_a_conversation_with_recorded_speech_is_understood_both_ways(
    tmp_path: Path, ears: LocalSpeechToText
) -> None:
    files = [str(SPEECH / f"{name}.wav") for name in SAID]
    made = server("call", *files, "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    result = json.loads(made.stdout)
    assert list(result) == ["turns", "greeting_ms", "violations", "wav"]
    assert result["violations"] == []

    turns = result["turns"]
    assert all(set(turn) == {"caller", "reply", "heard", "latency_ms"} for turn in turns)
    errors, n_words = word_errors(
        " ".join(SAID.values()), " ".join(turn["caller"] for turn in turns)
    )
    assert errors * 10 <= n_words, turns

    with wave.open(str(tmp_path / result["wav"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 2, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    heard = asyncio.run(transcribed(ears, both[:, 1].tobytes()))
    spoken = " ".join([load_agent(None).greeting, *(turn["heard"] for turn in turns)])
    errors, n_words = word_errors(spoken, heard)
    assert errors * 10 <= n_words, (spoken, heard)


def test_what_is_not_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("Hello, this is no sound.")
    made = server("call", "notes.wav", cwd=tmp_path)
    assert made.returncode == 2
    assert "notes.wav is not a WAV file" in made.stderr
    assert "Traceback" not in made.stderr


def test_a_folder_that_is_not_there_is_named_before_the_call(tmp_path: Path) -> None:
    made = server("call", str(SPEECH / "goforward.wav"), "--wav", "none/call.wav", cwd=tmp_path)
    assert made.returncode == 2
    assert made.stderr == "server: cannot write none/call.wav: there is no folder none\n"
    assert made.stdout == ""


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EOT_THRESHOLD=7\nSTT=deepgram\nHISTORY=none\n")
    made = server(cwd=tmp_path)
    assert made.returncode == 2
    assert made.stderr.startswith("server: 3 problems in the settings:")
    assert "Traceback" not in made.stderr
