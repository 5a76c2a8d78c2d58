"""OpenAI's Responses service as the language model of all calls, over one pool of connections."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, Self

import httpx2
import openai

from voice_ai.errors import UsageError
from voice_ai.providers.openai.conversation import ConversationDialogue
from voice_ai.providers.openai.dialogue import AnswerSettings, LocalDialogue
from voice_ai.providers.openai.failures import reported
from voice_ai.providers.openai.service import Service
from voice_ai.providers.openai.warm import warm_sdk
from voice_ai.providers.protocols import CallInfo, Dialogue, ToolSpec

History = Literal["conversation", "local"]

# The SDK waits 600 s by default; a caller does not. Between two chunks of an answer as well as for
# the first. `fallback.model` waits less for a word; this also bounds what is not an answer.
READ_S = 5.0
CONNECT_S = 5.0
# The whole of a question at start-up, which is asked again later (server/app.py).
VERIFY_S = 10.0
# Nobody talks any more: the process ends.
CLOSE_S = 1.0
# The SDK's default is 5 s, less than the pause between two turns: each would pay for TCP and TLS
# again.
KEEPALIVE_S = 300.0
# One streamed answer and one settling request a call; more calls than this fit on no machine of
# ours.
MAX_CONNECTIONS = 2000
MAX_IDLE_CONNECTIONS = 500
# The SDK would wait out a Retry-After, up to a minute. `fallback.model` asks again, or somebody
# else; what a conversation misses is made up for by the next request.
MAX_RETRIES = 0

log = logging.getLogger(__name__)


class OpenAILanguageModel:
    """The adapter; enter it once for the process, then `open` it for each call.

    Args:
        api_key: the key; never logged.
        base_url: another server of the same interface; None takes the SDK's own.
        model: the model's name.
        reasoning_effort: as the model knows it (not all know `minimal`); None leaves it to the
            service.
        verbosity: `low`, `medium` or `high` for models that know it; None sends none.
        history: `conversation` keeps the call's history at the service, `local` sends it with each
            request.
        max_output_tokens: the answer's bound, reasoning included; too small gives an empty answer.
        timeout_s: how long the service may be silent, before an answer or within it.
        delete_after_call: delete the call's conversation when it is left; it would stay at the
            service for good.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        *,
        model: str,
        reasoning_effort: str | None = None,
        verbosity: str | None = None,
        history: History = "conversation",
        max_output_tokens: int | None = None,
        timeout_s: float = READ_S,
        delete_after_call: bool = True,
    ) -> None:
        if not api_key or not model:
            raise UsageError("OpenAI needs an API key and a model's name; one of them is empty")
        if not (api_key.isascii() and api_key.isprintable()):
            raise UsageError("the OpenAI API key holds characters that no header can carry")
        if history not in ("conversation", "local"):
            raise UsageError(f"unknown history {history!r}; known are conversation, local")
        self.history: History = history
        self._api_key = api_key
        self._base_url = base_url
        self._settings = AnswerSettings(model, reasoning_effort, verbosity, max_output_tokens)
        self._timeout_s = timeout_s
        self._delete_after_call = delete_after_call
        self._service: Service | None = None

    async def __aenter__(self) -> Self:
        """Make the client; nothing is dialled yet."""
        http = openai.DefaultAioHttpClient(
            limits=httpx2.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_IDLE_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_S,
            )
        )
        self._client = openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=MAX_RETRIES,
            timeout=httpx2.Timeout(self._timeout_s, connect=CONNECT_S),
            http_client=http,
        )
        self._service = Service(self._client, http, self._timeout_s)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close every connection. All calls have been left by now."""
        self._service = None
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()
        except TimeoutError:
            log.warning("the connections to OpenAI were not closed within %g s", CLOSE_S)

    async def warm(self) -> None:
        """Do the SDK's lazy imports now, without a network call; up to a second of work."""
        await warm_sdk()

    async def verify(self) -> None:
        """Ask the service whether it knows the key and the model, before a caller finds out.

        Raises:
            ProviderError: it refused one of them (not retryable), or cannot be reached.
        """
        with reported():
            try:
                async with asyncio.timeout(VERIFY_S):
                    await self._client.models.retrieve(self._settings.model)
            except openai.NotFoundError as error:
                # Servers of the same interface need not have this route; OpenAI's names the code.
                if error.code == "model_not_found":
                    raise

    @asynccontextmanager
    async def open(
        self, call: CallInfo, instructions: str, tools: Sequence[ToolSpec]
    ) -> AsyncIterator[Dialogue]:
        """Enter one call; its conversation is created meanwhile, so a greeting need not wait."""
        if self._service is None:
            raise UsageError("enter the language model before a call is opened on it")
        body = self._settings.body(instructions, tools)
        dialogue = (
            LocalDialogue(self._service, body, call.cost)
            if self.history == "local"
            else ConversationDialogue(self._service, body, call)
        )
        group = await asyncio.TaskGroup().__aenter__()
        begun = group.create_task(dialogue.begin())
        try:
            yield dialogue
        finally:
            if isinstance(dialogue, ConversationDialogue) and self._delete_after_call:
                await dialogue.forget()
            begun.cancel()
            # Without the call's own error, which shall come out as it is and not in a group.
            await group.__aexit__(None, None, None)
