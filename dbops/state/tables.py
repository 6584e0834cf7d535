"""The tables dbops keeps inside a managed database, and making them."""

from __future__ import annotations

from dbops.engines.base.connect import Connection
from dbops.engines.base.features import Features
from dbops.errors import MissingTableError, QueryError

_INSUFFICIENT_PRIVILEGE = "42501"  # of SQLSTATE, in the SQL standard

_COLUMNS = {
    "applies": "id varchar(32) NOT NULL PRIMARY KEY, started_at varchar(32) NOT NULL, finished_at varchar(32),"
    " state varchar(32) NOT NULL, who varchar(255) NOT NULL, environment varchar(255) NOT NULL,"
    " dbops_version varchar(32) NOT NULL, plan_digest varchar(64) NOT NULL, undoes varchar(32), error {text}",
    "steps": "apply_id varchar(32) NOT NULL, step_order integer NOT NULL, statement integer NOT NULL,"
    " address varchar(700) NOT NULL, title {text} NOT NULL, sql_text {text} NOT NULL, undo_act {text},"
    " state varchar(32) NOT NULL, finished_at varchar(32), error {text}, PRIMARY KEY (apply_id, step_order, statement)",
    "memory": "name varchar(255) NOT NULL PRIMARY KEY, apply_id varchar(32) NOT NULL, content {text} NOT NULL",
}


def create_tables(conn: Connection, features: Features) -> None:
    """Make the state tables that are not there yet; an account that may not create any can use those that are.

    Raises:
        QueryError: the account may not make them; says what it needs.
    """
    for name, columns in _COLUMNS.items():
        create_table(conn, features, name, columns, "the journal of applies")


def create_table(conn: Connection, features: Features, name: str, columns: str, what: str) -> None:
    """Make one state table if it is not there; `columns` may say `{text}` for a long text, `what` names it in errors.

    Raises:
        QueryError: the account may not make it; says what it needs.
    """
    if is_there(conn, features, name):
        return
    try:
        if features.has_schemas:
            _create_schema(conn)
        text = columns.format(text=features.long_text)
        conn.execute(f"CREATE TABLE IF NOT EXISTS {features.state_prefix}{name} ({text}){features.state_table_options}")
    except QueryError as error:
        error.message = f"{what} cannot be made in this database: {error.message}"
        if features.has_schemas and _is_denied(error):
            error.fix = "GRANT CREATE ON DATABASE to the account; or make the schema dbops and give it to the account"
        elif features.has_schemas and "where" in error.context:
            error.message += f" ({error.context['where']})"
            error.fix = error.fix or "let what an event trigger of the database calls there pass the tables of the schema dbops"
        raise


def _is_denied(error: QueryError) -> bool:
    """Tell whether the account lacks a privilege; code of a function (`where`) refuses for reasons of its own."""
    return error.context.get("sqlstate") == _INSUFFICIENT_PRIVILEGE and "where" not in error.context


def _create_schema(conn: Connection) -> None:
    """Ask first: PostgreSQL refuses IF NOT EXISTS, too, to an account that may not create one."""
    if not conn.query("SELECT 1 FROM information_schema.schemata WHERE schema_name = 'dbops'"):
        conn.execute("CREATE SCHEMA IF NOT EXISTS dbops")


def have_tables(conn: Connection, features: Features) -> bool:
    """Tell whether this database was ever applied to.

    Raises:
        QueryError: the account may not read them, or the database does not answer.
    """
    return is_there(conn, features, "applies")


def is_there(conn: Connection, features: Features, name: str) -> bool:
    """Tell whether a state table is there; raises as `have_tables` does."""
    try:
        conn.query(f"SELECT 1 FROM {features.state_prefix}{name} WHERE 1 = 0")
    except MissingTableError:
        return False
    except QueryError as error:
        if features.has_schemas and _is_denied(error):
            error.fix = "GRANT USAGE ON SCHEMA dbops, and SELECT on its tables; to apply also INSERT, UPDATE and DELETE"
        raise
    return True
