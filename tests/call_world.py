"""A call on virtual time: the real session, machine and ledger, with providers in the process."""

import asyncio
from collections.abc import Awaitable, Callable

import clock
from fakes.inproc import FakeLine, FakeLlm, FakeStt, FakeTts, voiced
from voice_ai import Agent, tool
from voice_ai.call.built_in import BuiltIn
from voice_ai.call.record import CallRecord
from voice_ai.call.services import MakeRecorder, Services, Spoken
from voice_ai.call.session import VoiceSession
from voice_ai.call.tools import ToolBox
from voice_ai.call.transfer import CallControl
from voice_ai.codec.resample import Engine
from voice_ai.providers.protocols import CallInfo
from voice_ai.turn.commands import Filler
from voice_ai.turn.rules import Rules

OPENING = {"monday": "nine to six"}


@tool
async def opening_hours(day: str) -> str:
    """Say when we are open on a day of the week."""
    return OPENING[day]


class World:
    """A call about to be made, and what is known of it."""

    def __init__(self, llm: FakeLlm | None = None) -> None:
        self.line = FakeLine()
        self.stt = FakeStt()
        self.llm = llm or FakeLlm()
        self.tts = FakeTts()
        self.agent = Agent(
            instructions="Answer the phone.", greeting="Hello.", tools=[opening_hours]
        )
        self.record = CallRecord(CallInfo("CA1"), started_at=0.0)
        self.resampler: Engine = "fir"
        self.built_in = BuiltIn()
        self.control: CallControl | None = None
        self.rules = Rules()
        self.fillers: dict[Filler, list[Spoken]] = {"filler": [], "moment": []}
        self.late: asyncio.TaskGroup | None = None
        self.recorder: MakeRecorder | None = None

    def spoken(self, text: str) -> Spoken:
        return Spoken(text, voiced(text))

    def session(self) -> VoiceSession:
        agent = self.agent
        texts = {
            "greeting": agent.greeting,
            "apology": agent.apology,
            "refusal": agent.refusal,
            "goodbye": agent.goodbye,
            "still_there": agent.still_there,
            "voicemail": agent.voicemail or "",
        }
        phrases = {name: self.spoken(text) for name, text in texts.items()}
        tools = ToolBox(agent.tools, self.built_in)
        services = Services(
            agent,
            tools,
            self.stt,
            self.llm,
            self.tts,
            phrases,
            self.fillers,
            self.rules,
            self.resampler,
            self.control,
            self.late,
            self.recorder,
        )
        return VoiceSession(self.line, services, self.record)

    async def until(self, condition: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Let the call go on until something is true."""
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.01)

    async def listening(self) -> None:
        """Wait until what was sent has been played."""
        before = len(self.line.sent)
        await self.until(lambda: len(self.line.sent) > before)
        await self.until(lambda: self.line.loop.time() > self.line.played_until + 0.05)

    async def quiet(self) -> None:
        """Wait until nothing was sent and nothing played for a second and a half."""
        line = self.line
        await self.until(
            lambda: line.loop.time() > 1.5 + max(line.played_until, *(at for *_, at in line.sent))
        )


async def hold(
    script: Callable[[World], Awaitable[None]],
    llm: Callable[[], FakeLlm] = FakeLlm,
    prepare: Callable[[World], None] = lambda world: None,
) -> World:
    """Hold a whole call with this script beside it; nothing of it may be left afterwards."""
    world = World(llm())
    prepare(world)
    async with asyncio.TaskGroup() as world.late, asyncio.TaskGroup() as group:
        talking = group.create_task(world.line.talk())
        session = group.create_task(world.session().run())
        await script(world)
        world.line.caller_hangs_up()
        async with asyncio.timeout(5):
            await session
        talking.cancel()
    assert len(asyncio.all_tasks()) == 1
    assert (world.stt.open_streams, world.llm.live, world.tts.live) == (0, 0, 0)
    assert world.record.ended
    return world


def call(
    script: Callable[[World], Awaitable[None]],
    llm: Callable[[], FakeLlm] = FakeLlm,
    prepare: Callable[[World], None] = lambda world: None,
) -> World:
    """Hold a call on a loop of its own, in virtual time."""
    return clock.run(hold(script, llm, prepare))
