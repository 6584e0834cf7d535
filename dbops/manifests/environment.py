"""The door: an environment folder turned into typed manifests, or into everything that is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, ManifestError, Mark, Problems
from dbops.manifests.document import Marks
from dbops.manifests.envelope import Draft
from dbops.manifests.folder import ENVIRONMENT_FILES
from dbops.manifests.overlay import read_drafts
from dbops.manifests.references import Named, check_references, chosen, references_in
from dbops.manifests.spec import nearest, one_of
from dbops.manifests.validation import read_spec
from dbops.manifests.variables import Variable, Variables, substitute

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest. `root` is the environment folder it is written in: paths inside it are relative to that."""

    kind: str
    name: str
    labels: Mapping[str, str]
    spec: BaseModel
    marks: Marks = field(repr=False)
    file: Path
    root: Path

    @property
    def address(self) -> str:
        return f"{self.kind.lower()}/{self.name}"

    @property
    def at(self) -> Mark:
        return self.marks.value(())

    def mark(self, *path: str | int) -> Mark:
        """Return where the value at `path` stands, `manifest.mark("spec", "source")`; a mapping or list is placed at its key."""
        return self.marks.value(path) if self.marks.text(path) is not None else self.marks.key(path)


@dataclass(frozen=True, slots=True)
class Environment:
    """All manifests of an environment, what it extends included, in file order.

    `root` is the folder being planned. `variables` are the environment's own, with values filled in.
    """

    root: Path
    name: str
    manifests: tuple[Manifest, ...]
    variables: Mapping[str, str] = field(repr=False)

    def of_kind(self, kind: str) -> list[Manifest]:
        """Return the manifests of one kind."""
        return [manifest for manifest in self.manifests if manifest.kind == kind]

    def find(self, kind: str, name: str) -> Manifest:
        """Return one manifest.

        Raises:
            ManifestError: there is none; names those there are.
        """
        for manifest in self.of_kind(kind):
            if manifest.name == name:
                return manifest
        names = [manifest.name for manifest in self.of_kind(kind)]
        expected = one_of(names) if names else f"a manifest of kind {kind}"
        raise ManifestError(
            f"there is no {kind} named '{name}'", at=Mark(str(self.root)), expected=expected, fix=nearest(name, names)
        )


def bindings(environment: Environment, manifest: Manifest, field: str = "connection") -> list[Manifest]:
    """Return the manifests that `field` of a spec, or the selector in its place, stands for, in file order."""
    found: list[Manifest] = []
    for path, kind, value in references_in(manifest.spec):
        if path[0] in (field, f"{field}Selector"):
            candidates = environment.of_kind(kind)
            names = chosen(value, [Named(item.name, item.labels) for item in candidates])
            found += [item for item in candidates if item.name in names]
    return found


def load_environment(path: Path, kinds: Mapping[str, type[BaseModel]], process_env: Mapping[str, str]) -> Environment:
    """Read the manifests of a folder, or of one file, and check all of them.

    `kinds` are the specs that are known, by kind. A file named environment.yaml stands for its folder.

    Raises:
        ManifestError: one thing is wrong.
        Problems: several things are wrong, in file order.
    """
    path = path.parent if path.name in ENVIRONMENT_FILES else path
    _must_exist(path)
    problems: list[DbopsError] = []
    found = read_drafts(path, kinds, problems)
    if not found.drafts and not problems:
        expected = "files *.yaml or *.yml with apiVersion: dbops/v1"
        raise ManifestError(
            "there are no manifests", at=Mark(str(path)), expected=expected, fix="dbops init makes some to begin with"
        )
    _refuse_twins(found.drafts, problems)
    declared = found.variables or {}
    variables = Variables(declared, process_env)
    own = {name: _expanded(variable, variables, problems) for name, variable in declared.items()}
    missing = problems if found.variables is not None else []
    manifests = [
        made for draft in found.drafts if draft.is_sound and (made := _manifest(draft, kinds, variables, problems, missing))
    ]
    if found.is_complete:
        _check_references(found.drafts, manifests, problems)
    _raise_in_order(problems)
    is_folder = path.is_dir()
    name = found.name or (path.resolve().name if is_folder else path.stem)
    return Environment(path if is_folder else path.parent, name, tuple(manifests), own)


def _must_exist(path: Path) -> None:
    try:
        is_there = path.exists()
    except OSError as error:
        raise ManifestError(f"the path cannot be read: {error.strerror}", at=Mark(str(path))) from error
    if not is_there:
        raise ManifestError(
            "there is no such file or folder", at=Mark(str(path)), expected="an environment folder, or a file of manifests"
        )


def _refuse_twins(drafts: Sequence[Draft], problems: list[DbopsError]) -> None:
    first: dict[tuple[str, str], Draft] = {}
    for draft in drafts:
        other = first.setdefault((draft.kind, draft.name), draft)
        if other is not draft:
            message = f"a second {draft.kind} named '{draft.name}'; the first is at {other.at}"
            fix = None if other.root == draft.root else "to change what is extended, use patches in environment.yaml"
            problems.append(
                ManifestError(message, at=draft.marks.value(("metadata", "name")), expected="one name per kind", fix=fix)
            )


def _expanded(variable: Variable, variables: Variables, problems: list[DbopsError]) -> str:
    try:
        return variables.expand(variable.text, variable.at)
    except ManifestError as error:
        problems.append(error)
        return ""


def _manifest(
    draft: Draft,
    kinds: Mapping[str, type[BaseModel]],
    variables: Variables,
    problems: list[DbopsError],
    missing: list[DbopsError],
) -> Manifest | None:
    """Return a draft with variables put in and its spec read; missing variables are told to `missing`."""
    before = len(missing)
    labels = substitute(draft.labels, ("metadata", "labels"), draft.marks, variables, missing)
    content = substitute(draft.spec, ("spec",), draft.marks, variables, missing)
    if len(missing) > before:
        return None
    spec = read_spec(kinds[draft.kind], content, draft.marks, problems)
    return None if spec is None else Manifest(draft.kind, draft.name, labels, spec, draft.marks, draft.file, draft.root)


def _check_references(drafts: Sequence[Draft], manifests: Sequence[Manifest], problems: list[DbopsError]) -> None:
    """Check against all manifests that were written, also those in which something is wrong: that is told once, there."""
    labels = {(manifest.kind, manifest.name): manifest.labels for manifest in manifests}
    known: defaultdict[str, list[Named]] = defaultdict(list)
    for draft in drafts:
        known[draft.kind].append(Named(draft.name, labels.get((draft.kind, draft.name), draft.labels)))
    for manifest in manifests:
        check_references(manifest.spec, manifest.marks, known, problems)


def _raise_in_order(problems: Sequence[DbopsError]) -> None:
    distinct = {(problem.at or Mark(""), problem.message): problem for problem in problems}
    ordered = [distinct[key] for key in sorted(distinct)]
    if len(ordered) == 1:
        raise ordered[0]
    if ordered:
        raise Problems(ordered)
