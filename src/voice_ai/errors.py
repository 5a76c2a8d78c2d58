"""What can go wrong: you misused us (`UsageError`), or the peer misbehaved (`PeerError`)."""

from typing import Literal

Stage = Literal["stt", "llm", "tts"]
# Failed: nothing usable, or broken off. Refused: the model will not answer that. Cut: broken off
# after whole sentences, which stand.
FailureKind = Literal["failed", "refused", "cut"]


class VoiceAIError(Exception):
    """Every error that this package raises on purpose."""


class UsageError(VoiceAIError, ValueError):
    """An argument, a setting or a file cannot be used: what came, and what was needed."""


class PeerError(VoiceAIError):
    """The other end of a connection broke its protocol, refused us, or went away."""


class ProtocolError(PeerError):
    """A message that its protocol does not allow; `close_code` is for its websocket."""

    def __init__(self, message: str, close_code: int = 1002) -> None:
        """Keep the text and the close code (RFC 6455 section 7.4.1; 1002 is a protocol error)."""
        super().__init__(message)
        self.close_code = close_code


class ProviderError(PeerError):
    """A speech or language service failed in one stage of a turn."""

    def __init__(
        self,
        stage: Stage,
        message: str,
        *,
        retryable: bool = True,
        kind: FailureKind = "failed",
        retry_after_s: float = 0.0,
    ) -> None:
        """Keep the stage, the text, and whether trying again can help (a refused key cannot).

        Args:
            stage: which service.
            message: what happened; no key, and nothing of what was said.
            retryable: whether the same request can succeed later.
            kind: what the caller is to hear of it.
            retry_after_s: how long the service wants to be left alone.
        """
        super().__init__(message)
        self.stage: Stage = stage
        self.retryable = retryable
        self.kind: FailureKind = kind
        self.retry_after_s = retry_after_s


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the exceptions in a group and in the groups inside it, in their order."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
