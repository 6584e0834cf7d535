"""The grants of a source: noted in the ledger of a scratch session, each error at its place.

Accounts and roles are not made: one that the real server does not know is an error before anything changes, where the account
of the connection may look.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence

from dbops.engines.mysql.connect import MysqlConnection, connect, on_database, quoted
from dbops.engines.mysql.errors import ACCESS, number_of
from dbops.engines.mysql.grants import DATABASE, PUBLIC, Said, grantee
from dbops.engines.mysql.tokens import unquoted
from dbops.errors import DbopsError, QueryError, SchemaError
from dbops.sql.splitter import SourceStatement

_log = logging.getLogger(__name__)

_ROLE = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?ROLE\s+(?:IF\s+NOT\s+EXISTS\s+)?[`'\"]?([^\s`'\"@;]+)[`'\"]?\s*(?!\s*@)", re.I
)


def note_grants(
    conn: MysqlConnection, grants: Sequence[SourceStatement], own: set[str], source: Sequence[SourceStatement]
) -> list[DbopsError]:
    """Note what `grants` say of this database, which `own` names mean; return what is wrong with them.

    `source` are all statements, among which may be those that make roles.
    """
    ledger = conn.ledger
    if ledger is None:
        return []
    known = _accounts(conn)
    ledger.own |= own
    ledger.roles |= {match[1] for statement in source if (match := _ROLE.match(statement.text))}
    ledger.roles |= {unquoted(name) for name in known or () if "@" not in name}
    problems: list[DbopsError] = []
    there = _there(conn)
    for statement in grants:
        try:
            said = ledger.take(statement.text)
        except SchemaError as error:
            problems.append(SchemaError(error.message, at=statement.at, expected=error.expected))
            continue
        if said is None:
            _log.info("%s: skipped, it is about accounts, the server or another database", statement.at)
        else:
            problems += _wrong(statement, said, there, known)
    return problems


def _wrong(
    statement: SourceStatement, said: Said, there: set[tuple[str, str, str]], known: set[str] | None
) -> Iterator[SchemaError]:
    kind, name = said.place
    if said.place != DATABASE and (kind, name, "") not in there:
        yield SchemaError(f"there is no {kind} '{name}' to grant anything on", at=statement.at)
        return
    for column in sorted({column for _, column in said.privileges if column and (kind, name, column) not in there}):
        yield SchemaError(f"table '{name}' has no column '{column}' to grant anything on", at=statement.at)
    for who in said.grantees:
        if known is not None and who != PUBLIC and who not in known:
            word = "CREATE USER" if "@" in who else "CREATE ROLE"
            yield SchemaError(f"the server has no account {who}", at=statement.at, fix=f"make it there first: {word} {who}")


_THERE = """
SELECT 'table', table_name, '' FROM information_schema.tables WHERE table_schema = DATABASE()
UNION ALL SELECT 'table', table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()
UNION ALL SELECT LOWER(routine_type), routine_name, '' FROM information_schema.routines WHERE routine_schema = DATABASE()"""


def _there(conn: MysqlConnection) -> set[tuple[str, str, str]]:
    """What the source made: `(kind, name, column)`."""
    return {(str(kind), str(name), str(column)) for kind, name, column in conn.query(_THERE)}


def _accounts(conn: MysqlConnection) -> set[str] | None:
    """The accounts and roles of the real server; None where there is none, or where the account may not see them."""
    if conn.home is None:
        return None
    is_role = "is_role" if conn.server.flavour == "mariadb" else "'N'"
    with_home = connect(on_database(conn.home, None), readonly=True)
    try:
        rows = with_home.query(f"SELECT User, Host, {is_role} FROM mysql.user")
    except QueryError as error:
        if number_of(error) in ACCESS:
            return None
        raise
    finally:
        with_home.close()
    return {quoted(user) if role == "Y" else grantee(user, host) for user, host, role in rows}
