"""What a recogniser has not settled yet of the caller's audio, kept to be sent again.

Positions are octets from the first audio of the call.
"""


class TurnAudio:
    """The latest audio: what was sent and may be needed again, and behind it what was not sent.

    It is kept in the pieces in which it came, so that nothing is copied as long as pieces are sent
    as they are.

    Args:
        limit: octets that are kept; when more come, the oldest are lost.
        unit: octets that belong together; all cuts are at multiples of it.
    """

    def __init__(self, limit: int, unit: int) -> None:
        self._limit = limit
        self._unit = unit
        # `limit` octets, and what is left of the first; a dozen while all goes well.
        self._pieces: list[bytes] = []
        self._pieces_from = 0
        self._start = 0
        self._sent = 0
        self._end = 0

    @property
    def sent(self) -> int:
        """How far it has been sent."""
        return self._sent

    @property
    def n_unsent(self) -> int:
        """Octets that wait to be sent."""
        return self._end - self._sent

    def append(self, audio: bytes) -> int:
        """Take more audio; return how many octets were lost unsent, as the limit is reached."""
        if audio:
            self._pieces.append(audio)
            self._end += len(audio)
        excess = self._end - self._start - self._limit
        if excess <= 0:
            return 0
        before = self._sent
        self._drop(self._start + excess + (-excess % self._unit))
        return self._sent - before

    def append_sent(self, audio: bytes) -> None:
        """Take audio that is being sent as it comes, whole units, while nothing waits."""
        self._pieces.append(audio)
        self._end += len(audio)
        self._sent = self._end
        excess = self._end - self._start - self._limit
        if excess > 0:
            self._drop(self._start + excess + (-excess % self._unit))

    def take(self, n_octets: int) -> bytes:
        """Return what is to be sent next, at most so much, in whole units; it counts as sent."""
        n_octets = min(n_octets, self.n_unsent)
        n_octets -= n_octets % self._unit
        if not n_octets:
            return b""
        begin = self._sent
        self._sent += n_octets
        if self._sent == self._end and n_octets == len(self._pieces[-1]):
            return self._pieces[-1]
        return self._cut(begin, self._sent)

    def skip(self, position: int) -> None:
        """Have nothing before here sent; what follows is next."""
        self._sent = max(self._sent, min(position, self._end))

    def kept(self, position: int) -> bytes:
        """Return a copy of what is kept from a position on."""
        return self._cut(max(position, self._start), self._end)

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

    def _cut(self, begin: int, end: int) -> bytes:
        parts, at = [], self._pieces_from
        for piece in self._pieces:
            parts.append(piece[max(0, begin - at) : max(0, end - at)])
            at += len(piece)
        return b"".join(parts)

    def _drop(self, position: int) -> None:
        while self._pieces and self._pieces_from + len(self._pieces[0]) <= position:
            self._pieces_from += len(self._pieces.pop(0))
        self._start = position
        self._sent = max(self._sent, position)

    def _whole(self, position: float) -> int:
        return max(0, int(position) // self._unit * self._unit)
