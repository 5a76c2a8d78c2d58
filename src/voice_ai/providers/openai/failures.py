"""What goes wrong between us and OpenAI, as ProviderError: status, code, parameter; never a key."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import anyio
import httpx2
import openai

from voice_ai.errors import ProtocolError, ProviderError

# Statuses that the next attempt may not meet; the SDK retries the same. Source:
# openai/_base_client.py, _should_retry.
RETRYABLE_STATUSES = frozenset({408, 409, 429})
# Codes that stay, whatever the status. Source: https://platform.openai.com/docs/guides/error-codes
LASTING_CODES = frozenset(
    {"insufficient_quota", "invalid_api_key", "model_not_found", "invalid_prompt"}
)
# What an adapter's await of the service can raise. While we read the stream ourselves, httpx2's
# errors come as they are; so do aiohttp's that the SDK's transport has no name for, as for an
# answer that is no HTTP.
SERVICE_ERRORS = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.StreamError,
    aiohttp.ClientError,
    ProtocolError,
    TimeoutError,
    OSError,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)


@contextmanager
def reported() -> Iterator[None]:
    """Turn whatever the service did to the await inside into a ProviderError."""
    try:
        yield
    except SERVICE_ERRORS as error:
        # Not from the error: its text can quote the key, and tracebacks are logged.
        raise as_provider_error(error) from None


def as_provider_error(error: Exception) -> ProviderError:
    """Return the ProviderError for an error of the SDK, of its transport or of our reading."""
    if isinstance(error, openai.APIStatusError):
        return _refused(error)
    if isinstance(error, ProtocolError):
        return ProviderError("llm", f"OpenAI sent what cannot be read: {error}")
    cause = _aiohttp_error(error) or error
    if isinstance(cause, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        return ProviderError("llm", "OpenAI did not answer in time")
    name = type(cause.__cause__ or cause).__name__
    return ProviderError("llm", f"the connection to OpenAI failed: {name}")


def _aiohttp_error(error: BaseException | None) -> aiohttp.ClientError | None:
    """Return aiohttp's error behind one of the SDK, whose transport calls a refusal a timeout.

    Source: AIOHTTP_EXC_MAP in openai/_vendor/httpx_aiohttp/transport.py.
    """
    while error is not None and not isinstance(error, aiohttp.ClientError):
        error = error.__cause__
    return error


def stream_failed(code: str, param: str = "") -> ProviderError:
    """Return the ProviderError for a response that the service gave up."""
    named = ", ".join(
        f"{name} {value[:40]}" for name, value in (("code", code), ("param", param)) if value
    )
    text = f"OpenAI failed the response ({named})" if named else "OpenAI failed the response"
    return ProviderError("llm", text, retryable=code not in LASTING_CODES)


def _refused(error: openai.APIStatusError) -> ProviderError:
    status = error.status_code
    named = [
        f"{name} {value}" for name, value in (("code", error.code), ("param", error.param)) if value
    ]
    text = ", ".join([f"OpenAI answered {status}", *named])
    lasting = error.code in LASTING_CODES
    may_pass = status >= 500 or status in RETRYABLE_STATUSES or is_locked(error)
    return ProviderError(
        "llm", text, retryable=may_pass and not lasting, retry_after_s=_retry_after_s(error)
    )


def _retry_after_s(error: openai.APIStatusError) -> float:
    """Return how long we are told to wait; a date instead of seconds is taken for long."""
    told = error.response.headers.get("retry-after")
    try:
        return max(0.0, float(told)) if told else 0.0
    except ValueError:
        return math.inf


def is_locked(error: Exception) -> bool:
    """Tell whether a conversation is still busy with an earlier request (its end passes it on)."""
    return isinstance(error, openai.BadRequestError) and error.code == "conversation_locked"


def is_about_record(error: Exception) -> bool:
    """Tell whether the service refuses the conversation as it is, so that a new one can help."""
    if isinstance(error, openai.NotFoundError):
        return error.code != "model_not_found"
    if not isinstance(error, openai.BadRequestError):
        return False
    param = error.param or "input"
    return error.code not in LASTING_CODES and param.startswith(("input", "conversation"))
