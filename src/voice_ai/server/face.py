"""What the server says of itself at its start, and how a terminal shows it.

Everything travels as lines of text, one fact a line, so that workers can say it through their
supervisor; only a terminal has it in columns and colours. No library does that here: rich takes
0.2 s to import, in which a call could be answered.
"""

import os
import re
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import Final, TextIO

from voice_ai import codec
from voice_ai.agent import Agent
from voice_ai.errors import ProviderError
from voice_ai.server.providers import bottleneck, shutdowns
from voice_ai.server.settings import Settings
from voice_ai.server.webhook import WEBHOOK_PATH

WIDTH: Final = 80
# What facts are about, in their order; the last may come more than once.
LABELS: Final = (
    "Agent",
    "Hearing",
    "Answering",
    "Speaking",
    "Codec",
    "Capacity",
    "Calls",
    "Page",
    "Phone",
    "Number",
    "Warning",
)
URL: Final = re.compile(r"https?://[^\s,;]+")
INDENT: Final = 2 + max(map(len, LABELS)) + 2

# How the line ends that tells a webhook which Twilio cannot reach.
HERE_ONLY: Final = "(for this machine only)"

# What serves where nothing else is said: the adapters' own defaults.
HEARING: Final = {"deepgram": "Deepgram Flux, flux-general-en", "local": "local Whisper, {model}"}
AURA: Final = "Deepgram Aura, {voice}"
AURA_VOICE: Final = "aura-2-thalia-en"
LOCAL_WHISPER: Final = "tiny.en"
LOCAL_VOICE: Final = "local Hibari, heart"


def facts(settings: Settings, agent: Agent, url: str) -> Iterator[str]:
    """Yield what a person wants to know of a server that takes calls, a line each.

    Args:
        settings: what it serves by.
        agent: who answers.
        url: where it listens.
    """
    yield f"Agent: {_agent(settings, agent)}"
    yield f"Hearing: {_hearing(settings)}"
    yield f"Answering: {_answering(settings, agent)}"
    yield f"Speaking: {_speaking(settings, agent)}"
    yield f"Codec: {_codec(settings)}"
    yield f"Capacity: {_capacity(settings)}"
    yield f"Calls: {_calls(settings)}"
    yield f"Page: {_page(settings, url)}"
    yield f"Phone: {_phone(settings)}"
    for warning in _warnings(settings, agent):
        yield f"Warning: {warning}"


def _agent(settings: Settings, agent: Agent) -> str:
    n_tools = len(agent.tools)
    tools = f", {n_tools} tool{'s' * (n_tools > 1)}" if n_tools else ""
    if settings.agent:
        return f"{settings.agent}{tools}"
    return "an example; `python -m server init` begins your own"


def _hearing(settings: Settings) -> str:
    return HEARING[settings.stt].format(model=settings.local_stt_model or LOCAL_WHISPER)


def _answering(settings: Settings, agent: Agent) -> str:
    if settings.llm == "local":
        return f"{len(agent.answers)} ready answers of the agent's, no language model"
    model = agent.model or settings.openai_model
    at = f" at {settings.openai_base_url}" if settings.openai_base_url else ""
    then = ""
    if settings.has_fallback_model:
        second = settings.openai_fallback_base_url
        then = f"; then {settings.openai_fallback_model or model}"
        then += f" at {second}" if second else ""
    return f"OpenAI {model}{at}{then}"


def _speaking(settings: Settings, agent: Agent) -> str:
    first = agent.voice or AURA_VOICE if settings.tts == "deepgram" else "local"
    voices = dict.fromkeys((first, *settings.tts_fallback))
    return "; then ".join(map(_voice, voices))


def _voice(name: str) -> str:
    called, _, of_openai = name.partition(":")
    if called == "local":
        return LOCAL_VOICE
    return f"OpenAI, {of_openai}" if of_openai else AURA.format(voice=name)


def _codec(settings: Settings) -> str:
    """Tell the kernels, and what resamples; libsoxr is only looked for where it does."""
    info = codec.info()
    by_kernel: dict[str, list[str]] = {}
    for job in ("g711", "fir", "base64"):
        by_kernel.setdefault(info[job], []).append(job)
    kernels = "; ".join(f"{', '.join(jobs)} by {kernel}" for kernel, jobs in by_kernel.items())
    engine = info["soxr"] if settings.resampler == "soxr" else "our FIR"
    return f"{kernels}; resampling by {engine}"


def _capacity(settings: Settings) -> str:
    what, limit = bottleneck(settings)
    workers = f" over {settings.workers} processes" if settings.workers > 1 else ""
    calls = f"{limit} call{'s' * (limit > 1)} at once{workers}, by {what}"
    return f"{calls}; CPU to {settings.max_cpu_percent:g} %"


def _calls(settings: Settings) -> str:
    kept, folder = _time(settings.transcript_retention_s), settings.data_dir
    words = f"words kept for {kept} after the end"
    if settings.keep_calls:
        words += f", in {folder}; timings for {settings.calls_retention_days:g} days"
    else:
        words += ", in memory; nothing on disk"
    sound = "not recorded"
    if settings.record:
        sound = f"recorded, announced, kept for {settings.recording_retention_days:g} days"
    return f"{words}; {sound}"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _page(settings: Settings, url: str) -> str:
    if settings.console_password and settings.is_secure:
        return f"{settings.public_url or url}/ to talk to it in a browser, with the password"
    return f"{url}/ to talk to it in a browser on this machine"


def _phone(settings: Settings) -> str:
    """Tell where Twilio is to be pointed, or what is missing."""
    if settings.public_url is None:
        lacks = ["PUBLIC_URL (or --tunnel)"]
        lacks += [] if settings.twilio_auth_token else ["TWILIO_AUTH_TOKEN"]
        return f"no number yet: needs {' and '.join(lacks)}"
    return (
        f"{settings.public_url}{WEBHOOK_PATH} by HTTP POST: paste it in Twilio's console "
        "at your number, as the Webhook of A call comes in"
    )


def _warnings(settings: Settings, agent: Agent) -> Iterator[str]:
    yield from shutdowns(settings, agent, date.today())
    is_reached = settings.is_public or settings.public_url is not None
    if is_reached and settings.twilio_auth_token is None:
        yield "TWILIO_AUTH_TOKEN is not set: anybody who finds the address may call, at your cost"
    if is_reached and settings.console_password is None:
        yield "CONSOLE_PASSWORD is not set: the page is refused to all but this machine"


def advice(settings: Settings, error: Exception) -> str:
    """Return what to do about an error that ended the start, as lines behind it; often nothing."""
    if isinstance(error, ProviderError) and re.search(r"\b401\b", str(error)):
        provider = getattr(settings, error.stage)
        return f"\n  Look at {provider.upper()}_API_KEY: the service does not know it."
    return ""


class Screen:
    """Where lines are told: as they are, or on a terminal in columns, 80 wide.

    Args:
        stream: usually stdout; that nobody reads it any more ends no call.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._has_colours = self._is_terminal and not os.environ.get("NO_COLOR")

    def __call__(self, line: str) -> None:
        """Tell a line."""
        with suppress(OSError):
            print(self._shown(line) if self._is_terminal else line, file=self._stream, flush=True)

    def _shown(self, line: str) -> str:
        label, _, text = line.partition(": ")
        match line.split(maxsplit=1)[:1]:
            case _ if is_fact(line):
                return self._columns(label, text)
            case ["voice_ai"]:
                return self._styled(line, "1")
            case ["Listening"]:  # what is loaded is told when it serves
                return f"{line.partition(', ')[0]}, loading.\n"
            case ["Ready."]:
                ready, _, rest = line.partition(" ")
                rest = "Open the page and talk to it." if rest.endswith(HERE_ONLY) else rest
                return f"\n{self._styled(ready, '1;32')} {rest}"
        return line

    def _columns(self, label: str, text: str) -> str:
        lines = textwrap.wrap(
            text, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False
        ) or [""]
        before = "\n" if label == "Page" else ""  # what serves; then how it is reached
        style = "1;33" if label == "Warning" else "2"
        head = self._styled(f"  {label.lower():<{INDENT - 2}}", style)
        shown = [URL.sub(lambda found: self._styled(found[0], "36"), line) for line in lines]
        return before + head + f"\n{' ' * INDENT}".join(shown)

    def _styled(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._has_colours else text


def is_fact(line: str) -> bool:
    """Whether a line tells a fact of `facts`."""
    return line.partition(": ")[0] in LABELS
