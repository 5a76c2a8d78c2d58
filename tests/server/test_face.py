"""What the server says of itself: every fact once, in lines, or in columns on a terminal."""

import inspect
import io
import signal
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from processes import started

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai import Agent, tool
from voice_ai.providers.deepgram.aura import AuraTextToSpeech
from voice_ai.providers.deepgram.flux import FluxSpeechToText
from voice_ai.server import face as module
from voice_ai.server import providers
from voice_ai.server.face import HERE_ONLY, LABELS, WIDTH, Screen, facts, is_fact
from voice_ai.server.settings import Settings

URL = "http://127.0.0.1:8000"
KEYED = {
    "deepgram_api_key": "dg-secret",
    "openai_api_key": "sk-secret",
    "openai_model": "gpt-5.6-luna",
}


@tool
async def hours(day: str) -> str:
    """Say when we are open."""
    return day


def told(who: Agent | None = None, **given: Any) -> dict[str, str]:
    """The facts by their labels; of the warnings all, with lines between."""
    found: dict[str, str] = {}
    who = who or Agent(instructions="Be brief.")
    for line in facts(Settings(_env_file=None, **given), who, URL):
        label, _, text = line.partition(": ")
        assert label in LABELS
        found[label] = f"{found[label]}\n{text}" if label in found else text
    return found


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_without_anything_local_models_serve_and_no_number_can_call() -> None:
    said = told()
    assert said["Hearing"] == "local Whisper, tiny.en"
    assert said["Answering"] == "0 ready answers of the agent's, no language model"
    assert said["Speaking"] == "local Hibari, heart"
    assert said["Capacity"] == "8 calls at once, by the local models; CPU to 90 %"
    assert said["Calls"] == (
        "words kept for 1 h after the end, in data; timings for 30 days; not recorded"
    )
    assert said["Page"] == f"{URL}/ to talk to it in a browser on this machine"
    assert said["Phone"] == "no number yet: needs PUBLIC_URL (or --tunnel) and TWILIO_AUTH_TOKEN"
    assert "Warning" not in said
    assert list(said) == [label for label in LABELS if label not in ("Number", "Warning")]


def test_with_keys_models_and_those_behind_them_are_named_and_no_key() -> None:
    said = told(
        **KEYED,
        openai_fallback_model="gpt-5.6-sol",
        openai_fallback_base_url="https://other.example.com/v1",
        tts_fallback="aura-2-helena-en,openai:alloy,local",
        max_calls=1,
        resampler="soxr",
    )
    assert said["Hearing"] == "Deepgram Flux, flux-general-en"
    assert said["Answering"] == (
        "OpenAI gpt-5.6-luna; then gpt-5.6-sol at https://other.example.com/v1"
    )
    assert said["Speaking"] == (
        "Deepgram Aura, aura-2-thalia-en; then Deepgram Aura, aura-2-helena-en; "
        "then OpenAI, alloy; then local Hibari, heart"
    )
    assert said["Capacity"].startswith("1 call at once, by MAX_CALLS")
    assert "soxr" in said["Codec"]
    assert "secret" not in str(said)


def test_the_defaults_that_are_told_are_those_of_the_adapters() -> None:
    def default(adapter: type) -> str:
        return str(inspect.signature(adapter).parameters["model"].default)

    assert module.HEARING["deepgram"].endswith(default(FluxSpeechToText))
    assert default(AuraTextToSpeech) == module.AURA_VOICE


def test_the_agents_own_words_stand_above_the_settings() -> None:
    agent = Agent(instructions="x", voice="aura-2-luna-en", model="gpt-7", tools=[hours])
    said = told(agent, **KEYED, agent="shop:agent")
    assert said["Agent"] == "shop:agent, 1 tool"
    assert said["Answering"] == "OpenAI gpt-7"
    assert said["Speaking"] == "Deepgram Aura, aura-2-luna-en"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({}, "40 calls at once, by AURA_CONCURRENCY"),
        ({"flux_concurrency": 9, "flux_spare": True}, "8 calls at once, by FLUX_CONCURRENCY"),
        ({"llm_concurrency": 7}, "7 calls at once, by LLM_CONCURRENCY"),
        ({"workers": 4, "max_calls": 30}, "30 calls at once over 4 processes, by MAX_CALLS"),
    ],
)
def test_what_limits_the_calls_is_named(limits: dict[str, Any], words: str) -> None:
    assert told(**KEYED, **limits)["Capacity"] == f"{words}; CPU to 90 %"
    settings = Settings(_env_file=None, **KEYED, **limits)
    assert str(providers.capacity(settings)) == words.partition(" ")[0]


def test_a_public_url_is_what_is_pasted() -> None:
    said = told(public_url="https://phone.example.com", twilio_auth_token="t" * 32)
    assert said["Phone"].startswith(
        "https://phone.example.com/incoming-call by HTTP POST: paste it"
    )
    assert (
        said["Warning"]
        == "CONSOLE_PASSWORD is not set: the page is refused to all but this machine"
    )


def test_with_a_password_the_page_is_for_others_too() -> None:
    public = {"public_url": "https://phone.example.com", "twilio_auth_token": "t" * 32}
    said = told(**public, console_password="long enough")
    assert said["Page"].startswith("https://phone.example.com/ ")
    assert "Warning" not in said


def test_a_door_that_is_open_is_warned_of() -> None:
    said = told(host="0.0.0.0", insecure=True)
    assert "TWILIO_AUTH_TOKEN is not set: anybody who finds the address may call" in said["Warning"]


def test_models_that_are_shut_down_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(date):
        @classmethod
        def today(cls) -> "Late":
            return cls(2026, 12, 31)

    monkeypatch.setattr(module, "date", Late)
    given = KEYED | {"openai_model": "gpt-5-nano", "tts_fallback": "openai:alloy"}
    first, second = told(**given)["Warning"].splitlines()
    assert "gpt-5-nano was shut down on 2026-12-11" in first
    assert "OpenAI's speech ends on 2027-01-06" in second
    assert "Warning" not in told()


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600, "1 h"), (7200, "2 h"), (90, "90 s"), (120, "2 min"), (0, "0 s")]
)
def test_times_are_told_in_the_largest_whole_unit(seconds: float, words: str) -> None:
    assert f" {words} after" in told(transcript_retention_s=seconds)["Calls"]


def test_what_is_no_terminal_gets_the_lines_as_they_are() -> None:
    stream = io.StringIO()
    lines = ["voice_ai 1", f"Listening on {URL}, loading x.", *facts_of({}), "Ready. The webhook"]
    for line in lines:
        Screen(stream)(line)
    assert stream.getvalue().splitlines() == lines


def facts_of(given: dict[str, Any]) -> list[str]:
    return list(facts(Settings(_env_file=None, **given), Agent(instructions="x"), URL))


def test_a_terminal_gets_80_columns(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen(terminal)
    given = KEYED | {"tts_fallback": "aura-2-helena-en,openai:alloy,local", "host": "0.0.0.0"}
    lines = [
        "voice_ai 1",
        f"Listening on {URL}, loading hearing: Deepgram Flux, answering: x, {'z' * 40}.",
        *facts_of(given | {"insecure": True, "openai_model": "gpt-5-nano"}),
        f"Ready. The webhook for a Twilio number is {URL}/incoming-call {HERE_ONLY}",
    ]
    for line in lines:
        screen(line)
    shown = terminal.getvalue()
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert f"Listening on {URL}, loading.\n" in shown
    assert "\n  warning    " in shown
    assert shown.endswith("Ready. Open the page and talk to it.\n")


def test_a_terminal_gets_colours_unless_it_has_none(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    Screen(terminal)("Warning: x")
    assert "\x1b[1;33m  warning" in terminal.getvalue()
    monkeypatch.setenv("TERM", "dumb")
    dumb = Terminal()
    Screen(dumb)("Warning: x")
    assert dumb.getvalue() == "Warning: x\n"


def test_that_nobody_reads_it_is_no_error() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Screen(Gone())("Ready.")


async def test_a_refused_key_is_named_and_not_shown(tmp_path: Path) -> None:
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, DEEPGRAM_API_KEY="wrong-key-of-mine") as server,
    ):
        assert await server.ended() == 1
    assert server.said.endswith("Look at DEEPGRAM_API_KEY: the service does not know it.\n")
    assert "wrong-key" not in server.said


@pytest.mark.parametrize("line", ["", "Ready. The webhook", "Listening on x, y", "Agents: x"])
def test_other_lines_are_no_facts(line: str) -> None:
    assert not is_fact(line)


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
async def test_a_server_says_each_of_it_once_and_then_that_it_is_ready(
    tmp_path: Path, options: list[str]
) -> None:
    async with (
        FakeDeepgram() as deepgram,
        FakeOpenAI() as openai,
        started(tmp_path, deepgram, openai, *options) as server,
    ):
        await server.until("Ready.")
        server.process.send_signal(signal.SIGTERM)
        await server.ended()
    lines = [line for line in server.said.splitlines() if not line.startswith("20")]
    heads = [line.partition(": ")[0] if is_fact(line) else line.split()[0] for line in lines]
    assert heads == [
        *("voice_ai", "Listening"),
        *(label for label in LABELS if label not in ("Number", "Warning")),
        *("Ready.", "Draining:", "Stopped."),
    ]


def test_what_is_kept_of_calls_is_said() -> None:
    nothing = told(keep_calls=False, transcript_retention_s=90)
    assert nothing["Calls"] == (
        "words kept for 90 s after the end, in memory; nothing on disk; not recorded"
    )
    recorded = told(record=True)
    assert recorded["Calls"].endswith("; recorded, announced, kept for 7 days")
