"""What a recogniser has not settled yet of the caller's audio, kept to be sent again.

Positions are octets from the first audio of the call.
"""


class TurnAudio:
    """The latest audio: what was sent and may be needed again, and behind it what was not sent.

    Args:
        limit: octets that are kept; when more come, the oldest are lost.
        unit: octets that belong together; all cuts are at multiples of it.
    """

    def __init__(self, limit: int, unit: int) -> None:
        self._limit = limit
        self._unit = unit
        self._kept = bytearray()
        self._start = 0
        self._sent = 0

    @property
    def sent(self) -> int:
        """How far it has been sent."""
        return self._sent

    @property
    def n_unsent(self) -> int:
        """Octets that wait to be sent."""
        return self._start + len(self._kept) - self._sent

    def append(self, audio: bytes) -> int:
        """Take more audio; return how many octets were lost unsent, as the limit is reached."""
        self._kept += audio
        excess = len(self._kept) - self._limit
        if excess <= 0:
            return 0
        before = self._sent
        self._drop(self._start + excess + (-excess % self._unit))
        return self._sent - before

    def take(self, n_octets: int) -> bytes:
        """Return what is to be sent next, at most so much, in whole units; it counts as sent."""
        n_octets = min(n_octets, self.n_unsent)
        begin = self._sent - self._start
        piece = bytes(self._kept[begin : begin + n_octets - n_octets % self._unit])
        self._sent += len(piece)
        return piece

    def rewind(self, position: float) -> int:
        """Have everything from here on sent again; return how many octets that is.

        It begins where audio is kept, and nothing is skipped that was never sent.
        """
        self._sent = max(self._start, min(self._whole(position), self._sent))
        return self.n_unsent

    def forget(self, position: float) -> None:
        """Drop what lies before here and has been sent."""
        position = min(self._whole(position), self._sent)
        if position > self._start:
            self._drop(position)

    def _drop(self, position: int) -> None:
        del self._kept[: position - self._start]
        self._start = position
        self._sent = max(self._sent, position)

    def _whole(self, position: float) -> int:
        return max(0, int(position) // self._unit * self._unit)
