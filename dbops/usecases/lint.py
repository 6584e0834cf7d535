"""lint: the hazard and style rules over SQL files, offline: the sources of an environment, or any files and folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, PlanError, Problems, SchemaError
from dbops.lint.check import Finding, Holds, LintSet
from dbops.lint.check import lint as check
from dbops.lint.guess import guess_engine
from dbops.lint.rule import ENGINES, Engine, Rule, rules
from dbops.lint.settings import LintSettings
from dbops.lint.statements import SqlFile
from dbops.manifests.folder import environment_file, may_hold_manifests, yaml_files
from dbops.manifests.lint_spec import LintSpec
from dbops.resources.schema.model import DesiredSchema, SqlSource
from dbops.resources.schema.sources import read_text, shown, sql_files
from dbops.sql.splitter import split
from dbops.sql.tokens import normalise
from dbops.usecases.lint_settings import SettingsFiles, is_excluded, merged, settings_of
from dbops.usecases.revision import changed_since
from dbops.usecases.runtime import Workspace, engine_named, open_workspace, specs

Given = Mapping[str, Any]
_DEFAULT: Engine = "postgresql"
_NUMBERED = re.compile(r"^(?:V|U|R|B)?\d")
_STEPS = re.compile(r"migrat|upgrade|update|patch|changes|versions|deploy", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LintRequest:
    """What to lint: environments, SQL files and folders; `since` is a git revision, `engine` and `holds` win over settings."""

    paths: tuple[Path, ...]
    engine: Engine | None = None
    since: str | None = None
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    holds: Holds | None = None


@dataclass(frozen=True, slots=True)
class LintReport:
    """`guessed` are the files whose engine nothing told, with the engine taken for them."""

    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    guessed: Mapping[str, Engine] = field(default_factory=dict)

    def at_least(self, severity: str) -> int:
        """Return how many findings are of that severity or worse."""
        return sum(1 for finding in self.findings if severity == "warning" or finding.severity == severity)


@dataclass(frozen=True, slots=True)
class _Source:
    """Files of one argument or one manifest; `spec` is the manifest's."""

    files: tuple[Path, ...]
    engine: Engine | None
    holds: Holds | None
    spec: LintSpec | None = None
    allow: frozenset[str] = frozenset()
    texts: Mapping[Path, str] = field(default_factory=dict)
    """What is read in place of files that are no SQL, line by line."""
    weighs_ways_back: bool = False


def all_rules() -> Mapping[str, Rule]:
    """Return every rule by its code."""
    return rules()


def lint(request: LintRequest, process_env: Mapping[str, str] = os.environ) -> LintReport:
    """Return what the rules find.

    Raises:
        PlanError: a path that is neither an environment nor holds SQL; a revision that git does not know.
        ManifestError, Problems: settings or manifests that are wrong, files that cannot be read.
    """
    sources = [source for path in _together(request.paths) for source in _sources(path, process_env)]
    return _Run(request).report(sources)


def lint_workspace(workspace: Workspace) -> LintReport:
    """Return what the rules find in the sources of an environment that is open; whether they are SQL, an engine has said."""
    return _Run(LintRequest((), ignore=frozenset({"SYNTAX_ERROR"}))).report(_of_workspace(workspace))


def lint_sets(sets: Sequence[tuple[Path | None, str, Mapping[Path, str]]], request: LintRequest) -> LintReport:
    """Return what the rules find in folders of migrations, ways back too.

    Each comes with the name of its engine, and the SQL of files that are none by their paths; the folder is None where all are.
    """
    sources = [
        _Source(
            tuple(sorted({*(sql_files([folder]) if folder is not None else ()), *texts}, key=_natural)),
            _engine(engine),
            "migrations",
            texts=texts,
            weighs_ways_back=True,
        )
        for folder, engine, texts in sets
    ]
    return _Run(request).report(sources)


# --- what to lint


def _together(paths: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Yield each folder and manifest alone, and all SQL files in one."""
    files = tuple(path for path in paths if path.suffix.lower() == ".sql" and not path.is_dir())
    if files:
        yield files
    yield from ((path,) for path in paths if path not in files)


def _sources(paths: tuple[Path, ...], process_env: Mapping[str, str]) -> Iterator[_Source]:
    path = paths[0]
    if len(paths) > 1 or path.suffix.lower() == ".sql":
        yield _Source(tuple(sql_files(paths)), None, "migrations")
    elif _is_environment(path):
        with open_workspace(path, process_env) as workspace:
            yield from _of_workspace(workspace)
    else:
        files = sql_files([path])
        if not files:
            raise PlanError(f"{path} holds neither manifests nor SQL files", expected="an environment, SQL files or folders")
        yield _Source(tuple(files), None, None)


def _is_environment(path: Path) -> bool:
    if path.is_file():
        return path.suffix in (".yaml", ".yml")
    if not path.is_dir():
        return False
    if environment_file(path):
        return True
    kinds = tuple(specs())
    return any(may_hold_manifests(file.read_bytes(), kinds) for file in yaml_files(path) if file.is_file())


def _of_workspace(workspace: Workspace) -> Iterator[_Source]:
    """Yield the SQL sources of each schema, the same files for one engine once."""
    seen: set[tuple[object, ...]] = set()
    for work in workspace.work:
        desired = work.desired
        if not isinstance(desired, DesiredSchema) or not isinstance(desired.source, SqlSource):
            continue
        engine = _engine(workspace.targets.target(desired.connection).url.engine)
        key = (desired.source.paths, engine)
        if key not in seen:
            seen.add(key)
            yield _Source(tuple(sql_files(desired.source.paths)), engine, "schema", desired.lint, frozenset(desired.allow))


def _engine(name: str) -> Engine:
    return next(engine for engine in ENGINES if engine == name)


# --- the run


class _Run:
    def __init__(self, request: LintRequest) -> None:
        self._request = request
        self._files = SettingsFiles()
        self._guessed: dict[str, Engine] = {}

    def report(self, sources: Iterable[_Source]) -> LintReport:
        findings: list[Finding] = []
        files: list[str] = []
        for source in sources:
            for part in self._sets(source):
                findings += check(part)
                files += [file.name for file in part.files if part.changed is None or file.name in part.changed]
        return LintReport(tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(files)), self._guessed)

    def _sets(self, source: _Source) -> Iterator[LintSet]:
        """Yield the files of a source by engine, in the order in which they count."""
        given: dict[Path, Mapping[str, Any]] = {}
        for file in source.files:
            above = self._files.above(file)
            if not is_excluded(file, above):
                given[file] = merged([*([source.spec] if source.spec else []), *(spec for _, spec in above)])
        texts = {**_texts([file for file in given if file not in source.texts]), **source.texts}
        engines = self._engines(source, given, texts)
        for engine in dict.fromkeys(engines.values()):
            files = [file for file in given if engines[file] == engine]
            yield self._set(files, engine, source, given, texts)

    def _set(
        self,
        files: list[Path],
        engine: Engine,
        source: _Source,
        given: Mapping[Path, Given],
        texts: Mapping[Path, str],
    ) -> LintSet:
        told: Holds | None = next((given[file]["holds"] for file in files if given[file].get("holds")), None)
        holds: Holds = self._request.holds or told or source.holds or _holds(files)
        ordered = sorted(files, key=_natural) if holds == "migrations" and source.holds is None else files
        base = LintSettings(select=self._request.select, ignore=self._request.ignore, allow=source.allow)
        own = engine_named("mysql" if engine == "mariadb" else engine)
        return LintSet(
            files=tuple(SqlFile(shown(file), texts[file]) for file in ordered),
            dialect=own.dialect,
            settings={shown(file): settings_of(given[file], engine, base) for file in files},
            holds=holds,
            grammar=own.syntax_error,
            changed=self._changed(files, own.dialect.name),
            weighs_ways_back=source.weighs_ways_back,
        )

    def _engines(self, source: _Source, given: Mapping[Path, Given], texts: Mapping[Path, str]) -> dict[Path, Engine]:
        """Return the engine of each file: asked for, told by settings or manifest, or guessed."""
        told = {file: self._request.engine or given[file].get("engine") or source.engine for file in given}
        guesses = {file: guess_engine(shown(file), texts[file]) for file, engine in told.items() if engine is None}
        common = Counter(engine for engine in guesses.values() if engine is not None).most_common(1)
        rest = common[0][0] if common else _DEFAULT
        self._guessed |= {shown(file): engine or rest for file, engine in guesses.items()}
        return {file: engine or guesses[file] or rest for file, engine in told.items()}

    def _changed(self, files: Sequence[Path], engine: str) -> Mapping[str, frozenset[str]] | None:
        if self._request.since is None:
            return None
        dialect = engine_named(engine).dialect
        changed = {}
        for file, before in changed_since(self._request.since, files).items():
            try:
                old = frozenset(normalise(statement.text, dialect) for statement in split(before, dialect))
            except SchemaError:  # what could not be read then is all new
                old = frozenset()
            changed[shown(file)] = old
        return changed


def _texts(files: Sequence[Path]) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    problems: list[DbopsError] = []
    for file in files:
        try:
            texts[file] = read_text(file)
        except SchemaError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    return texts


def _holds(files: Sequence[Path]) -> Holds:
    """Return migrations when most files are numbered, or stand in a folder that is named so."""
    numbered = sum(1 for file in files if any(_NUMBERED.match(part) for part in (file.name, file.parent.name)))
    is_named_so = sum(1 for file in files if _STEPS.search(file.parent.name) or _STEPS.search(file.parent.parent.name))
    return "migrations" if max(numbered, is_named_so) * 2 > len(files) else "schema"


def _natural(file: Path) -> list[tuple[int, int | str]]:
    """Return a key that sorts 2 before 10, and undo files behind what they undo."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", str(file)) if part]
