"""The tables dbops keeps inside a managed database, and making them."""

from __future__ import annotations

from dbops.engines.base.connect import Connection
from dbops.engines.base.features import Features
from dbops.errors import MissingTableError


def create_tables(conn: Connection, features: Features) -> None:
    """Make the state tables that are not there yet; one statement each, safe to repeat."""
    p = features.state_prefix
    if features.has_schemas:
        conn.execute("CREATE SCHEMA IF NOT EXISTS dbops")
    text, options = features.long_text, features.state_table_options
    conn.execute(
        f"CREATE TABLE IF NOT EXISTS {p}applies (id varchar(32) NOT NULL PRIMARY KEY, started_at varchar(32) NOT NULL,"
        f" finished_at varchar(32), state varchar(32) NOT NULL, who varchar(255) NOT NULL, environment varchar(255) NOT NULL,"
        f" dbops_version varchar(32) NOT NULL, plan_digest varchar(64) NOT NULL, error {text}){options}"
    )
    conn.execute(
        f"CREATE TABLE IF NOT EXISTS {p}steps (apply_id varchar(32) NOT NULL, step_order integer NOT NULL,"
        f" statement integer NOT NULL, address varchar(700) NOT NULL, title {text} NOT NULL, sql_text {text} NOT NULL,"
        f" undo_act {text}, state varchar(32) NOT NULL, finished_at varchar(32), error {text},"
        f" PRIMARY KEY (apply_id, step_order, statement)){options}"
    )
    conn.execute(
        f"CREATE TABLE IF NOT EXISTS {p}memory (name varchar(255) NOT NULL PRIMARY KEY, apply_id varchar(32) NOT NULL,"
        f" content {text} NOT NULL){options}"
    )


def have_tables(conn: Connection, features: Features) -> bool:
    """Tell whether this database was ever applied to.

    Raises:
        QueryError: the account may not read them, or the database does not answer.
    """
    try:
        conn.query(f"SELECT 1 FROM {features.state_prefix}applies WHERE 1 = 0")
    except MissingTableError:
        return False
    return True
