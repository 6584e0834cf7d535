"""Every character in every kind of name and text: planned, applied, changed, undone and imported like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.engines.base.url import parse_url
from dbops.sql.dialect import Dialect
from dbops.usecases.apply import apply
from dbops.usecases.drift import drift
from dbops.usecases.history import undo
from dbops.usecases.importing import import_database
from dbops.usecases.runtime import engine_for, open_workspace
from tests.databases import Database
from tests.failures.trial import ALL, Trial

#: A reserved word, and what quoting, formatting, templates and parameters stumble over.
NAMES = (
    "select",
    "with space",
    'double"quote',
    "single'quote",
    "back`tick",
    "100% s %s %(x)s",
    "what? ?",
    ":name $1 @x",
    "{braces} {0} ${HOME}",
    "semi;colon--dash/*star*/#",
    "back\\slash",
    "dot.ted",
    "a/b",
    "ünï✓ 表",
    "UPPER lower",
    "[bracket]",
)
TEXT = 'it\'s 100% ? :x %s {0} ${HOME} "q" `b` /* c */ -- d # e ; ünï ✓ 表'


def nasty(name: str, dialect: Dialect, engine: str) -> str:
    """Return a table whose every name is `name`, and whose every text is nasty."""
    quote, text = dialect.quote_identifier, TEXT.replace("'", "''")
    table = quote(f"t {name}")
    own, other, index, check, view = (quote(f"{kind} {name}") for kind in ("c", "d", "i", "k", "v"))
    comment = f" COMMENT '{text}'" if engine == "mysql" else ""
    statements = [
        f"CREATE TABLE {table} ({quote('id')} integer NOT NULL PRIMARY KEY, {own} varchar(90) DEFAULT '{text}' NOT NULL{comment},"
        f" {other} integer, CONSTRAINT {check} CHECK ({own} <> '{text} no'),"
        f" CONSTRAINT {quote('f ' + name)} FOREIGN KEY ({other}) REFERENCES {table} ({quote('id')}))",
        f"CREATE UNIQUE INDEX {index} ON {table} ({own}, {other})",
        f"CREATE VIEW {view} AS SELECT {own} AS {other}, '{text}' AS {own} FROM {table} WHERE {own} <> '{text}'",
    ]
    if engine == "postgresql":
        statements += [f"COMMENT ON TABLE {table} IS '{text}'", f"COMMENT ON COLUMN {table}.{own} IS '{text}'"]
    return "".join(f"{statement};\n" for statement in statements)


def dialect_of(database: Database) -> Dialect:
    return engine_for(parse_url(database.url)).dialect


@pytest.fixture
def trial(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return Trial.make(database, tmp_path / "env", "")


def test_any_name_is_kept_true(trial: Trial, tmp_path: Path) -> None:
    database, dialect = trial.database, dialect_of(trial.database)
    source = "".join(nasty(name, dialect, database.engine) for name in NAMES)
    trial.wants(source)
    assert trial.apply() == "done" and trial.plan().is_empty
    for name in NAMES:
        database.load(f"INSERT INTO {dialect.quote_identifier(f't {name}')} (id) VALUES (1);")
    wider = source.replace(" varchar(90)", " varchar(120)")
    trial.wants(wider.replace("integer, CONSTRAINT", "integer, extra integer, CONSTRAINT"))
    assert trial.apply() == "done" and trial.plan().is_empty
    with open_workspace(trial.folder) as workspace:
        assert drift(workspace).is_clean
    latest = trial.history()[0].record.id
    trial.wants(source)
    with open_workspace(trial.folder) as workspace:
        assert undo(workspace, latest, ALL).state == "done"
    assert trial.plan().is_empty
    for name in NAMES:
        assert len(database.rows(f"SELECT * FROM {dialect.quote_identifier(f't {name}')}")) == 1
    import_database(database.url, tmp_path / "imported")
    with open_workspace(tmp_path / "imported") as workspace:
        assert apply(workspace, ALL).state == "nothing"
    trial.wants("")
    assert trial.apply() == "done" and trial.plan().is_empty


def test_the_longest_names_are_kept(trial: Trial) -> None:
    engine = engine_for(parse_url(trial.database.url))
    quote, length = engine.dialect.quote_identifier, engine.features.name_length
    names = [quote(letter * length) for letter in "tcikv"]
    table, column, index, check, view = names
    source = (
        f"CREATE TABLE {table} (id integer NOT NULL PRIMARY KEY, {column} integer, CONSTRAINT {check} CHECK ({column} > 0));\n"
        f"CREATE INDEX {index} ON {table} ({column});\nCREATE VIEW {view} AS SELECT {column} FROM {table};\n"
    )
    trial.wants(source)
    assert trial.apply() == "done" and trial.plan().is_empty
    trial.wants(source.replace("> 0", "> -1").replace(f"{column} integer", f"{column} bigint"))
    assert trial.apply() == "done" and trial.plan().is_empty
    trial.wants("")
    assert trial.apply() == "done" and trial.plan().is_empty
