"""Running checks: all side by side, each within a time, and whatever one does the others go on."""

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from voice_ai.call.threads import in_thread
from voice_ai.errors import VoiceAIError
from voice_ai.server.doctor.outcome import Check, Outcome, failed
from voice_ai.server.doctor.situation import Situation

# A check on this machine takes milliseconds, the longest (checks_local.IMPORT_S) has a limit below.
LOOK_S: Final = 25.0
# What a service may take in all: connecting (5 s), its key and model (5 s), its first word or sound
# (5 s), and leaving. Local models load in two seconds, on a machine that is busy in ten.
ATTEMPT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and what came of it, as anybody may read it."""

    check: Check
    outcome: Outcome


async def find(checks: Sequence[Check], situation: Situation) -> list[Finding]:
    """Run these checks side by side; the findings are in their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(check, situation)) for check in checks]
    return [
        Finding(check, _cleaned(task.result(), situation))
        for check, task in zip(checks, tasks, strict=True)
    ]


async def _run(check: Check, situation: Situation) -> Outcome:
    limit_s = ATTEMPT_S if check.is_live else LOOK_S
    try:
        async with asyncio.timeout(limit_s):
            if check.attempt is not None:
                return await check.attempt(situation)
            assert check.look is not None, "a check looks or attempts"
            outcome: Outcome = await in_thread(partial(check.look, situation), {})
            return outcome
    except TimeoutError:
        return failed(f"no result within {limit_s:g} s")
    except VoiceAIError as error:
        return failed(str(error))
    except Exception as error:  # the edge of a check: the others say what they found
        return failed(f"this check itself failed: {type(error).__name__}: {error}{_place(error)}")


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _cleaned(outcome: Outcome, situation: Situation) -> Outcome:
    return Outcome(outcome.state, situation.clean(outcome.found), situation.clean(outcome.do))
