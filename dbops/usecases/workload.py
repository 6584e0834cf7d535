"""monitor queries: the statements that cost the databases of an environment most."""

from __future__ import annotations

from collections.abc import Collection

from dbops.dataclass import dataclass
from dbops.engines.base.workload import ORDERS as ORDERS  # these four are what faces show
from dbops.engines.base.workload import Counted as Counted
from dbops.engines.base.workload import Order as Order
from dbops.engines.base.workload import Workload as Workload
from dbops.errors import DbopsError, MonitoringError
from dbops.usecases.runtime import Workspace

ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The workload of one connection, or why it could not be looked at."""

    connection: str
    engine: str
    workload: Workload = Workload()
    error: str | None = None


def costliest(workspace: Workspace, *, only: Collection[str] = (), by: Order = "total", limit: int = 20) -> list[Asked]:
    """Return the costliest statements of each connection; one that fails does not hide the others.

    Raises:
        PlanError: `only` names a connection that is not there.
    """
    names = [workspace.require_connection(name) for name in only] or workspace.connection_names()
    return [_of_connection(workspace, name, by, limit) for name in names]


def _of_connection(workspace: Workspace, name: str, by: Order, limit: int) -> Asked:
    engine = workspace.targets.engine(name)
    try:
        conn = workspace.targets.reader(name)
        if conn is None:
            raise MonitoringError("the database does not exist")
        with conn.ending_statements_after(ASK_S):
            return Asked(name, engine.name, engine.workloads.costliest(conn, by=by, limit=limit))
    except DbopsError as error:
        return Asked(name, engine.name, error=error.message)
