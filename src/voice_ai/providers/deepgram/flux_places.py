"""Where in a call the positions of one connection's audio are, in milliseconds.

A connection counts from its own first audio, and is not sent all that came after it: its clock runs
on where the call's jumps.
"""

from bisect import bisect_left


class Places:
    """From a connection's positions to the call's; told of every jump as it is made.

    Args:
        begin_ms: where in the call the connection's audio begins.
    """

    def __init__(self, begin_ms: float) -> None:
        self._at_ms = [0.0]
        self._call_ms = [begin_ms]

    def skip(self, at_ms: float, call_ms: float) -> None:
        """Note that what follows position `at_ms`, as far as has been sent, is from `call_ms`."""
        if at_ms == self._at_ms[-1]:
            self._call_ms[-1] = call_ms
        else:
            self._at_ms.append(at_ms)
            self._call_ms.append(call_ms)

    def place(self, at_ms: float) -> float:
        """Return where in the call this is; of a jump itself, where it was made from.

        So what is told to have been heard never includes what was left out behind it.
        """
        n = max(0, bisect_left(self._at_ms, at_ms) - 1)
        return self._call_ms[n] + at_ms - self._at_ms[n]
