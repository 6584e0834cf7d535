"""What the spec of every kind is built of; the only models known here are the base and the Environment's own.

Descriptions for editors are the docstrings under the fields; they are read when schemas are generated and cost nothing before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from dbops.dataclass import dataclass
from dbops.manifests.document import KeyPath

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

#: The type of errors made by `complain`; its context carries `message`, `expected`, `fix` and `path`.
COMPLAINT = "dbops"
#: Stands in a complaint for the value as the file spells it: a variable shows its name, not its content.
WRITTEN = "{written}"


def complain(
    message: str = "", *, expected: str | None = None, fix: str | None = None, path: KeyPath = ()
) -> PydanticCustomError:
    """Return the error a validator raises: what is wrong, what was expected, how to fix it.

    Without a message the field and the value as written are named. `path` leads from the validated value to the place that is
    wrong. What a value says stays out of the message, but for `WRITTEN`: it may come from a variable.
    """
    context = {"message": message, "expected": expected, "fix": fix, "path": path}
    return PydanticCustomError(COMPLAINT, "{message}", context)


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return `did you mean 'x'?` for the known name most like `name`, None when none is."""
    choices = {choice.lower(): choice for choice in known}
    found = get_close_matches(str(name).lower(), choices, n=1, cutoff=0.6)
    return f"did you mean '{choices[found[0]]}'?" if found else None


def one_of(names: Iterable[str]) -> str:
    """Return `one of a, b, c` for messages."""
    return f"one of {', '.join(names)}"


#: Text that says something, and a list of such with at least one.
Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Text, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Form:
    """Marks texts of a given form, which `words` tells to people."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$"}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise complain(expected=self.words)
        return text


class Spec(BaseModel):
    """A spec or a part of one: camelCase in YAML, unknown fields refused, frozen, built when first used."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", alias_generator=to_camel, frozen=True, defer_build=True, hide_input_in_errors=True
    )


class Choice(Spec):
    """A spec in which of some groups of fields, named as in YAML, exactly one must be given."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        fields = type(self).model_fields
        given = {field.alias or name for name, field in fields.items() if getattr(self, name) is not None}
        for group in self.exactly_one:
            chosen = [name for name in group if name in given]
            if not chosen:
                neither = f"neither {' nor '.join(group)}" if len(group) == 2 else f"none of {', '.join(group)}"
                raise complain(f"{neither} is given", expected=f"exactly one of {', '.join(group)}")
            if len(chosen) > 1:
                message = f"{' and '.join(chosen)} are given together"
                raise complain(message, expected=f"exactly one of {', '.join(group)}", path=(chosen[1],))
        return self


@dataclass(frozen=True, slots=True)
class Ref:
    """Marks a field that names a manifest of another kind, as text, a list of texts or a `Selector`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Later:
    """Marks a field that holds a list of models named `module:class`, imported and built only when a manifest uses the field.

    The models hold no references.
    """

    path: str

    @property
    def model(self) -> type[BaseModel]:
        """The model of one entry."""
        module, _, name = self.path.partition(":")
        model: type[BaseModel] = getattr(import_module(module), name)
        return model

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "array", "items": handler(TypeAdapter(self.model).core_schema)}

    def _read(self, value: Any) -> Any:
        """What is wrong inside an entry is told by pydantic at its place in the whole."""
        model = self.model
        return TypeAdapter(tuple[model, ...]).validate_python(value)  # type: ignore[valid-type]  # known at run time only


class Selector(Spec):
    """Chooses manifests by their labels."""

    match_labels: Annotated[dict[str, str], Field(min_length=1)]
    """Labels a manifest must have, all of them, with these values."""


class Bound(Choice):
    """A spec about one connection, or about each connection that a selector chooses."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("connection", "connectionSelector"),)

    connection: Annotated[str | None, Ref("Connection")] = None
    """The name of the Connection this is about."""
    connection_selector: Annotated[Selector | None, Ref("Connection")] = None
    """Chooses the Connections this is about, in place of `connection`."""


# --- durations, sizes, days ----------------------------------------------------------------------------------------------

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d|w))+"
DURATION_PATTERN = f"^{_DURATION}$"
_SIZE_UNITS: dict[str, int] = {
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGTP", 1)},
}
_SIZE = r"([0-9]+(?:\.[0-9]+)?) ?([KMGTP]i?B|B)"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


def parse_duration(value: Any) -> float:
    """Return the seconds of `30s`, `5m`, `1h30m`, `7d`, `1w` or `250ms`."""
    if isinstance(value, str) and re.fullmatch(_DURATION, value):
        return sum(float(count) * _DURATION_UNITS[unit] for count, unit in re.findall(r"([0-9.]+)(ms|s|m|h|d|w)", value))
    raise complain(expected="a duration with its unit, such as 250ms, 30s, 5m, 1h, 7d or 1w")


def parse_size(value: Any) -> int:
    """Return the bytes of `512B`, `64KiB`, `10MB` or `1GiB`."""
    if isinstance(value, str) and (found := re.fullmatch(_SIZE, value)):
        return round(float(found[1]) * _SIZE_UNITS[found[2]])
    raise complain(expected="a size with its unit, such as 512B, 64KiB, 10MB or 1GiB")


def parse_day(value: Any) -> date:
    """Return the date of `2027-01-31`."""
    try:
        if isinstance(value, str) and re.fullmatch(_DAY, value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise complain(expected="a day, such as 2027-01-31")


#: Seconds, written with a unit.
Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
#: Bytes, written with a unit.
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": "string", "pattern": f"^{_SIZE}$"})]
#: A date without a time.
Day = Annotated[date, BeforeValidator(parse_day), WithJsonSchema({"type": "string", "pattern": f"^{_DAY}$"})]


# --- the kind that manifests themselves know ---------------------------------------------------------------------------------


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, dict | list):
        raise complain(expected="text, a number or a boolean")
    return value


VariableName = Annotated[str, Form(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _, no digit first")]


class Patch(Spec):
    """A change to one manifest of the extended environment."""

    kind: str
    """The kind of the manifest to change."""
    name: str
    """The name of the manifest to change."""
    spec: dict[str, Any]
    """Laid over the manifest's spec: mappings are merged, everything else is replaced, null takes a field away."""


class EnvironmentSpec(Spec):
    """An overlay over another folder of manifests."""

    extends: str | None = None
    """The folder this environment extends, relative to its own."""
    variables: dict[
        VariableName, Annotated[Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})]
    ] = {}
    """Values for `${NAME}` in manifests; they win over the process environment."""
    patches: tuple[Patch, ...] = ()
    """Changes to manifests of this environment or of those it extends."""
