"""More pieces of random schemas: one maker for each kind of object that tables and views do not need, and what is said of objects.

`MORE_FIRST` is made before the tables, `MORE` after them; `comment`, `grant` and `tuning` speak of whatever there may be.
"""

# ruff: noqa: E501 (a statement reads best on one line)

from __future__ import annotations

from collections.abc import Callable

from tests.engines.hand import Hand
from tests.engines.postgresql.names import TABLES

Maker = Callable[[Hand, str], str]


def _int_ops(hand: Hand, _: str) -> str:
    family = hand.one(["", "", "CREATE OPERATOR FAMILY app.fam USING btree; "])
    within = " FAMILY app.fam" if family else ""
    return (
        f"{family}CREATE OPERATOR CLASS app.int_ops FOR TYPE integer USING btree{within} AS"
        " OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer)"
        + hand.maybe(", FUNCTION 2 btint4sortsupport(internal)")
    )


def _chained(hand: Hand, _: str) -> str:
    body = hand.one(
        ["RETURN app.f($1) + 1", "RETURN app.f($1)", "BEGIN ATOMIC SELECT app.f($1) + 2; END", "AS 'SELECT app.f($1) + 3'"]
    )
    return f"CREATE FUNCTION app.g(integer) RETURNS bigint LANGUAGE sql IMMUTABLE {body}"


MORE_FIRST: dict[str, Maker] = {
    "domain app.more": lambda hand, _: (
        f"CREATE DOMAIN app.more AS app.positive{hand.maybe(' CHECK (VALUE < 1000)', ' DEFAULT 2')}"
    ),
    "extension": lambda hand, _: f"CREATE EXTENSION pg_trgm SCHEMA {hand.one(['app', 'app', 'public'])}",
    "operator class": _int_ops,
    "function app.g": _chained,
    "function app.add": lambda hand, _: (
        f"CREATE FUNCTION app.add(s bigint, x integer) RETURNS bigint LANGUAGE sql {hand.one(['IMMUTABLE', 'STABLE'])} RETURN s + x"
    ),
    "function app.many": lambda hand, _: (
        f"CREATE FUNCTION app.many(INOUT a integer, OUT b {hand.one(['text', 'app.mood'])}, VARIADIC c text[]) LANGUAGE plpgsql"
        f" {hand.one(['', 'SET work_mem = 100', 'COST 9'])} AS 'begin end'"
    ),
    "table base2": lambda hand, _: (
        f"CREATE TABLE base2 (w integer{hand.maybe(' NOT NULL', ' DEFAULT 4')}{hand.maybe(', t text')})"
    ),
}

# --- after tables -------------------------------------------------------------------------------------------------------------


def _partition(hand: Hand, _: str) -> str:
    """A table like the partitions of `part`: by itself, or attached."""
    made = f"CREATE TABLE part_x (id integer{hand.maybe(' NOT NULL')}, n {hand.one(['integer', 'bigint', 'bigint DEFAULT 5'])}, t {hand.one(['text', 'varchar(20)'])}{hand.maybe(', CHECK (n <> 4)', ', PRIMARY KEY (id, n)')})"
    bound = hand.one(
        ["", "FROM (100) TO (200)", "FROM (100) TO (200)", "IN (50)", "IN (50, 51)", "WITH (MODULUS 4, REMAINDER 3)", "DEFAULT"]
    )
    if not bound:
        return made
    return f"{made}; ALTER TABLE part ATTACH PARTITION part_x {'FOR VALUES ' if bound != 'DEFAULT' else ''}{bound}"


def _deep(hand: Hand, _: str) -> str:
    """Partitions of partitions."""
    made = [
        f"CREATE TABLE deep (a integer, b text, c date{hand.maybe(' NOT NULL')}{hand.maybe(', PRIMARY KEY (a, b, c)')}) PARTITION BY LIST (b)",
        f"CREATE TABLE deep_x PARTITION OF deep FOR VALUES IN ('x'{hand.maybe(', NULL')}) PARTITION BY RANGE ({hand.one(['c', 'c, a'])})",
        hand.one(["", "CREATE TABLE deep_x1 PARTITION OF deep_x DEFAULT", "CREATE TABLE app.deep_x2 PARTITION OF deep_x DEFAULT PARTITION BY HASH (a)"]),
        hand.one(["", "CREATE TABLE deep_d PARTITION OF deep DEFAULT", "CREATE TABLE deep_d PARTITION OF deep (b DEFAULT 'd') DEFAULT WITH (fillfactor = 60)"]),
        hand.one(["", "CREATE INDEX deep_i ON deep (c, a)", "CREATE UNIQUE INDEX deep_i ON deep (b, c, a)"]),
    ]  # fmt: skip
    return "; ".join(part for part in made if part)


def _key_of_partitions(hand: Hand, _: str) -> str:
    table = hand.table()
    return hand.one(
        [
            f"ALTER TABLE {table} ADD CONSTRAINT to_part FOREIGN KEY (id, n) REFERENCES part (id, n){hand.maybe(' ON DELETE CASCADE')}",
            f"ALTER TABLE part ADD CONSTRAINT of_part FOREIGN KEY (id) REFERENCES {table} (id){hand.maybe(' DEFERRABLE')}",
        ]
    )


def _check(hand: Hand, _: str) -> str:
    text = hand.one(["(app.g(id) > 0)", "(n < 1000)", "(app.g(id) > n)"])
    return f"ALTER TABLE {hand.table()} ADD CONSTRAINT later_check CHECK {text}{hand.one(['', ' NOT VALID', ' NO INHERIT'])}"


def _default(hand: Hand, _: str) -> str:
    return (
        f"ALTER TABLE {hand.table()} ALTER n SET DEFAULT {hand.one(['app.g(1)', 'app.g(2) + 1', 'length(current_user::text)'])}"
    )


def _policy(hand: Hand, _: str) -> str:
    clauses = hand.one(
        [
            "FOR INSERT WITH CHECK (id > 0)",
            "USING (app.g(id) > 0) WITH CHECK (n < 5)",
            "FOR UPDATE TO pg_monitor USING (true) WITH CHECK (app.f(id) > 0)",
            "FOR DELETE USING (id IN (SELECT id FROM {}))",
        ]
    )
    return f'CREATE POLICY "po 2" ON {hand.table()} {clauses.format(hand.relation())}'


def _rule(hand: Hand, _: str) -> str:
    table, other = hand.relation(), hand.table()
    text = hand.one(
        [
            f"ON UPDATE TO {table} WHERE (old.id > 3) DO ALSO UPDATE {other} SET n = 1 WHERE id = new.id",
            f"ON INSERT TO {table} DO INSTEAD INSERT INTO {other} (id) VALUES (new.id)",
            f"ON DELETE TO {table} DO ALSO (NOTIFY gone; DELETE FROM {other} WHERE id = old.id)",
        ]
    )
    return f"CREATE RULE ru2 AS {text}" + hand.one(["", "", f"; ALTER TABLE {table} DISABLE RULE ru2"])


def _trigger(hand: Hand, _: str) -> str:
    table = hand.one([*hand.tables, "part"])
    text = hand.one(
        [
            f"CREATE TRIGGER tr2 BEFORE INSERT OR UPDATE OF id ON {table} FOR EACH ROW WHEN (app.g(new.id) > 0) EXECUTE FUNCTION tf('x', '1')",
            f"CREATE TRIGGER tr2 AFTER UPDATE ON {table} REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION tf()",
            f"CREATE TRIGGER tr2 AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION tf()",
            f"CREATE CONSTRAINT TRIGGER tr2 AFTER INSERT ON {table} FROM {hand.table()} FOR EACH ROW EXECUTE FUNCTION tf()",
        ]
    )
    return text + hand.one(["", "", f"; ALTER TABLE {table} ENABLE REPLICA TRIGGER tr2"])


def _foreign(hand: Hand, _: str) -> str:
    columns = f"id integer{hand.one(OF_COLUMN)}{hand.maybe(' NOT NULL')}, n {hand.one(['integer', 'app.positive', 'app.mood'])}{hand.maybe(' DEFAULT NULL')}"
    return hand.one(
        [
            f"CREATE FOREIGN TABLE ft2 ({columns}{hand.maybe(', CONSTRAINT few CHECK (id > 0)')}) SERVER sv{hand.one(OPTIONS)}",
            f"CREATE FOREIGN TABLE ft2 ({columns}) INHERITS (base) SERVER sv",
            "CREATE FOREIGN TABLE ft2 PARTITION OF part DEFAULT SERVER sv",
        ]
    )


def _unique_index(hand: Hand, _: str) -> str:
    table = hand.table()
    made = f"CREATE UNIQUE INDEX k_index ON {table} ({hand.one(['id', 'id, n', 'n, id'])}){hand.maybe(' NULLS NOT DISTINCT')}"
    return made + hand.one(["", "", f"; ALTER TABLE {table} ADD CONSTRAINT k_named UNIQUE USING INDEX k_index"])


def _search(hand: Hand, _: str) -> str:
    mapping = hand.one(
        [
            "",
            "; ALTER TEXT SEARCH CONFIGURATION app.cfg2 ALTER MAPPING FOR asciiword WITH app.dict",
            "; ALTER TEXT SEARCH CONFIGURATION app.cfg2 DROP MAPPING FOR email",
            "; ALTER TEXT SEARCH CONFIGURATION app.cfg2 ALTER MAPPING FOR word, asciiword WITH app.dict, simple",
        ]
    )
    return (
        f"CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = simple{hand.one(['', ', Accept = false', ', STOPWORDS = english'])});"
        f" CREATE TEXT SEARCH CONFIGURATION app.cfg2 (COPY = {hand.one(['simple', 'english'])}){mapping}"
    )


OPTIONS = ["", " OPTIONS (host 'a')", " OPTIONS (host 'b', port '1')"]
OF_COLUMN = ["", " OPTIONS (column_name 'x')", " OPTIONS (column_name 'y', other 'it''s')"]

MORE: dict[str, Maker] = {
    "table part_x": _partition,
    "table deep": _deep,
    "fk of partitions": _key_of_partitions,
    "check later": _check,
    "default later": _default,
    "index k": _unique_index,
    "policy po 2": _policy,
    "rule ru2": _rule,
    "trigger tr2": _trigger,
    "table ft2": _foreign,
    "mapping": lambda hand, _: f"CREATE USER MAPPING FOR {hand.one(['PUBLIC', 'pg_monitor'])} SERVER sv{hand.one(OPTIONS)}",
    "publication 2": lambda hand, _: (
        f"CREATE PUBLICATION pub2{hand.one(['', ' FOR TABLE part', f' FOR TABLE {hand.table()}, base', f' FOR TABLE {hand.table()} WHERE (n > 1), TABLES IN SCHEMA app'])}"
        + hand.maybe(" WITH (publish_via_partition_root = true)")
    ),
    "statistics 2": lambda hand, _: (
        f"CREATE STATISTICS app.st2 ON (id + 1), (lower(t)), n FROM {hand.table()}{hand.maybe('; ALTER STATISTICS app.st2 SET STATISTICS 20')}"
    ),
    "search 2": _search,
    "collation app.ci": lambda hand, _: (
        f"CREATE COLLATION app.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = {hand.one(['false', 'true'])})"
    ),
    "conversion": lambda hand, _: (
        f"CREATE {hand.maybe('DEFAULT ')}CONVERSION app.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8"
    ),
    "aggregate 2": lambda hand, _: (
        f"CREATE AGGREGATE app.sum2(integer) (SFUNC = app.add, STYPE = bigint{hand.one(['', ', INITCOND = 5', ', PARALLEL = SAFE, INITCOND = 0'])})"
    ),
    "operator 2": lambda hand, _: (
        "CREATE OPERATOR app.+++ (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = app.add);"
        f" CREATE VIEW v_op AS SELECT id, n::bigint OPERATOR(app.+++) id::integer AS s FROM {hand.relation()}"
    ),
    "view m1": lambda hand, _: (
        f"CREATE MATERIALIZED VIEW m1 AS SELECT id, app.g(id::integer) AS g FROM {hand.relation()}; CREATE {hand.maybe('UNIQUE ')}INDEX mi ON m1 ({hand.one(['id', 'g', 'id, g'])})"
        + hand.one(
            ["", "", "; ALTER MATERIALIZED VIEW m1 CLUSTER ON mi", "; ALTER MATERIALIZED VIEW m1 ALTER g SET STATISTICS 9"]
        )
    ),
    "event trigger 2": lambda hand, _: (
        "CREATE FUNCTION app.ev2() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';"
        " CREATE EVENT TRIGGER ev2 ON ddl_command_start"
        + hand.one(["", " WHEN TAG IN ('CREATE VIEW', 'DROP VIEW')"])
        + " EXECUTE FUNCTION app.ev2()"
        + hand.one(["", "; ALTER EVENT TRIGGER ev2 DISABLE", "; ALTER EVENT TRIGGER ev2 ENABLE REPLICA"])
    ),
}

# --- what is said of objects --------------------------------------------------------------------------------------------------


def comment(hand: Hand) -> str:
    """A comment on any kind of object."""
    table, view = hand.table(), hand.view()
    target = hand.one(
        [f"TABLE {table}", f"COLUMN {table}.id", f"VIEW {view}", f"COLUMN {view}.id", f"TRIGGER tr0 ON {table}", f"TRIGGER tr2 ON {table}",
         f"POLICY po ON {table}", f"RULE ru2 ON {table}", f"CONSTRAINT pk{TABLES.index(table)} ON {table}", f'CONSTRAINT "ch eck{TABLES.index(table)}" ON {table}',
         f"CONSTRAINT fk{TABLES.index(table)} ON {table}", "CONSTRAINT part_pkey ON part", "TYPE app.mood", "TYPE app.span", "DOMAIN app.word", "FUNCTION app.f(integer)",
         "FUNCTION app.g(integer)", "PROCEDURE app.p()", "AGGREGATE app.total(integer)", "AGGREGATE app.sum2(integer)", "SCHEMA app", "SCHEMA public", "SEQUENCE app.counter",
         "COLUMN app.pair.x", "INDEX i0", "INDEX mi", "INDEX part_pkey", "MATERIALIZED VIEW app.m0", "MATERIALIZED VIEW m1", "COLUMN m1.g", "FOREIGN TABLE ft", "COLUMN ft2.id",
         "SERVER sv", "FOREIGN DATA WRAPPER w", "EVENT TRIGGER ev", "PUBLICATION pub", "STATISTICS st", "STATISTICS app.st2", "TEXT SEARCH CONFIGURATION app.cfg",
         "TEXT SEARCH DICTIONARY app.dict", "COLLATION app.de", "CAST (app.mood AS integer)", "OPERATOR app.=== (integer, integer)", "OPERATOR CLASS app.int_ops USING btree",
         "CONVERSION app.conv", "EXTENSION pg_trgm", "TABLE part_x", "COLUMN deep_x.b", "TABLE typed"]
    )  # fmt: skip
    text = hand.one(["'it''s'", "'c'", "E'two\\nlines'"])
    return f"COMMENT ON {target} IS {text}"


def grant(hand: Hand) -> str:
    """A grant, another owner, or default privileges."""
    table, view = hand.table(), hand.view()
    return hand.one(
        [f"GRANT SELECT, INSERT ON {table} TO pg_monitor", f"GRANT UPDATE (id) ON {table} TO pg_monitor WITH GRANT OPTION",
         f"GRANT SELECT ON {view} TO PUBLIC", "GRANT USAGE ON SEQUENCE app.counter TO pg_monitor", "GRANT MAINTAIN ON base TO pg_monitor",
         "REVOKE EXECUTE ON FUNCTION app.f(integer) FROM PUBLIC", "GRANT USAGE ON SCHEMA app TO pg_monitor", "GRANT USAGE ON TYPE app.mood TO pg_monitor",
         "GRANT EXECUTE ON PROCEDURE app.p() TO pg_monitor", "REVOKE EXECUTE ON FUNCTION app.sum2(integer) FROM PUBLIC", "GRANT USAGE ON FOREIGN SERVER sv TO pg_monitor",
         "GRANT USAGE ON FOREIGN DATA WRAPPER w TO pg_monitor", "GRANT SELECT ON ft TO pg_monitor", "GRANT SELECT ON part, part_x TO pg_monitor", "GRANT SELECT (id) ON m1 TO PUBLIC",
         "REVOKE USAGE ON TYPE app.span FROM PUBLIC", "REVOKE ALL ON base FROM CURRENT_USER", f"REVOKE DELETE ON {table} FROM CURRENT_USER",
         f"ALTER TABLE {table} OWNER TO pg_database_owner", f"ALTER VIEW {view} OWNER TO pg_database_owner", "ALTER FUNCTION app.f(integer) OWNER TO pg_database_owner",
         "ALTER TYPE app.mood OWNER TO pg_database_owner", "ALTER DOMAIN app.word OWNER TO pg_database_owner", "ALTER SEQUENCE app.counter OWNER TO pg_database_owner",
         "ALTER SCHEMA app OWNER TO pg_database_owner", "ALTER SERVER sv OWNER TO pg_database_owner", "ALTER PUBLICATION pub OWNER TO pg_database_owner",
         "ALTER STATISTICS st OWNER TO pg_database_owner", "ALTER COLLATION app.de OWNER TO pg_database_owner", "ALTER AGGREGATE app.total(integer) OWNER TO pg_database_owner",
         "ALTER TABLE part OWNER TO pg_database_owner", "ALTER TEXT SEARCH CONFIGURATION app.cfg OWNER TO pg_database_owner", "ALTER OPERATOR app.=== (integer, integer) OWNER TO pg_database_owner",
         "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO pg_monitor", "ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO pg_monitor",
         "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO pg_monitor",
         "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON TYPES TO pg_monitor WITH GRANT OPTION"]
    )  # fmt: skip


def tuning(hand: Hand) -> str:
    """An attribute that only ALTER sets; triggers behind foreign keys stay, or rows would come that no key takes again."""
    table = hand.table()
    number = TABLES.index(table)
    return hand.one(
        [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
         f"ALTER TABLE {table} REPLICA IDENTITY FULL", f"ALTER TABLE {table} REPLICA IDENTITY NOTHING", f"ALTER TABLE {table} ALTER n SET STATISTICS 55",
         f"ALTER TABLE {table} CLUSTER ON pk{number}", f"ALTER TABLE {table} CLUSTER ON i0", f"ALTER TABLE {table} REPLICA IDENTITY USING INDEX pk{number}",
         'ALTER SEQUENCE "S 2" OWNED BY t.id', f"ALTER TABLE {table} ALTER t SET (n_distinct = 5)", f"ALTER VIEW {hand.view()} ALTER n SET DEFAULT 5",
         f"ALTER TABLE {table} ALTER t SET STORAGE EXTERNAL", f"ALTER TABLE {table} ALTER t SET STORAGE MAIN", f"ALTER TABLE {table} ALTER j SET COMPRESSION pglz",
         "ALTER INDEX i0 ALTER COLUMN 1 SET STATISTICS 50", "ALTER INDEX i0 SET (fillfactor = 50)", f"ALTER TABLE {table} SET (toast.autovacuum_enabled = false)",
         f"ALTER TABLE {table} DISABLE TRIGGER USER", "ALTER TABLE part ALTER t SET DEFAULT 'p'", "ALTER TABLE base ALTER z SET NOT NULL",
         f"ALTER TABLE {table} ADD CONSTRAINT nn NOT NULL t NO INHERIT", f"ALTER TABLE {table} ADD CONSTRAINT nn2 NOT NULL n NOT VALID"]
    )  # fmt: skip
