"""One reading of a database in progress: what was seen so far, and the session it runs in.

Objects are known by `(catalog oid, object oid)`, the way PostgreSQL's own dependency records name them; the oids of the
system catalogs are fixed since they are part of the bootstrap catalogs (include/catalog/*.h).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dbops.catalog.model import CatalogObject, Grant, Unmanaged
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection

TYPE, PROC, CLASS = 1247, 1255, 1259
FDW, SERVER, USER_MAPPING = 2328, 1417, 1418
AM, CAST, CONSTRAINT, ATTRDEF, CONVERSION, LANGUAGE = 2601, 2605, 2606, 2604, 2607, 2612
NAMESPACE, OPCLASS, OPERATOR, REWRITE, TRIGGER, OPFAMILY = 2615, 2616, 2617, 2618, 2620, 2753
AMOP, AMPROC, DEFAULT_ACL, EXTENSION, POLICY = 2602, 2603, 826, 3079, 3256
STATISTICS, COLLATION, EVENT_TRIGGER, TRANSFORM = 3381, 3456, 3466, 3576
TS_PARSER, TS_DICTIONARY, TS_CONFIGURATION, TS_TEMPLATE = 3601, 3600, 3602, 3764
PUBLICATION, PUBLICATION_TABLE, PUBLICATION_SCHEMA, SUBSCRIPTION = 6104, 6106, 6237, 6100

FIRST_USER_OID = 16384
"""Oids below are given out by initdb (access/transam.h, FirstNormalObjectId)."""
PUBLIC_SCHEMA = 2200
STATE_SCHEMA = "dbops"

#: Schemas whose objects are read; temporary and TOAST schemas and the system's own all begin with `pg_`.
MANAGED = f"(n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> '{STATE_SCHEMA}')"

_NAMES = f"""
SELECT 'schema' AS what, n.oid, 0::oid AS of, n.nspname::text AS name, n.nspowner AS owner, {MANAGED} AS flag, NULL::text AS extra
  FROM pg_namespace n
UNION ALL SELECT 'role', oid, 0, rolname, 0, rolname = current_user, NULL FROM pg_roles
UNION ALL SELECT 'tablespace', oid, 0, spcname, 0, false, NULL FROM pg_tablespace
UNION ALL SELECT 'method', oid, 0, amname, 0, false, NULL FROM pg_am
UNION ALL SELECT 'member', d.objid, d.classid, e.extname, 0, false, NULL
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.refclassid = {EXTENSION} AND d.deptype = 'e'
UNION ALL SELECT 'extension', e.oid, e.extnamespace, e.extname, e.extowner, e.extrelocatable, e.extversion FROM pg_extension e
UNION ALL SELECT 'opclass', c.oid, c.opcintype,
       CASE n.nspname WHEN 'pg_catalog' THEN quote_ident(c.opcname) ELSE format('%I.%I', n.nspname, c.opcname) END,
       c.opcmethod, c.opcdefault, NULL
  FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace
UNION ALL SELECT 'collation', c, 0, c::regcollation::text, 0, false, NULL
  FROM (SELECT DISTINCT unnest(indcollation::oid[]) FROM pg_index WHERE indexrelid >= {FIRST_USER_OID}) AS used(c) WHERE c <> 0"""

_COMMENTS = f"""
SELECT classoid, objoid, objsubid, description FROM pg_description
WHERE objoid >= {FIRST_USER_OID} OR (classoid = {NAMESPACE} AND objoid = {PUBLIC_SCHEMA})"""


@contextmanager
def steady(conn: Connection) -> Iterator[None]:
    """Run a block in one read-only snapshot with the settings that shape the server's texts; both end with the block.

    Inside a transaction of the caller a savepoint is used, and its rollback gives the settings back.
    """
    # A transaction's now() stands still at its beginning, so the two differ in every statement but the first.
    [(inside,)] = conn.query("SELECT pg_catalog.now() <> pg_catalog.statement_timestamp()")
    settings = "; ".join(f"SET LOCAL {name} = {value}" for name, value in _SETTINGS.items())
    if inside:
        conn.execute(f"SAVEPOINT dbops_reading; {settings}")
    else:
        conn.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {settings}")
    try:
        yield
    finally:
        conn.execute("ROLLBACK TO SAVEPOINT dbops_reading; RELEASE SAVEPOINT dbops_reading" if inside else "ROLLBACK")


#: The last two spare the server a sixth of its work: helpers cost more than they save, and sorts stay in memory.
_SETTINGS = {
    "search_path": "''",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "'UTC'",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "statement_timeout": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "'64MB'",
}


class Reading:
    """What one inspection has learned; the readers of each subject add to it in order."""

    def __init__(self, conn: Connection, declared: bool) -> None:
        self.conn = conn
        self.declared = declared
        self.major: int = conn.server.version[0]
        self.objects: dict[Ref, CatalogObject] = {}
        self.unmanaged: set[Unmanaged] = set()
        self.refs: dict[tuple[int, int], Ref] = {}
        self.excluded: set[tuple[int, int]] = set()
        self.schemas: dict[int, str] = {}
        self.schema_owner: dict[int, int] = {}
        self.roles: dict[int, str] = {0: "public"}
        self.user = 0
        self.tablespaces: dict[int, str] = {}
        self.methods: dict[int, str] = {}
        self.opclasses: dict[int, tuple[str, bool, int, int]] = {}
        self.collations: dict[int, str] = {}
        self.default_opclasses: set[tuple[int, int]] = set()
        self.members: dict[tuple[int, int], str] = {}
        self.extensions: list[tuple[int, int, str, str, int, bool]] = []
        self.comments: dict[tuple[int, int, int], str] = {}
        self.grants: dict[tuple[int, int], tuple[Grant, ...]] = {}
        self.columns: dict[int, dict[int, str]] = {}
        self.replica_indexes: dict[int, str] = {}
        self._column_refs: dict[tuple[int, int], Ref] = {}
        self.attrdefs: dict[int, tuple[int, int]] = {}
        self.needs: dict[Ref, set[Ref]] = {}

    def since(self, major: int, expression: str, otherwise: str = "NULL") -> str:
        """Return SQL that asks for what exists from `major` on."""
        return expression if self.major >= major else otherwise

    def owner(self, oid: int) -> str | None:
        """The owner as the model has it: None where only the loading role can be meant."""
        return None if self.declared and oid == self.user else self.roles.get(oid)

    def comment(self, catalog: int, oid: int, part: int = 0) -> str | None:
        return self.comments.get((catalog, oid, part))

    def is_member(self, catalog: int, oid: int) -> bool:
        """Tell whether an extension owns the object."""
        return (catalog, oid) in self.members

    def add(self, catalog: int, oid: int, item: CatalogObject) -> None:
        self.refs[catalog, oid] = self.place(item)

    def place(self, item: CatalogObject, ref: Ref | None = None) -> Ref:
        """Keep an object, whose ref may be at hand; two of one ref are a programming error."""
        ref = ref or item.ref
        if ref in self.objects:
            raise ValueError(f"two objects are called {ref}")
        self.objects[ref] = item
        return ref

    def column(self, relation: int, number: int) -> Ref | None:
        """The ref of a column of a relation already read."""
        found = self._column_refs.get((relation, number))
        if found is None:
            table, name = self.refs.get((CLASS, relation)), self.columns.get(relation, {}).get(number)
            if table is None or name is None:
                return None
            found = self._column_refs[relation, number] = Ref("column", table.schema, name, table.name)
        return found

    def needs_of_its_table(self, user: Ref, table: Ref, relation: int, numbers: Iterable[int]) -> None:
        """Note that an object of a table needs it and these of its columns; a number 0 stands for an expression."""
        columns = [self.column(relation, number) for number in numbers]
        self.needs[user] = {table, *[column for column in columns if column is not None]}


def read_names(reading: Reading) -> None:
    """Learn schemas, roles, extensions and their members, operator classes: all that later texts refer to."""
    for what, oid, of, name, owner, flag, extra in reading.conn.query(_NAMES):
        match what:
            case "schema":
                if flag:
                    reading.schemas[oid], reading.schema_owner[oid] = name, owner
                else:
                    reading.excluded.add((NAMESPACE, oid))
            case "role":
                reading.roles[oid] = name
                reading.user = oid if flag else reading.user
            case "tablespace":
                reading.tablespaces[oid] = name
            case "method":
                reading.methods[oid] = name
            case "member":
                reading.members[of, oid] = name
            case "extension":
                reading.extensions.append((oid, of, name, extra, owner, flag))
            case "collation":
                reading.collations[oid] = name
            case "opclass":
                reading.opclasses[oid] = (name, flag, of, owner)
                if flag:
                    reading.default_opclasses.add((owner, of))
    reading.comments = {(catalog, oid, part): text for catalog, oid, part, text in reading.conn.query(_COMMENTS)}


def in_catalog(name: str | None) -> str | None:
    """Qualify a name the server left bare because pg_catalog is always searched."""
    if name is None or _is_qualified(name):
        return name
    return f"pg_catalog.{name}"


def _is_qualified(name: str) -> bool:
    """A dot outside quotes."""
    quoted = False
    for char in name:
        if char == '"':
            quoted = not quoted
        elif char == "." and not quoted:
            return True
    return False


def pairs(options: list[str] | None, prefix: str = "") -> list[tuple[str, str]]:
    """Split `name=value` texts as reloptions and attoptions hold them."""
    if not options:
        return []
    return [(prefix + name, value) for name, _, value in (option.partition("=") for option in options)]
