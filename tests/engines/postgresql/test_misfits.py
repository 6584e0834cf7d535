"""Questions to rows that a new type would refuse: how many there are, before the change is tried."""

from __future__ import annotations

from dbops.catalog.changes import diff
from dbops.catalog.declared import as_declared
from dbops.engines.base.question import Question
from dbops.engines.postgresql.connect import PostgresConnection
from dbops.engines.postgresql.questions import questions
from dbops.errors import QueryError
from dbops.sql import probe
from tests.databases import PostgresDatabase, fresh_postgres
from tests.engines.postgresql.sessions import ENGINE, session
from tests.servers import PostgresServer

_LIVE = """
CREATE TYPE e AS ENUM ('a', 'b');
CREATE DOMAIN over_e AS e;
CREATE DOMAIN d AS int;
CREATE DOMAIN filled AS int;
CREATE TABLE t (to_e text, es e[], over over_e, a d, f filled, to_d int, to_int text, to_bool varchar(9), to_uuid text);
INSERT INTO t VALUES
  ('x', '{a,b}', 'b', 0, NULL, 0, 'twelve', 'maybe', 'no'),
  ('a', '{a}', 'a', 1, 1, 1, ' 12 ', 'ON', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  (NULL, NULL, NULL, NULL, 2, NULL, NULL, NULL, NULL);
"""
_WANTED = """
CREATE TYPE e AS ENUM ('a');
CREATE DOMAIN over_e AS e;
CREATE DOMAIN d AS int CONSTRAINT above CHECK (VALUE > 0 AND VALUE::text <> 'VALUE');
CREATE DOMAIN filled AS int NOT NULL;
CREATE TABLE t (to_e e, es e[], over over_e, a d, f filled, to_d d, to_int int, to_bool boolean, to_uuid uuid);
"""
_EXPECTED = {
    "to_e is no label of public.e": 1,
    "es holds b, which public.e loses": 1,
    "over holds b, which public.e loses": 1,
    "a breaks above of public.d": 1,
    "f is NULL": 1,
    "to_d breaks above of public.d": 1,
    "to_int is no integer": 1,
    "to_bool is no boolean": 1,
    "to_uuid is no uuid": 1,
}
_TRIED = {"int": "integer", "bool": "boolean", "uuid": "uuid"}


def test_values_that_a_new_type_refuses_are_counted(pg_database: PostgresDatabase, postgres_server: PostgresServer) -> None:
    pg_database.load(_LIVE)
    with fresh_postgres(postgres_server) as declared:
        declared.load(_WANTED)
        with session(declared) as conn:
            wanted = ENGINE.inspect(conn, declared=True)
    with session(pg_database) as conn:
        live = ENGINE.inspect(conn)
        changes = diff(as_declared(live, wanted), wanted)
        asked = list(questions(changes, live))
        counted, tried = ([one for one in asked if one.is_tried == is_tried] for is_tried in (False, True))
        counts = {question.words: conn.query(probe.count("public.t", question.condition))[0][0] for question in counted}
        refused = {question.words for question in tried if _is_refused(conn, question)}
    assert counts == _EXPECTED
    assert refused == {f"to_{name} does not become {name_of}" for name, name_of in _TRIED.items()}


def _is_refused(conn: PostgresConnection, question: Question) -> bool:
    try:
        conn.query(probe.computed("public.t", question.condition))
    except QueryError as error:
        return str(error.context["sqlstate"]).startswith("22")
    return False
