"""What is wrong with a spec, in a person's words and with the place in the file.

Values are shown as the file spells them: one that came from a variable shows the variable, never its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from dbops.errors import DbopsError, ManifestError
from dbops.manifests.annotations import Complaint
from dbops.manifests.document import KeyPath, Marks
from dbops.manifests.fields import TEXT, Wrong, fields_of, read_model
from dbops.manifests.loader import quote_it
from dbops.manifests.spec import WRITTEN, Spec, nearest, one_of

Model = TypeVar("Model", bound=Spec)


def read_spec(model: type[Model], spec: Mapping[str, Any], marks: Marks, problems: list[DbopsError]) -> Model | None:
    """Return the spec of a manifest as its model; what is wrong goes to `problems`, and None comes back."""
    wrong: list[Wrong] = []
    made = read_model(model, spec, (), wrong)
    if not wrong:
        assert isinstance(made, model)
        return made
    unknown = [one.path for one in wrong if one.kind == "unknown"]
    problems += [
        _in_words(one, spec, marks) for one in wrong if not (one.kind == "missing" and _is_misspelled(one.path, unknown))
    ]
    return None


def _is_misspelled(missing: KeyPath, unknown: list[KeyPath]) -> bool:
    """Tell whether an unknown field beside is what was meant: that is said there."""
    return any(other[:-1] == missing[:-1] and get_close_matches(str(missing[-1]), [str(other[-1])]) for other in unknown)


def _in_words(wrong: Wrong, spec: Mapping[str, Any], marks: Marks) -> ManifestError:
    path = wrong.path
    at = marks.key(("spec", *path))
    match wrong.kind:
        case "missing":
            at = marks.key(("spec", *path[:-1]))
            return ManifestError(f"missing field '{path[-1]}'", at=at, expected=_fields_in_words(wrong.model))
        case "unknown":
            known = list(fields_of(wrong.model)) if wrong.model else []
            return ManifestError(f"unknown field '{path[-1]}'", at=at, expected=one_of(known), fix=nearest(str(path[-1]), known))
        case "name":
            return ManifestError(f"the name '{path[-1]}' is not allowed", at=at, expected=wrong.expected)
        case "complaint":
            assert wrong.complaint is not None
            return _complaint(_settled(path, spec), wrong.complaint, marks)
        case "value":
            return _wrong_value(_settled(path, spec), wrong, spec, marks)


def _settled(path: KeyPath, spec: Any) -> KeyPath:
    """Return the part of a path that exists in the file: one word may stand for a mapping, see `Prepared`."""
    value = spec
    for length, step in enumerate(path):
        if not _has(value, step):
            return path[:length]
        value = value[step]
    return path


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _complaint(path: KeyPath, said: Complaint, marks: Marks) -> ManifestError:
    place = ("spec", *path, *said.path)
    at = marks.key(place) if said.path or marks.text(place) is None else marks.value(place)
    message = said.message.replace(WRITTEN, marks.text(place) or "") or _sentence(place, marks)
    return ManifestError(message, at=at, expected=said.expected, fix=_from_variable(marks.text(place)) or said.fix)


def _wrong_value(path: KeyPath, wrong: Wrong, spec: Mapping[str, Any], marks: Marks) -> ManifestError:
    place = ("spec", *path)
    text, at, value = marks.text(place), marks.value(place), _at(spec, path)
    if wrong.choices:
        is_misread = text in wrong.choices and not isinstance(value, str)
        fix = quote_it(text, value) if text and is_misread else _from_variable(text) or nearest(text, wrong.choices)
        return ManifestError(_sentence(place, marks), at=at, expected=one_of(wrong.choices), fix=fix)
    is_misread = wrong.expected == TEXT and not isinstance(value, str)
    fix = quote_it(text, value) if text and is_misread else _from_variable(text)
    return ManifestError(_sentence(place, marks), at=at, expected=wrong.expected, fix=fix)


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


def _fields_in_words(model: type[Spec] | None) -> str:
    fields = fields_of(model) if model else {}
    required = [alias for alias, field in fields.items() if field.is_required]
    optional = [alias for alias, field in fields.items() if not field.is_required]
    return ", ".join(required) + (f"; and if wanted {', '.join(optional)}" if optional else "")
