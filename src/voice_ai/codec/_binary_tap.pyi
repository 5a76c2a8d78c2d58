from typing import TypeVar, final

from typing_extensions import Buffer

_Octets = TypeVar("_Octets", bound=Buffer)

def binary_frame(data: Buffer, /) -> bytes: ...

@final
class BinaryTap:
    @property
    def audio(self) -> bytes: ...
    def feed(self, data: _Octets, /) -> _Octets | bytes | None: ...
