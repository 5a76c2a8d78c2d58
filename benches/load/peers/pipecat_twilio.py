"""pipecat's own way to answer Twilio: its transport, serializer and services as its template does.

In an environment of its own: requirements-pipecat.txt. Flux ends the turns, so there is no voice
activity detector beside it; phone rates throughout; 20 ms in, 40 ms out, its defaults. Its service
of Flux takes linear16 alone, so this has no `mulaw/8000`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket
from loguru import logger
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.openai.responses.llm import OpenAIResponsesHttpLLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

DEEPGRAM_URL = os.environ.get("DEEPGRAM_URL", "wss://api.deepgram.com")
RATE_HZ = 8000


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    logger.remove()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, bool]:
    return {"ready": True}


@app.post("/incoming-call")
async def incoming_call(request: Request) -> Response:
    url = f"ws://{request.headers['host']}/ws"
    twiml = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
    return Response(twiml, media_type="text/xml")


@app.websocket("/ws")
async def answer(websocket: WebSocket) -> None:
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    # Hanging up is by Twilio's REST interface, which is not here.
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer(call["stream_id"], call["call_id"], params=params)
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=serializer
        ),
    )
    await run(transport)


async def run(transport: FastAPIWebsocketTransport) -> None:
    """Run a call's pipeline until the caller hangs up."""
    stt = DeepgramFluxSTTService(
        api_key=os.environ["DEEPGRAM_API_KEY"], url=f"{DEEPGRAM_URL}/v2/listen"
    )
    llm = OpenAIResponsesHttpLLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        base_url=os.environ.get("OPENAI_BASE_URL"),
        settings=OpenAIResponsesHttpLLMService.Settings(
            model=os.environ.get("OPENAI_MODEL", "gpt-5.6-luna"),
            system_instruction="You answer the phone. Be brief.",
        ),
    )
    tts = DeepgramTTSService(
        api_key=os.environ["DEEPGRAM_API_KEY"],
        base_url=DEEPGRAM_URL,
        settings=DeepgramTTSService.Settings(voice="aura-2-thalia-en"),
    )
    aggregators = LLMContextAggregatorPair(LLMContext())
    pipeline = Pipeline(
        [
            transport.input(),
            stt,
            aggregators.user(),
            llm,
            tts,
            transport.output(),
            aggregators.assistant(),
        ]
    )
    params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(pipeline, params=params)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: object, client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def main() -> None:
    port = int(os.environ.get("PORT", "8000"))
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=port, log_level="warning")


if __name__ == "__main__":
    main()
