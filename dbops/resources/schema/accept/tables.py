"""Tables that the source and the goal both have: columns, attributes, and, where nothing finer does, the whole written anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from dbops.catalog.changes import CatalogChange
from dbops.catalog.model import Sequence as SequenceObject
from dbops.catalog.model import Table
from dbops.catalog.ref import Ref
from dbops.resources.schema.accept.attempt import Attempt
from dbops.resources.schema.accept.objects import Objects
from dbops.resources.schema.accept.parts import as_segment, clause_changes, head, options_changed, statements, tail
from dbops.resources.schema.accept.rendered import Rendered
from dbops.resources.schema.accept.texts import Found
from dbops.sql.subjects import Piece

_PARTS = ("column", "primary_key", "unique", "foreign_key", "check", "exclusion", "index", "table")
_ON_TABLES = ("trigger", "policy", "rule")


class Tables:
    """Edits the texts of one attempt."""

    def __init__(self, attempt: Attempt, objects: Objects) -> None:
        self._on, self._objects = attempt, objects

    def touched(self, changes: Sequence[CatalogChange]) -> list[Ref]:
        """Return the tables whose own statement the changes are about, and that both sides of the goal have."""
        refs = dict.fromkeys(change.ref.table for change in changes if change.ref.kind in _PARTS)
        both = (self._on.goal.before, self._on.goal.after)
        return [ref for ref in refs if all(isinstance(catalog.get(ref), Table) for catalog in both)]

    def write_anew(self, ref: Ref) -> None:
        """Write a table as the engine does; separate statements about what its own now says are dropped."""
        is_of = self._on.of_table(ref)
        wanted = [one for one in self._on.after.where(is_of) if one.piece.kind not in _ON_TABLES and one.piece.role != "grant"]
        if self._on.create_of(ref) is None or not wanted:
            return
        accepted = {one.name for one in self._on.goal.accepted if one.kind == "index" and one.table == ref}
        inline = {one.piece.name for one in wanted if one.piece.kind == "index" and one.piece.form == "segment"}
        self._objects.remove_all(lambda piece: is_of(piece) and _is_stale(piece, inline | accepted))
        create = self._on.create_of(ref)
        assert create is not None, "the statement that makes the table is never stale"
        made = [one for one in wanted if one.piece.form == "statement"]
        first = next(one for one in made if one.piece.kind == "table" and one.piece.role == "define")
        others = [one for one in made if one is not first and (one.piece.kind != "index" or one.piece.name in accepted)]
        texts = [*self._sequences_of(ref), *statements(others)]
        self._on.texts.replace(create, first.text)
        if texts and (create := self._on.create_of(ref)) is not None:
            self._on.texts.insert_statements(create, texts)
        self._on.done |= {one for one in self._on.goal.accepted if one.table == ref and one.kind in _PARTS}

    def _sequences_of(self, table: Ref) -> Iterator[str]:
        """Yield the statements that make sequences which the source leaves to its column types (serial)."""
        for item in self._on.goal.after.all(SequenceObject):
            if item.owned_by is not None and item.owned_by.table == table and not self._on.source(self._on.speaks_of(item)):
                yield from statements(self._on.after.where(self._on.speaks_of(item)))

    def change_table(self, ref: Ref) -> None:
        """Change what stands around a table's columns, and what is done to the table elsewhere."""
        old, new, create = (self._statement_of(one, ref) for one in (self._on.before, self._on.after, None))
        if old is not None and new is not None and create is not None:
            for part in (tail, head):
                was, now = (part(one.statement.text, self._on.after.engine) for one in (old, new))
                if was[1].split() != now[1].split():
                    there = part(create.statement.text, self._on.after.engine)
                    at = create.offset + there[0]
                    text = options_changed(there[1], was[1], now[1])
                    self._on.texts.replace_span(create.path, at, at + len(there[1]), text)
        is_of = self._on.of_table(ref)
        self._objects.change_extras(lambda piece: piece.kind == "table" and is_of(piece), ref)

    def _statement_of(self, source: Rendered | None, ref: Ref) -> Found | None:
        if source is None:
            return self._on.create_of(ref)
        is_of = self._on.of_table(ref)
        return next(
            iter(source.where(lambda p: p.form == "statement" and p.kind == "table" and p.role == "define" and is_of(p))), None
        )

    def remove_column(self, table: Ref, name: str) -> None:
        """Take out a column and what is said about it."""
        self._objects.remove_all(lambda piece: self._on.match.is_column(piece, table, name))

    def add_column(self, table: Ref, name: str, text: str | None = None) -> None:
        """Put in a column behind its left neighbour, as `text` or as the engine writes it."""
        new = self._on.after.where(self._on.is_definition(table, name))
        create = self._on.create_of(table)
        if not new or create is None:
            return
        self._on.texts.insert_segment(create, text or as_segment(new[0]), self._left_neighbour(table, name))
        self._objects.change_extras(lambda piece: self._on.match.is_column(piece, table, name), table)

    def _left_neighbour(self, table: Ref, name: str) -> str | None:
        """Return the nearest column before `name` that the source has, as it spells it; None when it comes first."""
        wanted = self._on.goal.after.get(table)
        names = [column.name for column in wanted.columns] if isinstance(wanted, Table) else []
        for other in reversed(names[: names.index(name)]):
            if found := self._on.source(self._on.is_definition(table, other)):
                return found[0].piece.name
        return None

    def change_column(self, table: Ref, name: str, moved: bool) -> None:
        """Change the clauses of a column that differ, and its place."""
        is_definition = self._on.is_definition(table, name)
        old, new, source = (
            self._on.before.where(is_definition),
            self._on.after.where(is_definition),
            self._on.source(is_definition),
        )
        if old and new and source:
            for kind, text in clause_changes(old[0], new[0], self._on.after):
                found = self._on.source(is_definition)
                self._on.texts.set_clause(found[0], kind, text)
            found = self._on.source(is_definition)
            if moved and found[0].piece.form == "segment":
                text = found[0].text
                self._on.texts.remove(found[0])
                self.add_column(table, name, text)
        self._objects.change_extras(lambda piece: self._on.match.is_column(piece, table, name), table)


def _is_stale(piece: Piece, indexes: Set[str]) -> bool:
    """Tell whether a statement or action speaks of what a table's own statement says, or of one of `indexes`."""
    if piece.form not in ("statement", "action") or piece.role == "grant":
        return False
    if piece.kind == "index" and piece.form == "statement":
        return piece.name in indexes
    is_own = piece.kind == "table" and piece.role == "define"
    return not is_own and (piece.form == "action" or piece.kind in ("table", "column", "constraint"))
