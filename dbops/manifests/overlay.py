"""Environments that extend others: the drafts of a whole chain with the patches of each link laid over them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, ManifestError
from dbops.manifests.document import Document, KeyPath, Marks
from dbops.manifests.envelope import Draft, read_envelope
from dbops.manifests.folder import ENVIRONMENT, environment_file, is_manifest, may_hold_manifests, yaml_files
from dbops.manifests.loader import decode, parse_documents, read_bytes
from dbops.manifests.spec import EnvironmentSpec, nearest, one_of
from dbops.manifests.validation import read_spec
from dbops.manifests.variables import Variable


@dataclass(frozen=True, slots=True)
class Drafts:
    """What a folder, and all it extends, says.

    `name` is None when no Environment manifest gives one. `variables` are None when an Environment manifest cannot be understood.
    `is_complete` is false when something could not be read: then what seems to be missing may only be unread.
    """

    name: str | None
    drafts: Sequence[Draft]
    variables: Mapping[str, Variable] | None
    is_complete: bool


def read_drafts(path: Path, kinds: Collection[str], problems: list[DbopsError], above: tuple[Path, ...] = ()) -> Drafts:
    """Read a folder or one file; what is wrong goes to `problems`. `above` are the resolved folders that led here."""
    root = path if path.is_dir() else path.parent
    reader = _Reader(root, (*kinds, ENVIRONMENT), problems)
    own_file = path if path.is_file() else environment_file(root)
    first = reader.drafts(own_file, is_named=True) if own_file else []
    own = reader.environment(first)
    spec = read_spec(EnvironmentSpec, own.spec, own.marks, problems) if own and own.is_sound else None
    base = _base(own, spec, root, kinds, problems, (*above, root.resolve())) if own and spec and spec.extends else None
    is_understood = reader.is_complete and (own is None or spec is not None) and (base is not None or not (spec and spec.extends))
    drafts = [*base.drafts] if base else []
    drafts += [draft for draft in first if draft.kind != ENVIRONMENT]
    if path.is_dir():
        leave_out = {(root / spec.extends).resolve()} if spec and spec.extends else set()
        for file in yaml_files(root, leave_out):
            if file != own_file:
                drafts += reader.without_environments(reader.drafts(file, is_named=False))
    is_complete = is_understood and reader.is_complete and (base is None or base.is_complete)
    if own and spec:
        _patch(drafts, spec, own.marks, problems if is_complete else [])
    inherited = base.variables if base else {}
    variables = {name: _variable(name, own.marks) for name in spec.variables} if own and spec else {}
    has_all = is_understood and inherited is not None
    return Drafts(own.name if own else None, drafts, {**(inherited or {}), **variables} if has_all else None, is_complete)


@dataclass(slots=True)
class _Reader:
    """Reads the files of one folder; `is_complete` turns false when one cannot be read."""

    root: Path
    kinds: Collection[str]
    problems: list[DbopsError]
    is_complete: bool = True

    def drafts(self, file: Path, *, is_named: bool) -> list[Draft]:
        """Return the drafts of a file; one that was not named may be none of ours, or hold documents that are not."""
        try:
            documents = self._documents(file, os.path.normpath(file), is_named=is_named)
        except ManifestError as error:
            self.problems.append(error)
            self.is_complete = False
            return []
        ours = [item for item in documents if is_named or is_manifest(item.value, self.kinds)]
        found = [read_envelope(item, self.kinds, file, self.root, self.problems) for item in ours]
        self.is_complete = self.is_complete and None not in found
        return [draft for draft in found if draft is not None]

    def _documents(self, file: Path, shown: str, *, is_named: bool) -> list[Document]:
        data = read_bytes(file, shown)
        if not is_named and not may_hold_manifests(data, self.kinds):
            return []
        return parse_documents(decode(data, shown), shown)

    def environment(self, drafts: Sequence[Draft]) -> Draft | None:
        """Return the Environment manifest among `drafts`; there is at most one."""
        found = [draft for draft in drafts if draft.kind == ENVIRONMENT]
        for second in found[1:]:
            message = f"a second Environment; the first is '{found[0].name}' at {found[0].at}"
            self.problems.append(ManifestError(message, at=second.at, expected="one Environment"))
        return found[0] if found else None

    def without_environments(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Return the drafts without Environment manifests, which only environment.yaml may hold."""
        for draft in drafts:
            if draft.kind == ENVIRONMENT:
                expected = "it in environment.yaml, at the top of its folder"
                self.problems.append(ManifestError("an Environment outside environment.yaml", at=draft.at, expected=expected))
        return [draft for draft in drafts if draft.kind != ENVIRONMENT]


def _base(
    own: Draft, spec: EnvironmentSpec, root: Path, kinds: Collection[str], problems: list[DbopsError], above: tuple[Path, ...]
) -> Drafts | None:
    folder = Path(os.path.normpath(root / str(spec.extends)))
    at = own.marks.value(("spec", "extends"))
    if not folder.is_dir():
        problems.append(
            ManifestError(f"there is no folder '{folder}' to extend", at=at, expected=f"a folder, relative to {root}")
        )
        return None
    if folder.resolve() in above:
        circle = " -> ".join(step.name for step in (*above[above.index(folder.resolve()) :], folder.resolve()))
        problems.append(ManifestError(f"extends goes in a circle: {circle}", at=at))
        return None
    return read_drafts(folder, kinds, problems, above)


def _variable(name: str, marks: Marks) -> Variable:
    place = ("spec", "variables", name)
    return Variable(marks.text(place) or "", marks.value(place))


def _patch(drafts: list[Draft], spec: EnvironmentSpec, marks: Marks, problems: list[DbopsError]) -> None:
    for number, patch in enumerate(spec.patches):
        place = ("spec", "patches", number)
        index = next((i for i, draft in enumerate(drafts) if (draft.kind, draft.name) == (patch.kind, patch.name)), None)
        if index is None:
            problems.append(_no_target(patch.kind, patch.name, drafts, marks, place))
            continue
        draft = drafts[index]
        merged = _merged(draft.spec, patch.spec, (*place, "spec"), marks, problems)
        layer = marks.cut((*place, "spec"), ("spec",))
        drafts[index] = replace(draft, spec=merged, marks=draft.marks.patched(layer))


def _no_target(kind: str, name: str, drafts: list[Draft], marks: Marks, place: KeyPath) -> ManifestError:
    names = sorted(draft.name for draft in drafts if draft.kind == kind)
    kinds = sorted({draft.kind for draft in drafts})
    if names or not kinds:
        at, known, given = marks.value((*place, "name")), names, name
    else:
        at, known, given = marks.value((*place, "kind")), kinds, kind
    expected = one_of(known) if known else "a manifest to patch"
    return ManifestError(f"there is no {kind} named '{name}' to patch", at=at, expected=expected, fix=nearest(given, known))


def _merged(
    base: Mapping[str, Any], patch: Mapping[str, Any], place: KeyPath, marks: Marks, problems: list[DbopsError]
) -> dict[str, Any]:
    """Return `base` with mappings of `patch` merged in, everything else of it in place of what was there, null taking away."""
    merged = dict(base)
    for name, value in patch.items():
        inner = (*place, name)
        below = base.get(name)
        if value is None:
            if name not in base:
                expected = one_of(base) if base else None
                problems.append(
                    ManifestError(
                        f"there is no '{name}' to take away", at=marks.key(inner), expected=expected, fix=nearest(name, base)
                    )
                )
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(below, dict):
            merged[name] = _merged(below, value, inner, marks, problems)
        else:
            merged[name] = value
    return merged
