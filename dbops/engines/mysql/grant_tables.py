"""Reading who may do what from the server's grant tables.

`information_schema` knows no routines and shows the accounts of others only to who may read all of `mysql`; SELECT on these
four tables is less (MySQL 8.4 manual, 8.2.3; MariaDB Knowledge Base, The mysql Database Tables).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field

from dbops.catalog.model import Grant
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row
from dbops.engines.mysql.connect import MysqlConnection
from dbops.engines.mysql.ddl import literal
from dbops.engines.mysql.errors import ACCESS, number_of
from dbops.engines.mysql.flavour import flavour_of
from dbops.engines.mysql.grants import DATABASE, NOTHING, OPTION, Place, grantee, privileges_on
from dbops.errors import QueryError

TABLES = ("db", "tables_priv", "columns_priv", "procs_priv")

GrantRows = tuple[tuple[Row, ...], ...]
"""The rows of each of `TABLES` that speak of one database."""

_COLUMNS = {"CREATE TEMPORARY TABLES": "Create_tmp_table_priv", OPTION: "Grant_priv"}
_WORDS = {"DELETE VERSIONING ROWS": "DELETE HISTORY", "GRANT": OPTION}


@dataclass(slots=True)
class Granted:
    """The grants on each place, and under which pattern each account's grants on the database itself stand."""

    by_place: dict[Place, tuple[Grant, ...]] = field(default_factory=dict)
    patterns: dict[str, str] = field(default_factory=dict)


def fetch_grants(conn: MysqlConnection) -> GrantRows | None:
    """Ask for all grants on the session's database, in one round trip; None where the account may not read them."""
    database = literal(conn.database)
    listed = ", ".join(_column(privilege) for privilege in _database_privileges(conn))
    questions = [
        f"SELECT User, Host, Db, {listed} FROM mysql.db WHERE Db IN ({database}, {literal(escaped(conn.database))})",
        f"SELECT User, Host, Table_name, Table_priv FROM mysql.tables_priv WHERE Db = {database} AND Table_priv <> ''",
        f"SELECT User, Host, Table_name, Column_name, Column_priv FROM mysql.columns_priv WHERE Db = {database}",
        f"SELECT User, Host, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv WHERE Db = {database}",
    ]
    try:
        return tuple(tuple(sorted(rows)) for rows in conn.query_each(questions))
    except QueryError as error:
        if number_of(error) in ACCESS:
            return None
        raise


def escaped(database: str) -> str:
    """Return the pattern that means this database alone."""
    return database.replace("_", "\\_").replace("%", "\\%")


def _database_privileges(conn: MysqlConnection) -> list[str]:
    return sorted({*privileges_on("database", flavour_of(conn.server)), OPTION})


def _column(privilege: str) -> str:
    return _COLUMNS.get(privilege, f"{privilege.replace(' ', '_').capitalize()}_priv")


def granted(rows: GrantRows, conn: MysqlConnection) -> Granted:
    """Turn the rows into grants, sorted."""
    found: defaultdict[Place, set[Grant]] = defaultdict(set)
    result = Granted()
    on_database, on_tables, on_columns, on_routines = rows
    for user, host, pattern, *answers in on_database:
        who = grantee(user, host)
        result.patterns[who] = pattern
        has = [privilege for privilege, answer in zip(_database_privileges(conn), answers, strict=True) if answer == "Y"]
        found[DATABASE].update(Grant(who, privilege) for privilege in has or [NOTHING])
    for user, host, name, privileges in on_tables:
        found[Place("table", name)].update(Grant(grantee(user, host), word) for word in _words(privileges))
    for user, host, name, column, privileges in on_columns:
        found[Place("table", name)].update(Grant(grantee(user, host), word, False, column) for word in _words(privileges))
    for user, host, name, kind, privileges in on_routines:
        found[Place(str(kind).lower(), name)].update(Grant(grantee(user, host), word) for word in _words(privileges))
    result.by_place = {place: tuple(sorted(grants)) for place, grants in found.items()}
    return result


def _words(privileges: str) -> list[str]:
    """Read a SET of the server: `Select,Create View,Grant`."""
    upper = [word.upper() for word in privileges.split(",") if word]
    return [_WORDS.get(word, word) for word in upper]
