"""Edits of SQL files that make a source mean its goal: the finest first, whole tables written anew when those do not do.

Which edit is right is not decided here: each attempt is proved by the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropColumn, DropObject
from dbops.catalog.model import CatalogObject, Check, Routine, Table
from dbops.catalog.model import Sequence as SequenceObject
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Server
from dbops.engines.base.engine import Engine
from dbops.resources.schema.accept.goal import Goal
from dbops.resources.schema.accept.matching import Matcher, likeliest
from dbops.resources.schema.accept.rendered import Rendered, rendered
from dbops.resources.schema.accept.texts import Found, SourceTexts
from dbops.sql.segments import column_clauses, significant, table_body
from dbops.sql.subjects import Piece

#: Clauses of a column that are objects of their own.
_OBJECTS = ("primary_key", "unique", "references")


@dataclass(frozen=True, slots=True)
class Way:
    """How an attempt edits: new constraints as statements rather than in the table's, tables written anew."""

    constraints_apart: bool = False
    whole_tables: bool = False


WAYS = (Way(), Way(constraints_apart=True), Way(whole_tables=True))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new object goes: `folder` is the source's first folder, `single` the file that takes all there is."""

    folder: Path | None
    single: Path | None
    path_of: Callable[[Ref, set[str]], str]


def attempts(files: dict[Path, str], goal: Goal, engine: Engine, server: Server, place: Place) -> Iterator[dict[Path, str]]:
    """Yield edited files, an attempt after the other; attempts equal to an earlier one are left out."""
    before = rendered(goal.before, engine, server, goal.after)
    after = rendered(goal.after, engine, server, goal.before)
    seen: list[dict[Path, str]] = [files]
    for way in WAYS:
        texts = SourceTexts(dict(files), engine.dialect)
        _Editor(texts, goal, before, after, place, way).edit()
        if texts.files not in seen:
            seen.append(texts.files)
            yield texts.files


@dataclass(slots=True)
class _Editor:
    """One attempt. `done` are the objects that came or went with another."""

    texts: SourceTexts
    goal: Goal
    before: Rendered
    after: Rendered
    place: Place
    way: Way
    done: set[Ref] = field(default_factory=set)
    match: Matcher = field(init=False)

    def __post_init__(self) -> None:
        self.match = Matcher(self.after.engine)

    def edit(self) -> None:
        changes = list(self.goal.accepted.values())
        if self.way.whole_tables:
            for ref in self._touched_tables(changes):
                self._write_anew(ref)
        for change in sorted(changes, key=_turn):
            if change.ref not in self.done:
                self._take_back(change)

    def _take_back(self, change: CatalogChange) -> None:
        match change:
            case CreateObject(item):
                self._remove(item)
            case DropObject(item):
                self._add(item)
            case AlterObject(before, after) if isinstance(before, Table):
                self._change_table(after.ref)
            case AlterObject(before, after):
                self._change(after, before)
            case AddColumn(table, column, _):
                self._remove_all(lambda piece: self.match.is_column(piece, table, column.name))
            case DropColumn(table, column):
                self._add_column(table, column.name)
            case AlterColumn(table, before, _):
                self._change_column(table, before.name, change.moved)
            case _:
                pass

    # --- finding

    def _source(self, is_wanted: Callable[[Piece], bool]) -> list[Found]:
        return [item for item in self.texts.found() if is_wanted(item.piece)]

    def _speaks_of(self, item: CatalogObject) -> Callable[[Piece], bool]:
        return lambda piece: self.match.speaks_of(piece, item)

    def _defining(self, found: Sequence[Found], item: CatalogObject) -> Found | None:
        """Return the piece that makes an object: one with its name before one without, the likeliest of several."""
        made = [one for one in found if one.piece.role == "define"]
        named = [one for one in made if one.piece.name and self.match.is_same(one.piece.name, item.name.split("(", 1)[0])] or made
        if len(named) < 2:
            return named[0] if named else None
        if isinstance(item, Check):
            return named[likeliest((one.text for one in named), item.expression)]
        if isinstance(item, Routine):
            return named[likeliest((one.piece.arguments for one in named), item.name.partition("(")[2])]
        in_schema = [one for one in named if one.piece.schema == item.schema]
        return (in_schema or named)[0]

    def _of_table(self, ref: Ref) -> Callable[[Piece], bool]:
        """Match the statements and actions about a table, its columns and constraints."""

        def is_of(piece: Piece) -> bool:
            name = piece.name if piece.kind == "table" else piece.table
            return self.match.is_same(name, ref.name) and self.match.in_schema(piece.schema, ref.schema)

        return is_of

    def _create_of(self, ref: Ref) -> Found | None:
        is_of = self._of_table(ref)
        return next(
            iter(self._source(lambda p: p.form == "statement" and p.kind == "table" and p.role == "define" and is_of(p))), None
        )

    # --- whole objects

    def _remove(self, item: CatalogObject) -> None:
        """Remove what makes an object and what is done to it; a table with all that stands on it."""
        if isinstance(item, Table):
            self._remove_all(self._of_table(item.ref))
            self.done |= {ref for ref in self.goal.accepted if ref.table == item.ref}
            return
        found = self._source(self._speaks_of(item))
        defining = self._defining(found, item)
        if defining is not None:
            self.texts.remove(defining)
        if not isinstance(item, Routine) or len([one for one in found if one.piece.role == "define"]) < 2:
            self._remove_all(lambda piece: piece.role != "define" and self.match.speaks_of(piece, item))

    def _remove_all(self, is_wanted: Callable[[Piece], bool]) -> None:
        """Remove pieces from the last to the first, so that places before them hold."""
        left = -1
        while (found := self._source(is_wanted)) and len(found) != left:
            left = len(found)
            wholes = [one for one in found if one.piece.form == "statement" and one.piece.role != "alter"]
            self.texts.remove((wholes or [one for one in found if one.piece.role != "alter"] or found)[-1])

    def _add(self, item: CatalogObject) -> None:
        if isinstance(item, Table):
            made = self.after.where(self._of_table(item.ref))
            self._add_new(item.ref, _statements(made))
            self.done |= {ref for ref in self.goal.accepted if ref.table == item.ref}
            return
        found = self.after.where(self._speaks_of(item))
        new = self._defining(found, item)
        if new is None:
            return
        others = [one for one in found if one.piece.role not in ("define", "alter")]
        self._add_piece(item.ref, new, [_as_statement(one) for one in others])

    def _add_piece(self, ref: Ref, new: Found, others: Sequence[str]) -> None:
        """Add what makes an object in the form that suits its table, and what is done to it behind."""
        create = self._create_of(ref.table) if ref.parent else None
        if new.piece.form == "clause":
            column = self._source(
                lambda piece: self.match.is_column(piece, ref.table, new.piece.columns[0]) and piece.role == "define"
            )
            if column and not self.match.is_same(column[0].text, new.text) and new.text not in column[0].text:
                self.texts.replace(column[0], f"{column[0].text} {new.text}")
        elif create is not None and new.piece.form != "statement" and not self._is_apart(new):
            self.texts.insert_segment(create, _as_segment(new))
        elif create is not None:
            self._add_behind(ref.table, [_as_statement(new), *others])
            return
        else:
            self._add_new(ref, [_as_statement(new), *others])
            return
        if others:
            self._add_behind(ref.table, others)

    def _is_apart(self, new: Found) -> bool:
        return self.way.constraints_apart and new.piece.form == "action"

    def _add_behind(self, table: Ref, texts: Sequence[str]) -> None:
        """Add statements behind the last that speaks of a table, in the file that makes it."""
        create, is_of = self._create_of(table), self._of_table(table)
        if create is None:
            self._add_new(table, texts)
            return
        behind = [one for one in self._source(lambda p: p.form == "statement" and is_of(p)) if one.path == create.path]
        self.texts.insert_statements(behind[-1], texts)

    def _add_new(self, ref: Ref, texts: Sequence[str]) -> None:
        """Add statements about an object that no file speaks of yet."""
        folder = self.place.folder
        if folder is None:
            assert self.place.single is not None
            self.texts.append(self.place.single, texts)
            return
        taken = {str(path.relative_to(folder)).lower() for path in self.texts.files if path.is_relative_to(folder)}
        self.texts.append(folder / self.place.path_of(ref, taken), texts)

    def _change(self, old: CatalogObject, new: CatalogObject) -> None:
        """Write the accepted state of an object that is no table where the source has the other."""
        before = self._defining(self.before.where(self._speaks_of(old)), old)
        after = self._defining(self.after.where(self._speaks_of(new)), new)
        if after is not None and (before is None or not self.after.same(before.text, after.text)):
            source = self._defining(self._source(self._speaks_of(old)), old)
            if source is None:
                self._add_piece(new.ref, after, [])
            elif source.piece.form == after.piece.form == "statement":
                self.texts.replace(source, after.text)
            elif source.piece.form in ("segment", "action") and after.piece.form in ("segment", "action"):
                prefix = "ADD " if source.piece.form == "action" else ""
                self.texts.replace(source, prefix + _as_segment(after))
            else:
                self.texts.remove(source)
                self._add_piece(new.ref, after, [])
        self._change_extras(self._speaks_of(new), new.ref)

    # --- tables

    def _touched_tables(self, changes: Sequence[CatalogChange]) -> list[Ref]:
        parts = ("column", "primary_key", "unique", "foreign_key", "check", "exclusion", "index", "table")
        refs = dict.fromkeys(change.ref.table for change in changes if change.ref.kind in parts)
        both = (self.goal.before, self.goal.after)
        return [ref for ref in refs if all(isinstance(catalog.get(ref), Table) for catalog in both)]

    def _write_anew(self, ref: Ref) -> None:
        """Write a table as the engine does; separate statements about what its own now says are dropped."""
        create, is_of = self._create_of(ref), self._of_table(ref)
        wanted = [one for one in self.after.where(is_of) if one.piece.kind not in ("trigger", "policy", "rule")]
        if create is None or not wanted:
            return
        inline = {one.piece.name for one in wanted if one.piece.kind == "index" and one.piece.form == "segment"}
        accepted = {
            change.ref.name for change in self.goal.accepted.values() if change.ref.kind == "index" and change.ref.table == ref
        }

        def is_stale(piece: Piece) -> bool:
            if piece.kind == "index" and piece.form == "statement":
                return is_of(piece) and piece.name in inline | accepted
            is_part = piece.kind in ("table", "column", "constraint") or piece.form in ("action", "segment", "clause")
            return is_of(piece) and is_part and not (piece.kind == "table" and piece.role == "define") and piece.role != "grant"

        self._remove_all(lambda piece: piece.form in ("statement", "action") and is_stale(piece))
        create = self._create_of(ref)
        assert create is not None
        texts = list(self._sequences_of(ref))
        statements = [
            one
            for one in wanted
            if one.piece.form == "statement"
            and one.piece.role != "grant"
            and (one.piece.kind != "index" or one.piece.name in accepted)
        ]
        first = next(one for one in statements if one.piece.kind == "table" and one.piece.role == "define")
        texts += [one.text for one in statements if one is not first]
        self.texts.replace(create, first.text)
        if texts and (create := self._create_of(ref)) is not None:
            self.texts.insert_statements(create, texts)
        kinds = ("column", "primary_key", "unique", "foreign_key", "check", "exclusion", "index", "table")
        self.done |= {one for one in self.goal.accepted if one.table == ref and one.kind in kinds}

    def _sequences_of(self, table: Ref) -> Iterator[str]:
        """Yield the statements that make sequences which the source leaves to its column types (serial)."""
        for item in self.goal.after.all(SequenceObject):
            if item.owned_by is not None and item.owned_by.table == table and not self._source(self._speaks_of(item)):
                yield from _statements(self.after.where(self._speaks_of(item)))

    def _change_table(self, ref: Ref) -> None:
        """Change what stands around a table's columns, and what is done to the table elsewhere."""
        old, new, create = (self._statement_of(one, ref) for one in (self.before, self.after, None))
        if old is not None and new is not None and create is not None:
            for part in (_tail, _head):
                was, now = (part(one.statement.text, self.after.engine) for one in (old, new))
                if was[1].split() != now[1].split():
                    there = part(create.statement.text, self.after.engine)
                    at = create.offset + there[0]
                    text = _options_changed(there[1], was[1], now[1])
                    self.texts.replace_span(create.path, at, at + len(there[1]), text)
        is_of = self._of_table(ref)
        self._change_extras(lambda piece: piece.kind == "table" and is_of(piece), ref)

    def _statement_of(self, source: Rendered | None, ref: Ref) -> Found | None:
        if source is None:
            return self._create_of(ref)
        is_of = self._of_table(ref)
        return next(
            iter(source.where(lambda p: p.form == "statement" and p.kind == "table" and p.role == "define" and is_of(p))), None
        )

    def _change_extras(self, is_wanted: Callable[[Piece], bool], ref: Ref) -> None:
        """Bring comments, owners, grants and settings that stand in statements of their own to the accepted state."""

        def is_extra(piece: Piece) -> bool:
            return piece.role not in ("define", "alter") and is_wanted(piece)

        old, new = self.before.where(is_extra), self.after.where(is_extra)
        gone = [one for one in old if not any(self.after.same(one.text, other.text) for other in new)]
        come = [one for one in new if not any(self.after.same(one.text, other.text) for other in old)]
        for one in gone:
            successor = next((other for other in come if _key(other) == _key(one)), None)
            there = [item for item in self._source(is_extra) if _key(item) == _key(one)]
            if there and successor is not None:
                self.texts.replace(there[0], successor.text)
                come.remove(successor)
            elif there:
                self.texts.remove(there[0])
        if come:
            self._add_extras(ref, [_as_statement(one) for one in come])

    def _add_extras(self, ref: Ref, texts: Sequence[str]) -> None:
        if ref.parent or ref.kind == "table":
            self._add_behind(ref.table, texts)
            return
        item = self.goal.after.get(ref)
        found = self._source(self._speaks_of(item)) if item else []
        if found:
            self.texts.insert_statements(found[-1], texts)
        else:
            self._add_new(ref, texts)

    # --- columns

    def _is_definition(self, table: Ref, name: str) -> Callable[[Piece], bool]:
        return lambda piece: piece.role == "define" and self.match.is_column(piece, table, name)

    def _add_column(self, table: Ref, name: str, text: str | None = None) -> None:
        new = self.after.where(self._is_definition(table, name))
        create = self._create_of(table)
        if not new or create is None:
            return
        self.texts.insert_segment(create, text or _as_segment(new[0]), self._left_neighbour(table, name))
        self._change_extras(lambda piece: self.match.is_column(piece, table, name), table)

    def _left_neighbour(self, table: Ref, name: str) -> str | None:
        """Return the nearest column before `name` that the source has, as it spells it; None when it comes first."""
        wanted = self.goal.after.get(table)
        names = [column.name for column in wanted.columns] if isinstance(wanted, Table) else []
        for other in reversed(names[: names.index(name)]):
            if found := self._source(self._is_definition(table, other)):
                return found[0].piece.name
        return None

    def _change_column(self, table: Ref, name: str, moved: bool) -> None:
        is_definition = self._is_definition(table, name)
        old, new, source = self.before.where(is_definition), self.after.where(is_definition), self._source(is_definition)
        if old and new and source:
            for kind, text in _clause_changes(old[0], new[0], self.after):
                found = self._source(is_definition)
                self.texts.set_clause(found[0], kind, text)
            found = self._source(is_definition)
            if moved and found[0].piece.form == "segment":
                text = found[0].text
                self.texts.remove(found[0])
                self._add_column(table, name, text)
        self._change_extras(lambda piece: self.match.is_column(piece, table, name), table)


def _turn(change: CatalogChange) -> int:
    """What goes first, columns before keys, what comes last, tables before what stands on them."""
    match change:
        case CreateObject() | AddColumn():
            return 0 if change.ref.parent else 1
        case AlterObject() | AlterColumn():
            return 2
        case DropColumn():
            return 3
        case _:
            return 5 if change.ref.parent else 4


def _key(found: Found) -> tuple[str, ...]:
    piece = found.piece
    detail = " ".join(found.text.split()) if piece.role == "grant" else ""
    return piece.role, piece.kind, piece.table.lower(), piece.name.lower(), detail


def _statements(found: Sequence[Found]) -> list[str]:
    return [one.text for one in found if one.piece.form == "statement"]


def _as_segment(found: Found) -> str:
    return (
        re.sub(r"^\s*ADD\s+(?:COLUMN\s+)?", "", found.text, flags=re.IGNORECASE) if found.piece.form == "action" else found.text
    )


def _as_statement(found: Found) -> str:
    """Return a piece as a statement of its own."""
    if found.piece.form == "statement":
        return found.text
    text = found.statement.text
    if found.piece.form == "action":
        first = re.match(
            r"\s*ALTER\s+TABLE\s+(?:ONLY\s+)?(?:IF\s+EXISTS\s+)?(?:[^\s\"`\[]|\"[^\"]*\"|`[^`]*`|\[[^\]]*\])+", text, re.I
        )
        return f"{first[0] if first else 'ALTER TABLE'} {found.text}"
    return text


def _clause_changes(old: Found, new: Found, after: Rendered) -> Iterator[tuple[str, str | None]]:
    """Yield the clauses of a column that differ, with the text they must have, None for those that go."""
    was, now = (dict(_clauses(one, after.engine)) for one in (old, new))
    for kind in dict.fromkeys((*was, *now)):
        if kind not in _OBJECTS and not after.same(was.get(kind, ""), now.get(kind, "")):
            yield kind, now.get(kind)


def _clauses(found: Found, engine: Engine) -> Iterator[tuple[str, str]]:
    text = found.statement.text
    body = table_body(text, engine.dialect)
    segment = next((one for one in body.segments if one.start == found.piece.start), None) if body else None
    for clause in column_clauses(segment) if segment else ():
        yield clause.kind, text[clause.start : clause.end]


def _tail(text: str, engine: Engine) -> tuple[int, str]:
    """Return what stands behind the columns of a CREATE TABLE, and where."""
    body = table_body(text, engine.dialect)
    return (body.closing + 1, text[body.closing + 1 :]) if body else (len(text), "")


def _head(text: str, engine: Engine) -> tuple[int, str]:
    """Return the words before TABLE in a CREATE TABLE, and where."""
    found = significant(text, engine.dialect)
    at = next((token.offset for token in found if token.text.upper() == "TABLE"), 0)
    return 0, text[:at]


_OPTION = re.compile(r"(?P<key>[A-Z_]+(?:\s+[A-Z_]+)?)\s*=\s*(?P<value>'(?:[^'\\]|''|\\.)*'|[^\s,]+)", re.IGNORECASE)


def _options_changed(there: str, was: str, now: str) -> str:
    """Return the text with the options that differ changed, where both sides are a list of `KEY=value`; else the new text."""
    old, new = ({found["key"].upper(): found[0] for found in _OPTION.finditer(text)} for text in (was, now))
    if not old and not new:
        return now
    if _OPTION.sub("", was).split() != _OPTION.sub("", now).split():
        return now
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            there = _option_set(there, key, new.get(key))
    return there


def _option_set(text: str, key: str, option: str | None) -> str:
    found = next((one for one in _OPTION.finditer(text) if one["key"].upper() == key), None)
    if found is None:
        return f"{text.rstrip()} {option}" if option else text
    before = text[: found.start()] if option else text[: found.start()].rstrip()
    return before + (option or "") + text[found.end() :]
