"""Views and materialized views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbops.catalog.model import MaterializedView, Options, View
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import literal, named, quote
from dbops.engines.postgresql.render.options import assignments, changes_of, in_order
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.statement import Statement

_NOT_PARAMETERS = frozenset({"tablespace", "access_method"})


def create(item: View, *, replacing: bool = False) -> Iterator[Statement]:
    parameters = assignments(in_order(item))
    options = f" WITH ({parameters})" if parameters else ""
    words = "CREATE OR REPLACE VIEW" if replacing else "CREATE VIEW"
    yield Statement(f"{words} {named(item.ref)}{options} AS\n{_query(item.definition)}")
    if not replacing:
        yield from _of_columns(item, ())


def _query(text: str) -> str:
    """Indent like the server does, from the first line on."""
    return text if text.startswith(" ") else f" {text}"


def _of_columns(item: View | MaterializedView, before: Options) -> Iterator[Statement]:
    """Yield defaults and comments of the columns, which CREATE VIEW has no words for."""
    old, new = dict(before), dict(item.options)
    name = named(item.ref)
    for key in sorted({*old, *new}):
        what, _, column = key.partition(":")
        if old.get(key) == new.get(key) or not column:
            continue
        if what == "default":
            action = f"SET DEFAULT {new[key]}" if key in new else "DROP DEFAULT"
            yield Statement(f"ALTER VIEW {name} ALTER COLUMN {quote(column)} {action}")
        elif what == "comment":
            text = literal(new[key]) if key in new else "NULL"
            yield Statement(f"COMMENT ON COLUMN {name}.{quote(column)} IS {text}")
        elif what == "column":
            column, _, attribute = column.rpartition(":")
            yield Statement(f"ALTER MATERIALIZED VIEW {name} ALTER COLUMN {quote(column)} {_attribute(attribute, new.get(key))}")


def _attribute(name: str, value: str | None) -> str:
    if name in ("storage", "statistics", "compression"):
        fallback = {"storage": "EXTENDED", "statistics": "-1", "compression": "default"}[name]
        return f"SET {name.upper()} {value or fallback}"
    return f"SET ({name} = {value})" if value is not None else f"RESET ({name})"


def drop(item: View) -> Iterator[Statement]:
    yield statement(f"DROP VIEW {named(item.ref)}", hazards.deletes_object(item))


def is_in_place(before: View, after: View) -> bool:
    """Tell whether CREATE OR REPLACE VIEW may be used: the old columns stay as they are, new ones come after them."""
    return after.columns[: len(before.columns)] == before.columns


def alter(before: View, after: View) -> Iterator[Statement]:
    if before.definition != after.definition:
        yield from create(after, replacing=True)
    else:
        for change in changes_of(before, after):
            yield Statement(f"ALTER VIEW {named(after.ref)} {change}")
    yield from _of_columns(after, before.options)


def create_materialized(item: MaterializedView) -> Iterator[Statement]:
    options = dict(item.options)
    parts = [f"CREATE MATERIALIZED VIEW {named(item.ref)}"]
    if method := options.get("access_method"):
        parts.append(f"USING {quote(method)}")
    if parameters := assignments(in_order(item), _NOT_PARAMETERS):
        parts.append(f"WITH ({parameters})")
    if tablespace := options.get("tablespace"):
        parts.append(f"TABLESPACE {quote(tablespace)}")
    populated = "" if item.is_populated else "\nWITH NO DATA"
    yield Statement(f"{' '.join(parts)} AS\n{_query(item.definition)}{populated}")
    yield from _of_columns(item, ())


def drop_materialized(item: MaterializedView) -> Iterator[Statement]:
    yield statement(f"DROP MATERIALIZED VIEW {named(item.ref)}", hazards.deletes_object(item))


def is_in_place_materialized(before: MaterializedView, after: MaterializedView) -> bool:
    """Tell whether ALTER reaches `after`."""
    same = dict(before.options).get("access_method") == dict(after.options).get("access_method")
    return same and replace(before, options=after.options, comment=after.comment) == after


def alter_materialized(before: MaterializedView, after: MaterializedView, scene: Scene) -> Iterator[Statement]:
    head = f"ALTER MATERIALIZED VIEW {named(after.ref)}"
    for change in changes_of(before, after, _NOT_PARAMETERS):
        yield Statement(f"{head} {change}")
    old, new = (dict(item.options).get("tablespace", "pg_default") for item in (before, after))
    if old != new:
        yield statement(f"{head} SET TABLESPACE {quote(new)}", *hazards.rewrites(scene, after.ref))
    yield from _of_columns(after, before.options)
