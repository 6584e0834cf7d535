"""Virtual tables: their columns, which only their modules know, and whether their rows can be carried over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Table, View, VirtualTable
from dbops.engines.sqlite.ddl import create_virtual, names
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.reader import Reader, split_commas
from dbops.engines.sqlite.rebuild import LEGACY_OFF, LEGACY_ON
from dbops.engines.sqlite.tokens import Token, quote, tokenize

#: Full text (https://www.sqlite.org/fts5.html, section 4; fts3.html, section 6) and R*Trees: modules whose arguments are read.
_FULL_TEXT = ("fts3", "fts4", "fts5")
_TREES = ("rtree", "rtree_i32")


def columns_of(table: VirtualTable) -> tuple[str, ...] | None:
    """Return the columns as the arguments name them, None for modules whose language is not known here."""
    module, arguments = _parts(table)
    if module not in (*_FULL_TEXT, *_TREES):
        return None
    plain = ([token for token in part if token.text != "+"] for part in arguments)  # auxiliary columns of R*Trees
    return tuple(part[0].name for part in plain if part and part[0].is_name and not any(token.text == "=" for token in part))


def content_of(table: VirtualTable) -> str | None:
    """Return the table a full-text index takes its text from, empty for one that keeps no text, None for its own."""
    module, arguments = _parts(table)
    return _option(arguments, "CONTENT") if module in _FULL_TEXT else None


def content_in(table: VirtualTable, catalog: Catalog) -> CatalogObject | None:
    """Return the table or view of a catalog that an index takes its text from, None when that has not what it takes."""
    name = (content_of(table) or "").lower()
    content = next((item for item in catalog if isinstance(item, Table | View) and item.name.lower() == name), None)
    if isinstance(content, Table):
        return content if _has_what_it_takes(content, table) else None
    return content if content is not None and content.ref in catalog.dependencies else None


def _has_what_it_takes(content: Table, table: VirtualTable) -> bool:
    rowid = _option(_parts(table)[1], "CONTENT_ROWID")
    needed = {*(columns_of(table) or ()), *([rowid] if rowid else ())}
    has_rowid = rowid is not None or ("without_rowid", "true") not in content.options
    return has_rowid and {name.lower() for name in needed} <= {column.name.lower() for column in content.columns}


def _option(arguments: Iterable[Sequence[Token]], name: str) -> str | None:
    found = (part[2].name for part in arguments if len(part) >= 3 and part[0].word == name and part[1].text == "=")
    return next(found, None)


def keeps_rows(table: VirtualTable) -> bool:
    """Tell whether the rows are its own and can be read back: not those of an index over another table, nor without text."""
    return columns_of(table) is not None and content_of(table) is None


def refill(table: VirtualTable) -> str:
    """Return the statement that reads the text of an index again from the table where it lies."""
    return f"INSERT INTO {quote(table.name)} ({quote(table.name)}) VALUES ('rebuild')"


def rewrite(before: VirtualTable, after: VirtualTable) -> list[str] | None:
    """Return the statements that make `after` out of `before` with its rows, None when they cannot be carried over."""
    shared = [column for column in columns_of(after) or () if column in (columns_of(before) or ())]
    if not (keeps_rows(before) and keeps_rows(after) and shared):
        return None
    new = REBUILD_PREFIX + after.name
    is_tree = _parts(after)[0] in _TREES
    carried = names(shared) if is_tree else f"rowid, {names(shared)}"
    return [
        create_virtual(after, new),
        f"INSERT INTO {quote(new)} ({carried}) SELECT {carried} FROM {quote(before.name)}",
        f"DROP TABLE {quote(before.name)}",
        LEGACY_ON,
        f"ALTER TABLE {quote(new)} RENAME TO {quote(after.name)}",
        LEGACY_OFF,
    ]


def loses_columns(before: VirtualTable, after: VirtualTable) -> bool:
    """Tell whether values go although rows are carried over."""
    return keeps_rows(before) and not set(columns_of(before) or ()) <= set(columns_of(after) or ())


def keep(table: VirtualTable, archive: str) -> str:
    """Return the statement that copies the rows; only for a table that keeps them."""
    return (
        f"CREATE TABLE {quote(archive)} AS SELECT rowid AS dbops_rowid, {names(columns_of(table) or ())} FROM {quote(table.name)}"
    )


def restore(table: VirtualTable, archive: str) -> list[str]:
    """Return the statements that fill the table again and remove the archive."""
    columns = names(columns_of(table) or ())
    is_tree = _parts(table)[0] in _TREES
    into, out = (columns, columns) if is_tree else (f"rowid, {columns}", f"dbops_rowid, {columns}")
    return [f"INSERT INTO {quote(table.name)} ({into}) SELECT {out} FROM {quote(archive)}", f"DROP TABLE {quote(archive)}"]


def _parts(table: VirtualTable) -> tuple[str, list[Sequence[Token]]]:
    """Return the module and its arguments."""
    reader = Reader(tokenize(table.definition))
    reader.must("USING")
    module = reader.name().lower()
    return module, split_commas(reader.group()) if reader.token.text == "(" else []
