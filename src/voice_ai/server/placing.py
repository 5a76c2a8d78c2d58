"""Placing a call from the command line: to the server that runs, or to one started for it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from voice_ai.codec import ulaw_encode
from voice_ai.errors import UsageError
from voice_ai.phone import tones
from voice_ai.phone.caller import place_call
from voice_ai.phone.plan import CallPlan, CallResult, Progress
from voice_ai.phone.recording import read_recording, write_stereo
from voice_ai.phone.report import as_json, as_text, progress_line
from voice_ai.server.own import is_ready, own_server
from voice_ai.server.settings import Settings
from voice_ai.server.webhook import local_url


def call(
    settings: Settings,
    files: Sequence[Path],
    text: Sequence[str],
    *,
    server: str,
    wav: Path,
    barge_in_ms: float | None,
    json: bool,
) -> int:
    """Place a call that says these recordings and then these words, and print what came of it.

    Returns:
        The exit code: 0, or 1 for a call that was refused or that broke the protocol.

    Raises:
        UsageError: a file is no recording, or the WAV cannot be written.
        PeerError: the call could not be put through.
    """
    utterances = [read_recording(file) for file in files]
    utterances += [ulaw_encode(tones.encode(words)) for words in text]
    if not utterances:
        raise UsageError("0 turns to speak, at least 1 is needed: name a WAV file or give --text")
    if not wav.parent.is_dir():  # known before the call, not after it
        raise UsageError(f"cannot write {wav}: there is no folder {wav.parent}")
    result = asyncio.run(place(settings, utterances, server, barge_in_ms))
    try:
        if not result.refused:
            write_stereo(wav, result.said, result.heard)
            result.wav = str(wav)
    finally:  # what was said is told, whatever becomes of the file
        print(as_json(result) if json else as_text(result))
    return 1 if result.refused or result.violations else 0


async def place(
    settings: Settings, utterances: Sequence[bytes], server: str, barge_in_ms: float | None
) -> CallResult:
    """Place one call, showing its progress on a terminal.

    Raises:
        PeerError: the call could not be put through.
    """
    token = settings.twilio_auth_token
    async with _server(settings, server) as url:
        plan = CallPlan(
            server_url=url,
            utterances=utterances,
            public_url=settings.public_url or "",
            auth_token=token.get_secret_value() if token else "",
            account_sid=settings.twilio_account_sid or "AC" + "0" * 32,
            barge_in_ms=barge_in_ms,
        )
        try:
            return await place_call(plan, on_progress=_show)
        finally:
            _show_line("")


@asynccontextmanager
async def _server(settings: Settings, named: str) -> AsyncIterator[str]:
    running = named or local_url(
        settings.host, settings.port, is_secure=settings.tls_cert is not None
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        if named or await is_ready(http, running):
            yield running
            return
    _show_line("starting a server for this call")
    async with own_server() as url:
        yield url


def _show(progress: Progress) -> None:
    _show_line(progress_line(progress))


def _show_line(line: str) -> None:
    """Write a line over the one before; nothing where nobody watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
