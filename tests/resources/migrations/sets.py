"""A folder of migrations and the database it belongs to, written and run by tests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops.reconcile.plan import Plan
from dbops.usecases.apply import ApplyResult, Consent
from dbops.usecases.migrate.extent import Extent
from dbops.usecases.migrate.running import down, redo, up
from dbops.usecases.migrate.status import SetStatus, status
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database

YES = Consent(lambda _: True, allow=frozenset({"all"}), lock_timeout_s=300)

_MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}, timeouts: {{lock: {lock}}}, retries: {{locks: {tries}}}{connection}}}
---
apiVersion: dbops/v1
kind: MigrationSet
metadata: {{name: shop}}
spec: {{connection: shop, directory: migrations, {more}}}
"""


@dataclass(frozen=True, slots=True)
class Migrations:
    """An environment with one set."""

    database: Database
    folder: Path

    @classmethod
    def make(
        cls,
        database: Database,
        folder: Path,
        more: str = "format: sql",
        *,
        lock: str = "3s",
        tries: int = 2,
        connection: str = "",
        url: str | None = None,
    ) -> Migrations:
        (folder / "migrations").mkdir(parents=True, exist_ok=True)
        text = _MANIFEST.format(url=json.dumps(url or database.url), lock=lock, tries=tries, more=more, connection=connection)
        (folder / "env.yaml").write_text(text, encoding="utf-8")
        return cls(database, folder)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / "migrations" / name
        path.write_text(text, encoding="utf-8")
        return path

    def remove(self, name: str) -> None:
        (self.folder / "migrations" / name).unlink()

    def up(self, **extent: Any) -> ApplyResult:
        with open_workspace(self.folder) as workspace:
            return up(workspace, YES, Extent(**extent))

    def down(self, **extent: Any) -> ApplyResult:
        with open_workspace(self.folder) as workspace:
            return down(workspace, YES, Extent(**extent))

    def redo(self) -> ApplyResult:
        with open_workspace(self.folder) as workspace:
            return redo(workspace, YES)

    def status(self) -> SetStatus:
        with open_workspace(self.folder) as workspace:
            return status(workspace)[0]

    def states(self) -> dict[str, str]:
        return {one.id: one.state for one in self.status().standings}

    def detail(self, id: str) -> str:
        return next(one.detail for one in self.status().standings if one.id == id)

    def plan(self) -> Plan:
        with open_workspace(self.folder) as workspace:
            return plan(workspace)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `dbops migrate` with arguments, the environment's folder last."""
        command = [sys.executable, "-m", "dbops", "migrate", *arguments, str(self.folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
