"""doctor: what the accounts of an environment cannot see of their databases, and the grants and settings that would show it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, MonitoringError
from dbops.usecases.advise import ASK_S, Advised, advise
from dbops.usecases.runtime import Workspace

_GRANT = re.compile(r"GRANT\s[^;]+;")
_PARTS = re.compile(r"GRANT (?P<what>[A-Z, ]+) ON (?P<place>.+) TO (?P<who>.+);")


@dataclass(frozen=True, slots=True)
class Blind:
    """One thing that cannot be seen: a rule or a metric, why, and what would show it."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Examined:
    """One connection: what answered as which account, what it does not show, or why it could not be asked at all."""

    connection: str
    engine: str
    server: str = ""
    user: str = ""
    blind: tuple[Blind, ...] = ()
    error: str | None = None

    @property
    def grants(self) -> list[str]:
        """The statements that would show what is hidden from this account, without those that another one includes."""
        kept: list[str] = []
        for grant in (grant for one in self.blind for grant in _GRANT.findall(one.fix)):
            if not any(_includes(other, grant) for other in kept):
                kept = [*(other for other in kept if not _includes(grant, other)), grant]
        return kept

    @property
    def others(self) -> list[str]:
        """What else would help: settings, extensions, programs."""
        left = (" ".join(_GRANT.sub("", one.fix).split()).strip("; ") for one in self.blind)
        return list(dict.fromkeys(text for text in left if text))


def _includes(grant: str, other: str) -> bool:
    """Whether a statement gives all that another one gives: on the same object, or on all of its database."""
    if grant == other:
        return True
    wide, narrow = _PARTS.fullmatch(grant), _PARTS.fullmatch(other)
    if wide is None or narrow is None or wide["who"] != narrow["who"]:
        return False
    is_within = wide["place"] == narrow["place"] or (
        wide["place"].endswith(".*") and narrow["place"].startswith(wide["place"][:-1])
    )
    return is_within and set(narrow["what"].split(", ")) <= set(wide["what"].split(", "))


def examine(workspace: Workspace, *, only: Collection[str] = ()) -> list[Examined]:
    """Ask every rule of advice and every metric of each connection, and return what is unknown; reads only.

    Raises:
        PlanError: `only` names a connection that is not there.
    """
    found = []
    for name in [workspace.require_connection(name) for name in only] or workspace.connection_names():
        (advised,) = advise(workspace, only=[name])  # each for itself: accounts differ, also on one server
        found.append(_examined(workspace, advised))
    return found


def _examined(workspace: Workspace, advised: Advised) -> Examined:
    name, engine = advised.connection, workspace.targets.engine(advised.connection)
    if advised.error is not None:
        return Examined(name, engine.name, error=advised.error)
    try:
        blind = tuple(_blind(workspace, advised))
        conn = workspace.targets.reader(name)
        if conn is None:
            raise MonitoringError("the database does not exist")
        return Examined(name, engine.name, conn.server.version_text, conn.server.user, blind)
    except DbopsError as error:
        return Examined(name, engine.name, error=error.message)


def _blind(workspace: Workspace, advised: Advised) -> Iterator[Blind]:
    for verdict in advised.of("unknown"):
        yield Blind(verdict.rule.id, verdict.why, verdict.fix)
    conn = workspace.targets.reader(advised.connection)
    if conn is not None:
        with conn.ending_statements_after(ASK_S):
            look = workspace.targets.engine(advised.connection).metrics.look(conn, objects=1)
        for one in look.unseen:
            yield Blind(one.metric, one.why, one.fix)
