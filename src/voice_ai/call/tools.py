"""The agent's tools: what the model is told of them, and running one that it asks for."""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError, create_model

from voice_ai.agent import Tool
from voice_ai.providers.protocols import ToolRequested, ToolSpec

logger = logging.getLogger(__name__)

# A caller waits in silence meanwhile.
TOOL_TIMEOUT_S = 10.0
# livekit's max_tool_steps; more means that the model goes round in circles.
MAX_TOOL_STEPS = 3

HANG_UP = ToolSpec(
    name="hang_up",
    description="End the phone call, once the caller is done or says goodbye. Say goodbye first.",
    parameters={"type": "object", "properties": {}, "required": [], "additionalProperties": False},
)


class ToolBox:
    """An agent's tools and the built-in `hang_up`; `specs` is what the model is told of them."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        """Read the signatures, once for all calls; no annotation means any JSON value."""
        self._tools = {made.name: made for made in tools}
        self._arguments = {made.name: _arguments_of(made) for made in tools}
        own = [
            ToolSpec(made.name, made.description, _schema(self._arguments[made.name]))
            for made in tools
        ]
        self.specs: tuple[ToolSpec, ...] = (*own, HANG_UP)

    async def run(self, request: ToolRequested) -> str:
        """Run one tool, its arguments checked, and return what it gave back, as text for the model.

        Never raises for what the model or the tool did wrong: the model is told, so that it can
        say so.
        """
        made = self._tools.get(request.name)
        if made is None:
            return f"There is no tool called {request.name!r}."
        try:
            arguments = self._arguments[request.name].model_validate_json(request.arguments or "{}")
        except ValidationError as error:
            return f"The arguments do not fit: {error.error_count()} wrong: {_problems(error)}"
        given = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        try:
            async with asyncio.timeout(TOOL_TIMEOUT_S):
                output = await _call(made, given)
        except TimeoutError:
            logger.warning("tool %s took longer than %s s", made.name, TOOL_TIMEOUT_S)
            return f"The tool took longer than {TOOL_TIMEOUT_S:g} seconds."
        except Exception:  # its author's code: whatever it raises, the caller is still on the line
            logger.exception("tool %s failed", made.name)
            return "The tool failed."
        return output if isinstance(output, str) else orjson.dumps(output, default=str).decode()


async def _call(made: Tool, arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(made.function):
        return await made.function(**arguments)
    return await asyncio.to_thread(made.function, **arguments)


def _arguments_of(made: Tool) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(made.function, eval_str=True).parameters.items():
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (annotation, default)
    return create_model(made.name, __config__={"extra": "forbid"}, **fields)


def _schema(arguments: type[BaseModel]) -> dict[str, Any]:
    schema = arguments.model_json_schema()
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    return {"required": [], **schema, "properties": schema.get("properties", {})}


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'JSON'}: {e['msg']}" for e in error.errors()
    )
