"""The page of object kinds: which case row proves what; DBOPS_UPDATE=1 writes it anew.

A cell keeps the row it names as long as that row exercises it, and a new one takes the row that exercises least beside it:
a new case changes the page only where it fills what was empty.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
import yaml

from dbops.catalog import model
from dbops.catalog.model import CatalogObject
from dbops.engines.postgresql.inspect.defined_sql import SOURCES
from tests.servers import MysqlServer, PostgresServer
from tests.servers.mysql_makes import MYSQL_FOLDER
from tests.specs.exercised import ENGINES, Row, on_mysql, on_postgresql, on_sqlite

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "specs" / "objects.md"
ACTIONS = ("inspect", "create", "alter", "drop", "rename", "comment", "hazards")
EMPTY, IMPOSSIBLE, MADE_ANEW = "**no case**", "-", "made anew"
RENAMES = ROOT / "tests" / "conformance" / "cases" / "renames.yaml"
#: Kinds that have no comments where others have: not said by code, for a comment is a field of every object.
_NO_COMMENTS = {
    "postgresql": {"user_mapping", "default_privileges"},
    "mysql": {"primary_key", "unique", "foreign_key", "check", "view", "trigger"},
}
_CLASSES: dict[str, str] = {
    name: item.kind
    for name, item in vars(model).items()
    if isinstance(item, type) and issubclass(item, CatalogObject) and item.kind
}


def kinds() -> list[str]:
    """All kinds, in the order of the model; columns behind their tables, what is known by its statement last."""
    modelled = list(_CLASSES.values())
    modelled.insert(modelled.index("table") + 1, "column")
    return [*modelled, *sorted(source.__name__ for source in SOURCES), "default_privileges"]


def kinds_of(engine: str, rows: list[Row]) -> set[str]:
    """The kinds that an engine's code makes objects of, and those that a row was seen to hold."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / "dbops" / "engines" / engine).rglob("*.py")]
    made = {name for tree in trees for name in _made_in(tree)}
    seen = {kind for row in rows for kind, _ in row.exercises or ()}
    defined = set(kinds()) - set(_CLASSES.values()) - {"column"} if engine == "postgresql" else set()
    return {kind for name, kind in _CLASSES.items() if name in made} | {"column"} | defined | seen


def _made_in(tree: ast.Module) -> set[str]:
    """The classes of the model that a module calls, by the names that they have there."""
    nodes = list(ast.walk(tree))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == model.__name__]
    names = {alias.asname or alias.name: alias.name for node in imports for alias in node.names}
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    return {names[call.id] for call in calls if isinstance(call, ast.Name) and call.id in names}


def part(engine: str, rows: list[Row], before: str) -> str:
    """Return the table of an engine; `before` is the table as it stands."""
    known = kinds_of(engine, rows)
    lines = [f"| kind | {' | '.join(ACTIONS)} |", "|---" * (len(ACTIONS) + 1) + "|"]
    for kind in (kind for kind in kinds() if kind in known):
        standing = re.search(rf"(?m)^\| {kind} \| (.*) \|$", before)
        cells = standing[1].split(" | ") if standing else []
        cells = cells if len(cells) == len(ACTIONS) else [""] * len(ACTIONS)
        found = [_cell(engine, kind, action, rows, cell) for action, cell in zip(ACTIONS, cells, strict=True)]
        lines.append(f"| {kind} | {' | '.join(found)} |")
    others = ", ".join(kind for kind in kinds() if kind not in known)
    return "\n".join(lines) + (f"\n\nNot an object of this engine: {others}." if others else "")


def _cell(engine: str, kind: str, action: str, rows: list[Row], before: str) -> str:
    if action == "rename":
        return _rename(engine, kind)
    proofs = [row for row in rows if row.exercises is not None and (kind, action) in row.exercises]
    links = [_link(row) for row in sorted(proofs, key=lambda row: len(row.exercises or ()))]
    if action == "comment" and (ENGINES[engine].features.comments == "none" or kind in _NO_COMMENTS.get(engine, ())):
        assert not links, f"{kind} has comments on {engine}"
        return IMPOSSIBLE
    if before in links or before in {_link(row) for row in rows if row.exercises is None}:
        return before
    return links[0] if links else EMPTY


def _rename(engine: str, kind: str) -> str:
    """Constraints on MySQL, and kinds that no manifest and no remark can rename, are dropped and made under the new name."""
    cases = yaml.safe_load(RENAMES.read_text(encoding="utf-8"))
    found = (case for case in cases if engine in case["engines"] and kind in case["kinds"])
    links = [_link(Row("../tests/conformance/cases/renames.yaml", case["name"], frozenset())) for case in found]
    return links[0] if links else MADE_ANEW


def _link(row: Row) -> str:
    name = row.name.replace('"', "'").replace("|", "/")
    return f'[{Path(row.file).stem}]({row.file} "{name}")'


def _check(engine: str, rows: list[Row]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"<!-- generated: {engine} -->\n\n(.*?)\n\n<!-- end -->", page, re.DOTALL)
    assert found is not None
    assert kinds_of(engine, rows) <= set(kinds()), "kinds that the page would leave out"
    text = part(engine, rows, found[1])
    if os.environ.get("DBOPS_UPDATE"):
        PAGE.write_text(page[: found.start(1)] + text + page[found.end(1) :], encoding="utf-8")
    else:
        assert found[1] == text


def test_the_page_says_which_cases_exercise_what_on_sqlite() -> None:
    _check("sqlite", on_sqlite())


@pytest.mark.campaign
@pytest.mark.skipif(MYSQL_FOLDER in os.environ, reason="the page was written on MariaDB")
def test_the_page_says_which_cases_exercise_what_on_mysql(mysql_server: MysqlServer) -> None:
    _check("mysql", on_mysql(mysql_server))


@pytest.mark.campaign
def test_the_page_says_which_cases_exercise_what_on_postgresql(postgres_server: PostgresServer) -> None:
    _check("postgresql", on_postgresql(postgres_server))
