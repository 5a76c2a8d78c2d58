"""What was found, for people and for programs; and the table of docs/TROUBLESHOOTING.md."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from voice_ai.server.doctor.outcome import STATES, Check, State
from voice_ai.server.doctor.running import Finding

# SGR codes: red, yellow, faint, green.
COLOURS: Final[dict[State, str]] = {"failed": "31;1", "warning": "33", "skipped": "2", "ok": "32"}
STATE_WIDTH: Final = max(map(len, STATES))
MIN_WIDTH: Final = 60


def as_text(findings: Sequence[Finding], *, width: int = 100, colours: bool = False) -> str:
    """Return a line or more for each check, and below them the problems, the worst first."""
    width = max(width, MIN_WIDTH)
    names = max((len(finding.check.name) for finding in findings), default=0)
    lines: list[str] = []
    for finding in findings:
        state = finding.outcome.state
        head = f"{finding.check.name:<{names}}  {state:<{STATE_WIDTH}}  "
        text = _wrapped(finding.outcome.found, width, first=head, then=" " * len(head))
        part = text if state == "skipped" else f"  {state:<{STATE_WIDTH}}"
        lines.append(_coloured(text, state, part, colours))
    lines += ["", *_problems(findings, width, colours), summary(findings)]
    return "\n".join(lines)


def _problems(findings: Sequence[Finding], width: int, colours: bool) -> list[str]:
    lines: list[str] = []
    for number, finding in enumerate(problems(findings), start=1):
        check, outcome = finding.check, finding.outcome
        head = f"{number}. {outcome.state}: {check.name}"
        lines.append(_coloured(head, outcome.state, head, colours))
        told = {"You see": check.symptom, "Found": outcome.found, "Do": _remedy(finding)}
        for name, text in told.items():
            first = f"   {name + ':':<9}"
            lines.append(_wrapped(text, width, first=first, then=" " * len(first)))
        lines.append("")
    return lines


def problems(findings: Sequence[Finding]) -> list[Finding]:
    """Return what is not well, the worst first."""
    wrong = [finding for finding in findings if finding.outcome.state in ("failed", "warning")]
    return sorted(wrong, key=lambda finding: STATES.index(finding.outcome.state))


def summary(findings: Sequence[Finding]) -> str:
    """Return how many of each, in one line, with what is to be done first."""
    if not findings:
        return "Nothing was looked at."
    counts = Counter(finding.outcome.state for finding in findings)
    plural = {"warning": "warnings"}
    told = [
        f"{counts[state]} {plural.get(state, state) if counts[state] > 1 else state}"
        for state in STATES
        if counts[state]
    ]
    line = f"{', '.join(told)}."
    worst = problems(findings)
    return f"{line} Begin with {worst[0].check.name}." if worst else f"{line} Nothing to do."


def as_json(findings: Sequence[Finding], version: str) -> str:
    """Return the same as a document; `ok` is whether nothing failed."""
    counts = Counter(finding.outcome.state for finding in findings)
    document = {
        "version": version,
        "ok": not counts["failed"],
        "counts": {state: counts[state] for state in STATES},
        "checks": [_as_json(finding) for finding in findings],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _as_json(finding: Finding) -> dict[str, Any]:
    check, outcome = finding.check, finding.outcome
    is_problem = outcome.state in ("failed", "warning")
    return {
        "name": check.name,
        "state": outcome.state,
        "found": outcome.found,
        "symptom": check.symptom,
        "do": _remedy(finding) if is_problem else "",
        "live": check.is_live,
    }


def as_markdown(checks: Sequence[Check]) -> str:
    """Return the table from symptoms to checks and to what to do, for the documents."""
    lines = ["| what you meet | check | what to do |", "|---|---|---|"]
    for check in checks:
        name = f"`{check.name}`" + (" (`--live`)" if check.is_live else "")
        lines.append(f"| {check.symptom} | {name} | {check.remedy} |")
    return "\n".join(lines) + "\n"


def _remedy(finding: Finding) -> str:
    return finding.outcome.do or finding.check.remedy


def _wrapped(text: str, width: int, *, first: str, then: str) -> str:
    """Fill paragraphs: a text of several lines, such as the settings' problems, keeps them."""
    paragraphs = text.splitlines() or [""]
    filled = [
        textwrap.fill(
            paragraph.strip(),
            width,
            initial_indent=then if number else first,
            subsequent_indent=then,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, paragraph in enumerate(paragraphs)
    ]
    return "\n".join(filled)


def _coloured(text: str, state: State, part: str, colours: bool) -> str:
    """Colour the first occurrence of a part of a text."""
    if not colours:
        return text
    return text.replace(part, f"\x1b[{COLOURS[state]}m{part}\x1b[0m", 1)
