from collections.abc import Callable
from typing import Protocol, final

from voice_ai.codec._fir import Fir

class _Clock(Protocol):
    @property
    def until_ms(self) -> float: ...

@final
class VoiceGate:
    def __new__(
        cls,
        frame: Callable[[bytes], bytes],
        mark: Callable[[str], bytes],
        write: Callable[[bytes], object],
        clock: _Clock,
        fir: Fir | None,
        otherwise: Callable[[bytes], bool],
    ) -> VoiceGate: ...
    @property
    def n_octets(self) -> int: ...
    @property
    def n_messages(self) -> int: ...
    def open(
        self,
        n_octets: int,
        dry_ms: float,
        label: str,
        sent_ms: float,
        mark_ms: float,
        every_ms: float,
        /,
    ) -> None: ...
    def shut(self) -> None: ...
    def close(self) -> None: ...
    def take(self) -> tuple[bytes, list[tuple[float, int]], list[tuple[str, float]]]: ...
    def __call__(self, audio: bytes, /) -> bool: ...
