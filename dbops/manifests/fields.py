"""What the annotations of a spec say: its fields, how a value of each is read, and what is wrong with one that cannot be.

A class is taken apart when the first manifest of its kind is read, so that those nobody uses cost their definition alone. Numbers
and booleans may stand in quotes, as those from variables do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, dataclass_transform, get_args, get_origin, get_type_hints

from dbops.dataclass import dataclass
from dbops.manifests.annotations import Alias, Check, Complaint, Parsed, Prepared, Unlike
from dbops.manifests.document import KeyPath


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something wrong at `path` of a spec.

    `kind`: a field is `missing` in `model` or `unknown` to it, a `name` of a mapping is not allowed, a `value` is not what was
    expected, or a check has a `complaint`. `choices` are the words that were expected where it was one of some.
    """

    path: KeyPath
    kind: Literal["missing", "unknown", "name", "value", "complaint"]
    expected: str | None = None
    choices: tuple[str, ...] = ()
    model: type[Spec] | None = None
    complaint: Complaint | None = None


class _Refused:
    """Stands for a value that could not be read."""


REFUSED = _Refused()
Read = Callable[[Any, KeyPath, list[Wrong]], Any]
"""Returns what a value at a path means; what is wrong goes to the list, and REFUSED comes back."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Spec:
    """A spec or a part of one: camelCase in YAML, unknown fields refused, frozen for the type checker.

    An object holds what was written; defaults are read from the class.
    """

    def __init__(self, **values: Any) -> None:
        """Take values as they are; `of` reads what a manifest says."""
        vars(self).update(values)

    @classmethod
    def of(cls, data: Any) -> Self:
        """Return what a mapping says, as manifests write it.

        Raises:
            ValueError: says what is wrong, and where.
        """
        wrong: list[Wrong] = []
        made = read_model(cls, data, (), wrong)
        if wrong:
            raise ValueError("; ".join(_in_words(one) for one in wrong))
        assert isinstance(made, cls)
        return made

    def check_whole(self) -> None:
        """Look at the whole spec, once all of its fields are right.

        Raises:
            Complaint: they do not go together.
        """

    def given(self) -> Mapping[str, Any]:
        """Return the fields that are written, by their Python names."""
        return vars(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields_of(type(self)).values())


def _in_words(wrong: Wrong) -> str:
    place = ".".join(map(str, wrong.path))
    expected = (
        f"expected {wrong.expected or ' or '.join(wrong.choices)}" if wrong.expected or wrong.choices else f"{wrong.kind} field"
    )
    return f"{place}: {wrong.complaint or expected}"


# --- fields ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpecField:
    """A field of a spec: its Python name, its name in YAML, its type, and what stands beside that in Annotated."""

    name: str
    alias: str
    annotation: Any
    metadata: tuple[Any, ...]
    is_required: bool
    read: Read


_taken_apart: dict[Any, Mapping[str, SpecField]] = {}


def fields_of(model: type[Spec]) -> Mapping[str, SpecField]:
    """Return the fields of a spec by their names in YAML, those of its bases first."""
    if model not in _taken_apart:
        _taken_apart[model] = _fields(model)
    return _taken_apart[model]


def _fields(model: type[Spec]) -> Mapping[str, SpecField]:
    found = {}
    for name, hint in get_type_hints(model, include_extras=True).items():
        if get_origin(hint) is not ClassVar and not name.startswith("_"):
            field = _field(model, name, hint)
            found[field.alias] = field
    return found


def _field(model: type[Spec], name: str, hint: Any) -> SpecField:
    annotation, metadata = _parted(hint)
    alias = next((item.name for item in metadata if isinstance(item, Alias)), _camel(name))
    return SpecField(name, alias, annotation, metadata, not hasattr(model, name), reader(hint))


def _parted(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return (get_args(hint)[0], hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def read_model(model: type[Spec], value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
    """Return a mapping as a spec; see `Read`."""
    if isinstance(value, model):
        return value
    if not isinstance(value, dict):
        return _refuse(wrong, path, "a mapping")
    before, fields = len(wrong), fields_of(model)
    values = {}
    for alias, field in fields.items():
        if alias in value:
            values[field.name] = field.read(value[alias], (*path, alias), wrong)
        elif field.is_required:
            wrong.append(Wrong((*path, alias), "missing", model=model))
    wrong += [Wrong((*path, name), "unknown", model=model) for name in value if name not in fields]
    if len(wrong) > before:
        return REFUSED
    made = model(**values)
    try:
        made.check_whole()
    except Complaint as complaint:
        wrong.append(Wrong(path, "complaint", complaint=complaint))
        return REFUSED
    return made


# --- values ----------------------------------------------------------------------------------------------------------------


def reader(hint: Any) -> Read:
    """Return how values of an annotation are read."""
    annotation, metadata = _parted(hint)
    parsed = next((item for item in metadata if isinstance(item, Parsed)), None)
    read = _by(parsed.function) if parsed else _reader(annotation)
    for item in metadata:
        if hasattr(item, "check"):
            read = _checked(read, item)
        elif isinstance(item, Prepared):
            read = _prepared(read, item.function)
        elif hasattr(item, "reader"):
            read = item.reader()
    return read


def _reader(annotation: Any) -> Read:
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if hasattr(annotation, "from_manifest"):
        return _by(annotation.from_manifest)
    if _is_spec(annotation):
        return lambda value, path, wrong: read_model(annotation, value, path, wrong)
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return _word(arguments)
    if origin in (Union, UnionType):
        return _one_of([argument for argument in arguments if argument is not NoneType], NoneType in arguments)
    if origin is tuple and arguments[1:] == (...,):
        return _many(reader(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(reader(arguments[0]), reader(arguments[1]))
    raise TypeError(f"no spec can hold a value of {annotation}")


def _refuse(wrong: list[Wrong], path: KeyPath, expected: str | None, choices: tuple[str, ...] = ()) -> _Refused:
    wrong.append(Wrong(path, "value", expected, choices))
    return REFUSED


def _text(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
    return value if isinstance(value, str) else _refuse(wrong, path, TEXT)


def _whole(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return int(value) if isinstance(value, str) else _refuse(wrong, path, _WHOLE)
    except ValueError:
        return _refuse(wrong, path, _WHOLE)


def _truth(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
    word = value.lower() if isinstance(value, str) else value
    if isinstance(word, str | int) and word in _TRUTHS:
        return _TRUTHS[word]
    return _refuse(wrong, path, "true or false")


TEXT, _WHOLE = "text", "a whole number"
_TRUTHS: dict[str | int, bool] = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes", 1), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no", 0), False),
}
_SIMPLE: dict[Any, Read] = {str: _text, int: _whole, bool: _truth, Any: lambda value, path, wrong: value}


def _word(choices: Sequence[str]) -> Read:
    def read(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
        is_one = isinstance(value, str) and value in choices
        return value if is_one else _refuse(wrong, path, None, tuple(choices))

    return read


def _one_of(members: Sequence[Any], may_be_absent: bool) -> Read:
    """A value of a plain type is what it is; else the first member that can make something of it does."""
    reads = [reader(member) for member in members]

    def read(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
        if (value is None and may_be_absent) or (len(reads) > 1 and type(value) in members):
            return value
        told: list[Wrong] = []
        for one in reads:
            told = []
            found = one(value, path, told)
            if not told:
                return found
        wrong += told
        return REFUSED

    return read


def _many(one: Read) -> Read:
    def read(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
        if not isinstance(value, list | tuple):
            return _refuse(wrong, path, "a list")
        before = len(wrong)
        found = tuple([one(item, (*path, index), wrong) for index, item in enumerate(value)])
        return REFUSED if len(wrong) > before else found

    return read


def _mapping(key: Read, one: Read) -> Read:
    def read(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
        if not isinstance(value, dict):
            return _refuse(wrong, path, "a mapping")
        before = len(wrong)
        found = {}
        for name, item in value.items():
            told: list[Wrong] = []
            place = (*path, name)
            means = key(name, place, told)
            wrong += [_of_name(problem) for problem in told]
            found[means] = one(item, place, wrong)
        return REFUSED if len(wrong) > before else found

    return read


def _of_name(problem: Wrong) -> Wrong:
    expected = problem.complaint.expected if problem.complaint else problem.expected
    return Wrong(problem.path, "name", expected)


def _by(function: Callable[[Any], Any]) -> Read:
    def read(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
        try:
            return function(value)
        except Unlike as unlike:
            return _refuse(wrong, path, str(unlike))
        except Complaint as complaint:
            wrong.append(Wrong(path, "complaint", complaint=complaint))
            return REFUSED

    return read


def _checked(before: Read, check: Check) -> Read:
    then = _by(check.check)

    def read(value: Any, path: KeyPath, wrong: list[Wrong]) -> Any:
        found = before(value, path, wrong)
        return found if found is REFUSED or found is None else then(found, path, wrong)

    return read


def _prepared(then: Read, function: Callable[[Any], Any]) -> Read:
    return lambda value, path, wrong: then(function(value), path, wrong)


def _is_spec(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Spec)


def models_in(annotation: Any) -> Iterator[type[Spec]]:
    """Yield the specs inside an annotation."""
    if _is_spec(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
