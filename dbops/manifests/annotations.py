"""What may stand in `Annotated` beside the type of a spec's field, and the errors with which checks refuse a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dbops.dataclass import dataclass
from dbops.manifests.document import KeyPath

Schema = dict[str, Any]


class Complaint(ValueError):
    """What a check says of a value: what is wrong, what was expected, how to fix it; see `spec.complain`."""

    def __init__(self, message: str, expected: str | None, fix: str | None, path: KeyPath) -> None:
        super().__init__(message or f"expected {expected}")
        self.message, self.expected, self.fix, self.path = message, expected, fix, path


class Unlike(Exception):
    """A value is not what was expected, in words."""


class Check(Protocol):
    """Looks at a value that has the right type, returns what it means, and changes the JSON Schema of the type."""

    def check(self, value: Any) -> Any:
        """Return what the value means. Raises: Complaint."""

    def describe(self, schema: Schema) -> Schema:
        """Return the schema of the values that pass, made of that of the type."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A check by a function; `schema` replaces that of the type."""

    function: Callable[[Any], Any]
    schema: Schema | None = None

    def check(self, value: Any) -> Any:
        return self.function(value)

    def describe(self, schema: Schema) -> Schema:
        return schema if self.schema is None else dict(self.schema)


@dataclass(frozen=True, slots=True)
class Limit:
    """The bounds of a number, and the least length of a text, a list or a mapping."""

    least: int | None = None
    most: int | None = None
    above: int | None = None
    length: int | None = None

    def check(self, value: Any) -> Any:
        if self.least is not None and value < self.least:
            raise Unlike(f"a number not below {self.least}")
        if self.most is not None and value > self.most:
            raise Unlike(f"a number not above {self.most}")
        if self.above is not None and value <= self.above:
            raise Unlike(f"a number above {self.above}")
        if self.length is not None and len(value) < self.length:
            is_text = isinstance(value, str)
            raise Unlike(f"at least {self.length} characters" if is_text else f"more entries: at least {self.length}")
        return value

    def describe(self, schema: Schema) -> Schema:
        length = {"string": "minLength", "array": "minItems", "object": "minProperties"}.get(schema["type"], "")
        said = {"minimum": self.least, "maximum": self.most, "exclusiveMinimum": self.above, length: self.length}
        return schema | {name: bound for name, bound in said.items() if bound is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """Values that a function reads, whatever the type beside it says."""

    function: Callable[[Any], Any]
    schema: Schema


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Values that a function brings into the form of the type beside it."""

    function: Callable[[Any], Any]
    schema: Callable[[], Schema]


@dataclass(frozen=True, slots=True)
class Alias:
    """The name of a field in YAML, where camel case of its Python name is not it."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What the JSON Schema of a field says besides."""

    schema: Schema
