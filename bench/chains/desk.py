"""dbops as these walks use it: an environment of one connection and one schema, its verbs called in this process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbops.errors import DbopsError
from dbops.reconcile.plan import Plan
from dbops.reconcile.step import Call
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo
from dbops.usecases.importing import Layout, import_database
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace

_YES = Consent(lambda _: True, allow=frozenset({"all"}))
_MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: live}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: live}}
spec:
  connection: live
  source: {{sql: {sources}}}
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """An environment in `folder` for the database at `url`."""

    folder: Path
    url: str

    def want(self, sources: Sequence[Path]) -> None:
        """Make these SQL files the desired schema."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = _MANIFEST.format(url=json.dumps(self.url), sources=json.dumps([str(path) for path in sources]))
        (self.folder / "env.yaml").write_text(text)

    def plan(self) -> Plan:
        """Return the plan, rehearsed."""
        with open_workspace(self.folder) as workspace:
            return plan(workspace)

    def apply(self) -> str | None:
        """Apply with every hazard allowed and return the apply's id, None when there was nothing to do."""
        with open_workspace(self.folder) as workspace:
            return apply(workspace, _YES).apply_id

    def undo(self, apply_id: str) -> None:
        """Take an apply back."""
        with open_workspace(self.folder) as workspace:
            undo(workspace, apply_id, _YES)


def imported(url: str, into: Path, layout: Layout = "objects") -> Path:
    """Import a database into a new folder and return that."""
    import_database(url, into, layout=layout, name="live")
    return into


def told(error: DbopsError) -> str:
    """Return an error as the command line shows it."""
    return f"{type(error).__name__}: {error.explain()}"


def statements(planned: Plan) -> list[str]:
    """Return the SQL of a plan, and the names of its calls."""
    acts = [step.do for step in planned.steps]
    return [line for act in acts for line in ([act.name] if isinstance(act, Call) else [s.sql for s in act])]
