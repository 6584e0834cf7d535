"""What every manifest has around its spec: apiVersion, kind, metadata."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, ManifestError, Mark
from dbops.manifests.document import Document, KeyPath, Marks
from dbops.manifests.folder import API_VERSION
from dbops.manifests.loader import quote_it
from dbops.manifests.spec import nearest, one_of

NAME = re.compile(r"[a-z0-9]([-a-z0-9_.]*[a-z0-9])?")
NAME_WORDS = "lower-case letters, digits, and between them - _ ."
_FIELDS = ("apiVersion", "kind", "metadata", "spec")
_METADATA = ("name", "labels")


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest whose spec is not read yet.

    `root` is the environment folder it is written in. `is_sound` is false when something beside its kind and name is wrong:
    others may refer to it, but it is of no use.
    """

    kind: str
    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    marks: Marks
    file: Path
    root: Path
    is_sound: bool = True

    @property
    def at(self) -> Mark:
        return self.marks.value(())


def read_envelope(document: Document, kinds: Collection[str], file: Path, root: Path, problems: list[DbopsError]) -> Draft | None:
    """Return a document as a draft; what is wrong goes to `problems`. None when its kind or its name cannot be told."""
    before = len(problems)
    reader = _Reader(document, problems)
    reader.only(_FIELDS, ())
    reader.version()
    kind = reader.kind(kinds)
    name, labels = reader.metadata()
    spec = document.value.get("spec")
    if not isinstance(spec, dict):
        reader.complain(
            "there is no spec" if spec is None else "spec is not a mapping",
            ("spec",),
            expected="spec: with the fields of the kind",
        )
    if kind is None or name is None:
        return None
    content = spec if isinstance(spec, dict) else {}
    return Draft(kind, name, labels, content, document.marks, file, root, is_sound=len(problems) == before)


@dataclass(frozen=True, slots=True)
class _Reader:
    document: Document
    problems: list[DbopsError]

    def complain(self, message: str, path: KeyPath, expected: str, fix: str | None = None, *, at_key: bool = False) -> None:
        marks = self.document.marks
        at = marks.key(path) if at_key else marks.value(path)
        self.problems.append(ManifestError(message, at=at, expected=expected, fix=fix))

    def only(self, known: Collection[str], path: KeyPath) -> None:
        value: Any = self.document.value
        for step in path:
            value = value[step]
        for name in value:
            if name not in known:
                self.complain(f"unknown field '{name}'", (*path, name), one_of(known), nearest(name, known), at_key=True)

    def version(self) -> None:
        version = self.document.value.get("apiVersion")
        if version is None:
            self.complain("there is no apiVersion", (), f"apiVersion: {API_VERSION}")
        elif version != API_VERSION:
            self.complain(f"unknown apiVersion '{version}'", ("apiVersion",), API_VERSION)

    def kind(self, kinds: Collection[str]) -> str | None:
        kind = self.document.value.get("kind")
        if isinstance(kind, str) and kind in kinds:
            return kind
        if kind is None:
            self.complain("there is no kind", (), one_of(kinds))
        else:
            self.complain(f"unknown kind '{kind}'", ("kind",), one_of(kinds), nearest(kind, kinds))
        return None

    def metadata(self) -> tuple[str | None, Mapping[str, str]]:
        metadata = self.document.value.get("metadata")
        if not isinstance(metadata, dict):
            self.complain(
                "there is no metadata" if metadata is None else "metadata is not a mapping",
                ("metadata",),
                "metadata: {name: ...}",
            )
            return None, {}
        self.only(_METADATA, ("metadata",))
        return self._name(metadata), self._labels(metadata.get("labels"))

    def _name(self, metadata: Mapping[str, Any]) -> str | None:
        name, path = metadata.get("name"), ("metadata", "name")
        if isinstance(name, str) and NAME.fullmatch(name):
            return name
        if "name" not in metadata:
            self.complain("there is no metadata.name", ("metadata",), "metadata: {name: ...}", at_key=True)
        elif isinstance(name, str):
            plain = re.sub(r"[^a-z0-9_.]+", "-", name.lower()).strip("-_.")
            self.complain(f"the name '{name}' is not allowed", path, NAME_WORDS, f"did you mean '{plain}'?" if plain else None)
        else:
            text = self.document.marks.text(path)
            self.complain("metadata.name is not text", path, "text", quote_it(text, name) if text else None)
        return None

    def _labels(self, labels: object) -> Mapping[str, str]:
        if labels is None:
            return {}
        path = ("metadata", "labels")
        if not isinstance(labels, dict):
            self.complain("metadata.labels is not a mapping", path, "labels: {name: value}")
            return {}
        for name, value in labels.items():
            if not isinstance(value, str):
                text = self.document.marks.text((*path, name))
                self.complain(f"the label '{name}' is not text", (*path, name), "text", quote_it(text, value) if text else None)
        return {name: value for name, value in labels.items() if isinstance(value, str)}
