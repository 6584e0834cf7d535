"""Settings of the linter for a file: a manifest's, then those of each `.dbops-lint.yaml` on the way down, then the caller's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.lint.rule import Engine
from dbops.lint.settings import LintSettings
from dbops.manifests.lint_spec import FILE_NAME, LintSpec, read_lint_file
from dbops.resources.schema.sources import shown

_MERGED = ("severity", "naming")


@dataclass(slots=True)
class SettingsFiles:
    """The settings files found so far, each read once."""

    _known: dict[Path, LintSpec | None] = field(default_factory=dict)

    def above(self, file: Path) -> list[tuple[Path, LintSpec]]:
        """Return the settings that hold for a file, outermost first, up to the root of its repository."""
        found = []
        for folder in file.absolute().parents:
            spec = self._read(folder)
            if spec is not None:
                found.append((folder, spec))
            if (folder / ".git").exists():
                break
        return found[::-1]

    def _read(self, folder: Path) -> LintSpec | None:
        if folder not in self._known:
            path = folder / FILE_NAME
            self._known[folder] = read_lint_file(path, shown(path)) if path.is_file() else None
        return self._known[folder]


def is_excluded(file: Path, specs: list[tuple[Path, LintSpec]]) -> bool:
    """Return whether settings leave a file out."""
    for folder, spec in specs:
        name = file.absolute().relative_to(folder).as_posix()
        if any(fnmatchcase(name, pattern) for pattern in spec.exclude):
            return True
    return False


def merged(specs: list[LintSpec]) -> Mapping[str, Any]:
    """Return the settings of several places as one, by Python names: the last one wins, mappings are joined."""
    result: dict[str, Any] = {}
    for spec in specs:
        for name, value in spec.given().items():
            result[name] = {**result.get(name, {}), **value} if name in _MERGED else value
    return result


def settings_of(given: Mapping[str, Any], engine: Engine, base: LintSettings) -> LintSettings:
    """Return settings for the rules; `base` holds what the caller asked for, which wins."""
    version = tuple(int(part) for part in given["version"].split(".")) if given.get("version") else ()
    found = replace(
        base,
        engine=engine,
        version=version,
        select=base.select or frozenset(given.get("select", ())),
        ignore=base.ignore | frozenset(given.get("ignore", ())),
        severity=given.get("severity", {}),
        naming={kind: re.compile(pattern) for kind, pattern in given.get("naming", {}).items()},
        required_columns=tuple(given.get("required_columns", ())),
        forbidden_types=tuple(given.get("forbidden_types", ())),
    )
    limits = {name: given[name] for name in ("most_indexes", "most_index_columns") if given.get(name)}
    return replace(found, **limits)
