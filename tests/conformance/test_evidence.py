"""Data is asked before it is changed, on each engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.errors import ApplyError
from dbops.reconcile.change import DATA_REFUSES
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from dbops.usecases.status import status
from tests.databases import Database, MysqlDatabase

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
"""

BEFORE = """\
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100), visits bigint);
CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, customer_id integer, total integer);
"""

ROWS = """\
INSERT INTO customers (id, email, visits) VALUES (1, 'a@b.c', 1), (2, NULL, 2), (3, 'a@b.c', 3000000000), (4, NULL, 4);
INSERT INTO orders (id, customer_id, total) VALUES (10, 1, 5), (11, 7, -1), (12, NULL, 8);
"""

ALLOWED = Consent(lambda _: True, allow=frozenset({"all"}))


@pytest.fixture
def change(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Load the tables with their rows, and write an environment that wants them changed."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load(BEFORE + ROWS)
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))

    def write(sql: str) -> Path:
        (tmp_path / "shop.sql").write_text(sql)
        return tmp_path

    return write


CASES = {
    "not null": (("email varchar(100)", "email varchar(100) NOT NULL"), "2 rows", "email is NULL (id: 2, 4)"),
    "unique": (("visits bigint", "visits bigint, CONSTRAINT u UNIQUE (email)"), "2 rows", "email is not unique (id: 1, 3)"),
    "check": (("total integer", "total integer, CONSTRAINT positive CHECK (total > 0)"), "1 row", "(id: 11)"),
    "foreign key": (
        ("total integer", "total integer, CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers (id)"),
        "1 row",
        "refers to no row of",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_in_the_way_are_counted_and_named(name: str, change: Callable[[str], Path], database: Database) -> None:
    (old, new), how_many, which = CASES[name]
    folder = change(BEFORE.replace(old, new))
    before = database.dump()
    with open_workspace(folder) as workspace:
        (observation,) = (item for item in plan(workspace).observations if item.code == DATA_REFUSES)
        assert status(workspace)[0].state == "refused"
    assert observation.severity == "error"
    assert observation.message.startswith(how_many) and which in observation.message
    with open_workspace(folder) as workspace, pytest.raises(ApplyError) as caught:
        apply(workspace, ALLOWED)
    assert "nothing was done" in caught.value.message
    assert database.dump() == before


def test_nulls_give_way_to_a_default_on_sqlite_alone_and_are_counted(change: Callable[[str], Path], database: Database) -> None:
    found = answers(change(BEFORE.replace("email varchar(100)", "email varchar(100) DEFAULT 'none' NOT NULL")))
    table = "public.customers" if database.engine == "postgresql" else "customers"
    if database.engine == "sqlite":
        assert found == [("NULLS_FILLED", f"2 rows of {table}: email is NULL, and becomes 'none' (id: 2, 4)")]
    else:
        assert found == [(DATA_REFUSES, f"2 rows of {table}: email is NULL (id: 2, 4)")]


@pytest.mark.parametrize("database", ["postgresql", "mysql"], indirect=True)
def test_blanks_at_the_end_are_cut_where_a_type_fills_up_with_them(change: Callable[[str], Path], database: Database) -> None:
    table = "CREATE TABLE t (id integer NOT NULL PRIMARY KEY, v varchar(10))"
    database.load(f"{table}; INSERT INTO t VALUES (1, 'abc   '), (2, 'ab'), (3, NULL), (4, 'abcd ');")
    folder = change(f"{BEFORE}{table.replace('varchar(10)', 'char(3)')};")
    found = answers(folder)
    assert {code for code, _ in found} == {DATA_REFUSES} and all(said.endswith("(id: 4)") for _, said in found)
    database.load("DELETE FROM t WHERE id = 4;")
    with open_workspace(folder) as workspace:
        apply(workspace, ALLOWED)
    assert database.rows("SELECT id FROM t WHERE v = 'abc'") == [(1,)]


HELD = """\
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100) UNIQUE, visits bigint, CHECK (email <> 'none'));
CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, customer_id integer REFERENCES customers (id), total integer);
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_a_default_in_place_of_nulls_breaks_is_told_before(change: Callable[[str], Path], database: Database) -> None:
    database.load("DROP TABLE customers; DROP TABLE orders;" + HELD)
    database.load("INSERT INTO customers VALUES (1, NULL, 1), (2, NULL, 2), (3, 'None', 3);")
    database.load("INSERT INTO orders VALUES (10, 3, 5), (11, NULL, 8);")
    wanted = HELD.replace("email varchar(100)", "email varchar(100) DEFAULT 'none' NOT NULL")
    found = answers(change(wanted.replace("customer_id integer", "customer_id integer DEFAULT 7 NOT NULL")))
    refused = [said for code, said in found if code == DATA_REFUSES]
    assert [said.partition(":")[0] for said in refused] == ["2 rows of customers", "2 rows of customers", "1 row of orders"]
    assert "email is not unique (id: 1, 2)" in refused[0] and "check" in refused[1] and "refers to no row" in refused[2]


def test_rows_are_asked_for_behind_the_names_that_a_plan_gives_them(change: Callable[[str], Path]) -> None:
    folder = change("""\
-- dbops:renamed_from customers
CREATE TABLE clients (id integer NOT NULL PRIMARY KEY,
  mail varchar(100) NOT NULL, -- dbops:renamed_from email
  visits bigint, CONSTRAINT u UNIQUE (mail));
CREATE TABLE orders (id integer NOT NULL PRIMARY KEY,
  client integer, -- dbops:renamed_from customer_id
  total integer, CONSTRAINT fk FOREIGN KEY (client) REFERENCES clients (id));
""")
    messages = [message for code, message in answers(folder) if code == DATA_REFUSES]
    assert len(messages) == 3
    for wanted in ("mail is NULL (id: 2, 4)", "mail is not unique (id: 1, 3)", "client refers to no row of"):
        assert any(wanted in message for message in messages)


def test_rows_in_the_way_of_what_a_plan_is_not_about_do_not_refuse_it(change: Callable[[str], Path], database: Database) -> None:
    folder = change(
        BEFORE.replace("email varchar(100)", "email varchar(100) NOT NULL").replace("total integer", "total integer, x integer")
    )
    schema = "public." if database.engine == "postgresql" else ""
    with open_workspace(folder) as workspace:
        whole = plan(workspace)
        part = plan(workspace, only=[f"schema/shop/table/{schema}orders"])
    assert whole.is_refused and not part.is_refused and len(part.entries) == 1


def test_a_narrower_type_is_refused_where_the_engine_is_strict(change: Callable[[str], Path], database: Database) -> None:
    folder = change(BEFORE.replace("visits bigint", "visits integer").replace("varchar(100)", "varchar(4)"))
    with open_workspace(folder) as workspace:
        messages = [item.message for item in plan(workspace).observations if item.code == DATA_REFUSES]
    if database.engine == "sqlite":
        assert messages == []
    else:
        assert any("visits does not fit" in text and "(id: 3)" in text for text in messages)
        assert any("email is longer than 4 characters" in text and text.startswith("2 rows") for text in messages)


def test_rows_that_fit_are_not_in_the_way(change: Callable[[str], Path], database: Database) -> None:
    database.load("DELETE FROM orders WHERE id = 11;\nDELETE FROM customers WHERE id > 1;\nUPDATE orders SET customer_id = 1;")
    wanted = BEFORE
    for (old, new), _, _ in CASES.values():
        wanted = wanted.replace(old, new, 1) if old in wanted else wanted
    folder = change(wanted)
    with open_workspace(folder) as workspace:
        assert apply(workspace, ALLOWED).state == "done"
    with open_workspace(folder) as workspace:
        assert plan(workspace).is_empty


def answers(folder: Path) -> list[tuple[str, str]]:
    with open_workspace(folder) as workspace:
        return [(item.code, item.message) for item in plan(workspace).observations]


def test_a_unique_expression_is_asked_of_rows(change: Callable[[str], Path], database: Database) -> None:
    if isinstance(database, MysqlDatabase) and not database.server.has("functional keys"):
        pytest.skip("MariaDB indexes no expressions")
    database.load("UPDATE customers SET email = 'A@b.c' WHERE id = 3;")
    expression = "(lower(email))" if database.engine == "mysql" else "lower(email)"
    [(code, message)] = answers(change(f"{BEFORE}CREATE UNIQUE INDEX u ON customers ({expression});"))
    assert code == DATA_REFUSES and message.startswith("2 rows of ") and message.endswith("is not unique (id: 1, 3)")


def test_a_key_is_judged_by_the_collation_that_comes_with_it(change: Callable[[str], Path], database: Database) -> None:
    """What is equal without regard to case may be unique with it."""
    if database.engine != "mysql":
        pytest.skip("its usual collation tells cases apart")
    database.load("INSERT INTO orders (id) VALUES (1); ALTER TABLE orders ADD code varchar(10); UPDATE orders SET code = id;")
    database.load("UPDATE orders SET code = 'a' WHERE id = 10; UPDATE orders SET code = 'A' WHERE id = 11;")
    total = "total integer, code varchar(10) COLLATE utf8mb4_bin, CONSTRAINT u UNIQUE (code)"
    folder = change(BEFORE.replace("total integer", total))
    assert answers(folder) == []
    with open_workspace(folder) as workspace:
        assert apply(workspace, ALLOWED).state == "done"
    database.load("ALTER TABLE orders DROP KEY u, MODIFY code varchar(10); UPDATE orders SET code = 'a' WHERE id = 11;")
    assert [code for code, _ in answers(folder)] == [DATA_REFUSES]


def test_rows_of_a_table_that_is_too_big_are_not_looked_at(
    change: Callable[[str], Path], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = "INSERT INTO customers (id, email, visits)"
    doubled = (f"{insert} SELECT id + {2**n}, 'x', 1 FROM customers WHERE id >= 100;" for n in range(18))
    database.load("\n".join([f"{insert} VALUES (100, 'x', 1);", *doubled]))
    monkeypatch.setattr("dbops.resources.schema.evidence._QUESTION_S", 0.02)
    folder = change(BEFORE.replace("visits bigint", "visits bigint, CONSTRAINT u UNIQUE (email, visits)"))
    [(code, message)] = answers(folder)
    assert code == "DATA_UNKNOWN" and message.startswith("not looked at: whether rows of ")


PG_CASES = {
    "exclusion": (
        "CREATE TABLE t (id int PRIMARY KEY, r int4range); INSERT INTO t VALUES (1, '[1,5)'), (2, '[4,9)'), (3, '[20,30)');",
        "CREATE TABLE t (id int PRIMARY KEY, r int4range, CONSTRAINT x EXCLUDE USING gist (r WITH &&));",
        "2 rows of public.t: they exclude each other by x (id: 1, 2)",
    ),
    "exclusion of expressions in a renamed table": (
        "CREATE TABLE t (a date, b date, c text);"
        " INSERT INTO t VALUES ('2024-01-01', '2024-01-09', 'x'), ('2024-01-05', NULL, 'y'), (NULL, '2023-01-01', 'z');",
        "-- dbops:renamed_from t\nCREATE TABLE u (a date, until date, -- dbops:renamed_from b\n c text,"
        " CONSTRAINT x EXCLUDE USING gist (daterange(a, until) WITH &&) WHERE (lower(c) COLLATE \"C\" <> 'w'));",
        "2 rows of public.u: they exclude each other by x (a, until: 2024-01-01/2024-01-09, 2024-01-05/None)",
    ),
    "what excludes by names that questions use": (
        "CREATE TABLE t (dbops_k0 int4range, dbops_k1 int); "
        " INSERT INTO t VALUES ('[1,5)', NULL), ('[4,9)', NULL), ('[10,12)', 3);",
        "CREATE TABLE t (dbops_k0 int4range, dbops_k1 int, CONSTRAINT x EXCLUDE USING gist (dbops_k0 WITH &&));",
        "2 rows of public.t: they exclude each other by x (dbops_k0: [1, 5), [4, 9))",
    ),
    "computed column of a domain": (
        "CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, g d GENERATED ALWAYS AS (id) STORED);"
        " INSERT INTO t VALUES (1);",
        "CREATE DOMAIN d AS int CONSTRAINT c CHECK (VALUE > 0);"
        " CREATE TABLE t (id int PRIMARY KEY, g d GENERATED ALWAYS AS (-id) STORED);",
        "1 row of public.t: g would break c of public.d (id: 1)",
    ),
    "computed column that is too long": (
        "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'abcd'), (2, 'abc   ');",
        "CREATE TABLE t (id int PRIMARY KEY, a text, g varchar(3) GENERATED ALWAYS AS (a) STORED);",
        "1 row of public.t: the new column g is longer than 3 characters (id: 1)",
    ),
    "check of a domain that is not valid": (
        "CREATE DOMAIN d AS int; ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID;"
        " CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);",
        "CREATE DOMAIN d AS int; ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID;"
        " CREATE TABLE t (id int PRIMARY KEY, a d DEFAULT -1);",
        "1 row of public.t: the new column a would break c of public.d (id: 1)",
    ),
    "enum label": (
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id int PRIMARY KEY, m mood); INSERT INTO t VALUES (7, 'sad');",
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (id int PRIMARY KEY, m mood);",
        "1 row of public.t: m holds sad, which public.mood loses (id: 7)",
    ),
    "default partition": (
        "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p_d PARTITION OF p DEFAULT; INSERT INTO p VALUES (3), (30);",
        "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p_d PARTITION OF p DEFAULT;"
        " CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (10);",
        "1 row of public.p_d: they belong to the new partition p_1 and are in the default one (a: 3)",
    ),
    "bound": (
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_1 (a int); INSERT INTO p_1 VALUES (1), (2), (NULL);",
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1, 3);",
        "2 rows of public.p_1: a is outside of FOR VALUES IN (1, 3) (a: 2, None)",
    ),
    "digits": (
        "CREATE TABLE t (id int PRIMARY KEY, n numeric(10, 2)); INSERT INTO t VALUES (1, 999.99), (2, 1000);",
        "CREATE TABLE t (id int PRIMARY KEY, n numeric(5, 2));",
        "1 row of public.t: n has more than 3 digits before the point (id: 2)",
    ),
    "unique with NULL alike": (
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT INTO t VALUES (1, 1, NULL), (2, 1, NULL), (3, NULL, NULL);",
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int, UNIQUE NULLS NOT DISTINCT (a, b));",
        "2 rows of public.t: a, b is not unique (id: 1, 2)",
    ),
    "unique expression of some rows": (
        "CREATE TABLE t (id int PRIMARY KEY, m text, k text);"
        " INSERT INTO t VALUES (1, '1', 'n'), (2, '01', 'n'), (3, '2', 'n'), (4, 'x', 't'), (5, 'x', 't'), (6, '1', NULL);",
        "CREATE TABLE t (id int PRIMARY KEY, m text, k text); CREATE UNIQUE INDEX u ON t ((m::int)) WHERE k = 'n';",
        "2 rows of public.t: ((m)::integer) is not unique (id: 1, 2)",
    ),
    "another parent": (
        "CREATE TABLE p (a int PRIMARY KEY); CREATE TABLE q (a int PRIMARY KEY); INSERT INTO p VALUES (4);"
        " CREATE TABLE t (id int PRIMARY KEY, a int, CONSTRAINT f FOREIGN KEY (a) REFERENCES p); INSERT INTO t VALUES (1, 4);",
        "CREATE TABLE p (a int PRIMARY KEY); CREATE TABLE q (a int PRIMARY KEY);"
        " CREATE TABLE t (id int PRIMARY KEY, a int, CONSTRAINT f FOREIGN KEY (a) REFERENCES q);",
        "1 row of public.t: a refers to no row of public.q (id: 1)",
    ),
    "validated check": (
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (-1);"
        " ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0) NOT VALID;",
        "CREATE TABLE t (id int PRIMARY KEY, CONSTRAINT c CHECK (id > 0));",
        "1 row of public.t: they break the check c (id: -1)",
    ),
    "full match": (
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE t (id int PRIMARY KEY, a int, b int);"
        " INSERT INTO t VALUES (1, 1, NULL), (2, NULL, NULL);",
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b));"
        " CREATE TABLE t (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES p MATCH FULL);",
        "1 row of public.t: some of a, b is NULL, and MATCH FULL wants all or none (id: 1)",
    ),
    "text that is no date": (
        "CREATE TABLE t (id int PRIMARY KEY, d text); INSERT INTO t VALUES (1, '2024-02-29'), (2, 'soon');",
        "CREATE TABLE t (id int PRIMARY KEY, d date);",
        'a row of public.t: d does not become date: invalid input syntax for type date: "soon"',
    ),
    "number out of range": (
        "CREATE TABLE t (id int PRIMARY KEY, n numeric); INSERT INTO t VALUES (1, 2147483647.5);",
        "CREATE TABLE t (id int PRIMARY KEY, n int);",
        "a row of public.t: n does not become integer: integer out of range",
    ),
    "labels in an array": (
        "CREATE TABLE t (id int PRIMARY KEY, n text[]); INSERT INTO t VALUES (1, '{x,NULL}'), (2, '{x,q}');",
        "CREATE TYPE e AS ENUM ('x'); CREATE TABLE t (id int PRIMARY KEY, n e[]);",
        "1 row of public.t: n holds what is no label of public.e (id: 2)",
    ),
    "a label at the ends of ranges": (
        "CREATE TYPE e AS ENUM ('w', 'x', 'y', 'z'); CREATE TYPE span AS RANGE (SUBTYPE = e);"
        " CREATE TABLE t (id int PRIMARY KEY, r span);"
        " INSERT INTO t VALUES (1, '[x,y]'), (2, '(w,x]'), (3, '[z,)'), (4, 'empty'), (5, NULL), (6, '(,)'), (7, '(,w]');",
        "CREATE TYPE e AS ENUM ('x', 'y', 'z'); CREATE TYPE span AS RANGE (SUBTYPE = e);"
        " CREATE TABLE t (id int PRIMARY KEY, r span);",
        "2 rows of public.t: r holds w, which public.e loses (id: 2, 7)",
    ),
    "a label in a multirange in an array": (
        "CREATE TYPE e AS ENUM ('w', 'x', 'y'); CREATE TYPE span AS RANGE (SUBTYPE = e);"
        " CREATE TABLE t (id int PRIMARY KEY, r span_multirange[]);"
        " INSERT INTO t VALUES (1, ARRAY['{[x,y]}'::span_multirange]),"
        " (2, ARRAY['{[w,w],[y,y]}'::span_multirange, NULL]), (3, '{}');",
        "CREATE TYPE e AS ENUM ('x', 'y'); CREATE TYPE span AS RANGE (SUBTYPE = e);"
        " CREATE TABLE t (id int PRIMARY KEY, r span_multirange[]);",
        "1 row of public.t: r holds w, which public.e loses (id: 2)",
    ),
}


@pytest.mark.parametrize("name", PG_CASES)
def test_postgresql_asks_what_only_it_has(
    name: str, pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    before, after, answer = PG_CASES[name]
    pg_database.load(before)
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    (tmp_path / "shop.sql").write_text(after)
    assert (DATA_REFUSES, answer) in answers(tmp_path)
    with open_workspace(tmp_path) as workspace, pytest.raises(ApplyError, match="nothing was done"):
        apply(workspace, ALLOWED)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_columns_called_as_questions_call_theirs_are_not_in_the_way(change: Callable[[str], Path], database: Database) -> None:
    table = "CREATE TABLE t (dbops_p0 int, dbops_k0 int4range, dbops_k1 int4range, dbops__k0 int"
    alike = "CREATE TABLE u (dbops_k0 int"
    database.load(f"{table}); INSERT INTO t VALUES (1, '[1,5)', '[1,5)', 1), (2, '[5,9)', '[5,9)', 2);")
    database.load(f"{alike}); INSERT INTO u VALUES (1), (NULL);")
    exclusion = "CONSTRAINT x EXCLUDE USING gist (dbops_k1 WITH &&, dbops_k0 WITH &&)"
    folder = change(f"{BEFORE}{table}, {exclusion}, UNIQUE (dbops__k0)); {alike}, UNIQUE NULLS NOT DISTINCT (dbops_k0));")
    assert not answers(folder)
    database.load("INSERT INTO u VALUES (NULL);")
    assert answers(folder) == [(DATA_REFUSES, "2 rows of public.u: dbops_k0 is not unique (dbops_k0: None, None)")]


REFUSED = """
CREATE TABLE whole (id int PRIMARY KEY, a int);
CREATE TABLE cast_fails (id int PRIMARY KEY, a text);
CREATE TABLE cut (id int PRIMARY KEY, a text[], b bit(3), c inet);
CREATE TABLE merged (id int PRIMARY KEY, a timestamp UNIQUE);
CREATE TABLE to_d (id int PRIMARY KEY, a varchar(9), b text);
CREATE TABLE new (id int PRIMARY KEY, a int);
CREATE TABLE keys (id int PRIMARY KEY, a text, b int, CONSTRAINT k UNIQUE (a));
CREATE UNIQUE INDEX part ON keys (b) WHERE id > 9;
CREATE TABLE inside (id int PRIMARY KEY, a c[], b d[]);
CREATE TABLE heirs (a int);
CREATE TABLE heir () INHERITS (heirs);
CREATE TABLE child (id int PRIMARY KEY, a int);
"""
TYPES = (
    "CREATE TYPE e AS ENUM ('x', 'y'); CREATE TYPE c AS (v e); CREATE DOMAIN d AS int; CREATE DOMAIN filled AS int NOT NULL;\n"
)
REFUSED_ROWS = """
INSERT INTO whole VALUES (1, NULL); INSERT INTO cast_fails VALUES (1, 'x'); INSERT INTO new VALUES (1, 2000000000), (2, 0);
INSERT INTO cut VALUES (1, '{abcd}', B'101', '10.0.0.1'); INSERT INTO merged VALUES (1, '2020-01-01 10:00'), (2, '2020-01-01');
INSERT INTO to_d VALUES (1, '-1', 'x'); INSERT INTO keys VALUES (1, NULL, 5), (2, NULL, 5);
INSERT INTO inside VALUES (1, ARRAY[ROW('y')::c], '{-5}'); INSERT INTO heir VALUES (7); INSERT INTO child VALUES (1, 7);
"""
REFUSED_CHANGES = (
    ("CREATE TABLE whole (id int PRIMARY KEY, a int", "CREATE TABLE whole (id int PRIMARY KEY, a int, CHECK (whole IS NOT NULL)"),
    ("cast_fails (id int PRIMARY KEY, a text", "cast_fails (id int PRIMARY KEY, a text, CHECK (a::int > 0)"),
    ("a text[], b bit(3), c inet", "a varchar(3)[], b bit(4), c varchar(5)"),
    ("a timestamp UNIQUE", "a date UNIQUE"),
    ("a varchar(9), b text", "a positive, b positive"),
    ("new (id int PRIMARY KEY, a int", "new (id int PRIMARY KEY, a int, b filled, g int GENERATED ALWAYS AS (a * 2) STORED"),
    ("UNIQUE (a)", "UNIQUE NULLS NOT DISTINCT (a)"),
    (" WHERE id > 9", " WHERE id > 0"),
    ("'x', 'y'", "'x'"),
    ("DOMAIN d AS int", "DOMAIN d AS int CONSTRAINT above CHECK (VALUE > 0)"),
    ("child (id int PRIMARY KEY, a int", "child (id int PRIMARY KEY, a int REFERENCES heirs"),
    ("TABLE heirs (a int", "TABLE heirs (a int PRIMARY KEY"),
)
REFUSALS = {
    "1 row of public.whole: they break the check whole_check (id: 1)",
    'a row of public.cast_fails: they break the check cast_fails_a_check: invalid input syntax for type integer: "x"',
    "1 row of public.cut: a is longer than 3 (id: 1)",
    "1 row of public.cut: b has not 4 bits (id: 1)",
    "1 row of public.cut: c is longer than 5 (id: 1)",
    "2 rows of public.merged: a is not unique (id: 1, 2)",
    "1 row of public.to_d: a breaks above_1 of public.positive (id: 1)",
    'a row of public.to_d: b breaks above_1 of public.positive: invalid input syntax for type integer: "x"',
    "2 rows of public.new: the new column b must not be NULL and has no default for them (id: 1, 2)",
    "a row of public.new: the new column g cannot be computed: integer out of range",
    "a row of public.new: ((10 / a)) cannot be computed: division by zero",
    "2 rows of public.keys: a is not unique (id: 1, 2)",
    "2 rows of public.keys: b is not unique (id: 1, 2)",
    "1 row of public.inside: a holds y, which public.e loses (id: 1)",
    "1 row of public.inside: b breaks above of public.d (id: 1)",
    "1 row of public.child: a refers to no row of public.heirs (id: 1)",
}


def test_postgresql_is_asked_about_all_that_a_change_relies_on(
    pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    pg_database.load(TYPES + REFUSED + REFUSED_ROWS)
    after = (
        "CREATE DOMAIN positive AS int CONSTRAINT above_1 CHECK (VALUE > 1); CREATE INDEX i ON new ((10 / a));" + TYPES + REFUSED
    )
    for old, new in REFUSED_CHANGES:
        assert old in after
        after = after.replace(old, new)
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    (tmp_path / "shop.sql").write_text(after)
    told = answers(tmp_path)
    assert {message for code, message in told if code == DATA_REFUSES} == REFUSALS
    assert {code for code, _ in told} == {DATA_REFUSES}


def test_what_postgresql_takes_is_not_refused(pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys do not see the rows of heirs, NaN has no digits, and a domain may bring the default."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    before = (
        "CREATE DOMAIN d AS int DEFAULT 3; CREATE TABLE n (a numeric, k text, v text);"
        " CREATE TABLE t (a int, r int4range); CREATE TABLE heir () INHERITS (t);"
    )
    rows = "INSERT INTO n VALUES ('NaN', 'text', 'x'); INSERT INTO t VALUES (1, '[1,9]'); INSERT INTO heir VALUES (2, '[1,9]');"
    pg_database.load(f"{before} {rows} INSERT INTO heir VALUES (1, '[1,9]'), (1, '[1,9]');")
    after = before.replace("a numeric, k text, v text", "a numeric(5, 2), k text, v text, d d NOT NULL")
    after = after.replace("r int4range", "r int4range, EXCLUDE USING gist (r WITH &&), PRIMARY KEY (a), CHECK (a = 1) NO INHERIT")
    after += "CREATE TABLE p (a int PRIMARY KEY REFERENCES t); CREATE UNIQUE INDEX u ON n ((v::int)) WHERE length(k) > 9;"
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    (tmp_path / "shop.sql").write_text(after)
    assert answers(tmp_path) == []
    with open_workspace(tmp_path) as workspace:
        assert apply(workspace, ALLOWED).state == "done"


GOING = """
CREATE TYPE e AS ENUM ('x', 'y'); CREATE DOMAIN d AS int; CREATE DOMAIN late AS int; CREATE TYPE c AS (v d, w int);
CREATE TABLE goes (a e, b d); CREATE TABLE t (a e, b e, c d, h c, i c[], l late);
CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p_d PARTITION OF p DEFAULT;
CREATE TABLE q (a int) PARTITION BY RANGE (a); CREATE TABLE q_d PARTITION OF q DEFAULT;
"""
STAYING = """
CREATE TYPE e AS ENUM ('x'); CREATE DOMAIN d AS int NOT NULL CHECK (VALUE > 0); CREATE DOMAIN late AS int;
ALTER DOMAIN late ADD CHECK (VALUE > 0) NOT VALID; CREATE TYPE c AS (v d, w int);
CREATE TABLE t (b text, c int, h c, i c[], l late);
CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (9);
CREATE TABLE q (a int) PARTITION BY RANGE (a); CREATE TABLE q_1 PARTITION OF q FOR VALUES FROM (1) TO (9);
CREATE TABLE q_d (a int);
"""


def test_values_that_go_or_change_their_type_are_not_in_the_way(
    pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a composite that is NULL hold values, or a check that is NOT VALID look at them."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    rows = "('y', 'y', -1, NULL, ARRAY[NULL, ROW(1, 2)]::c[], -1)"
    pg_database.load(f"{GOING} INSERT INTO goes VALUES ('y', -1); INSERT INTO t VALUES {rows}; INSERT INTO p VALUES (3);")
    pg_database.load("INSERT INTO q VALUES (4);")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    (tmp_path / "shop.sql").write_text(STAYING)
    assert answers(tmp_path) == []
    with open_workspace(tmp_path) as workspace:
        assert apply(workspace, ALLOWED).state == "done"


def test_rows_of_partitions_that_are_made_again_are_not_in_the_way(
    pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They move with the table whose key gets another type."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    table = "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p_d PARTITION OF p DEFAULT;"
    pg_database.load(f"{table} INSERT INTO p VALUES (1), (2);")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    wanted = f"{table} CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);"
    (tmp_path / "shop.sql").write_text(wanted)
    assert [code for code, _ in answers(tmp_path)] == [DATA_REFUSES]
    (tmp_path / "shop.sql").write_text(wanted.replace("a int", "a bigint"))
    with open_workspace(tmp_path) as workspace:
        assert apply(workspace, ALLOWED).state == "done"
    assert pg_database.rows("SELECT a FROM p_1") == [(1,)] and pg_database.rows("SELECT a FROM p_d") == [(2,)]


def test_members_that_go_are_looked_for(my_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    my_database.load(
        "CREATE TABLE t (id int PRIMARY KEY, e enum('x','y'), s set('a','b'));"
        "INSERT INTO t VALUES (1, 'x', 'a'), (2, 'y', 'a,b'), (3, 'y', 'a');"
    )
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(my_database.url)))
    (tmp_path / "shop.sql").write_text("CREATE TABLE t (id int PRIMARY KEY, e enum('y'), s set('a'));")
    messages = sorted(message for code, message in answers(tmp_path) if code == DATA_REFUSES)
    assert messages == [
        "1 row of t: e holds 'x', which the type loses (id: 1)",
        "1 row of t: s holds 'b', which the type loses (id: 2)",
    ]


def test_a_new_column_whose_rows_break_its_own_check_is_told(
    my_database: MysqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB makes such rows, and refuses each copy of the table from then on."""
    if not my_database.server.has("sequences"):
        pytest.skip("the server looks itself")
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    my_database.load("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2);")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(my_database.url)))
    fits = "b json NOT NULL DEFAULT '{}', n int CHECK (n > 0), m int DEFAULT 3 CHECK (m > id)"
    (tmp_path / "shop.sql").write_text(f"CREATE TABLE t (id int PRIMARY KEY, a json NOT NULL, {fits});")
    messages = [message for code, message in answers(tmp_path) if code == DATA_REFUSES]
    assert messages == ["2 rows of t: what they get in the new column a breaks its check (id: 1, 2)"]


def test_a_period_that_ends_before_it_begins_is_told(
    my_database: MysqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not my_database.server.has("system versioning"):
        pytest.skip("the server has no periods")
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    table = "CREATE TABLE t (id int PRIMARY KEY, s date NOT NULL, e date NOT NULL"
    my_database.load(f"{table}); INSERT INTO t VALUES (1, '2020-01-01', '2020-01-02'), (2, '2020-01-01', '2020-01-01');")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(my_database.url)))
    (tmp_path / "shop.sql").write_text(f"{table}, PERIOD FOR valid (s, e));")
    messages = [message for code, message in answers(tmp_path) if code == DATA_REFUSES]
    assert messages == ["1 row of t: s is not before e, as valid wants (id: 2)"]


def test_rows_are_asked_about_keys_and_checks_that_change(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    columns = "a integer NOT NULL, b integer NOT NULL, c integer"
    table = f"CREATE TABLE t ({columns}, CONSTRAINT k PRIMARY KEY (a, b), CONSTRAINT p CHECK (c > 0));"
    database.load(f"{table} INSERT INTO t VALUES (1, 1, 1), (1, 2, 5);")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (tmp_path / "shop.sql").write_text(table.replace("(a, b)", "(a)").replace("c > 0", "c > 1"))
    with open_workspace(tmp_path) as workspace:
        told = "\n".join(item.message for item in plan(workspace).observations if item.code == DATA_REFUSES)
    assert "2 rows of" in told and "a is not unique" in told and "1 row of" in told


T, U = "CREATE TABLE t (id integer NOT NULL PRIMARY KEY", "CREATE TABLE u (id integer NOT NULL PRIMARY KEY);"
TWO = "INSERT INTO t (id) VALUES (1), (2);"
TEXTS = "INSERT INTO t VALUES (1, 'a'), (2, 'A');"
TO_BE: dict[str, tuple[str, str, str | None, tuple[str, ...]]] = {
    "a new column has one value under a unique key": (
        f"{T}); {TWO}",
        f"{T}, mail varchar(20) DEFAULT '' NOT NULL); CREATE UNIQUE INDEX ux ON t (mail);",
        "mail is not unique (id: 1, 2)",
        ("",),
    ),
    "a new column is NULL under a unique key": (
        f"{T}); {TWO}",
        f"{T}, mail varchar(20)); CREATE UNIQUE INDEX ux ON t (mail);",
        None,
        ("",),
    ),
    "a new column refers to nothing": (
        f"{U} {T}); {TWO}",
        f"{U} {T}, u integer DEFAULT 5 NOT NULL, CONSTRAINT f FOREIGN KEY (u) REFERENCES u (id));",
        "u refers to no row of",
        ("",),
    ),
    "a new column breaks a check": (
        f"{T}); {TWO}",
        f"{T}, n integer DEFAULT 0, CONSTRAINT c CHECK (n > 0));",
        "they break the check c (id: 1, 2)",
        ("",),
    ),
    "the name of a new column stands in another word of a check": (
        f"{T}, state integer); INSERT INTO t VALUES (1, -1);",
        f"{T}, state integer, at integer, CONSTRAINT c CHECK (state > 0));",
        "they break the check c (id: 1)",
        ("",),
    ),
    "a unique index over an expression": (
        f"{T}, a varchar(9)); {TEXTS}",
        f"{T}, a varchar(9)); CREATE UNIQUE INDEX ux ON t (lower(a));",
        "is not unique (id: 1, 2)",
        ("postgresql", "sqlite"),
    ),
    "a key that stays compares in another way": (
        f"{T}, a varchar(9) COLLATE utf8mb4_bin, UNIQUE KEY ux (a)); {TEXTS}",
        f"{T}, a varchar(9) COLLATE utf8mb4_general_ci, UNIQUE KEY ux (a));",
        "a is not unique (id: ",
        ("mysql",),
    ),
    "a key that stays compares as its table does from now on": (
        f"{T}, a varchar(9), UNIQUE KEY ux (a)) CHARSET=utf8mb4 COLLATE=utf8mb4_bin; {TEXTS}",
        f"{T}, a varchar(9), UNIQUE KEY ux (a)) CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;",
        "a is not unique (id: ",
        ("mysql",),
    ),
    "a key that stays compares other values": (
        f"{T}, a varchar(9), UNIQUE KEY ux (a)); INSERT INTO t VALUES (1, '1'), (2, '01');",
        f"{T}, a int, UNIQUE KEY ux (a));",
        "a is not unique (id: ",
        ("mysql",),
    ),
    "a unique index over beginnings": (
        f"{T}, a varchar(9)); INSERT INTO t VALUES (1, 'abc'), (2, 'abd');",
        f"{T}, a varchar(9), UNIQUE KEY ux (a(2)));",
        "a is not unique (id: 1, 2)",
        ("mysql",),
    ),
    "text that another character set lacks": (
        f"{T}, a varchar(9)) CHARSET=utf8mb4; INSERT INTO t VALUES (1, 'é'), (2, '漢');",
        f"{T}, a varchar(9)) CHARSET=latin1;",
        "a has characters that latin1 has not (id: 2)",
        ("mysql",),
    ),
    "rows that no range takes": (
        f"{T}, n int); INSERT INTO t VALUES (1, 5), (200, NULL);",
        f"{T}, n int) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (100));",
        "they belong to no partition (id: 200)",
        ("mysql",),
    ),
    "rows that no list takes": (
        "CREATE TABLE t (c varchar(3)); INSERT INTO t VALUES ('de'), ('x'), (NULL);",
        "CREATE TABLE t (c varchar(3)) PARTITION BY LIST COLUMNS (c)"
        " (PARTITION a VALUES IN ('de', NULL), PARTITION b VALUES IN ('fr'));",
        "they belong to no partition (c: x)",
        ("mysql",),
    ),
    "rows that ranges take": (
        "CREATE TABLE t (d date NOT NULL, r varchar(3) NOT NULL); INSERT INTO t VALUES ('2020-01-01', 'z'), ('2021-01-01', 'a');",
        "CREATE TABLE t (d date NOT NULL, r varchar(3) NOT NULL) PARTITION BY RANGE COLUMNS (d, r)"
        " (PARTITION a VALUES LESS THAN ('2020-01-01', 'm'), PARTITION b VALUES LESS THAN ('2021-01-01', 'b'));",
        None,
        ("mysql",),
    ),
    "another type behind another name": (
        f"{T}, a varchar(9)); INSERT INTO t VALUES (1, '1'), (2, 'x');",
        f"{T},\n b int -- dbops:renamed_from a\n);",
        "b is nothing that int can hold (id: 2)",
        ("mysql",),
    ),
    "text that another character set has": (
        f"{T}, a varchar(9)) CHARSET=utf8mb4; INSERT INTO t VALUES (1, 'é');",
        f"{T}, a varchar(9)) CHARSET=latin1;",
        None,
        ("mysql",),
    ),
    "a computed column that is too long": (
        f"{T}, a varchar(9)); INSERT INTO t VALUES (1, 'abcd'), (2, 'abc');",
        f"{T},\n b varchar(9), -- dbops:renamed_from a\n v varchar(3) AS (b) STORED);",
        "what they get in the computed column v is nothing that varchar(3) can hold (id: 1)",
        ("mysql",),
    ),
    "a computed column that is kept in an index, and out of range": (
        f"{T}, a int); INSERT INTO t VALUES (1, 127), (2, 128);",
        f"{T}, a int, v tinyint AS (a) VIRTUAL, KEY k (v));",
        "what they get in the computed column v is nothing that tinyint can hold (id: 2)",
        ("mysql",),
    ),
    "computed columns that fit": (
        f"{T}, a int); INSERT INTO t VALUES (1, 127), (2, NULL);",
        f"{T}, a int, v tinyint AS (a) STORED, w text AS (a) STORED, x varchar(3) AS (a) VIRTUAL, y decimal(3,0) AS (a) STORED);",
        None,
        ("mysql",),
    ),
    "a column that becomes a computed one under its key": (
        f"{T}, a int, v int, UNIQUE KEY k (v)); INSERT INTO t VALUES (1, 5, 1), (2, 5, 2);",
        f"{T}, a int, v int AS (a + 1) VIRTUAL, UNIQUE KEY k (v));",
        "v is not unique (id: 1, 2)",
        ("mysql",),
    ),
    "a computed column under a key that compares in another way": (
        f"{T}, a int, v varchar(9) COLLATE utf8mb4_bin AS (if(a = 1, 'x', 'X')) VIRTUAL, UNIQUE KEY k (v));"
        " INSERT INTO t (id, a) VALUES (1, 1), (2, 2);",
        f"{T}, a int, v varchar(9) COLLATE utf8mb4_general_ci AS (if(a = 1, 'x', 'X')) VIRTUAL, UNIQUE KEY k (v));",
        "v is not unique (id: ",
        ("mysql",),
    ),
    "bytes that are filled up under a unique key": (
        f"{T}, b varbinary(9), UNIQUE KEY k (b)); INSERT INTO t VALUES (1, x'41'), (2, x'4100');",
        f"{T}, b binary(4), UNIQUE KEY k (b));",
        "b is not unique (id: 1, 2)",
        ("mysql",),
    ),
    "filled bytes that give way to fewer, and are filled anew": (
        f"{T}, b binary(4)); INSERT INTO t VALUES (1, x'41');",
        f"{T}, b varbinary(2));",
        None,
        ("mysql",),
    ),
    "a key that stays without regard to case": (
        f"{T}, a text UNIQUE); {TEXTS}",
        f"{T}, a text UNIQUE COLLATE NOCASE);",
        "a is not unique (id: 1, 2)",
        ("sqlite",),
    ),
    "a check of numbers that were text": (
        f"{T}, a text); INSERT INTO t VALUES (1, '5');",
        f"{T}, a integer, CHECK (a < 100));",
        None,
        ("sqlite",),
    ),
    "a check of computed values": (
        f"{T}, a integer); INSERT INTO t VALUES (1, 5);",
        f"{T}, a integer, b integer AS (a + 1) CHECK (b < 3));",
        "they break the check",
        ("sqlite",),
    ),
    "a computed value that must not be NULL": (
        f"{T}, a integer); INSERT INTO t VALUES (1, NULL);",
        f"{T}, a integer, b integer AS (a + 1) NOT NULL);",
        "the new column b would be NULL (id: 1)",
        ("sqlite",),
    ),
    "a foreign key to a table's key that goes without saying": (
        f"{U} {T}, u integer); INSERT INTO t VALUES (1, 7);",
        f"{U} {T}, u integer REFERENCES u);",
        "u refers to no row of u",
        ("sqlite",),
    ),
    "a foreign key to a key that changes with it": (
        "CREATE TABLE p (a int, b int, PRIMARY KEY (b, a)); CREATE TABLE t (a int, b int, FOREIGN KEY (b, a) REFERENCES p);"
        "INSERT INTO p VALUES (1, 2); INSERT INTO t VALUES (1, 2);",
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE t (a int, b int, FOREIGN KEY (a, b) REFERENCES p);",
        None,
        ("sqlite",),
    ),
    "a row's number out of a fraction": (
        "CREATE TABLE t (a real PRIMARY KEY); INSERT INTO t VALUES (1.5), (2.0);",
        "CREATE TABLE t (a integer PRIMARY KEY);",
        "a is no integer, as a row's number has to be (a: 1.5)",
        ("sqlite",),
    ),
}


def _of(engine: str) -> list[str]:
    return [name for name, (*_, engines) in TO_BE.items() if engine in engines]


@pytest.mark.parametrize("name", _of(""))
def test_rows_are_asked_as_the_changes_will_leave_them(
    name: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(name, database, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", _of("sqlite"))
def test_rows_of_sqlite_are_asked_as_the_changes_will_leave_them(
    name: str, sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(name, sqlite_database, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", _of("postgresql"))
def test_rows_of_postgresql_are_asked_as_the_changes_will_leave_them(
    name: str, pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(name, pg_database, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", _of("mysql"))
def test_rows_of_mysql_are_asked_as_the_changes_will_leave_them(
    name: str, my_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(name, my_database, tmp_path, monkeypatch)


def _ask(name: str, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(folder / "cache"))
    before, after, expected, _ = TO_BE[name]
    database.load(before)
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (folder / "shop.sql").write_text(after)
    told = [message for code, message in answers(folder) if code in (DATA_REFUSES, "DATA_UNKNOWN")]
    with open_workspace(folder) as workspace:
        if expected is None:
            assert told == []
            assert apply(workspace, ALLOWED).state == "done"
        else:
            assert len(told) == 1 and expected in told[0]
            with pytest.raises(ApplyError, match="nothing was done"):
                apply(workspace, ALLOWED)
