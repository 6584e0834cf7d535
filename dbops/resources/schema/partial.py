"""The canonical catalog of a source that was loaded before and has changed a little, without loading all of it again.

Only statements that changed, with all others about the same objects, run on a scratch; around them stands what they name and
depend on, built from the catalog known so far. What comes out replaces those objects; what names an object that turned out
different is loaded next. `choose` and `merge` are pure. Wherever something is not understood, or does not come out as known,
the answer is None: then everything is loaded.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from dbops.catalog.catalog import Catalog
from dbops.catalog.closure import BYSTANDERS, NAMED, Closure
from dbops.catalog.model import CatalogObject, Column, ForeignKey, Table
from dbops.catalog.model import Sequence as CatalogSequence
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.features import Features
from dbops.sql.aims import Aim, Role, aim_of, words_of
from dbops.sql.splitter import SourceStatement

Outline = tuple[tuple[str, tuple[str, ...]], ...]
"""What is remembered of each statement of a source: its identity and the names of its objects."""

_RELATIONS = frozenset({"table", "view", "materialized_view", "foreign_table", "virtual_table", "sequence", "composite_type"})
_KEYS = frozenset({"primary_key", "unique", "exclusion"})


class Source:
    """The statements of a source with what each acts on."""

    def __init__(self, statements: Sequence[SourceStatement], features: Features) -> None:
        self.statements = statements
        self.aims: list[Aim] = [aim_of(statement, has_schemas=features.has_schemas) for statement in statements]
        self.identities: list[str] = list(_identities(statements, self.aims))
        self._by_name: dict[str, list[int]] = defaultdict(list)
        makers = {aim.makes_index: aim.names for aim in self.aims if aim.makes_index}
        self.names: list[tuple[str, ...]] = [
            (*aim.names, *(name for index in aim.indexes for name in makers.get(index, (f"index {index}",)))) for aim in self.aims
        ]
        for place, names in enumerate(self.names):
            for name in names:
                self._by_name[name].append(place)
        self._text, self._starts = "", [0]

    @property
    def is_understood(self) -> bool:
        """Whether it is known of every statement which objects it can touch."""
        escaped = re.compile(r"\bU&\"", re.IGNORECASE)
        return not any(
            aim.role is Role.UNKNOWN or any(name.startswith("index ") for name in names) or escaped.search(statement.text)
            for aim, names, statement in zip(self.aims, self.names, self.statements, strict=True)
        )

    def outline(self) -> Outline:
        return tuple(zip(self.identities, self.names, strict=True))

    def about(self, name: str) -> list[int]:
        """Return the statements that make or change the objects of a name."""
        return self._by_name.get(name, [])

    def mentions(self, name: str) -> Iterator[tuple[int, int, str]]:
        """Yield each place where a name stands as a word: the statement, and the offset in the text that comes with it."""
        if not self._text:
            texts = [statement.text.lower() for statement in self.statements]
            self._text = "\0".join(texts)
            self._starts = [0, *accumulate(len(text) + 1 for text in texts)]
        for at in _places(name, self._text):
            yield bisect_right(self._starts, at) - 1, at, self._text


def _places(name: str, text: str) -> Iterator[int]:
    """Yield where a name stands as a word; both are in lower case."""
    at = text.find(name)
    while at >= 0:
        if not (_is_part_of_word(text[max(at - 1, 0) : at]) or _is_part_of_word(text[at + len(name) : at + len(name) + 1])):
            yield at
        at = text.find(name, at + 1)


def only_references(text: str, name: str) -> bool:
    """Tell whether a statement names a table nowhere but behind REFERENCES."""
    text = text.lower()
    return all(_is_reference(text, at) for at in _places(name, text))


def _is_part_of_word(char: str) -> bool:
    return char.isalnum() or char in ("_", "$")


def _identities(statements: Sequence[SourceStatement], aims: Sequence[Aim]) -> Iterator[str]:
    """Yield a hash of each statement and of the settings that hold for it."""
    settings: dict[str, bytes] = {}
    for statement, aim in zip(statements, aims, strict=True):
        held = settings.get(statement.at.file, b"")
        mark = hashlib.blake2b(held + statement.text.encode(), digest_size=12)
        if aim.role is Role.SETTING:
            settings[statement.at.file] = mark.digest()
        yield mark.hexdigest()


@dataclass(frozen=True, slots=True)
class Choice:
    """What to load on what: `names` are those of the objects that are made again."""

    names: frozenset[str]
    statements: tuple[int, ...]
    scaffold: Catalog


def changed_names(source: Source, known: Outline) -> set[str] | None:
    """Return the names that the statements are about by which two sources differ; None where that says too little."""
    if not source.is_understood:
        return None
    outline = source.outline()
    difference = _difference([identity for identity, _ in known], source.identities)
    if difference is None:
        return None
    gone, new = difference
    if any(source.aims[place].role is not Role.OBJECT for place in new) or any(not known[place][1] for place in gone):
        return None
    return {name for place in gone for name in known[place][1]} | {name for place in new for name in outline[place][1]}


def _difference(old: Sequence[str], new: Sequence[str]) -> tuple[list[int], list[int]] | None:
    """Return the places that only one side has; None when what both have stands in another order."""
    in_old, in_new = set(old), set(new)
    if len(in_old) < len(old) or len(in_new) < len(new):
        return None  # a statement that stands there twice is no common one
    gone = [place for place, identity in enumerate(old) if identity not in in_new]
    added = [place for place, identity in enumerate(new) if identity not in in_old]
    if [identity for identity in old if identity in in_new] != [identity for identity in new if identity in in_old]:
        return None
    return gone, added


def choose(names: set[str], source: Source, known: Catalog) -> Choice | None:
    """Return what must be loaded to know the objects of `names`, None when that is most of the source."""
    index = _Index(known)
    names = set(names)
    while True:
        _close(names, source, index)
        chosen = sorted({place for name in names for place in source.about(name)})
        if len(chosen) > _FEW + len(source.statements) // 5:
            return None
        words = words_of([source.statements[place].text for place in chosen])
        scaffold, entangled = index.scaffold(words, names)
        if not entangled:
            break
        if entangled <= names:
            return None  # what no name leads to, such as a cast, needs one of these
        names |= entangled
    settings = [place for place, aim in enumerate(source.aims) if aim.role is Role.SETTING]
    return Choice(frozenset(names), tuple(sorted({*chosen, *settings})), scaffold)


_FEW = 50
"""So many statements are few, however small the source is."""


def _close(names: set[str], source: Source, index: _Index) -> None:
    """Add the names that statements and ownership tie to these."""
    queue = list(names)
    while queue:
        name = queue.pop()
        found = {tied for place in source.about(name) for tied in source.names[place]} | index.owners.get(name, set())
        queue += found - names
        names |= found


class _Index:
    """A catalog by the names of its objects."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._closure = Closure(catalog)
        self._named: defaultdict[str, list[Ref]] = defaultdict(list)
        self.owners: defaultdict[str, set[str]] = defaultdict(set)
        for ref, item in catalog.objects.items():
            if not ref.parent and ref.kind in NAMED:
                self._named[name_of(ref)].append(ref)
            if isinstance(item, CatalogSequence) and item.owned_by is not None:
                self.owners[name_of(ref)].add(item.owned_by.parent.lower())
                self.owners[item.owned_by.parent.lower()].add(name_of(ref))

    def scaffold(self, words: set[str], names: set[str]) -> tuple[Catalog, set[str]]:
        """Return what stands around objects whose statements use `words`, and names in it that need one of `names` themselves."""
        starts = [ref for word in words if word in self._named for ref in self._named[word]]
        found, entangled = self._closure.needed([*self._closure.ambient, *starts], lambda ref: is_about(ref, names))
        return self._catalog.only(found), {name_of(ref) for ref in entangled}


def name_of(ref: Ref) -> str:
    """Return the name under which statements know an object, or the table it belongs to: bare and folded."""
    return (ref.parent or ref.name.partition("(")[0]).lower()


def is_about(ref: Ref, names: Iterable[str]) -> bool:
    """Tell whether an object, or a column, is one of those that `names` mean."""
    return (bool(ref.parent) or ref.kind in NAMED or ref.kind in BYSTANDERS) and name_of(ref) in names


def merge(known: Catalog, choice: Choice, outcome: Catalog, features: Features) -> Catalog | None:
    """Return the known catalog with the chosen objects as they came out; None when something else did not come out as known."""
    names, scaffold = choice.names, choice.scaffold.objects
    new = {ref: item for ref, item in outcome.objects.items() if ref not in scaffold}
    if any(outcome.objects.get(ref) != item for ref, item in scaffold.items()) or not all(is_about(ref, names) for ref in new):
        return None
    if outcome.options != known.options or outcome.unmanaged != known.unmanaged:
        return None
    left = {ref: item for ref, item in known.objects.items() if not is_about(ref, names)}
    old = [ref for ref in known.objects if ref not in left]
    if _names_meet(left, new, old, features):
        return None
    objects = left | new
    needs = {ref: found for ref, found in known.dependencies.items() if not is_about(ref, names)}
    needs |= {ref: found for ref, found in outcome.dependencies.items() if is_about(ref, names)}
    return replace(known, objects={ref: objects[ref] for ref in sorted(objects)}, dependencies=needs)


def _names_meet(
    left: Mapping[Ref, CatalogObject], new: Mapping[Ref, CatalogObject], old: Sequence[Ref], features: Features
) -> bool:
    """Tell whether names of both sides depend on which comes first: equal ones, or one that a number makes another.

    PostgreSQL numbers the names that it chooses itself where they are taken (ChooseRelationName in commands/indexcmds.c).
    """
    kinds = _shared_names(features)
    taken = {(ref.schema, ref.name.lower()) for ref in left if ref.kind in kinds}
    if any((ref.schema, ref.name.lower()) in taken for ref in new if ref.kind in kinds):
        return True
    made = {(ref.schema, ref.name.lower()) for ref in (*new, *old) if ref.kind in kinds}
    return any(
        (schema, name[:end]) in made
        for schema, name in taken
        if name[-1:].isdigit()
        for end in range(len(name.rstrip("0123456789")), len(name))
    )


def _shared_names(features: Features) -> frozenset[str]:
    """Return the kinds that share one set of names in a schema."""
    if features.has_indexes_per_table:
        return _RELATIONS | {"foreign_key", "check"}
    return _RELATIONS | {"index"} | (_KEYS if features.has_named_constraints else frozenset())


def affected(source: Source, known: Catalog, merged: Catalog, choice: Choice) -> set[str] | None:
    """Return names of objects not loaded yet that use one that came out different; None when that cannot be told."""
    different = _different(known, merged, choice.names)
    chosen = set(choice.statements)
    found: set[str] = set()
    for name in different:
        keeps_keys = _keeps_keys(name, known, merged)
        for place, at, text in source.mentions(name):
            if place in chosen or source.aims[place].role is Role.NOTHING or (keeps_keys and _is_reference(text, at)):
                continue
            if source.aims[place].role is not Role.OBJECT:
                return None
            found.update(source.names[place])
    return found - choice.names


def _different(known: Catalog, merged: Catalog, names: frozenset[str]) -> set[str]:
    before = {ref: item for ref, item in known.objects.items() if is_about(ref, names)}
    after = {ref: item for ref, item in merged.objects.items() if is_about(ref, names)}
    return {name_of(ref) for ref in {*before, *after} if before.get(ref) != after.get(ref)}


_REFERENCE = re.compile(r"references\s+(?:only\s+)?(?:[^\s.()]+\s*\.\s*)?[\"`\[]?\Z")


def _is_reference(text: str, at: int) -> bool:
    return _REFERENCE.search(text, max(0, at - 200), at) is not None


def _keeps_keys(name: str, known: Catalog, merged: Catalog) -> bool:
    """Tell whether foreign keys to the tables of a name are what they were: nothing they stand on has changed."""
    old_tables, old_keys = _keys(name, known)
    new_tables, new_keys = _keys(name, merged)
    if not old_tables or old_keys != new_keys or old_tables.keys() != new_tables.keys():
        return False
    keys = [key for key in known.all(ForeignKey) if name_of(key.references) == name]
    stood_on = {column for key in keys for column in key.referenced_columns}
    return all(
        replace(table, columns=(), comment=None) == replace(new_tables[ref], columns=(), comment=None)
        and all(_alike(column, new_tables[ref].column(column.name)) for column in table.columns if column.name in stood_on)
        for ref, table in old_tables.items()
    )


def _alike(old: Column, new: Column | None) -> bool:
    return new is not None and _as_referenced(old) == _as_referenced(new)


def _as_referenced(column: Column) -> Column:
    return replace(column, nullable=True, default=None, comment=None)


def _keys(name: str, catalog: Catalog) -> tuple[dict[Ref, Table], dict[Ref, CatalogObject]]:
    about = {ref: item for ref, item in catalog.objects.items() if is_about(ref, (name,))}
    tables = {ref: item for ref, item in about.items() if isinstance(item, Table)}
    others = {ref: item for ref, item in about.items() if ref.kind in (*_KEYS, "index") or not ref.parent}
    return tables, {ref: item for ref, item in others.items() if ref not in tables}
