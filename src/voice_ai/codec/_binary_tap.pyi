from collections.abc import Callable, Sequence
from typing import TypeVar, final

from typing_extensions import Buffer

_Octets = TypeVar("_Octets", bound=Buffer)

def binary_frame(data: Buffer, /) -> bytes: ...

@final
class BinaryTap:
    take: Callable[[bytes], bool] | None
    otherwise: Callable[[bytes | None], object]
    before: Callable[[bytes], object] | None
    @property
    def audio(self) -> bytes: ...
    @property
    def texts(self) -> Sequence[str]: ...
    def feed(self, data: _Octets, /) -> _Octets | bytes | None: ...
    def data_received(self, data: bytes, /) -> None: ...
