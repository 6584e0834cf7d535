"""A source divided into portions that load apart, for engines on which each statement costs more the more objects there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, ForeignKey
from dbops.catalog.ref import Ref
from dbops.resources.schema.partial import Source, only_references
from dbops.sql.aims import Role, words_of
from dbops.sql.splitter import SourceStatement


def portions(source: Source, size: int) -> list[list[SourceStatement]] | None:
    """Return the statements in groups of about `size` that do not mention each other's objects; None where that cannot be told.

    What REFERENCES names need not exist on such an engine, so only other mentions tie statements together.
    """
    if not source.is_understood or any(aim.role is Role.AMBIENT for aim in source.aims):
        return None
    groups = _Groups(len(source.statements))
    first: dict[str, int] = {}
    for place, names in enumerate(source.names):
        for name in names:
            groups.join(first.setdefault(name, place), place)
    for place, (statement, names) in enumerate(zip(source.statements, source.names, strict=True)):
        for word in words_of([statement.text]):
            if word in first and word not in names and not only_references(statement.text, word):
                groups.join(first[word], place)
    return [[source.statements[place] for place in sorted(portion)] for portion in _packed(groups.all(), size)]


class _Groups:
    """Statements by number, joined one by one (union-find)."""

    def __init__(self, count: int) -> None:
        self._leaders = list(range(count))

    def leader(self, place: int) -> int:
        while self._leaders[place] != place:
            self._leaders[place] = self._leaders[self._leaders[place]]
            place = self._leaders[place]
        return place

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.leader(one), self.leader(other)))
        self._leaders[high] = low

    def all(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for place in range(len(self._leaders)):
            found.setdefault(self.leader(place), []).append(place)
        return list(found.values())


def _packed(groups: Iterable[Sequence[int]], size: int) -> list[list[int]]:
    portions: list[list[int]] = [[]]
    for group in groups:
        if portions[-1] and len(portions[-1]) + len(group) > size:
            portions.append([])
        portions[-1] += group
    return portions


def joined(parts: Sequence[Catalog]) -> Catalog | None:
    """Return one catalog of the objects of all, in the order of their refs; None when two parts have an object of one name."""
    names: set[tuple[str, str]] = set()
    objects: dict[Ref, CatalogObject] = {}
    dependencies: dict[Ref, frozenset[Ref]] = {}
    for part in parts:
        own = {(ref.schema, ref.name.lower()) for ref in part.objects if _has_a_name_of_its_own(ref)}
        if own & names or part.unmanaged:
            return None
        names |= own
        objects |= part.objects
        dependencies |= part.dependencies
    owners = {ref.name.lower(): ref for ref in objects if not ref.parent}
    for ref, item in objects.items():
        if isinstance(item, ForeignKey):  # the table it goes to may stand in another part
            owner = owners.get(item.references.name.lower())
            dependencies[ref] = frozenset((owner,) if owner else ())
    return Catalog({ref: objects[ref] for ref in sorted(objects)}, dependencies, (), parts[0].options)


def _has_a_name_of_its_own(ref: Ref) -> bool:
    return not ref.parent or ref.kind in ("index", "trigger")
