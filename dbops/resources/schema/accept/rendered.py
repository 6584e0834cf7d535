"""A catalog as the engine writes it, taken apart into pieces: where accepted text comes from, and what to compare it with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.model import CatalogObject, Table
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.errors import Mark
from dbops.resources.schema.accept.texts import Found
from dbops.sql.splitter import SourceStatement
from dbops.sql.subjects import Piece, pieces
from dbops.sql.tokens import normalise

NOWHERE = Path()
_FOR_THE_SESSION = re.compile(r"\s*(?:SET|PRAGMA|USE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The statements that build a catalog, without settings of the session, and their pieces."""

    engine: Engine
    found: tuple[Found, ...]

    def where(self, is_wanted: Callable[[Piece], bool]) -> list[Found]:
        return [item for item in self.found if is_wanted(item.piece)]

    def same(self, one: str, other: str) -> bool:
        """Tell whether two texts are spellings of one."""
        return normalise(one, self.engine.dialect) == normalise(other, self.engine.dialect)


def rendered(catalog: Catalog, engine: Engine, server: Server, both: Catalog) -> Rendered:
    """Return what the engine writes for a catalog; tables that are also in `both` in its own words, not their author's."""
    objects = {ref: _plain(item, both) for ref, item in catalog.objects.items()}
    plain = replace(catalog, objects=objects)
    acts = engine.render(ChangeSet(EMPTY, plain, diff(EMPTY, plain)), RenderContext(server, online=False, order_free=True))
    texts = (statement.sql for act in acts for statement in act.do if not _FOR_THE_SESSION.match(statement.sql))
    return Rendered(engine, tuple(_pieces(texts, engine)))


def _plain(item: CatalogObject, both: Catalog) -> CatalogObject:
    return replace(item, spelling=None) if isinstance(item, Table) and item.ref in both.objects else item


def _pieces(texts: Iterator[str], engine: Engine) -> Iterator[Found]:
    for number, text in enumerate(texts):
        statement = SourceStatement(text, Mark("", number))
        for piece in pieces(text, engine.dialect):
            yield Found(NOWHERE, number, statement, piece)
