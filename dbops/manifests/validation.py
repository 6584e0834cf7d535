"""What pydantic found wrong with a spec, in a person's words and with the place in the file.

Values are shown as the file spells them: one that came from a variable shows the variable, never its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dbops.errors import DbopsError, ManifestError
from dbops.manifests.document import KeyPath, Marks
from dbops.manifests.loader import quote_it
from dbops.manifests.spec import COMPLAINT, WRITTEN, Later, nearest, one_of

Model = TypeVar("Model", bound=BaseModel)

_TEXT, _LIST = "text", "a list"
_EXPECTED: tuple[tuple[str, str], ...] = (
    (r"string_(type|sub_type|unicode)", _TEXT),
    (r"int_.*", "a whole number"),
    (r"(float|decimal)_.*|finite_number", "a number"),
    (r"bool_.*", "true or false"),
    (r"(tuple|list|set|frozen_set)_type", _LIST),
    (r"(dict|mapping|model|model_attributes|dataclass)_type", "a mapping"),
    (r"none_required", "nothing"),
    (r"string_too_short", "at least {min_length} characters"),
    (r"string_too_long", "at most {max_length} characters"),
    (r"too_short", "more entries: at least {min_length}"),
    (r"too_long", "fewer entries: at most {max_length}"),
    (r"greater_than", "a number above {gt}"),
    (r"greater_than_equal", "a number not below {ge}"),
    (r"less_than", "a number below {lt}"),
    (r"less_than_equal", "a number not above {le}"),
    (r"string_pattern_mismatch", "text of the form {pattern}"),
)


def read_spec(model: type[Model], spec: Mapping[str, Any], marks: Marks, problems: list[DbopsError]) -> Model | None:
    """Return the spec of a manifest as its model; what is wrong goes to `problems`, and None comes back."""
    try:
        return model.model_validate(spec)
    except ValidationError as error:
        problems += _translated(model, spec, marks, error)
        return None


def _translated(model: type[BaseModel], spec: Mapping[str, Any], marks: Marks, error: ValidationError) -> Iterator[ManifestError]:
    found = [(_settled(item["loc"], spec), item) for item in error.errors(include_url=False)]
    unknown = [path for path, item in found if item["type"] == "extra_forbidden"]
    inner = [path[:length] for path, _ in found for length in range(len(path))]
    for path, item in found:
        if item["type"] == "too_short" and path in inner:
            continue  # pydantic counts only the entries that are right
        if item["type"] == "missing":
            name = str(item["loc"][-1])
            if not any(other[:-1] == path and get_close_matches(name, [str(other[-1])]) for other in unknown):
                at = marks.key(("spec", *path))
                yield ManifestError(f"missing field '{name}'", at=at, expected=_fields_in_words(_model_at(model, path)))
        elif item["type"] == "extra_forbidden":
            known = [field.alias or name for name, field in _model_at(model, path[:-1]).model_fields.items()]
            at, name = marks.key(("spec", *path)), str(path[-1])
            fix = nearest(name, known) or _below(name, _model_at(model, path[:-1]))
            yield ManifestError(f"unknown field '{name}'", at=at, expected=one_of(known), fix=fix)
        elif item["loc"][-1:] == ("[key]",):
            context = item.get("ctx", {})
            expected = context.get("expected") or _expected(item["type"], context)
            yield ManifestError(f"the name '{path[-1]}' is not allowed", at=marks.key(("spec", *path)), expected=expected)
        elif item["type"] == COMPLAINT:
            yield _complaint(path, item["ctx"], marks)
        else:
            yield _wrong_value(path, item, spec, marks)


def _settled(loc: KeyPath, spec: Any) -> KeyPath:
    """Return the part of pydantic's location that exists in the spec, without the names it adds for unions and keys."""
    path: KeyPath = ()
    value = spec
    for step in loc:
        if _has(value, step):
            path, value = (*path, step), value[step]
    return path


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _complaint(path: KeyPath, context: Mapping[str, Any], marks: Marks) -> ManifestError:
    place = ("spec", *path, *context["path"])
    at = marks.key(place) if context["path"] or marks.text(place) is None else marks.value(place)
    message = context["message"].replace(WRITTEN, marks.text(place) or "") or _sentence(place, marks)
    return ManifestError(message, at=at, expected=context["expected"], fix=_from_variable(marks.text(place)) or context["fix"])


def _wrong_value(path: KeyPath, item: Any, spec: Mapping[str, Any], marks: Marks) -> ManifestError:
    place = ("spec", *path)
    text, at = marks.text(place), marks.value(place)
    context = item.get("ctx", {})
    if item["type"] in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        is_misread = text in choices and not isinstance(_at(spec, path), str)
        fix = quote_it(text, _at(spec, path)) if text and is_misread else _from_variable(text) or nearest(text, choices)
        return ManifestError(_sentence(place, marks), at=at, expected=one_of(choices), fix=fix)
    expected = _expected(item["type"], context)
    if expected is None:
        reason = str(context["error"]) if item["type"] == "value_error" else str(item["msg"])
        return ManifestError(f"{_name_of(place)}: {reason}", at=at)
    value = _at(spec, path)
    if text and expected == _TEXT and not isinstance(value, str):
        return ManifestError(_sentence(place, marks), at=at, expected=expected, fix=quote_it(text, value))
    one = f"a list of one is [{text}]" if text and expected == _LIST else None
    return ManifestError(_sentence(place, marks), at=at, expected=expected, fix=_from_variable(text) or one)


def _below(name: str, model: type[BaseModel]) -> str | None:
    """Return where a field stands that is looked for one level too high."""
    for key, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None and name in {one.alias or own for own, one in inner.model_fields.items()}:
            return f"it belongs below {field.alias or key}: {{{name}: ...}}"
    return None


def _expected(kind: str, context: Mapping[str, Any]) -> str | None:
    return next((words.format(**context) for pattern, words in _EXPECTED if re.fullmatch(pattern, kind)), None)


def _sentence(place: KeyPath, marks: Marks) -> str:
    text = marks.text(place)
    if text is None:
        return f"{_name_of(place)} is not what it should be"
    return f"{_name_of(place)} is '{text}'" if text else f"{_name_of(place)} is empty"


def _from_variable(text: str | None) -> str | None:
    return "its value comes from a variable and is not shown" if text and "${" in text else None


def _name_of(place: KeyPath) -> str:
    """Return the last key of a path, with the list positions behind it."""
    keys = [index for index, step in enumerate(place) if isinstance(step, str)]
    return str(place[keys[-1]]) + "".join(f"[{step}]" for step in place[keys[-1] + 1 :])


def _at(value: Any, path: KeyPath) -> Any:
    for step in path:
        value = value[step]
    return value


def _fields_in_words(model: type[BaseModel]) -> str:
    required = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    optional = [field.alias or name for name, field in model.model_fields.items() if not field.is_required()]
    return ", ".join(required) + (f"; and if wanted {', '.join(optional)}" if optional else "")


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the model that describes the mapping at `path`."""
    for step in path:
        field = next((field for name, field in model.model_fields.items() if (field.alias or name) == step), None)
        if field:
            later = next((item for item in field.metadata if isinstance(item, Later)), None)
            model = later.model if later else model_in(field.annotation) or model
    return model


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model inside an annotation, None when it has none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part)) is not None), None)
