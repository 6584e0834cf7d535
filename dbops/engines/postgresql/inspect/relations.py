"""Tables, views, materialized views, foreign tables, composite types and sequences: everything in pg_class but indexes."""

from __future__ import annotations

from typing import NamedTuple

from dbops.catalog.model import (
    CompositeType,
    ForeignTable,
    MaterializedView,
    Options,
    PartitionBy,
    PartitionOf,
    Table,
    Unmanaged,
    View,
)
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.columns import Columns
from dbops.engines.postgresql.inspect.reading import CLASS, MANAGED, TYPE, Reading, pairs
from dbops.engines.postgresql.inspect.sequences import Sequences

_QUERY = f"""
SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.relowner, c.reltype, c.relpersistence, c.reloptions,
       CASE WHEN t.reloptions IS NOT NULL THEN t.reloptions END, c.reltablespace, c.relam, c.relrowsecurity,
       c.relforcerowsecurity, c.relreplident, CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END, c.relispopulated,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
       CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END, i.parents,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, s.srvname, f.ftoptions
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid AND c.reltoastrelid <> 0
LEFT JOIN (SELECT inhrelid, array_agg(inhparent ORDER BY inhseqno) AS parents FROM pg_inherits GROUP BY inhrelid) i
  ON i.inhrelid = c.oid
LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid AND c.relkind = 'f'
LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
WHERE c.relkind NOT IN ('i', 'I', 't') AND {MANAGED}
ORDER BY n.nspname, c.relname"""

_KINDS = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized_view",
    "f": "foreign_table",
    "c": "composite_type",
    "S": "sequence",
}
_PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
_REPLICA_IDENTITY = {"d": None, "n": "nothing", "f": "full"}


class Relation(NamedTuple):
    """One row of pg_class with what hangs on it."""

    oid: int
    namespace: int
    name: str
    kind: str
    owner: int
    row_type: int
    persistence: str
    options: list[str] | None
    toast_options: list[str] | None
    tablespace: int
    method: int
    row_security: bool
    force_row_security: bool
    replica_identity: str
    of_type: str | None
    is_populated: bool
    partition_key: str | None
    bound: str | None
    parents: list[int] | None
    query: str | None
    server: str | None
    server_options: list[str] | None


def read_relations(reading: Reading) -> list[Relation]:
    """Fetch the rows and give every relation its ref, so that they can speak of each other; build nothing yet."""
    managed = []
    for values in reading.conn.query(_QUERY):
        relation = Relation._make(values)
        if relation.namespace not in reading.schemas or reading.is_member(CLASS, relation.oid):
            reading.excluded.add((CLASS, relation.oid))
            continue
        kind = _KINDS.get(relation.kind)
        if kind is None:
            continue  # named as unmanaged with everything else that has no ref
        if relation.kind == "c" and reading.is_member(TYPE, relation.row_type):
            reading.excluded.add((CLASS, relation.oid))
            continue
        ref = Ref(kind, reading.schemas[relation.namespace], relation.name)
        reading.refs[CLASS, relation.oid] = reading.refs[TYPE, relation.row_type] = ref
        managed.append(relation)
    return managed


def build_relations(reading: Reading, relations: list[Relation], columns: Columns, sequences: Sequences) -> None:
    """Turn rows into objects; columns, sequences, comments and grants have been read."""
    for relation in relations:
        match relation.kind:
            case "r" | "p":
                reading.add(CLASS, relation.oid, _table(reading, relation, columns, sequences))
            case "v":
                reading.add(CLASS, relation.oid, _view(reading, relation, columns))
            case "m":
                reading.add(CLASS, relation.oid, _materialized_view(reading, relation, columns, sequences))
            case "f":
                reading.add(CLASS, relation.oid, _foreign_table(reading, relation, columns, sequences))
            case "c":
                reading.add(CLASS, relation.oid, _composite_type(reading, relation, columns, sequences))
    for relation in relations:
        if relation.kind == "S":
            _sequence(reading, relation, sequences)


def storage(reading: Reading, options: list[str] | None, tablespace: int, toast: list[str] | None = None) -> Options:
    """Storage parameters, those of the TOAST table, and the tablespace, sorted; only what is not the default."""
    if not (options or toast or tablespace):
        return ()
    found = [*pairs(options), *pairs(toast, "toast.")]
    if tablespace:
        found.append(("tablespace", reading.tablespaces[tablespace]))
    return tuple(sorted(found))


def order_of(options: list[str] | None, toast: list[str] | None = None) -> str | None:
    """Return the names of storage parameters as the server has them, with blanks between; None where they are in order anyhow."""
    names = [name for name, _ in (*pairs(options), *pairs(toast, "toast."))]
    return " ".join(names) if names != sorted(names) else None


def _table(reading: Reading, relation: Relation, columns: Columns, sequences: Sequences) -> Table:
    partition_of, inherits = _parents(reading, relation)
    index = reading.replica_indexes.get(relation.oid)
    replica_identity = (
        f"index {index}" if relation.replica_identity == "i" and index else _REPLICA_IDENTITY.get(relation.replica_identity)
    )
    method = reading.methods.get(relation.method)
    return Table(
        schema=reading.schemas[relation.namespace],
        name=relation.name,
        comment=reading.comment(CLASS, relation.oid),
        owner=reading.owner(relation.owner),
        grants=reading.grants.get((CLASS, relation.oid)),
        columns=columns.of(relation.oid, sequences),
        persistence=_PERSISTENCE[relation.persistence],
        options=storage(reading, relation.options, relation.tablespace, relation.toast_options),
        spelling=order_of(relation.options, relation.toast_options),
        partition_by=_partition_by(relation.partition_key),
        partition_of=partition_of,
        inherits=inherits,
        row_security=relation.row_security,
        force_row_security=relation.force_row_security,
        replica_identity=replica_identity,
        access_method=None if method == "heap" else method,
        of_type=relation.of_type,
    )


def _parents(reading: Reading, relation: Relation) -> tuple[PartitionOf | None, tuple[Ref, ...]]:
    parents = [reading.refs[CLASS, oid] for oid in relation.parents or () if (CLASS, oid) in reading.refs]
    if relation.bound is not None and parents:
        return PartitionOf(parents[0], relation.bound), ()
    return None, tuple(parents)


def _partition_by(key: str | None) -> PartitionBy | None:
    """`RANGE (at)` as the server writes it."""
    if key is None:
        return None
    strategy, _, expression = key.partition(" ")
    return PartitionBy(strategy.lower(), expression)


def _query(relation: Relation) -> str:
    return (relation.query or "").strip().removesuffix(";")


def _view(reading: Reading, relation: Relation, columns: Columns) -> View:
    defaults = [(f"default:{name}", expression) for name, expression in columns.defaults(relation.oid)]
    comments = [
        (f"comment:{name}", text)
        for number, name in reading.columns.get(relation.oid, {}).items()
        if (text := reading.comment(CLASS, relation.oid, number)) is not None
    ]
    return View(
        schema=reading.schemas[relation.namespace],
        name=relation.name,
        comment=reading.comment(CLASS, relation.oid),
        owner=reading.owner(relation.owner),
        grants=reading.grants.get((CLASS, relation.oid)),
        definition=_query(relation),
        columns=columns.names_and_types(relation.oid),
        options=tuple(sorted([*pairs(relation.options), *defaults, *comments])),
        spelling=order_of(relation.options),
    )


def _materialized_view(reading: Reading, relation: Relation, columns: Columns, sequences: Sequences) -> MaterializedView:
    method = reading.methods.get(relation.method)
    own = [
        (f"column:{column.name}:{name}", value)
        for column in columns.of(relation.oid, sequences)
        for name, value in column.options
    ]
    comments = [
        (f"comment:{name}", text)
        for number, name in reading.columns.get(relation.oid, {}).items()
        if (text := reading.comment(CLASS, relation.oid, number)) is not None
    ]
    method_option = [("access_method", method)] if method not in (None, "heap") else []
    return MaterializedView(
        schema=reading.schemas[relation.namespace],
        name=relation.name,
        comment=reading.comment(CLASS, relation.oid),
        owner=reading.owner(relation.owner),
        grants=reading.grants.get((CLASS, relation.oid)),
        definition=_query(relation),
        columns=columns.names_and_types(relation.oid),
        options=tuple(
            sorted(
                [
                    *storage(reading, relation.options, relation.tablespace, relation.toast_options),
                    *own,
                    *comments,
                    *method_option,
                ]
            )
        ),
        is_populated=relation.is_populated,
        spelling=order_of(relation.options, relation.toast_options),
    )


def _foreign_table(reading: Reading, relation: Relation, columns: Columns, sequences: Sequences) -> ForeignTable:
    partition_of, inherits = _parents(reading, relation)
    return ForeignTable(
        schema=reading.schemas[relation.namespace],
        name=relation.name,
        comment=reading.comment(CLASS, relation.oid),
        owner=reading.owner(relation.owner),
        grants=reading.grants.get((CLASS, relation.oid)),
        columns=columns.of(relation.oid, sequences),
        server=relation.server or "",
        options=tuple(sorted(pairs(relation.server_options))),
        inherits=inherits,
        partition_of=partition_of,
    )


def _composite_type(reading: Reading, relation: Relation, columns: Columns, sequences: Sequences) -> CompositeType:
    return CompositeType(
        schema=reading.schemas[relation.namespace],
        name=relation.name,
        comment=reading.comment(TYPE, relation.row_type),
        owner=reading.owner(relation.owner),
        grants=reading.grants.get((TYPE, relation.row_type)),
        columns=columns.of(relation.oid, sequences),
    )


def _sequence(reading: Reading, relation: Relation, sequences: Sequences) -> None:
    """The sequence of an identity column is the column's own, and answers to its name."""
    if identity := sequences.identity_sequences.get(relation.oid):
        table = reading.refs.get((CLASS, identity[0]))
        column = reading.column(*identity)
        if column is None or table is None:
            reading.excluded.add((CLASS, relation.oid))
            del reading.refs[CLASS, relation.oid]
        else:
            reading.refs[CLASS, relation.oid] = column
            _name_what_is_lost(reading, relation.oid, column)
        return
    schema = reading.schemas[relation.namespace]
    sequences.finish(reading, relation.oid, schema, relation.name, relation.owner, _PERSISTENCE[relation.persistence])


def _name_what_is_lost(reading: Reading, oid: int, column: Ref) -> None:
    """An identity column has no room for what was said about its sequence alone."""
    for what, found in (("grant", reading.grants.get((CLASS, oid))), ("comment", reading.comment(CLASS, oid))):
        if found is not None:
            reason = f"a {what} on the sequence of an identity column is not managed yet"
            reading.unmanaged.add(Unmanaged(what, f"sequence of {column}", reason))
