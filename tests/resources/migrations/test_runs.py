"""Folders of migrations and what becomes of them: the rows of runs/*.yaml, each on its own empty database.

A row has `files` by name (a text, or `{bytes: text}` whose characters are the bytes), and `then`, what is done in order:

* `up`, `down`    what it gives: `done`, `nothing`, or `{refused: [words of the message]}`; `down` may say `{to: 0, gives: done}`
* `write`, `remove`, `link`   files that change; links by name with what they lead to
* `by_hand`       SQL run by the engine's own client
* `states`        what status says of each migration; `details` words of what it says about one
* `rows`          queries and what they give
* `says`          the codes of warnings and refusals that a plan has, each with words that stand in it
* `hides`         a secret that neither plan nor status nor anything kept inside the database may show
* `forget`, `resolve`   versions that the ledger loses; versions and what `dbops migrate resolve` says of them

`engines` names some, all where it is missing; `set` is more of the manifest of the set, `connection` of
the connection's, `before` SQL run by hand first.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.errors import DbopsError
from dbops.reconcile.plan import to_json
from dbops.usecases.migrate.records import resolve
from dbops.usecases.runtime import open_workspace
from tests.databases import Database
from tests.resources.migrations.sets import YES, Migrations

RUNS = Path(__file__).parent / "runs"
ENGINES = ("sqlite", "postgresql", "mysql")


def runs() -> Iterator[Any]:
    for file in sorted(RUNS.glob("*.yaml")):
        for row in yaml.safe_load(file.read_text(encoding="utf-8")):
            for engine in row.get("engines", ENGINES):
                yield pytest.param(engine, row, id=f"{file.stem}: {row['name']} [{engine}]")


@pytest.mark.parametrize(("database", "row"), list(runs()), indirect=["database"])
def test_a_run_gives_what_its_row_says(database: Database, row: Mapping[str, Any], tmp_path: Path) -> None:
    if before := row.get("before"):
        database.load(before)
    shop = Migrations.make(database, tmp_path / "env", row.get("set", "format: sql"), connection=row.get("connection", ""))
    write(shop, row["files"])
    for step in row["then"]:
        [(verb, what)] = step.items()
        _VERBS[verb](shop, what)


def write(shop: Migrations, files: Mapping[str, Any]) -> None:
    for name, text in files.items():
        data = text["bytes"].encode("latin-1") if isinstance(text, dict) else text.encode()
        (shop.folder / "migrations" / name).write_bytes(data)


def up(shop: Migrations, wanted: Any) -> None:
    _check(lambda: shop.up().state, wanted)


def down(shop: Migrations, wanted: Any) -> None:
    if isinstance(wanted, dict) and "to" in wanted:
        extent = {"to": str(wanted["to"])}
        _check(lambda: shop.down(**extent).state, wanted.get("gives", wanted))
    else:
        _check(lambda: shop.down().state, wanted)


def _check(act: Any, wanted: Any) -> None:
    if isinstance(wanted, str):
        assert act() == wanted
        return
    with pytest.raises(DbopsError) as caught:
        act()
    said = caught.value.explain()
    for words in wanted["refused"]:
        assert words in said, said


def details(shop: Migrations, wanted: Mapping[str, str]) -> None:
    for name, words in wanted.items():
        assert words in shop.detail(name)


def rows(shop: Migrations, wanted: Mapping[str, list[list[Any]]]) -> None:
    for sql, expected in wanted.items():
        assert [list(row) for row in shop.database.rows(sql)] == expected, sql


def states(shop: Migrations, wanted: Mapping[str, str]) -> None:
    assert shop.states() == wanted


def remove(shop: Migrations, names: list[str]) -> None:
    for name in names:
        shop.remove(name)


def link(shop: Migrations, names: Mapping[str, str]) -> None:
    for name, leads_to in names.items():
        (shop.folder / "migrations" / name).symlink_to(leads_to)


def says(shop: Migrations, wanted: Mapping[str, list[str]]) -> None:
    found: dict[str, str] = {}
    for one in shop.plan().observations:
        if one.severity != "info":
            found[one.code] = f"{found.get(one.code, '')}{one.message}\n"
    assert found.keys() == wanted.keys(), found
    for code, words in wanted.items():
        assert [word for word in words if word not in found[code]] == [], found[code]


def hides(shop: Migrations, secret: str) -> None:
    """Look for a secret in what plan, status, journal and ledger say, and in what is kept inside the database."""
    plan, found = shop.plan(), shop.status()
    said = [to_json(plan), str(plan), str(found)]
    if shop.database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'"):
        for sql in ("SELECT up_text, down_text FROM dbops.migrations", "SELECT content FROM dbops.memory"):
            said += [zlib.decompress(base64.b64decode(text)).decode() for row in shop.database.rows(sql) for text in row if text]
        for table in ("migrations", "steps", "applies"):
            said.append(str(shop.database.rows(f"SELECT * FROM dbops.{table}")))
    assert [text for text in said if secret in text] == []


def forget(shop: Migrations, versions: list[str]) -> None:
    table = "dbops.migrations" if shop.database.engine == "postgresql" else "dbops_migrations"
    for version in versions:
        shop.database.load(f"DELETE FROM {table} WHERE version = '{version}';")


def resolved(shop: Migrations, wanted: Mapping[str, str]) -> None:
    with open_workspace(shop.folder) as workspace:
        for version, state in wanted.items():
            resolve(workspace, version, state, YES)


_VERBS: Mapping[str, Any] = {
    "up": up,
    "down": down,
    "write": write,
    "remove": remove,
    "link": link,
    "by_hand": lambda shop, sql: shop.database.load(sql),
    "states": states,
    "details": details,
    "rows": rows,
    "says": says,
    "hides": hides,
    "forget": forget,
    "resolve": resolved,
}
