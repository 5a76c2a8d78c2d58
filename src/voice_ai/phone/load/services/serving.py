"""The services on loopback ports: Deepgram's two on one, OpenAI's on another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from picows import WSListener, WSUpgradeRequest, ws_create_server

from voice_ai.codec.formats import AudioFormat
from voice_ai.errors import UsageError
from voice_ai.phone.load.services.aura import AuraListener
from voice_ai.phone.load.services.flux import FluxListener
from voice_ai.phone.load.services.llm import Llm
from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.pacing import Pacer
from voice_ai.phone.load.services.plan import Plan

HOST = "127.0.0.1"
# What the services take when nothing is asked for: developers.deepgram.com/docs/tts-websocket.
AURA_DEFAULTS = {"encoding": "linear16", "sample_rate": "24000"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are, as the server's settings have it."""

    deepgram_url: str
    openai_base_url: str


class Deepgram:
    """Makes a listener for each handshake; a key is not asked for.

    Args:
        plan: the conversation.
        measured: takes what happens.
        pacer: times all voices.
    """

    def __init__(self, plan: Plan, measured: Measured, pacer: Pacer) -> None:
        self._plan = plan
        self._measured = measured
        self._pacer = pacer
        self._numbers = {"stt": count(), "tts": count()}

    def admit(self, request: WSUpgradeRequest) -> WSListener | None:
        """Return what serves a handshake; None refuses it with 404."""
        url = urlsplit(request.path.decode("latin-1"))
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            match url.path:
                case "/v2/listen":
                    name = f"load-stt-{next(self._numbers['stt'])}"
                    return FluxListener(self._plan, self._measured, _format(query), name)
                case "/v1/speak":
                    audio = _format(AURA_DEFAULTS | query)
                    number = next(self._numbers["tts"])
                    return AuraListener(self._plan, self._measured, self._pacer, audio, number)
        except UsageError as error:
            self._measured.violation(str(error))
            return None
        self._measured.violation(f"a handshake for {url.path}, which is no service")
        return None


@asynccontextmanager
async def serving(plan: Plan, measured: Measured) -> AsyncIterator[Addresses]:
    """Listen; leaving ends that, and takes no care of connections that are still open."""
    pacer = Pacer(measured)
    server = await ws_create_server(Deepgram(plan, measured, pacer).admit, HOST, 0)
    runner = web.AppRunner(
        Llm(plan, measured).app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    try:
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        deepgram, openai = server.sockets[0].getsockname()[1], runner.addresses[0][1]
        yield Addresses(f"ws://{HOST}:{deepgram}", f"http://{HOST}:{openai}/v1")
    finally:
        pacer.close()
        server.close()
        await runner.cleanup()


def _format(query: dict[str, str]) -> AudioFormat:
    return AudioFormat.parse(f"{query.get('encoding')}/{query.get('sample_rate')}")
