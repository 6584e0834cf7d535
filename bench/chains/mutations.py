"""A schema changed a little by the engine itself, and the way there and back.

A mutation is SQL of the engine, run by its own client on a copy: what it refuses is no mutation. The copy, imported, is the
desired schema; what the client dumps of it is the judge. The way back is judged by the schema's own file.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from bench.chains.contents import Table, contents, lost
from bench.chains.desk import Desk, imported, statements
from bench.chains.findings import Findings
from bench.chains.histories import History, Servers
from bench.chains.reading import difference, reading
from bench.chains.rows import fill, tables
from dbops.errors import ApplyError, ConvergenceError
from tests.databases import Database

Mutation = Callable[[random.Random, Database, list[Table]], str | None]


def mutations(history: History, servers: Servers, folder: Path, findings: Findings, seed: int, count: int) -> None:
    """Try `count` mutations of the last version, each on what the one before left."""
    version = history.versions[-1]
    chance = random.Random(f"{seed} {history.name}")
    with findings.asking("mutations"), servers.loaded(history, version) as live:
        desk = Desk(folder / "env", live.url)
        fill(live, tables(live))
        home = imported(live.url, folder / "home")
        for number in range(count):
            with servers.loaded(history, version) as copy:
                done = _mutate(chance, copy)
                if not done:
                    continue
                name = f"mutation {number}: {'; '.join(done)}"
                with findings.asking(name):
                    goal = imported(copy.url, folder / f"goal{number}")
                    _go(desk, live, [goal / "schema"], reading(copy), f"{name}: there", findings)
                    with servers.loaded(history, version) as original:
                        _go(desk, live, [home / "schema"], reading(original), f"{name}: back", findings)


def _go(desk: Desk, live: Database, sources: list[Path], want: frozenset[str], name: str, findings: Findings) -> None:
    rows = contents(live, tables(live))
    desk.want(sources)
    try:
        desk.apply()
    except ConvergenceError:
        raise
    except ApplyError as error:  # rows that the change cannot take
        findings.note(name, error.message)
        for table in reversed(tables(live)):
            live.rows(f"DELETE FROM {table.name}")
        rows = {}
        desk.apply()
    findings.say(f"{name}: plan is empty", "\n".join(statements(desk.plan())) or None)
    findings.say(f"{name}: is what the engine made", difference(reading(live), want))
    findings.say(f"{name}: rows are kept", "\n".join(lost(rows, contents(live, tables(live)))) or None)


def _mutate(chance: random.Random, copy: Database) -> list[str]:
    """Change the copy once to three times and return the SQL that did."""
    done: list[str] = []
    for _ in range(chance.choice((1, 1, 2, 3)) * 4):
        if not (found := [table for table in tables(copy) if table.columns]):
            break
        sql = chance.choice(_BY_ENGINE[copy.engine])(chance, copy, found)
        if sql is None:
            continue
        try:
            copy.load(sql + ";")
        except Exception:  # the engine says no: not a mutation
            continue
        done.append(sql)
        if len(done) == 3 or chance.random() < 0.5:
            break
    return done


# --- mutations of any engine


def _quoted(database: Database, name: str) -> str:
    return f"`{name}`" if database.engine == "mysql" else '"' + name.replace('"', '""') + '"'


def _drop_column(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    column = _quoted(database, chance.choice(table.columns).name)
    cascade = " CASCADE" if database.engine == "postgresql" and chance.random() < 0.7 else ""
    return f"ALTER TABLE {table.name} DROP COLUMN {column}{cascade}"


def _add_column(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    kind = chance.choice(
        ("integer", "text", "varchar(30) DEFAULT 'it''s'", "integer NOT NULL DEFAULT 7", "date", "decimal(8,2) DEFAULT 1.5")
    )
    place = " FIRST" if database.engine == "mysql" and chance.random() < 0.4 else ""
    return f"ALTER TABLE {table.name} ADD COLUMN added_{chance.randrange(9)} {kind}{place}"


def _drop_table(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    cascade = " CASCADE" if database.engine == "postgresql" else ""
    return f"DROP TABLE {chance.choice(found).name}{cascade}"


def _add_index(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    columns = [
        _quoted(database, column.name)
        for column in chance.sample(table.columns, min(len(table.columns), chance.choice((1, 1, 2))))
    ]
    unique = chance.choice(("", "", "UNIQUE "))
    where = f" WHERE {columns[0]} IS NOT NULL" if database.engine != "mysql" and chance.random() < 0.3 else ""
    return f"CREATE {unique}INDEX added_index_{chance.randrange(99)} ON {table.name} ({', '.join(columns)}){where}"


def _drop_index(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    match database.engine:
        case "postgresql":
            rows = database.rows(
                "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid"
                " WHERE c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'pg_toast', 'dbops')"
            )
            return f"DROP INDEX {chance.choice(rows)[0]}" if rows else None
        case "mysql":
            rows = database.rows(
                "SELECT DISTINCT table_name, index_name FROM information_schema.statistics WHERE table_schema = DATABASE()"
            )
            if not rows:
                return None
            table, index = chance.choice(rows)
            return f"DROP INDEX `{index}` ON `{table}`"
        case _:
            rows = database.rows("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
            return f'DROP INDEX "{chance.choice(rows)[0]}"' if rows else None


def _add_view(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    columns = ", ".join(_quoted(database, column.name) for column in table.columns[: chance.randrange(1, 5)])
    return f"CREATE VIEW added_view_{chance.randrange(99)} AS SELECT {columns} FROM {table.name} WHERE 1 = 1"


def _drop_view(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    if database.engine == "sqlite":
        rows = database.rows("SELECT '\"' || name || '\"' FROM sqlite_schema WHERE type = 'view'")
    elif database.engine == "mysql":
        rows = database.rows("SELECT CONCAT('`', table_name, '`') FROM information_schema.views WHERE table_schema = DATABASE()")
    else:
        rows = database.rows(
            "SELECT c.oid::regclass::text || ' CASCADE' FROM pg_class c WHERE relkind = 'v'"
            " AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'dbops')"
        )
    return f"DROP VIEW {chance.choice(rows)[0]}" if rows else None


def _drop_trigger(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    if database.engine == "sqlite":
        rows = database.rows("SELECT '\"' || name || '\"' FROM sqlite_schema WHERE type = 'trigger'")
    elif database.engine == "mysql":
        rows = database.rows(
            "SELECT CONCAT('`', trigger_name, '`') FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        )
    else:
        rows = database.rows(
            "SELECT quote_ident(tgname) || ' ON ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0"
        )
    return f"DROP TRIGGER {chance.choice(rows)[0]}" if rows else None


def _add_foreign_key(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table, parent = chance.choice(found), chance.choice(found)
    if not (same := [c for c in table.columns if c.type == parent.columns[0].type]):
        return None
    action = chance.choice(("", " ON DELETE CASCADE", " ON DELETE SET NULL"))
    own, other = _quoted(database, chance.choice(same).name), _quoted(database, parent.columns[0].name)
    key = f"added_key_{chance.randrange(99)} FOREIGN KEY ({own}) REFERENCES {parent.name} ({other}){action}"
    return f"ALTER TABLE {table.name} ADD CONSTRAINT {key}"


def _drop_constraint(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    if database.engine == "mysql":
        rows = database.rows(
            "SELECT table_name, constraint_name FROM information_schema.table_constraints"
            " WHERE table_schema = DATABASE() AND constraint_name <> 'PRIMARY'"
        )
        return "ALTER TABLE `{}` DROP CONSTRAINT `{}`".format(*chance.choice(rows)) if rows else None
    rows = database.rows(
        "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint WHERE conrelid <> 0"
        " AND connamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'dbops')"
    )
    return "ALTER TABLE {} DROP CONSTRAINT {} CASCADE".format(*chance.choice(rows)) if rows else None


# --- PostgreSQL


_PG_TYPES = ("text", "bigint", "varchar(100)", "numeric(20,4)", "timestamptz", "jsonb")


def _pg_alter(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    column = chance.choice(table.columns)
    name = _quoted(database, column.name)
    text = chance.choice(
        (
            f"ALTER {name} TYPE {chance.choice(_PG_TYPES)} USING NULL",
            f"ALTER {name} SET NOT NULL",
            f"ALTER {name} DROP NOT NULL",
            f"ALTER {name} DROP DEFAULT",
            f"ALTER {name} SET DEFAULT NULL",
            f"ALTER {name} SET STATISTICS 200",
            f"ADD CHECK ({name} IS NOT NULL OR true)",
            f"ADD COLUMN computed text GENERATED ALWAYS AS ({name}::text) STORED",
            "ENABLE ROW LEVEL SECURITY",
            "SET UNLOGGED",
            "SET (fillfactor = 70)",
            f"REPLICA IDENTITY {chance.choice(('FULL', 'NOTHING'))}",
            f'ALTER {name} TYPE text COLLATE "C"',
        )
    )
    return f"ALTER TABLE {table.name} {text}"


def _pg_other(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    column = _quoted(database, chance.choice(table.columns).name)
    number = chance.randrange(99)
    return chance.choice(
        (
            f"COMMENT ON TABLE {table.name} IS 'it''s changed'",
            f"COMMENT ON COLUMN {table.name}.{column} IS 'it''s changed'",
            f"CREATE POLICY added_{number} ON {table.name} USING ({column} IS NOT NULL)",
            f"CREATE MATERIALIZED VIEW added_stored_{number} AS SELECT {column} FROM {table.name}",
            f"CREATE FUNCTION added_{number}(a {table.name}) RETURNS text LANGUAGE sql AS 'SELECT a.{column}::text'",
            f"CREATE TABLE added_child_{number} () INHERITS ({table.name})",
            f"CREATE TABLE added_parts_{number} (LIKE {table.name}) PARTITION BY HASH ({column});"
            f" CREATE TABLE added_part_{number} PARTITION OF added_parts_{number} FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            f"CREATE STATISTICS added_stats_{number} ON {column}, ({column} IS NULL) FROM {table.name}",
            f"CREATE RULE added_rule_{number} AS ON DELETE TO {table.name} DO INSTEAD NOTHING",
            f"GRANT SELECT ON {table.name} TO PUBLIC",
            f"CREATE VIEW added_view_{number} AS SELECT t.*, count(*) OVER () FROM {table.name} AS t",
        )
    )


def _pg_function(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    rows = database.rows(
        "SELECT pg_get_functiondef(p.oid), p.oid::regprocedure::text, p.prokind FROM pg_proc p WHERE prokind IN ('f', 'p')"
        " AND pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'dbops')"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
    )
    if not rows:
        return None
    text, name, kind = chance.choice(rows)
    word = "PROCEDURE" if kind == "p" else "FUNCTION"
    return chance.choice(
        (
            f"DROP {word} {name} CASCADE",
            f"ALTER {word} {name} SECURITY DEFINER",
            f"ALTER {word} {name} SET search_path = public, pg_temp",
            f"COMMENT ON {word} {name} IS 'changed'",
            f"ALTER FUNCTION {name} COST 77",
            text.replace("BEGIN", "BEGIN\n  -- changed\n", 1),
        )
    )


def _pg_type(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    rows = database.rows(
        "SELECT t.oid::regtype::text, quote_literal(e.enumlabel) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid"
    )
    if not rows:
        return "CREATE TYPE added_mood AS ENUM ('a', 'b'); CREATE TABLE added_moods (m added_mood DEFAULT 'b', n added_mood[])"
    kind, label = chance.choice(rows)
    return f"ALTER TYPE {kind} ADD VALUE 'added_{chance.randrange(9)}' {chance.choice(('BEFORE', 'AFTER'))} {label}"


# --- MySQL and MariaDB


def _my_alter(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    column = chance.choice(table.columns)
    name = _quoted(database, column.name)
    text = chance.choice(
        (
            f"MODIFY {name} {chance.choice(('bigint', 'varchar(100)', 'decimal(20,4)', 'text', 'datetime NOT NULL', 'json'))}",
            f"MODIFY {name} {column.type} {chance.choice(('NOT NULL', 'NULL', 'FIRST', 'COMMENT changed'))}".replace(
                "COMMENT changed", "COMMENT 'it''s changed'"
            ),
            f"ALTER {name} DROP DEFAULT",
            f"ALTER {name} SET DEFAULT '1'",
            "COMMENT 'it''s changed'",
            "CONVERT TO CHARACTER SET utf8mb3",
            "CONVERT TO CHARACTER SET latin1 COLLATE latin1_german1_ci",
            "COLLATE utf8mb4_bin",
            "ENGINE = InnoDB ROW_FORMAT = COMPRESSED",
            f"ADD CHECK ({name} IS NOT NULL OR 1 = 1)",
            f"ADD COLUMN computed text AS (CONCAT({name}, 'x')) {chance.choice(('VIRTUAL', 'STORED'))}",
            f"PARTITION BY KEY ({name}) PARTITIONS 3",
            "DROP PRIMARY KEY",
            "ADD FULLTEXT INDEX added_words (" + name + ")",
            f"RENAME COLUMN {name} TO renamed_column",
            "ADD SYSTEM VERSIONING",
        )
    )
    return f"ALTER TABLE {table.name} {text}"


def _my_code(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    name = _quoted(database, chance.choice(table.columns).name)
    number = chance.randrange(99)
    return chance.choice(
        (
            f"CREATE TRIGGER added_{number} BEFORE UPDATE ON {table.name} FOR EACH ROW SET NEW.{name} = OLD.{name}",
            f"CREATE PROCEDURE added_{number}() SELECT {name} FROM {table.name}",
            f"CREATE FUNCTION added_{number}(a int) RETURNS int DETERMINISTIC RETURN a + 1",
            f"CREATE EVENT added_{number} ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO DELETE FROM {table.name} WHERE 1 = 0",
            f"CREATE SQL SECURITY INVOKER VIEW added_view_{number} AS SELECT COUNT(*) AS n, MAX({name}) AS m FROM {table.name}",
        )
    )


# --- SQLite


def _lite_rebuild(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    """Write the table anew from its own statement, changed."""
    table = chance.choice(found)
    [(sql,)] = database.rows("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table.name.strip('"'),))
    column = chance.choice(table.columns)
    words = [
        ("INTEGER", "BIGINT"),
        ("TEXT", "VARCHAR(50)"),
        (" NOT NULL", ""),
        ("DEFAULT 0", "DEFAULT 1"),
        (column.name + " ", column.name + " COLLATE NOCASE "),
    ]
    old, new = chance.choice(words)
    if old not in sql:
        return None
    return f"PRAGMA foreign_keys = off; DROP TABLE {table.name}; {sql.replace(old, new)}"


def _lite_trigger(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    table = chance.choice(found)
    act = f"DELETE FROM {chance.choice(found).name} WHERE 0"
    return f"CREATE TRIGGER added_{chance.randrange(99)} AFTER DELETE ON {table.name} BEGIN {act}; END"


def _lite_search(chance: random.Random, database: Database, found: list[Table]) -> str | None:
    return f"CREATE VIRTUAL TABLE added_words_{chance.randrange(9)} USING fts5(title, body)"


_ANY: list[Mutation] = [_drop_column, _add_column, _drop_table, _add_index, _drop_index, _add_view, _drop_view, _drop_trigger]
_BY_ENGINE: dict[str, list[Mutation]] = {
    "postgresql": [
        *_ANY,
        _add_foreign_key,
        _drop_constraint,
        _pg_alter,
        _pg_alter,
        _pg_alter,
        _pg_other,
        _pg_other,
        _pg_function,
        _pg_type,
    ],
    "mysql": [*_ANY, _add_foreign_key, _drop_constraint, _my_alter, _my_alter, _my_alter, _my_code],
    "sqlite": [*_ANY, _lite_rebuild, _lite_rebuild, _lite_trigger, _lite_search],
}
