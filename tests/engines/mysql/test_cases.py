"""Every row of the case files: from one schema to another on a real server, rows in place, and back again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from dbops.sql.splitter import split
from tests.databases import MysqlDatabase, fresh_mysql

ENGINE = MysqlEngine()


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a case file.

    `rows` are statements run before the change; `kept` and `restored` map queries to their rows after it and after undo;
    `needs` are features of the server (see `tests.servers.mysql_features`) without which the row says nothing about it,
    `sql` are pieces of the statements, `hazards` all their codes, `changes` all addresses. What is planned for a `logged` server
    is right for one without a log, too.
    """

    name: str
    to: str
    before: str = ""
    logged: bool = False
    needs: Sequence[str] = ()
    rows: Sequence[str] = ()
    changes: Sequence[str] | None = None
    sql: Sequence[str] = ()
    hazards: Sequence[str] | None = None
    kept: dict[str, list[list[Any]]] = field(default_factory=dict)
    restored: dict[str, list[list[Any]]] = field(default_factory=dict)


def _cases() -> Iterator[Any]:
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")):
        for row in yaml.safe_load(path.read_text()):
            fields = {"before" if key == "from" else key: value for key, value in row.items()}
            yield pytest.param(Case(**fields), id=f"{path.stem}: {row['name']}")


@pytest.mark.parametrize("case", list(_cases()))
def test_case(case: Case, my_database: MysqlDatabase) -> None:
    if missing := [feature for feature in case.needs if not my_database.server.has(feature)]:
        pytest.skip(f"the server has no {', '.join(missing)}")
    my_database.load(case.before)
    for statement in case.rows:
        my_database.rows(statement)
    target = Target("test", parse_url(my_database.url))
    conn = ENGINE.connect(target)
    first = my_database.dump()
    live, wanted = ENGINE.inspect(conn), _canonical(case.to, target)
    for catalog in (live, wanted):
        _assert_creation_says_it_all(catalog, target)
    changes = _diff(live, wanted)
    if case.changes is not None:
        assert sorted(str(change.ref) for change in changes) == sorted(case.changes)
    server = replace(conn.server, has_replicas=conn.server.has_replicas or case.logged)
    acts = ENGINE.render(ChangeSet(live, wanted, changes), RenderContext(server, ENGINE.sizes(conn), archive="t"))
    _assert_acts(case, acts, changes)

    _run(conn, [statement for act in acts for statement in act.do])
    assert _diff(ENGINE.inspect(conn), wanted) == ()
    with fresh_mysql(my_database.server) as other:
        other.load(case.to)
        assert _sorted_lines(my_database.dump()) == _sorted_lines(other.dump())
    _assert_rows(my_database, case.kept)

    _run(conn, [statement for act in reversed(acts) for statement in act.undo or ()])
    assert _diff(ENGINE.inspect(conn), live) == ()
    assert _sorted_lines(my_database.dump()) == _sorted_lines(first)
    _assert_rows(my_database, case.restored)
    conn.close()


def _canonical(sql: str, target: Target) -> Catalog:
    with ENGINE.scratch(target) as conn:
        ENGINE.load(conn, split(sql, ENGINE.dialect, "case.sql"))
        return ENGINE.inspect(conn, declared=True)


def _diff(before: Catalog, after: Catalog) -> tuple[CatalogChange, ...]:
    return diff(as_declared(before, after), after, column_order=True)


def _run(conn: Connection, statements: Sequence[Any]) -> None:
    for statement in statements:
        conn.execute(statement.sql, statement.parameters)


def _assert_creation_says_it_all(catalog: Catalog, target: Target) -> None:
    """What makes a catalog out of nothing makes exactly it, as statements and as a source."""
    with ENGINE.scratch(target) as conn:
        acts = ENGINE.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), RenderContext(conn.server))
        _run(conn, [statement for act in acts for statement in act.do])
        assert _diff(ENGINE.inspect(conn), catalog) == ()
    script = "\n".join(ENGINE.dialect.terminated(statement.sql) for act in acts for statement in act.do)
    assert _diff(catalog, _canonical(script, target)) == ()


def _assert_acts(case: Case, acts: Sequence[Act], changes: Sequence[CatalogChange]) -> None:
    covered = {ref for act in acts for ref in (act.ref, *act.covers)}
    assert {change.ref for change in changes} <= covered
    assert all(act.undo is not None for act in acts)
    text = "\n".join(statement.sql for act in acts for statement in act.do)
    for piece in case.sql:
        assert piece in text
    if case.hazards is not None:
        assert sorted({hazard.code for act in acts for hazard in act.hazards}) == sorted(case.hazards)


def _assert_rows(database: MysqlDatabase, expected: dict[str, list[list[Any]]]) -> None:
    for query, rows in expected.items():
        assert [list(row) for row in database.rows(query)] == rows, query


def _sorted_lines(dump: str) -> list[str]:
    """Keys have no order that SQL could ask for, an event starts when it is made, and a trigger's text is its author's."""
    lines = (line.strip().rstrip(",;") for line in dump.splitlines())
    return sorted(line.replace("`", "") if line.startswith("TRIGGER ") else line.split(" STARTS '")[0] for line in lines)
