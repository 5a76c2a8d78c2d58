"""When a reply was first written, sent and heard, put into its turn's record."""

from dataclasses import dataclass

from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord, TurnRecord
from voice_ai.call.reply import Reply
from voice_ai.turn.playout import Playout


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A turn whose first sound is on its way; its own audio begins at this position of it."""

    record: TurnRecord
    latency: Latency
    begins_ms: float


class FirstSounds:
    """Those of one call's replies, one after the other."""

    def __init__(self, record: CallRecord, playout: Playout, began_s: float) -> None:
        """Write into this record; the call began at `began_s` of the loop's clock."""
        self._record = record
        self._playout = playout
        self._began_s = began_s
        self._awaited: _Awaited | None = None

    def sent(self, turn: int, reply: Reply | None, n_ms: float, now_s: float) -> None:
        """Take that the first frame of a turn has been sent, and so many ms of it in all."""
        call, record = self._record, self._record.turn(turn)
        if call.greeting_ms is None and not call.turns:
            call.greeting_ms = round((now_s - self._began_s) * 1000)
            call.changed()
        if record is None or record.latency is None:
            return
        latency = record.latency
        latency.sent = now_s
        if reply is not None and reply.turn == turn:
            _copy(reply, record, latency)
        at = self._playout.ahead(turn)
        if at:
            self._awaited = _Awaited(record, latency, at.sent_ms - n_ms)
        call.turn_changed(record)

    def wrote(self, reply: Reply, now_s: float) -> None:
        """Take a reply that is over, whether anything of it was sent or not."""
        record = self._record.turn(reply.turn)
        if record is None:
            return
        _copy(reply, record, record.latency)
        if record.latency:
            record.latency.spoken = now_s
            record.latency.written = reply.written or now_s
        self._record.turn_changed(record)

    def echoed(self, name: str, now_s: float) -> None:
        """Take a mark that came back, before the ledger does.

        All before it has been played by now; so the first sound was, as much earlier as there is
        between the two. A far end that ran dry in between makes that too late.
        """
        awaited = self._awaited
        mark_ms = self._playout.mark_ms(name) if awaited else None
        if awaited is not None and mark_ms is not None:
            self._played(awaited, mark_ms, now_s)

    def stopped(self, turn: int, line_ms: float, now_s: float) -> None:
        """Take that a turn's sound is about to be stopped, before the ledger does.

        If no mark has come back yet, the line's clock says what was played; that ticks 20 ms.
        """
        awaited = self._awaited
        if awaited is not None and awaited.record.turn == turn:
            self._played(awaited, self._playout.heard(turn, line_ms).position_ms, now_s)

    def over(self) -> None:
        """Wait for no mark any more: what was heard of the turn is known."""
        self._awaited = None

    def _played(self, awaited: _Awaited, position_ms: float, now_s: float) -> None:
        played_s = (position_ms - awaited.begins_ms) / 1000
        if played_s <= 0:
            return
        self._awaited = None
        heard_s = now_s - played_s
        awaited.latency.heard = max(heard_s, awaited.latency.sent or heard_s)
        self._record.turn_changed(awaited.record)


def _copy(reply: Reply, record: TurnRecord, latency: Latency | None) -> None:
    record.reply = reply.text.strip()
    if latency is not None:
        latency.first_token = reply.first_token
        latency.first_text = reply.first_text
        latency.first_audio = reply.first_audio
