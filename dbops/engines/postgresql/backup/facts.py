"""What a restore has to know of a database that no dump says, read in one snapshot, and given to the restored one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dbops.engines.postgresql.connect import quoted
from dbops.engines.postgresql.scratch import LOCALE_OF, literal, locale_clauses
from dbops.errors import QueryError

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection

_DATABASE = """
SELECT d.datname::text, d.oid::bigint, pg_catalog.pg_get_userbyid(d.datdba)::text, d.datconnlimit,
       pg_catalog.shobj_description(d.oid, 'pg_database'),
       (SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = 10), pg_catalog.pg_database_size(d.oid), d.datistemplate,
       (SELECT spcname::text FROM pg_catalog.pg_tablespace WHERE oid = d.dattablespace AND oid >= 16384)
FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()"""

_GRANTS = """
SELECT coalesce(r.rolname::text, ''), a.privilege_type, a.is_grantable
FROM pg_catalog.pg_database AS d, pg_catalog.aclexplode(d.datacl) AS a LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE d.datname = pg_catalog.current_database() ORDER BY 1, 2"""

_SETTINGS = """
SELECT coalesce(r.rolname::text, ''), s.setconfig
FROM pg_catalog.pg_db_role_setting AS s LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1"""

#: Whoever owns or may do something here, except the roles that every server has.
_ROLES = """
SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_roles AS r ON r.oid = s.refobjid
WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.oid >= 16384
  AND (s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       OR s.classid = 'pg_catalog.pg_database'::regclass AND s.objid =
          (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
ORDER BY 1"""

_EXTENSIONS = "SELECT extname::text FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"

_TABLESPACES = """
SELECT DISTINCT t.spcname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_tablespace AS t ON t.oid = c.reltablespace
WHERE t.oid >= 16384 ORDER BY 1"""


def read_facts(conn: Connection) -> dict[str, Any]:
    """Return facts of the connected database as JSON values, in the snapshot of the caller."""
    [(name, oid, owner, limit, comment, superuser, size, is_template, tablespace)] = conn.query(_DATABASE)
    return {
        "database": name,
        "database_oid": oid,
        "owner": owner,
        "connection_limit": limit,
        "comment": comment,
        "superuser": superuser or owner,
        "size_bytes": size,
        "is_template": is_template,
        "tablespace": tablespace,
        "major": conn.server.version[0],
        "locale": list(conn.query(LOCALE_OF, (name,))[0]),
        "grants": [list(row) for row in conn.query(_GRANTS)],
        "settings": [[role, list(values)] for role, values in conn.query(_SETTINGS)],
        "roles": [role for (role,) in conn.query(_ROLES)],
        "extensions": [extension for (extension,) in conn.query(_EXTENSIONS)],
        "tablespaces": [tablespace for (tablespace,) in conn.query(_TABLESPACES)],
    }


def clauses(facts: Mapping[str, Any], major: int) -> tuple[str, ...]:
    """Return what CREATE DATABASE is told, on a server of version `major`."""
    return locale_clauses(tuple(facts["locale"]), major)


def give(conn: Connection, facts: Mapping[str, Any], database: str, roles: Sequence[str]) -> list[str]:
    """Give a restored database what its original had; say what the account may not give.

    What concerns roles other than `roles` is left out. `conn` is a session on that database.
    """
    name, refused = quoted(database), list(_other_locale(conn, facts))
    for statement, setting in _gifts(facts, name, roles, conn.server.user):
        try:
            with conn.transaction():
                if setting is not None:
                    # FROM CURRENT keeps lists of names (search_path) lists, which SET TO 'text' would not
                    conn.query("SELECT pg_catalog.set_config(?, ?, true)", setting)
                conn.execute(statement)
        except QueryError as error:
            refused.append(f"not given to the database: {statement.replace(name, facts['database'])}: {error.message}")
    return refused


def _gifts(facts: Mapping[str, Any], name: str, roles: Sequence[str], user: str) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """Yield statements, and the setting that must hold while one of them runs; the owner last, who may then be somebody else."""
    yield f"ALTER DATABASE {name} CONNECTION LIMIT {int(facts['connection_limit'])}", None
    if facts["comment"] is not None:
        yield f"COMMENT ON DATABASE {name} IS {literal(facts['comment'])}", None
    for role, values in facts["settings"]:
        whose = f"ROLE {quoted(role)} IN DATABASE {name}" if role else f"DATABASE {name}"
        for setting, _, value in (text.partition("=") for text in values if not role or role in roles):
            yield f"ALTER {whose} SET {_setting(setting)} FROM CURRENT", (setting, value)
    if facts["grants"]:
        yield f"REVOKE ALL ON DATABASE {name} FROM PUBLIC", None
    for grantee, privilege, is_grantable in facts["grants"]:
        if not grantee or grantee in roles:
            option = " WITH GRANT OPTION" if is_grantable else ""
            yield f"GRANT {privilege} ON DATABASE {name} TO {quoted(grantee) if grantee else 'PUBLIC'}{option}", None
    if facts.get("is_template"):
        yield f"ALTER DATABASE {name} IS_TEMPLATE true", None
    if facts["owner"] in roles and facts["owner"] != user:
        yield f"ALTER DATABASE {name} OWNER TO {quoted(facts['owner'])}", None


def _other_locale(conn: Connection, facts: Mapping[str, Any]) -> Iterator[str]:
    [(collate,)] = conn.query("SELECT datcollate::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()")
    if collate != facts["locale"][1]:
        yield f"that server lacks the locale {facts['locale'][1]}: the database sorts by {collate}"


def _setting(name: str) -> str:
    """Quote a setting's name, which may have a prefix: myapp.tenant."""
    return ".".join(quoted(part) for part in name.split("."))
