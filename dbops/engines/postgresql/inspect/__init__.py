"""From the system catalogs of a PostgreSQL database to a `Catalog`: a fixed number of queries, whatever its size.

`reading` holds what one inspection has learned so far. The other modules each read one subject and add its objects:
columns before relations before what stands on them, dependencies and what nobody read last.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from dbops.catalog.catalog import Catalog
from dbops.catalog.scope import Scope, restrict
from dbops.engines.base.connect import Connection
from dbops.engines.postgresql.inspect.attached import read_attached
from dbops.engines.postgresql.inspect.columns import Columns
from dbops.engines.postgresql.inspect.constraints import read_constraints
from dbops.engines.postgresql.inspect.default_privileges import read_beyond, read_default_privileges
from dbops.engines.postgresql.inspect.defined import read_defined
from dbops.engines.postgresql.inspect.dependencies import read_dependencies
from dbops.engines.postgresql.inspect.grants import read_grants
from dbops.engines.postgresql.inspect.indexes import build_indexes, read_indexes
from dbops.engines.postgresql.inspect.namespaces import read_extensions, read_schemas
from dbops.engines.postgresql.inspect.reading import Reading, read_names, steady
from dbops.engines.postgresql.inspect.relations import build_relations, read_relations
from dbops.engines.postgresql.inspect.routines import read_routines
from dbops.engines.postgresql.inspect.sequences import Sequences
from dbops.engines.postgresql.inspect.types import read_types

EVERYTHING = Scope()


def inspect(conn: Connection, scope: Scope = EVERYTHING, *, declared: bool = False) -> Catalog:
    """Read the managed part of the database as the engine port says."""
    with steady(conn), _without_collection():
        reading = Reading(conn, declared)
        _read_objects(reading)
        needs = read_dependencies(reading)
        objects = {ref: reading.objects[ref] for ref in sorted(reading.objects)}
        found = Catalog(objects, needs, tuple(sorted(reading.unmanaged)))
    return restrict(found, scope)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the cyclic garbage collector: everything made here stays, and looking at it again and again costs a fifth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read_objects(reading: Reading) -> None:
    read_names(reading)
    columns = Columns(reading)
    columns.read()
    read_grants(reading)
    read_schemas(reading)
    read_extensions(reading)
    sequences = Sequences(reading)
    relations = read_relations(reading)
    indexes = read_indexes(reading)
    build_relations(reading, relations, columns, sequences)
    of_domains = read_constraints(reading, indexes)
    build_indexes(reading, indexes, columns)
    read_types(reading, of_domains)
    read_routines(reading)
    read_attached(reading)
    read_defined(reading)
    read_default_privileges(reading)
    read_beyond(reading)
