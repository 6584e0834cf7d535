"""Some schemas or tables of a dump, with all that belongs to them and all that they need. Pure.

`pg_restore --schema` and `--table` restore neither the indexes, constraints, triggers and grants of a table nor the types and
functions that it uses (manual, pg_restore). Here the list that `pg_restore --list --verbose` writes is taken apart: it has what
depends on what. Names in it are not quoted, so relations are known by their oid, which the backup has names for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.errors import BackupError

_ENTRY = re.compile(r"(\d+); (\d+) (\d+) (.*)")
_DEPENDS = re.compile(r";\s+depends on:(.*)")
_PG_CLASS = 1259
_PG_EVENT_TRIGGER = 3466
_PG_NAMESPACE = 2615

#: What belongs to one relation that its name begins with, and to all that it depends on.
_NAMED_BY_TABLE = ("FK CONSTRAINT", "CHECK CONSTRAINT", "CONSTRAINT", "DEFAULT", "TRIGGER", "RULE", "POLICY")
#: What belongs to whatever relation it depends on.
_OF_RELATION = (
    *("TABLE DATA", "MATERIALIZED VIEW DATA", "STATISTICS DATA", "STATISTICS", "ROW SECURITY", "INDEX"),
    *("SEQUENCE OWNED BY", "SEQUENCE SET", "SEQUENCE"),
)
#: What belongs to anything it depends on.
_OF_ANYTHING = ("COMMENT", "ACL", "SECURITY LABEL")
#: What joins two things, and is there when both are.
_JOINING = ("TABLE ATTACH", "INDEX ATTACH")
_KINDS = (*_JOINING, *_NAMED_BY_TABLE, *_OF_RELATION, *_OF_ANYTHING)


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view, materialized view, sequence or foreign table, by the oid it had when it was dumped."""

    oid: int
    schema: str
    name: str

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a dump's list; `kind` is empty where it says nothing about belonging."""

    id: int
    catalog: int
    oid: int
    text: str
    kind: str
    line: str
    needs: list[int] = field(default_factory=list)

    @property
    def names(self) -> str:
        """Schema, name and owner, as they stand in the list."""
        return self.text.removeprefix(f"{self.kind} ")


@dataclass(frozen=True, slots=True)
class Choice:
    """The lines that make the list for `pg_restore --use-list`, in their order, and what was left out."""

    lines: tuple[str, ...]
    warnings: tuple[str, ...]


def read_list(text: str) -> list[Entry]:
    """Take apart what `pg_restore --list --verbose` wrote."""
    entries: list[Entry] = []
    for line in text.splitlines():
        if match := _ENTRY.match(line):
            entries.append(Entry(int(match[1]), int(match[2]), int(match[3]), match[4], _kind(int(match[2]), match[4]), line))
        elif (match := _DEPENDS.match(line)) and entries:
            entries[-1].needs.extend(int(number) for number in match[1].split())
    return entries


def _kind(catalog: int, text: str) -> str:
    """Tell a kind by the beginning of a text; a table may lie in a schema that is called DATA."""
    kinds = ("SEQUENCE", "INDEX") if catalog == _PG_CLASS else _KINDS
    return next((kind for kind in kinds if text.startswith(f"{kind} ")), "")


def event_triggers_apart(entries: Sequence[Entry]) -> tuple[list[str], list[str]]:
    """Return the lines of a list without event triggers and what is said of them, and those lines."""
    triggers = {entry.id for entry in entries if entry.catalog == _PG_EVENT_TRIGGER}
    apart = {entry.id for entry in entries if entry.id in triggers or not triggers.isdisjoint(entry.needs)}
    return [one.line for one in entries if one.id not in apart], [one.line for one in entries if one.id in apart]


def choose(entries: Sequence[Entry], relations: Iterable[Relation], schemas: Sequence[str], tables: Sequence[str]) -> Choice:
    """Return the entries for some schemas and tables.

    Raises:
        BackupError: a name is not in the backup, or means several.
    """
    return _Choosing(entries, list(relations)).choose(schemas, tables)


class _Choosing:
    def __init__(self, entries: Sequence[Entry], relations: list[Relation]) -> None:
        self._entries = {entry.id: entry for entry in entries}
        by_oid = {entry.oid: entry.id for entry in entries if entry.catalog == _PG_CLASS and entry.kind in ("", "SEQUENCE")}
        self._relations = {by_oid[one.oid]: one for one in relations if one.oid in by_oid}
        self._dependents: dict[int, list[Entry]] = {}
        for entry in entries:
            for number in set(entry.needs):
                self._dependents.setdefault(number, []).append(entry)
        self._wanted: set[int] = set()
        self._todo: list[int] = []
        self._parents = self._partitioned()

    def choose(self, schemas: Sequence[str], tables: Sequence[str]) -> Choice:
        for table in tables:
            self._want(self._named(table))
        for schema in schemas:
            for number in self._of_schema(schema):
                self._want(number)
        while self._todo:
            self._follow(self._entries[self._todo.pop()])
        lines = tuple(entry.line for entry in self._entries.values() if entry.id in self._wanted)
        return Choice(lines, tuple(self._left_out()))

    def _want(self, number: int) -> None:
        if number in self._entries and number not in self._wanted:
            self._wanted.add(number)
            self._todo.append(number)

    def _follow(self, entry: Entry) -> None:
        for number in entry.needs:
            need = self._entries.get(number)
            # a partition and its index come alone when nobody asked for the whole; what belongs to a table comes with it
            if need is not None and need.kind in ("", "SEQUENCE") and self._parents.get(entry.id) != number:
                self._want(number)
        for dependent in self._dependents.get(entry.id, ()):
            if self._belongs(dependent, entry):
                self._want(dependent.id)
        for child, parent in self._parents.items():
            if parent == entry.id:
                self._want(child)

    def _belongs(self, dependent: Entry, entry: Entry) -> bool:
        if dependent.kind in _JOINING:
            return self._wanted.issuperset(number for number in dependent.needs if number in self._entries)
        if dependent.kind in _NAMED_BY_TABLE:
            relation = self._relations.get(entry.id)
            if relation is None or not dependent.names.startswith(f"{relation.schema} {relation.name} "):
                return dependent.kind == "FK CONSTRAINT" and self._completes(dependent)
            return dependent.kind != "FK CONSTRAINT" or self._completes(dependent)
        return dependent.kind in _OF_ANYTHING or (dependent.kind in _OF_RELATION and entry.id in self._relations)

    def _completes(self, foreign_key: Entry) -> bool:
        """Tell whether both tables of a foreign key are there; asked again when the second one comes."""
        return all(number in self._wanted for number in foreign_key.needs if number in self._relations)

    def _left_out(self) -> Iterable[str]:
        missing = [
            entry.names.rpartition(" ")[0]
            for entry in self._entries.values()
            if entry.kind == "FK CONSTRAINT" and entry.id not in self._wanted and self._is_of_wanted(entry)
        ]
        if missing:
            yield f"foreign keys to tables that were not restored are left out: {', '.join(missing)}"
        if any(entry.text.startswith(("BLOB ", "BLOBS ", "BLOB METADATA ")) for entry in self._entries.values()):
            yield "large objects belong to no table, and are left out"

    def _is_of_wanted(self, foreign_key: Entry) -> bool:
        return any(
            number in self._wanted and foreign_key.names.startswith(f"{relation.schema} {relation.name} ")
            for number in foreign_key.needs
            if (relation := self._relations.get(number)) is not None
        )

    def _partitioned(self) -> dict[int, int]:
        """Return the parent of each partition."""
        parents = {}
        for entry in self._entries.values():
            if entry.kind == "TABLE ATTACH":
                two = [number for number in entry.needs if number in self._relations]
                for child in two:
                    for parent in two:
                        if parent in self._entries[child].needs:
                            parents[child] = parent
        return parents

    def _named(self, word: str) -> int:
        found = [number for number, one in self._relations.items() if one.title == word]
        found = found or [number for number, one in self._relations.items() if one.name == word]
        if len(found) == 1:
            return found[0]
        titles = sorted(self._relations[number].title for number in found)
        if found:
            raise BackupError(f"{word} is in several schemas of the backup", expected=f"one of {', '.join(titles)}")
        raise BackupError(
            f"there is no table {word} in the backup", expected=_some(one.title for one in self._relations.values())
        )

    def _of_schema(self, schema: str) -> list[int]:
        named = [
            entry.id for entry in self._entries.values() if entry.catalog == _PG_NAMESPACE and _is_schema(entry.text, schema)
        ]
        found = [number for number, one in self._relations.items() if one.schema == schema]
        for number in named:
            found += [number, *(one.id for one in self._dependents.get(number, ()) if not one.kind)]
        if schema == "public":  # of which a dump says nothing while it is as it was made
            found += [
                one.id for one in self._entries.values() if not one.kind and re.match(r"[A-Z ]+ public ", one.text) is not None
            ]
        if not found:
            known: Collection[str] = {one.schema for one in self._relations.values()}
            raise BackupError(f"there is no schema {schema} in the backup", expected=_some(known))
        return found


def _is_schema(text: str, schema: str) -> bool:
    return text.startswith(f"SCHEMA - {schema} ")


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    return f"one of {', '.join(found[:10])}{', ...' if len(found) > 10 else ''}" if found else "nothing: it holds no tables"
