"""A tool's parameters as the model sees them, and its arguments as the function takes them."""

import inspect
import re
import textwrap
from typing import Any

import orjson
from pydantic import BaseModel, Field, PydanticUserError, ValidationError, create_model

from voice_ai.agent import Tool
from voice_ai.errors import UsageError

# Google's form: https://google.github.io/styleguide/pyguide.html#383-functions-and-methods
ARGS = re.compile(r"^(?:Args|Arguments|Parameters):[ \t]*\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)
ARGUMENT = re.compile(r"^(\w+)(?: *\(.*?\))?:", re.MULTILINE)
# The model is told this many things that are wrong with its arguments; more would not help it.
MAX_PROBLEMS = 5

Schema = dict[str, Any]


class Signature:
    """What is known of a tool's parameters: `description` and `schema` are for the model.

    Every parameter is required, as strict mode wants it; one that has a default may be null, which
    stands for the default.

    Raises:
        UsageError: an annotation cannot be read or has no JSON schema.
    """

    def __init__(self, made: Tool) -> None:
        self.description, told = split_docstring(made.description)
        try:
            parameters = inspect.signature(made.function, eval_str=True).parameters
            self._names = {f"p{number}": name for number, name in enumerate(parameters)}
            self._model = create_model(
                made.name,
                __config__={"extra": "forbid"},
                **{
                    field: _field(parameters[name], told.get(name, ""))
                    for field, name in self._names.items()
                },  # type: ignore[call-overload]
            )
            self.schema = _schema(self._model)
        except (PydanticUserError, NameError, TypeError, SyntaxError) as error:
            raise UsageError(
                f"tool {made.name!r} has parameters that no model can be told of: {error}"
            ) from error

    def read(self, arguments: str) -> dict[str, Any]:
        """Return the function's keyword arguments; what it has a default for may be missing.

        Raises:
            ValueError: they do not fit; its text is for the model.
        """
        try:
            given = self._model.model_validate_json(arguments or "{}")
        except ValidationError as error:
            raise ValueError(_problems(error)) from None
        values = {field: getattr(given, field) for field in given.model_fields_set}
        required = {name for name, field in self._model.model_fields.items() if field.is_required()}
        return {
            self._names[field]: value
            for field, value in values.items()
            if value is not None or field in required
        }


def split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return a docstring without its `Args:` section, and what that says of each parameter."""
    section = ARGS.search(text)
    if section is None:
        return text, {}
    _, *parts = ARGUMENT.split(textwrap.dedent(section[1]))
    told = {
        name: " ".join(about.split()) for name, about in zip(parts[::2], parts[1::2], strict=True)
    }
    rest = (text[: section.start()].strip(), text[section.end() :].strip())
    return "\n\n".join(part for part in rest if part), told


def _field(parameter: inspect.Parameter, told: str) -> tuple[Any, Any]:
    """Return a field under its parameter's name, whatever that is; the class has its own names."""
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    if parameter.default is parameter.empty:
        return annotation, Field(alias=parameter.name, description=told or None)
    if parameter.default is not None:
        default = orjson.dumps(parameter.default, default=str).decode()
        told = f"{told} Default: {default}".strip()
    return annotation | None, Field(default=None, alias=parameter.name, description=told or None)


def _schema(model: type[BaseModel]) -> Schema:
    made = model.model_json_schema()
    properties = {name: _property(field) for name, field in made.get("properties", {}).items()}
    for inner in made.get("$defs", {}).values():
        if inner.get("type") == "object" and set(inner.get("required", ())) == set(
            inner.get("properties", ())
        ):
            inner.setdefault("additionalProperties", False)
    made.pop("title", None)
    return {**made, "properties": properties, "required": list(properties)}


def _property(field: Schema) -> Schema:
    """Return a parameter's schema without its title and default; strict mode takes none."""
    told = {name: field[name] for name in ("description",) if name in field}
    rest = {name: value for name, value in field.items() if name not in ("title", "default", *told)}
    # Strict mode refuses a `$ref` with anything beside it.
    return {"anyOf": [rest], **told} if "$ref" in rest and told else {**rest, **told}


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    told = [f"{'.'.join(map(str, e['loc'])) or 'JSON'}: {e['msg']}" for e in found[:MAX_PROBLEMS]]
    return f"{len(found)} wrong: {'; '.join(told)}"
