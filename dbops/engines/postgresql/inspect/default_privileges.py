"""Default privileges: what ALTER DEFAULT PRIVILEGES grants on objects to come, and what of the database is only named."""

from __future__ import annotations

from collections import defaultdict

from dbops.catalog.model import Defined, Grant, Unmanaged
from dbops.engines.postgresql.connect import quoted
from dbops.engines.postgresql.inspect.reading import DEFAULT_ACL, Reading

_QUERY = """
SELECT d.oid, d.defaclrole, d.defaclnamespace, d.defaclobjtype, x.grantee, x.privilege_type, x.is_grantable, true
FROM pg_default_acl d LEFT JOIN LATERAL aclexplode(d.defaclacl) AS x ON true
UNION ALL
SELECT d.oid, d.defaclrole, d.defaclnamespace, d.defaclobjtype, x.grantee, x.privilege_type, x.is_grantable, false
FROM pg_default_acl d,
  LATERAL aclexplode(acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)) AS x
WHERE d.defaclnamespace = 0"""

_ON = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}

#: What a database can hold that is no object of a schema: named, with the reason, never read.
_BEYOND = """
SELECT 'subscription', subname::text, 'subscriptions are state of replication and hold a password'
FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'security_label', provider || ': ' || pg_describe_object(classoid, objoid, objsubid), 'security labels are not managed yet'
FROM pg_seclabel
UNION ALL
SELECT 'database_setting', coalesce('role ' || r.rolname || ': ', '') || split_part(setting, '=', 1),
       'settings of databases and roles are not managed yet'
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS setting
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def read_default_privileges(reading: Reading) -> None:
    """Add one object per role, schema and kind of object.

    `definition` are the statements that lead from the server's default to what is set, option `revert` those that lead back.
    """
    entries: defaultdict[tuple[int, int, int, str], tuple[set[Grant], set[Grant]]] = defaultdict(lambda: (set(), set()))
    for oid, role, namespace, kind, grantee, privilege, grantable, is_set in reading.conn.query(_QUERY):
        given, usual = entries[oid, role, namespace, kind]
        if privilege is not None:
            (given if is_set else usual).add(Grant(reading.roles.get(grantee, str(grantee)), privilege, grantable))
    for (oid, role, namespace, kind), (given, usual) in entries.items():
        if namespace and namespace not in reading.schemas:
            reading.excluded.add((DEFAULT_ACL, oid))
            continue
        item = _item(reading.roles[role], reading.schemas.get(namespace, ""), _ON[kind], given, usual)
        reading.add(DEFAULT_ACL, oid, item)


def _item(role: str, schema: str, on: str, given: set[Grant], usual: set[Grant]) -> Defined:
    head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(role)}" + (f" IN SCHEMA {quoted(schema)}" if schema else "")
    gains, losses = sorted(given - usual), sorted(usual - given)
    statements = [*(_revoke(head, on, grant) for grant in losses), *(_grant(head, on, grant) for grant in gains)]
    reverting = [*(_revoke(head, on, grant) for grant in gains), *(_grant(head, on, grant) for grant in losses)]
    return Defined(
        what="default_privileges",
        schema=schema,
        name=f"{role} ON {on}",
        definition=";\n".join(statements),
        options=(("revert", ";\n".join(reverting)),),
    )


def _grant(head: str, on: str, grant: Grant) -> str:
    option = " WITH GRANT OPTION" if grant.grantable else ""
    return f"{head} GRANT {grant.privilege} ON {on} TO {_grantee(grant)}{option}"


def _revoke(head: str, on: str, grant: Grant) -> str:
    return f"{head} REVOKE {grant.privilege} ON {on} FROM {_grantee(grant)}"


def _grantee(grant: Grant) -> str:
    return "PUBLIC" if grant.grantee == "public" else quoted(grant.grantee)


def read_beyond(reading: Reading) -> None:
    """Name what is left to others: subscriptions, security labels, settings of the database."""
    for kind, name, reason in reading.conn.query(_BEYOND):
        reading.unmanaged.add(Unmanaged(kind, name, reason))
