"""Manifests that name other manifests: by name, or by labels through a selector."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast, get_args

from pydantic import BaseModel

from dbops.errors import DbopsError, ManifestError
from dbops.manifests.document import KeyPath, Marks
from dbops.manifests.spec import Ref, Selector, nearest, one_of


class Reference(NamedTuple):
    """A reference as a spec holds it: a name or a selector, at `path` of the spec."""

    path: KeyPath
    kind: str
    value: str | Selector


class Named(NamedTuple):
    """What may be referred to."""

    name: str
    labels: Mapping[str, str]


def references_in(spec: BaseModel, path: KeyPath = ()) -> Iterator[Reference]:
    """Yield the references of a spec and of the models inside it."""
    for name, field in type(spec).model_fields.items():
        value: Any = getattr(spec, name)
        place = (*path, field.alias or name)
        ref = next((item for item in field.metadata if isinstance(item, Ref)), None)
        if value is None:
            continue
        if ref is not None and isinstance(value, str | Selector):
            yield Reference(place, ref.kind, value)
        elif ref is not None:
            yield from (Reference((*place, index), ref.kind, item) for index, item in enumerate(value))
        elif _holds_references(cast("Hashable", field.annotation)):
            many = isinstance(value, tuple | list)
            for index, item in enumerate(value if many else [value]):
                if isinstance(item, BaseModel):
                    yield from references_in(item, (*place, index) if many else place)


@lru_cache(maxsize=256)
def _holds_references(annotation: Hashable) -> bool:
    """Tell whether a model inside an annotation has references; large specs without any are not walked."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.values()
        return any(isinstance(item, Ref) for field in fields for item in field.metadata) or any(
            _holds_references(cast("Hashable", field.annotation)) for field in fields
        )
    return any(_holds_references(part) for part in get_args(annotation))


def chosen(value: str | Selector, known: Sequence[Named]) -> list[str]:
    """Return the names that a reference stands for, in the order of `known`."""
    if isinstance(value, str):
        return [item.name for item in known if item.name == value]
    return [item.name for item in known if value.match_labels.items() <= item.labels.items()]


def check_references(spec: BaseModel, marks: Marks, known: Mapping[str, Sequence[Named]], problems: list[DbopsError]) -> None:
    """Tell `problems` about every reference that leads nowhere; `known` are the manifests by kind."""
    for path, kind, value in references_in(spec):
        candidates = known.get(kind, ())
        if chosen(value, candidates):
            continue
        if isinstance(value, str):
            problems.append(_no_name(("spec", *path), kind, value, marks, [item.name for item in candidates]))
        else:
            problems.append(_no_match(("spec", *path), kind, value, marks, candidates))


def _no_name(place: KeyPath, kind: str, value: str, marks: Marks, names: Sequence[str]) -> ManifestError:
    expected = one_of(names) if names else f"a manifest of kind {kind}"
    message = f"there is no {kind} named '{marks.text(place) or value}'"
    return ManifestError(message, at=marks.value(place), expected=expected, fix=nearest(value, names))


def _no_match(place: KeyPath, kind: str, value: Selector, marks: Marks, candidates: Sequence[Named]) -> ManifestError:
    wanted = ", ".join(f"{name}={marks.text((*place, 'matchLabels', name)) or text}" for name, text in value.match_labels.items())
    labels = sorted({f"{name}={text}" for item in candidates for name, text in item.labels.items()})
    expected = f"labels that exist: {', '.join(labels)}" if labels else f"a {kind} with these labels"
    return ManifestError(f"no {kind} has the labels {wanted}", at=marks.key(place), expected=expected)
