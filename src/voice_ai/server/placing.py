"""Placing a call from the command line: to the server that runs, or to one started for it."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from voice_ai.phone.caller import place_call
from voice_ai.phone.plan import CallPlan, CallResult, Progress
from voice_ai.phone.report import progress_line
from voice_ai.server.own import is_ready, own_server
from voice_ai.server.settings import Settings
from voice_ai.server.webhook import local_url


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
    running = named or local_url(settings.host, settings.port)
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
