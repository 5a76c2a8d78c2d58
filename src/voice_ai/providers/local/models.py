"""All local models of a server, loaded once and side by side."""

from concurrent.futures import ThreadPoolExecutor

from voice_ai.providers.local.hearing import LocalSpeechToText
from voice_ai.providers.local.speaking import LocalTextToSpeech


class LocalModels:
    """What a server has to load before it takes calls, and to close when it stops.

    Args:
        hearing: the local recogniser, if it is in use.
        speaking: the local voice, if it is in use.

    Example:
        models = LocalModels(LocalSpeechToText(), LocalTextToSpeech())
        await asyncio.to_thread(models.load)
        ...
        await asyncio.to_thread(models.close)
    """

    def __init__(
        self, hearing: LocalSpeechToText | None = None, speaking: LocalTextToSpeech | None = None
    ) -> None:
        self.hearing = hearing
        self.speaking = speaking
        self._parts = [part for part in (hearing, speaking) if part is not None]
        self._ready = not self._parts

    @property
    def ready(self) -> bool:
        """Whether calls can be taken."""
        return self._ready

    def load(self) -> None:
        """Load and warm up, both side by side. Blocks for a second or two: call it in a thread.

        Raises:
            UsageError: a model that was asked for cannot be used, or a package is missing.
            ProviderError: weights are missing or are not those that were measured.
        """
        if not self._parts:
            return
        with ThreadPoolExecutor(len(self._parts), thread_name_prefix="voice-ai-load") as threads:
            for _ in threads.map(lambda part: part.load(), self._parts):
                pass
        self._ready = True

    def close(self) -> None:
        """Join all threads. Blocks for the length of the jobs in hand. Idempotent."""
        self._ready = False
        for part in self._parts:
            part.close()
