"""A whole call on virtual time, with a fault: real adapters and SDKs, proxies, stand-ins."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any
from unittest.mock import patch

import clock
from fakes.aura import FakeAura
from fakes.deepgram import FakeDeepgram
from fakes.fault_proxy import FaultProxy
from fakes.flux import FakeFlux
from fakes.handset import letters
from fakes.openai_api import FakeOpenAI
from fakes.openai_events import short
from faults.phone import Phone
from faults.script import AGENT, TURNS, WORDS_TOLD, Caller, PhaseName
from faults.verdict import Outcome, words_of
from serving import settings
from voice_ai.call.record import CallRecord
from voice_ai.call.services import Services
from voice_ai.call.session import VoiceSession
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.providers import open_services

# All that a call can take is over sooner by far.
CALL_S = 180.0
# A stream is left within a second: providers/protocols.py.
LEAVE_S = 1.0


class Trouble:
    """The services of one call, each behind its proxy, and how they are made to fail."""

    def __init__(self) -> None:
        self.flux = FakeFlux(hears_spoken=True)
        self.aura = FakeAura(letters, first_byte_ms=150, rate=1.5)
        self.openai = FakeOpenAI(self._answer, first_token_s=0.4, inter_token_s=0.06)
        self.deepgram = FakeDeepgram(self.flux, self.aura)
        self.deepgram_wire: FaultProxy
        self.openai_wire: FaultProxy
        self.told: list[str] = []  # what the model was told that the caller said, at last

    @property
    def n_struck(self) -> int:
        """How often anything was made to fail."""
        fakes = self.flux.n_struck + self.aura.n_struck + self.openai.n_struck
        return fakes + self.deepgram_wire.n_struck + self.openai_wire.n_struck

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Services]:
        """Start everything; the proxies stand where the server looks for the services."""
        async with (
            self.deepgram,
            self.openai,
            FaultProxy(_port(self.deepgram.url)) as self.deepgram_wire,
            FaultProxy(_port(self.openai.base_url)) as self.openai_wire,
        ):
            given = settings(
                self.deepgram,
                self.openai,
                deepgram_url=f"ws://127.0.0.1:{self.deepgram_wire.port}",
                openai_base_url=f"http://127.0.0.1:{self.openai_wire.port}/v1",
                tts_audio="mulaw/8000",
            )
            async with open_services(given, AGENT) as services:
                while self.deepgram_wire.n_open():  # the start-up's own
                    await asyncio.sleep(0.01)
                yield services

    def _answer(self, context: list[dict[str, Any]]) -> str:
        """Answer the last of the caller's turns that is there, whatever was asked before."""
        items = [short(item) for item in context]
        self.told = words_of([text[6:] for text in items if text.startswith("user: ")])
        last = self.told[-1] if self.told else ""
        return next((reply for words, reply in TURNS if words[-1] == last), "What was that?")


@dataclass(frozen=True)
class MatrixFault:
    """A row of the matrix.

    Args:
        name: the service, a colon, and what befalls it.
        arm: has it happen, now.
        for_good: the service does not come back during the call.
        barges: the caller speaks into the answer in which it happens.
    """

    name: str
    arm: Callable[[Trouble], None]
    for_good: bool = False
    barges: bool = False

    @property
    def is_deaf(self) -> bool:
        """Whether the caller cannot be heard any more."""
        return self.for_good and self.name.startswith("flux")


WELL = MatrixFault("none", lambda trouble: None)


def hold_a_call(fault: MatrixFault, phase: PhaseName) -> Outcome:
    """Hold the whole call on virtual time, and judge it."""
    random.seed(1)  # jitter waits alike in every run
    n_files = _n_files()
    with patch.object(SSLContext, "load_verify_locations"):  # 46 ms each, and no TLS is spoken
        outcome = clock.run(_hold(fault, phase))
    if (n_left := _n_files() - n_files) > 0:
        outcome.fail("leak", f"{n_left} open files")
    return outcome


async def _hold(fault: MatrixFault, phase: PhaseName) -> Outcome:
    before, trouble = asyncio.all_tasks(), Trouble()
    async with asyncio.timeout(CALL_S), trouble.open() as services:
        outcome = await _call(services, trouble, fault, phase)
        outcome.struck = trouble.n_struck > 0
    for task in asyncio.all_tasks() - before:
        outcome.fail("leak", f"task {task.get_coro()}")
    for timer in asyncio.get_running_loop()._scheduled:  # type: ignore[attr-defined]
        if not timer.cancelled():
            outcome.fail("leak", f"timer {timer}")
    return outcome


async def _call(
    services: Services, trouble: Trouble, fault: MatrixFault, phase: PhaseName
) -> Outcome:
    outcome, phone = Outcome(), Phone()
    record = CallRecord(CallInfo("CA1"), started_at=0.0)
    n_needed = 0

    def arm() -> None:
        nonlocal n_needed
        outcome.armed_at_s = asyncio.get_running_loop().time()
        n_needed = len(caller.said) + (WORDS_TOLD if phase == "caller speaking" else 0)
        fault.arm(trouble)

    caller = Caller(phone, record, phase, arm, barges=fault.barges)
    if phase == "connecting":
        arm()
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(phone.run_clock())
        session = group.create_task(VoiceSession(phone, services, record).run())
        await caller.talk()
        phone.caller_hangs_up()
        await session
        ticking.cancel()
    await asyncio.sleep(LEAVE_S)
    if n_open := trouble.deepgram_wire.n_open():
        outcome.fail("leak", f"{n_open} connections to Deepgram {LEAVE_S:g} s after the call")
    outcome.hear(phone)
    outcome.kept = words_of([turn.caller for turn in record.turns])
    outcome.told = trouble.told
    outcome.judge_silence()
    if fault.for_good:
        outcome.judge_for_good(caller.said, n_needed if fault.is_deaf else len(caller.said))
    else:
        outcome.judge_transient(caller.said)
    return outcome


def _n_files() -> int:
    return len(os.listdir("/dev/fd"))


def _port(url: str) -> int:
    return int(url.partition("://")[2].partition("/")[0].rpartition(":")[2])
