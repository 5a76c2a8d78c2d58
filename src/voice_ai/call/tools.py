"""The agent's tools: what the model is told of them, and running those that it asks for."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic_core import to_json

from voice_ai.agent import TOOL_TIMEOUT_S, OnBargeIn, Tool
from voice_ai.call.built_in import NAMES, BuiltIn
from voice_ai.call.quota import Quota, Uses
from voice_ai.call.signature import Signature
from voice_ai.call.threads import in_thread
from voice_ai.errors import UsageError
from voice_ai.providers.protocols import ToolRequested, ToolSpec

logger = logging.getLogger(__name__)

# livekit's max_tool_steps; more means that the model goes round in circles.
MAX_TOOL_STEPS = 3
# All of it goes through the model before the next word: some ten seconds of reading for gpt-5-nano.
MAX_OUTPUT_CHARS = 20_000
# Of a name that no tool has: what a tool's may have.
MAX_NAME_CHARS = 64

FAILED = "The tool failed."
NO_VALUE = "Done."
STOPPED = "The caller spoke, so the tool was stopped before it gave a result."
STILL_RUNNING = "The caller spoke while the tool ran. It goes on; its result will follow."
# Seconds that a tool which is to finish has after its call; a tool's own time is over before.
AFTER_CALL_S = TOOL_TIMEOUT_S
# A late result is a call of its own: the service takes one output for each.
LATE = "_late"


class ToolBox:
    """An agent's tools and the built-in ones; `specs` is what the model is told of them."""

    def __init__(self, tools: Sequence[Tool], built_in: BuiltIn | None = None) -> None:
        """Read the signatures, once for all calls; no annotation means any JSON value.

        Raises:
            UsageError: a tool has the name of a built-in one, or parameters without a JSON schema.
        """
        self._tools = {made.name: (made, Signature(made)) for made in tools}
        self.built_in = built_in or BuiltIn()
        self._quota = Quota()
        for name in self._tools.keys() & set(NAMES):
            raise UsageError(f"a tool cannot be called {name!r}, which is built in")
        own = [
            ToolSpec(made.name, signature.description, signature.schema)
            for made, signature in self._tools.values()
        ]
        self.specs: tuple[ToolSpec, ...] = (*own, *self.built_in.specs)

    def on_barge_in(self, name: str) -> OnBargeIn:
        """Return what becomes of a tool while which the caller speaks."""
        return self._tools[name][0].on_barge_in if name in self._tools else "cancel"

    async def run(self, request: ToolRequested, uses: Uses | None = None) -> str:
        """Run one tool, its arguments checked, and return what it gave back, as text for the model.

        `uses` are the call's, for the limits that a tool may have.

        Never raises for what the model or the tool did wrong: the model is told, so that it can
        say so; of what a tool raised only that it did.
        """
        if request.name not in self._tools:
            return f"There is no tool called {request.name[:MAX_NAME_CHARS]!r}."
        made, signature = self._tools[request.name]
        deadline: asyncio.Timeout | None = None
        try:
            try:
                arguments = signature.read(request.arguments)
            except ValueError as error:
                return f"The arguments do not fit: {error}"
            now_s = asyncio.get_running_loop().time()
            if refusal := self._quota.take(made, uses or Uses(), now_s):
                logger.warning("tool %s is used too often", made.name)
                return refusal
            async with asyncio.timeout(made.timeout_s) as deadline:
                return _as_text(await _call(made, arguments))
        # Its author's code: whatever it raises, the caller is still on the line.
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            if isinstance(error, TimeoutError) and deadline is not None and deadline.expired():
                logger.warning("tool %s took longer than %g s", made.name, made.timeout_s)
                return f"The tool took longer than {made.timeout_s:g} seconds."
            logger.exception("tool %s failed", made.name)
            return FAILED


class ToolRuns:
    """The tools of one call at work: side by side, and on after a barge-in where that is declared.

    Args:
        box: the agent's tools.
        group: as long as the call.
        late: longer than the call; what is to finish runs in it, so that a hang-up waits for no
            tool and stops none. It has AFTER_CALL_S then.
        keep: writes a call and its answer into the call's history.
        uses: what the call has used so far.
    """

    def __init__(
        self,
        box: ToolBox,
        group: asyncio.TaskGroup,
        late: asyncio.TaskGroup,
        keep: Callable[[ToolRequested, str], None],
        uses: Uses | None = None,
    ) -> None:
        self._uses = uses or Uses()
        self._box = box
        self._group = group
        self._late = late
        self._keep = keep

    async def run(self, requests: Sequence[ToolRequested]) -> None:
        """Run the tools of one response and keep each call with its answer, in their order.

        When cancelled, a tool is stopped or finishes, as it was declared. Every call has its answer
        in either case; a result that comes later is kept as another call of the same tool.
        """
        tasks = [self._start(request) for request in requests]
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for request, task in zip(requests, tasks, strict=True):
                self._leave(request, task)

    def _start(self, request: ToolRequested) -> asyncio.Task[str]:
        if self._box.on_barge_in(request.name) != "finish":
            return self._group.create_task(self._box.run(request, self._uses))
        task = self._late.create_task(self._box.run(request, self._uses))
        self._group.create_task(_bound(request.name, task))
        return task

    def _leave(self, request: ToolRequested, task: asyncio.Task[str]) -> None:
        if task.done():
            self._keep(request, STOPPED if task.cancelled() else task.result())
        elif self._box.on_barge_in(request.name) == "finish":
            self._keep(request, STILL_RUNNING)
            task.add_done_callback(partial(self._keep_late, request))
        else:
            task.cancel()
            self._keep(request, STOPPED)

    def _keep_late(self, request: ToolRequested, task: asyncio.Task[str]) -> None:
        if not task.cancelled():
            self._keep(replace(request, call_id=request.call_id + LATE), task.result())


async def _bound(name: str, task: asyncio.Task[str]) -> None:
    """Be cancelled with the call: what still runs then is given a time."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        timer = asyncio.get_running_loop().call_later(AFTER_CALL_S, _stop, name, task)
        task.add_done_callback(lambda _: timer.cancel())
        raise


def _stop(name: str, task: asyncio.Task[str]) -> None:
    logger.warning("tool %s was stopped %g s after its call", name, AFTER_CALL_S)
    task.cancel()


async def _call(made: Tool, arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(made.function):
        return await made.function(**arguments)
    output = await in_thread(made.function, arguments)
    return await output if inspect.isawaitable(output) else output


def _as_text(output: Any) -> str:
    """Return a tool's result for the model: text as it is, anything else as JSON."""
    if output is None:
        return NO_VALUE
    text = output if isinstance(output, str) else to_json(output, fallback=str).decode()
    if len(text) > MAX_OUTPUT_CHARS:
        text = f"{text[:MAX_OUTPUT_CHARS]}... ({len(text)} characters, cut)"
    # Half a surrogate pair cannot be sent, and would stay in the history.
    return text.encode(errors="replace").decode()


def _is_cancelled() -> bool:
    """Tell whether somebody cancelled us; a tool may also raise CancelledError by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
