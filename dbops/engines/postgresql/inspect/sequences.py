"""Sequences: free-standing, owned by a column, or hidden inside an identity column."""

from __future__ import annotations

from dbops.catalog.model import Sequence, SequenceOptions
from dbops.engines.postgresql.inspect.made_names import made_name
from dbops.engines.postgresql.inspect.reading import CLASS, Reading

_QUERY = f"""
SELECT s.seqrelid, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
       d.refobjid, d.refobjsubid, d.deptype = 'i', CASE d.deptype WHEN 'i' THEN ARRAY(
         SELECT c.relname::text FROM pg_class c WHERE c.oid IN (s.seqrelid, d.refobjid) ORDER BY c.oid = s.seqrelid) END
FROM pg_sequence s
LEFT JOIN pg_depend d ON d.classid = {CLASS} AND d.objid = s.seqrelid AND d.objsubid = 0 AND d.refclassid = {CLASS}
  AND d.deptype IN ('a', 'i')"""

_BITS = {"smallint": 15, "integer": 31, "bigint": 63}


class Sequences:
    """All sequences by their own oid, and those of identity columns by `(relation, column number)`.

    `identity_names` are the names of table and sequence.
    """

    def __init__(self, reading: Reading) -> None:
        self.numbers: dict[int, SequenceOptions] = {}
        self.owned_by: dict[int, tuple[int, int]] = {}
        self.identities: dict[tuple[int, int], SequenceOptions] = {}
        self.identity_names: dict[tuple[int, int], tuple[str, str]] = {}
        self.identity_sequences: dict[int, tuple[int, int]] = {}
        for oid, kind, start, step, least, most, cache, cycle, table, column, is_identity, names in reading.conn.query(_QUERY):
            numbers = _numbers(kind, start, step, least, most, cache, cycle)
            if is_identity:
                self.identities[table, column] = numbers
                self.identity_names[table, column] = (names[0], names[1])
                self.identity_sequences[oid] = (table, column)
                continue
            self.numbers[oid] = numbers
            if table:
                self.owned_by[oid] = (table, column)

    def identity_name(self, relation: int, number: int, column: str) -> str | None:
        """Return what the sequence of an identity column is called, None when it is the name the server chooses.

        A partition counts with its table's sequence from PostgreSQL 17 on, and has none.
        """
        table, name = self.identity_names.get((relation, number), ("", ""))
        return None if not name or name == made_name(table, column, "seq") else name

    def finish(self, reading: Reading, oid: int, schema: str, name: str, owner: int, persistence: str) -> None:
        """Add the sequence called `name`; tables must have been read before, for ownership."""
        reading.add(
            CLASS,
            oid,
            Sequence(
                schema=schema,
                name=name,
                numbers=self.numbers[oid],
                owned_by=reading.column(*self.owned_by[oid]) if oid in self.owned_by else None,
                persistence=persistence,
                comment=reading.comment(CLASS, oid),
                owner=reading.owner(owner),
                grants=reading.grants.get((CLASS, oid)),
            ),
        )


def _numbers(kind: str, start: int, step: int, least: int, most: int, cache: int, cycle: bool) -> SequenceOptions:
    """Bounds that are the type's own are None (CREATE SEQUENCE, notes on MINVALUE and MAXVALUE)."""
    top = 2 ** _BITS[kind] - 1
    usual_least, usual_most = (1, top) if step > 0 else (-top - 1, -1)
    return SequenceOptions(
        data_type=kind,
        start=start,
        increment=step,
        minimum=None if least == usual_least else least,
        maximum=None if most == usual_most else most,
        cache=cache,
        cycle=cycle,
    )
