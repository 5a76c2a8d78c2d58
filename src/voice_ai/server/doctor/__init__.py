"""`python -m server doctor`: what keeps calls from working, and what to do about it."""

import asyncio
import logging
import os
import shutil
import sys
from typing import Final

from voice_ai import __version__
from voice_ai.server.doctor.catalogue import CHECKS
from voice_ai.server.doctor.checks_live_services import warm_up
from voice_ai.server.doctor.report import as_json, as_text
from voice_ai.server.doctor.running import Finding, find
from voice_ai.server.doctor.situation import look_around

# Longer lines are hard to read, however wide the terminal.
MAX_WIDTH: Final = 110


def doctor(*, live: bool = False, json: bool = False) -> int:
    """Run the checks and print what they found; returns the exit code.

    Args:
        live: also those that try services; some cost as much as one short turn of a call.
        json: print only JSON.

    Returns:
        0, or 1 if something failed.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # what adapters log, the findings say
    findings = asyncio.run(_examine(live=live))
    if json:
        print(as_json(findings, __version__))
    else:
        width = min(shutil.get_terminal_size((MAX_WIDTH, 24)).columns, MAX_WIDTH)
        print(as_text(findings, width=width, colours=_has_colours()))
    return 1 if any(finding.outcome.state == "failed" for finding in findings) else 0


async def _examine(*, live: bool) -> list[Finding]:
    """Look at this machine, then try the services: nothing else shall slow these down."""
    situation = await look_around()
    findings = await find([check for check in CHECKS if not check.is_live], situation)
    if live:
        await warm_up(situation)
        findings += await find([check for check in CHECKS if check.is_live], situation)
    return findings


def _has_colours() -> bool:
    """Whether somebody sees them, and has not said otherwise (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
