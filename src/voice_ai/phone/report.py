"""A call as people read it, and as programs do: transcript, latencies, progress, JSON."""

from collections.abc import Mapping
from typing import Any

import orjson

from voice_ai.phone.plan import CallResult, Progress, TurnTimes

# A turn's stages in their order, as `/api/calls` names them, and in a reader's words.
STAGES = {
    "endpointing": "waiting for silence",
    "stt": "hearing",
    "llm": "answering",
    "tts": "speaking",
    "first_frame": "first frame",
    "total": "total",
}


def progress_line(progress: Progress) -> str:
    """Return where a call is, e.g. `00:12  agent speaking   turn 2/3`, to follow a `\\r`."""
    minutes, seconds = divmod(int(progress.elapsed_ms / 1000), 60)
    turn = f"turn {progress.turn}/{progress.n_turns}" if progress.turn else "greeting"
    return f"{minutes:02d}:{seconds:02d}  {progress.doing:<15}  {turn:<12}"


def as_json(result: CallResult) -> str:
    """Return what `call --json` prints: the keys of the contract, no others; null is unknown."""
    recorded = [_turn_json(turn) for turn in _recorded(result)]
    turns = (
        recorded if result.transcript is not None else [_measured(turn) for turn in result.turns]
    )
    document = {
        "turns": turns,
        "greeting_ms": _rounded(result.greeting_ms),
        "violations": result.violations,
        "wav": result.wav,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def as_text(result: CallResult) -> str:
    """Return the whole report for people: transcript, latencies, what went wrong."""
    if result.refused:
        return f"The call was refused: {result.refused}"
    parts = [transcript(result), latencies(result), _ending(result)]
    if result.violations:
        listed = "\n".join(f"  {violation}" for violation in result.violations)
        n = len(result.violations)
        parts.append(f"{n} violation{'s'[: n > 1]} of the protocol:\n{listed}")
    return "\n\n".join(parts)


def transcript(result: CallResult) -> str:
    """Return both sides' words by the server's record; `[...]` was written and not heard."""
    if result.transcript is None:
        return f"The transcript is unknown: {result.transcript_missing}."
    greeting = _words(result.transcript, "greeting")
    lines = [f"agent:  {greeting}"] if greeting else []
    for turn in _recorded(result):
        lines.append(f"caller: {_words(turn, 'caller') or '(nothing)'}")
        lines.append(f"agent:  {_spoken(_words(turn, 'reply'), _words(turn, 'heard'))}")
    return "\n".join(lines) or "Nobody took a turn."


def latencies(result: CallResult) -> str:
    """Return a table, a line a turn: stages by the server's record, and what the phone measured."""
    recorded = _recorded(result)
    header = ["ms", *STAGES.values(), "on the wire"]
    rows = [header]
    for i in range(max(len(recorded), len(result.turns))):
        stages = _stages(recorded[i]) if i < len(recorded) else dict.fromkeys(STAGES)
        wire = result.turns[i].latency_ms if i < len(result.turns) else None
        rows.append([f"turn {i + 1}", *(_cell(ms) for ms in stages.values()), _cell(wire)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    table = "\n".join(_line(row, widths) for row in rows)
    return f"{table}\ngreeting: {_cell(result.greeting_ms)} ms after the start of the stream"


def _line(row: list[str], widths: list[int]) -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([row[0].ljust(len(first)), *others])


def _ending(result: CallResult) -> str:
    seconds = result.duration_ms / 1000
    who = f"the {result.ended_by} hung up" if result.ended_by else "nobody hung up"
    text = f"{seconds:.1f} s; {who}, the stream closed with {result.close_code}."
    if result.unplayed_ms:
        text += f" {result.unplayed_ms / 1000:.1f} s of sound were never heard."
    if result.late_ms > 20:
        text += f" This phone was up to {result.late_ms:.0f} ms late: the machine is too busy."
    return text + (f"\n{result.wav}" if result.wav else "")


def _recorded(result: CallResult) -> list[Mapping[str, Any]]:
    return list((result.transcript or {}).get("turns", []))


def _words(turn: Mapping[str, Any], key: str) -> str:
    value = turn.get(key)
    return value.strip() if isinstance(value, str) else ""


def _spoken(reply: str, heard: str) -> str:
    if heard == reply:
        return reply or "(nothing)"
    if reply.startswith(heard):
        return f"{heard} [{reply[len(heard) :].strip()}]".strip()
    return f"{heard or '(nothing heard)'} [of: {reply}]"


def _stages(turn: Mapping[str, Any]) -> dict[str, float | None]:
    stages = turn.get("latency_ms")
    known = stages if isinstance(stages, dict) else {}
    return {name: known.get(name) for name in STAGES}


def _turn_json(turn: Mapping[str, Any]) -> dict[str, Any]:
    words = {key: turn.get(key, "") for key in ("caller", "reply", "heard")}
    return {**words, "latency_ms": _stages(turn)}


def _measured(turn: TurnTimes) -> dict[str, Any]:
    stages: dict[str, float | None] = dict.fromkeys(STAGES)
    stages["total"] = _rounded(turn.latency_ms)
    return {"caller": None, "reply": None, "heard": None, "latency_ms": stages}


def _rounded(ms: float | None) -> int | None:
    return None if ms is None else round(ms)


def _cell(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.0f}"
