"""From the first version to the last and back: apply, look, undo, look, apply again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.chains.contents import Rows, contents, lost
from bench.chains.desk import Desk, statements
from bench.chains.findings import Findings
from bench.chains.histories import History, Servers, as_source
from bench.chains.reading import difference, reading
from bench.chains.rows import fill, refusal, tables
from dbops.errors import ApplyError, ConvergenceError, PlanError
from tests.databases import Database

_IN_THE_WAY = re.compile(r"(?m)^  schema/live/table/(?:public\.)?([^/:]+)[^:]*: ")


def walk(history: History, servers: Servers, folder: Path, findings: Findings) -> None:
    """Walk one history there and back."""
    versions = []
    for version in history.versions:
        with findings.asking(f"{version.stem} loads"), servers.loaded(history, version):
            versions.append(version)
    if not versions:
        return
    with findings.asking("load"), servers.loaded(history, versions[0]) as database:
        walker = _Walker(history, servers, database, Desk(folder / "env", database.url), findings)
        with findings.asking(f"{versions[0].stem} plans clean from its own file"):
            walker.plans_clean(versions[0])
        path = [*versions[1:], *versions[-2::-1]]
        for before, after in zip([versions[0], *path], path, strict=False):
            with findings.asking(f"{before.stem} -> {after.stem}"):
                if not walker.step(before, after):
                    return


@dataclass(slots=True)
class _Walker:
    history: History
    servers: Servers
    database: Database
    desk: Desk
    findings: Findings
    known: dict[Path, frozenset[str]] = field(default_factory=dict)

    def plans_clean(self, version: Path) -> None:
        """A database loaded by the engine's own client is what the file says."""
        self._want(version)
        planned = self.desk.plan()
        self.findings.say(f"{version.stem} plans clean from its own file", "\n".join(statements(planned)) or None)

    def step(self, before: Path, after: Path) -> bool:
        """Go one version on; return whether the database is there."""
        name = f"{before.stem} -> {after.stem}"
        want = self._native(after)
        fill(self.database, tables(self.database))
        schema = reading(self.database)
        self._want(after)
        apply_id, rows = self._apply(name)
        if apply_id is None:
            return self.findings.say(name, difference(schema, want))
        self._look(name, want, rows)
        if self._taken_back(name, apply_id, schema, rows):
            self.desk.apply()
            self._look(f"{name} again", want, rows)
        return True

    def _want(self, version: Path) -> None:
        self.desk.want([as_source(self.history, version, self.desk.folder / "utf8")])

    def _look(self, name: str, want: frozenset[str], rows: Rows) -> None:
        left = statements(self.desk.plan())
        self.findings.say(f"{name}: plan is empty", "\n".join(left) or None)
        self.findings.say(f"{name}: is what the client loads", difference(reading(self.database), want))
        gone = lost(rows, self._rows(), refusal=partial(refusal, self.database))
        self.findings.say(f"{name}: rows are kept", "\n".join(gone) or None)

    def _apply(self, name: str) -> tuple[str | None, Rows]:
        """Apply, and return the rows there were; those that the new schema cannot hold are refused, and deleted then."""
        while True:
            rows = self._rows()
            try:
                return self.desk.apply(), rows
            except ConvergenceError:
                raise
            except ApplyError as error:
                named = set(_IN_THE_WAY.findall(error.message))
                if not named or not sum(counted.total() for _, counted in rows.values()):
                    raise
                self.findings.note(name, error.message)
                self._empty(named)

    def _empty(self, named: set[str]) -> None:
        """Delete the rows of tables, and of those that refer to them."""
        found = tables(self.database)
        doomed = {table.name for table in found if table.name.strip('`"') in named}
        while more := {table.name for table in found if any(key.table in doomed for key in table.keys)} - doomed:
            doomed |= more
        gone = "".join(f"DELETE FROM {table.name};" for table in reversed(found) if table.name in doomed)
        self.database.load(f"SET foreign_key_checks = 0; {gone}" if self.database.engine == "mysql" else gone)

    def _taken_back(self, name: str, apply_id: str, schema: frozenset[str], rows: Rows) -> bool:
        question = f"{name}: undo"
        try:
            self.desk.undo(apply_id)
        except PlanError as error:
            if type(error) is not PlanError:
                raise
            self.findings.note(question, error.message)
            return False
        self.findings.say(f"{question} restores the schema", difference(reading(self.database), schema))
        back = lost(rows, self._rows(), is_same_schema=True)
        self.findings.say(f"{question} restores the rows", "\n".join(back) or None)
        return True

    def _rows(self) -> Rows:
        return contents(self.database, tables(self.database))

    def _native(self, version: Path) -> frozenset[str]:
        if version not in self.known:
            with self.servers.loaded(self.history, version) as database:
                self.known[version] = reading(database)
        return self.known[version]
