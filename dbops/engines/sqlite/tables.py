"""The acts that make, drop and change tables, each with its undo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dbops.catalog.changes import AddColumn, CatalogChange, CreateObject, DropColumn
from dbops.catalog.model import Column, ForeignKey
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.render import Act
from dbops.engines.sqlite import hazards
from dbops.engines.sqlite.archive import (
    Archive,
    can_keep,
    keep_filled,
    keep_last_number,
    keep_rows,
    keep_values,
    kept_value,
    null_or,
    restore_last_number,
    restore_rows,
)
from dbops.engines.sqlite.ddl import column_definition, create_index, create_table, default_value
from dbops.engines.sqlite.rebuild import FOREIGN_KEYS_OFF, default_for_nulls, rebuild
from dbops.engines.sqlite.state import TableState, changed
from dbops.engines.sqlite.tokens import Token, quote, tokenize
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


def plain(sqls: Iterable[str]) -> tuple[Statement, ...]:
    return tuple(Statement(sql) for sql in sqls)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a table's acts must know of the rest.

    `triggers` are those of the table that stay, as statements. `users` are the columns, in lower case, that views and
    triggers use which stay; None when some of them do not compile, for then nobody can tell.
    """

    rows: int
    triggers: tuple[str, ...]
    users: frozenset[str] | None
    archive: Archive


def create(state: TableState) -> Act:
    made = [create_table(state.table, state.constraints), *(create_index(index, state.names) for index in state.indexes)]
    undo = (
        Statement(FOREIGN_KEYS_OFF),
        Statement(f"DROP TABLE {quote(state.table.name)}", hazards=(hazards.of_table_drop(state.table.name, 0),)),
    )
    return Act(state.ref, f"create table {state.table.name}", plain(made), undo, _parts(state), creates=True)


def drop(state: TableState, around: Surroundings, extra: Sequence[Hazard]) -> Act:
    name = around.archive.name()
    gone = (hazards.of_table_drop(state.table.name, around.rows), *extra)
    do = [*plain([keep_rows(state, name), *keep_last_number(state, name)])] if name else []
    do += [Statement(FOREIGN_KEYS_OFF), Statement(f"DROP TABLE {quote(state.table.name)}", hazards=gone)]
    undo = [create_table(state.table, state.constraints), *(restore_rows(state, name) if name else ())]
    undo += restore_last_number(state, name) if name else []
    undo += [create_index(index, state.names) for index in state.indexes]
    return Act(
        state.ref, f"drop table {state.table.name}", tuple(do), plain([*undo, *around.triggers]), _parts(state), drops=True
    )


def _parts(state: TableState) -> tuple[Ref, ...]:
    return tuple(item.ref for item in (*state.constraints, *state.indexes))


def change(
    before: TableState,
    wanted: TableState | None,
    changes: Sequence[CatalogChange],
    around: Surroundings,
    breaking: Sequence[Hazard],
) -> list[Act]:
    """Return the acts for all changes of one table: by ALTER TABLE where it can do them all, else in one rebuild."""
    steps = _by_alter(before, changes, around)
    if steps is None:
        after = changed(before, changes, wanted)
        return [rebuilt(before, after, [change.ref for change in changes], around, breaking)]
    acts: list[Act] = []
    state = before
    for step, key in steps:
        following = changed(state, [step, *([CreateObject(key)] if key else [])], wanted)
        if isinstance(step, AddColumn):
            acts.append(_add_column(state, following, step.column, key, around))
        else:
            acts.append(_drop_column(state, following, step.column, around, breaking))
        state = following
    return acts


# --- by ALTER TABLE -------------------------------------------------------------------------------------------------------

_Step = tuple[AddColumn | DropColumn, ForeignKey | None]


def _by_alter(before: TableState, changes: Sequence[CatalogChange], around: Surroundings) -> list[_Step] | None:
    """Return the changes one by one, drops first, when ALTER TABLE can do every one of them."""
    adds = {change.column.name: change for change in changes if isinstance(change, AddColumn)}
    drops = [change for change in changes if isinstance(change, DropColumn)]
    keys: dict[str, ForeignKey] = {}
    for change in changes:
        if isinstance(change, CreateObject) and isinstance(change.item, ForeignKey):
            key = change.item
            if len(key.columns) != 1 or key.columns[0] not in adds or key.columns[0] in keys:
                return None
            keys[key.columns[0]] = key
        elif not isinstance(change, AddColumn | DropColumn):
            return None
    going = {change.column.name.lower() for change in drops}
    staying = [column for column in before.table.columns if column.name.lower() not in going]
    if not staying or going & {name.lower() for name in adds}:
        return None
    if not all(_can_add(change.column) for change in adds.values()):
        return None
    if not all(_can_drop(before, column.column, going, around) for column in drops):
        return None
    return [*((drop, None) for drop in drops), *((add, keys.get(name)) for name, add in adds.items())]


def _can_add(column: Column) -> bool:
    """SQLite adds columns without touching rows (https://www.sqlite.org/lang_altertable.html, section 4)."""
    if column.identity is not None:
        return False
    if column.generated is not None:
        return not column.generated.is_stored and column.nullable
    return column.default is None or _is_constant(tokenize(column.default))


def _is_constant(tokens: Sequence[Token]) -> bool:
    if len(tokens) == 2 and tokens[0].text in ("+", "-"):
        return tokens[1].kind == "number"
    return len(tokens) == 1 and not tokens[0].word.startswith("CURRENT_")


def _can_drop(state: TableState, column: Column, going: set[str], around: Surroundings) -> bool:
    """A column can go when nothing speaks of it (same manual, section 5)."""
    name = column.name.lower()
    if around.users is None or name in around.users:
        return False
    texts = [getattr(item, "expression", "") for item in state.constraints]
    texts += [other.generated.expression for other in state.table.columns if other.generated and other.name.lower() not in going]
    texts += [f"{key.column or ''} {key.expression or ''}" for index in state.indexes for key in index.keys]
    texts += [index.predicate or "" for index in state.indexes]
    texts += around.triggers
    named = {part.lower() for item in state.constraints for part in getattr(item, "columns", ())}
    return name not in named and not any(mentions(text, name) for text in texts)


def mentions(sql: str, name: str) -> bool:
    """Tell whether a text may speak of a column; true also for other things of that name."""
    return any(token.kind in ("word", "quoted", "bracketed") and token.name.lower() == name for token in tokenize(sql))


def _add_column(before: TableState, after: TableState, column: Column, key: ForeignKey | None, around: Surroundings) -> Act:
    table = quote(after.table.name)
    do = Statement(
        f"ALTER TABLE {table} ADD COLUMN {column_definition(column, references=key)}",
        hazards=tuple(
            hazard
            for hazard in hazards.of_rebuild(before, after, around.rows)[0]
            if hazard.code not in ("REWRITES_TABLE", "DISK_SPACE")
        ),
    )
    lost = tuple(hazards.of_column_drop(after.table.name, column))
    if key is None and around.users is not None:
        undo: tuple[Statement, ...] = (Statement(f"ALTER TABLE {table} DROP COLUMN {quote(column.name)}", hazards=lost),)
    else:
        undo = _with_hazards(rebuild(after, before, around.triggers), (), lost)
    ref = Ref("column", "", column.name, after.table.name)
    title = f"add column {after.table.name}.{column.name}"
    return Act(ref, title, (do,), undo, (key.ref,) if key else (), creates=True)


def _drop_column(before: TableState, after: TableState, column: Column, around: Surroundings, breaking: Sequence[Hazard]) -> Act:
    copying, lost = hazards.of_rebuild(before, after, around.rows)
    sql = f"ALTER TABLE {quote(before.table.name)} DROP COLUMN {quote(column.name)}"
    kept, _, undo = _archived(before, after, around)
    do = (*kept, Statement(sql, hazards=(*copying, *lost, *breaking)))
    ref = Ref("column", "", column.name, before.table.name)
    return Act(ref, f"drop column {before.table.name}.{column.name}", do, undo, drops=True)


# --- by a rebuild ---------------------------------------------------------------------------------------------------------


def rebuilt(before: TableState, after: TableState, refs: Sequence[Ref], around: Surroundings, breaking: Sequence[Hazard]) -> Act:
    """Return the one act that makes all changes of a table; it is about the table itself, else a column, else the first part."""
    copying, lost = hazards.of_rebuild(before, after, around.rows)
    kept, filled, undo = _archived(before, after, around)
    if before.is_autoincrement and not after.is_autoincrement and (name := around.archive.name()):
        kept, undo = (*kept, *plain(keep_last_number(before, name))), (*undo, *plain(restore_last_number(before, name)))
    do = _with_hazards(rebuild(before, after, around.triggers), copying, [*lost, *breaking])
    main = next((ref for kind in ("table", "column") for ref in refs if ref.kind == kind), refs[0])
    covers = tuple(ref for ref in dict.fromkeys(refs) if ref != main)
    return Act(main, f"rebuild table {after.table.name}", (*kept, *do, *filled), undo, covers)


_Statements = tuple[Statement, ...]


def _archived(before: TableState, after: TableState, around: Surroundings) -> tuple[_Statements, _Statements, _Statements]:
    """Return what keeps the values that `after` has no place for, before the change and behind it, and what brings them back."""
    changing = {column.name.lower() for column, _ in hazards.losses(before, after)}
    filled = _filled(before, after)
    lost = [
        column
        for column in before.table.columns
        if column.generated is None
        and (after.column(column.name) is None or column.name.lower() in changing or column.name in filled)
    ]
    name = around.archive.name() if lost else None
    if name is None:
        return (), (), _undone(before, after, around, {}, None)
    if not can_keep(before, after):
        return plain([keep_rows(before, name)]), (), _replaced(before, after, around, name)
    values: dict[str, str] = {}
    following: list[str] = []
    for place, column in enumerate(lost):
        now = after.column(column.name)
        current = now.name if now is not None and now.generated is None else None
        is_kept = current is not None and column.name.lower() not in changing
        value = quote(current) if is_kept and current else kept_value(before, after, place, name, current)
        if not column.nullable and column.default is not None:
            value = f"coalesce({value}, {default_value(column.default)})"
        if current is not None and column.name in filled:
            value = null_or(value, before, after, place, name, current)
            following += keep_filled(before, after, place, name, current)
        values[column.name.lower()] = value
    kept = plain(keep_values(before, after, lost, name))
    return kept, plain(following), _undone(before, after, around, values, name)


def _filled(before: TableState, after: TableState) -> set[str]:
    """Return the columns whose NULLs give way to a default."""
    pairs = ((column, after.column(column.name)) for column in before.table.columns)
    return {old.name for old, new in pairs if new is not None and default_for_nulls(old, new) is not None}


def _replaced(before: TableState, after: TableState, around: Surroundings, archive: str) -> tuple[Statement, ...]:
    """Bring back all rows as they were, where nothing tells which of the rows now is which of those then."""
    return (
        Statement(FOREIGN_KEYS_OFF),
        Statement(f"DROP TABLE {quote(after.table.name)}", hazards=(hazards.of_table_drop(after.table.name, 0),)),
        *plain([create_table(before.table, before.constraints), *restore_rows(before, archive)]),
        *plain([*(create_index(index, before.names) for index in before.indexes), *around.triggers]),
    )


def _undone(
    before: TableState, after: TableState, around: Surroundings, values: dict[str, str], archive: str | None
) -> tuple[Statement, ...]:
    copying, lost = hazards.of_rebuild(after, before, around.rows)
    sqls = rebuild(after, before, around.triggers, values)
    last = plain([f"DROP TABLE {quote(archive)}"]) if archive else ()
    return (*_with_hazards(sqls, copying, lost), *last)


def _with_hazards(sqls: Sequence[str], copying: Sequence[Hazard], lost: Sequence[Hazard]) -> tuple[Statement, ...]:
    """Put what copying means on the copy, what is lost on the drop of the old table."""
    statements = []
    for sql in sqls:
        held: tuple[Hazard, ...] = ()
        if sql.startswith("INSERT") and "\nSELECT" in sql:
            held = tuple(copying)
        elif sql.startswith("DROP TABLE"):
            held = tuple(lost)
        statements.append(Statement(sql, hazards=held))
    if copying and not any(set(copying) <= set(statement.hazards) for statement in statements):
        statements[0] = replace(statements[0], hazards=(*copying,))
    return tuple(statements)
