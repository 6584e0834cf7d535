"""Objects of their own taken out of a source, put into it, and written otherwise, with what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbops.catalog.model import CatalogObject, Routine, Table
from dbops.catalog.ref import Ref
from dbops.resources.schema.accept.attempt import Attempt
from dbops.resources.schema.accept.parts import as_segment, as_statement, key_of, statements
from dbops.resources.schema.accept.texts import Found
from dbops.sql.subjects import Piece


class Objects:
    """Edits the texts of one attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._on = attempt

    def remove(self, item: CatalogObject) -> None:
        """Remove what makes an object and what is done to it; a table with all that stands on it."""
        if isinstance(item, Table):
            self.remove_all(self._on.of_table(item.ref))
            self._on.done |= {ref for ref in self._on.goal.accepted if ref.table == item.ref}
            return
        found = self._on.source(self._on.speaks_of(item))
        defining = self._on.defining(found, item)
        if defining is not None:
            self._on.texts.remove(defining)
        if not isinstance(item, Routine) or len([one for one in found if one.piece.role == "define"]) < 2:
            self.remove_all(lambda piece: piece.role != "define" and self._on.match.speaks_of(piece, item))

    def remove_all(self, is_wanted: Callable[[Piece], bool]) -> None:
        """Remove pieces from the last to the first, so that places before them hold."""
        left = -1
        while (found := self._on.source(is_wanted)) and len(found) != left:
            left = len(found)
            wholes = [one for one in found if one.piece.form == "statement" and one.piece.role != "alter"]
            self._on.texts.remove((wholes or [one for one in found if one.piece.role != "alter"] or found)[-1])

    def add(self, item: CatalogObject) -> None:
        """Put in an object with what is said about it; a table with all that stands on it."""
        if isinstance(item, Table):
            made = self._on.after.where(self._on.of_table(item.ref))
            self.add_new(item.ref, statements(made))
            self._on.done |= {ref for ref in self._on.goal.accepted if ref.table == item.ref}
            return
        found = self._on.after.where(self._on.speaks_of(item))
        new = self._on.defining(found, item)
        if new is None:
            return
        others = [one for one in found if one.piece.role not in ("define", "alter")]
        self.add_piece(item.ref, new, [as_statement(one) for one in others])

    def add_piece(self, ref: Ref, new: Found, others: Sequence[str]) -> None:
        """Add what makes an object in the form that suits its table, and what is done to it behind."""
        create = self._on.create_of(ref.table) if ref.parent else None
        if new.piece.form == "clause":
            column = self._on.source(
                lambda piece: self._on.match.is_column(piece, ref.table, new.piece.columns[0]) and piece.role == "define"
            )
            if column and not self._on.match.is_same(column[0].text, new.text) and new.text not in column[0].text:
                self._on.texts.replace(column[0], f"{column[0].text} {new.text}")
        elif create is not None and new.piece.form != "statement" and not self._is_apart(new):
            self._on.texts.insert_segment(create, as_segment(new))
        elif create is not None:
            self.add_behind(ref.table, [as_statement(new), *others])
            return
        else:
            self.add_new(ref, [as_statement(new), *others])
            return
        if others:
            self.add_behind(ref.table, others)

    def _is_apart(self, new: Found) -> bool:
        return self._on.way.constraints_apart and new.piece.form == "action"

    def add_behind(self, table: Ref, texts: Sequence[str]) -> None:
        """Add statements behind the last that speaks of a table, in the file that makes it."""
        create, is_of = self._on.create_of(table), self._on.of_table(table)
        if create is None:
            self.add_new(table, texts)
            return
        behind = [one for one in self._on.source(lambda p: p.form == "statement" and is_of(p)) if one.path == create.path]
        self._on.texts.insert_statements(behind[-1], texts)

    def add_new(self, ref: Ref, texts: Sequence[str]) -> None:
        """Add statements about an object that no file speaks of yet."""
        folder = self._on.place.folder
        if folder is None:
            assert self._on.place.single is not None
            self._on.texts.append(self._on.place.single, texts)
            return
        taken = {str(path.relative_to(folder)).lower() for path in self._on.texts.files if path.is_relative_to(folder)}
        self._on.texts.append(folder / self._on.place.path_of(ref, taken), texts)

    def change(self, old: CatalogObject, new: CatalogObject) -> None:
        """Write the accepted state of an object that is no table where the source has the other."""
        before = self._on.defining(self._on.before.where(self._on.speaks_of(old)), old)
        after = self._on.defining(self._on.after.where(self._on.speaks_of(new)), new)
        if after is not None and (before is None or not self._on.after.same(before.text, after.text)):
            source = self._on.defining(self._on.source(self._on.speaks_of(old)), old)
            if source is None:
                self.add_piece(new.ref, after, [])
            elif source.piece.form == after.piece.form == "statement":
                self._on.texts.replace(source, after.text)
            elif source.piece.form in ("segment", "action") and after.piece.form in ("segment", "action"):
                prefix = "ADD " if source.piece.form == "action" else ""
                self._on.texts.replace(source, prefix + as_segment(after))
            else:
                self._on.texts.remove(source)
                self.add_piece(new.ref, after, [])
        self.change_extras(self._on.speaks_of(new), new.ref)

    def change_extras(self, is_wanted: Callable[[Piece], bool], ref: Ref) -> None:
        """Bring comments, owners, grants and settings that stand in statements of their own to the accepted state."""

        def is_extra(piece: Piece) -> bool:
            return piece.role not in ("define", "alter") and is_wanted(piece)

        old, new = self._on.before.where(is_extra), self._on.after.where(is_extra)
        gone = [one for one in old if not any(self._on.after.same(one.text, other.text) for other in new)]
        come = [one for one in new if not any(self._on.after.same(one.text, other.text) for other in old)]
        for one in gone:
            successor = next((other for other in come if key_of(other) == key_of(one)), None)
            there = [item for item in self._on.source(is_extra) if key_of(item) == key_of(one)]
            if there and successor is not None:
                self._on.texts.replace(there[0], successor.text)
                come.remove(successor)
            elif there:
                self._on.texts.remove(there[0])
        if come:
            self._add_extras(ref, [as_statement(one) for one in come])

    def _add_extras(self, ref: Ref, texts: Sequence[str]) -> None:
        if ref.parent or ref.kind == "table":
            self.add_behind(ref.table, texts)
            return
        item = self._on.goal.after.get(ref)
        found = self._on.source(self._on.speaks_of(item)) if item else []
        if found:
            self._on.texts.insert_statements(found[-1], texts)
        else:
            self.add_new(ref, texts)
