"""Columns: their definitions, and ALTER TABLE for one column at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.model import Column, ForeignTable, Identity, Index, PrimaryKey, SequenceOptions, Table, Unique
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import hazards, not_null, numbers
from dbops.engines.postgresql.render.conversion import Fit, fit, is_rewrite, using
from dbops.engines.postgresql.render.names import literal, named, quote
from dbops.engines.postgresql.render.options import assignments
from dbops.engines.postgresql.render.scene import Scene, parents_of, statement, table_in
from dbops.engines.postgresql.render.sequences import creation_clauses, numbers_clauses
from dbops.errors import PlanError
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

#: One action of an ALTER TABLE, and what it threatens.
Action = tuple[str, tuple[Hazard, ...]]

_MODES = {"always": "ALWAYS", "by_default": "BY DEFAULT"}
#: Options that are no attribute of `SET (...)`.
_SPECIAL = frozenset({"storage", "compression", "statistics", "inherited", "identity_sequence"})
_CALL = re.compile(r"([\w.\"]+)\(")
#: Functions whose value is one for the whole statement: ADD COLUMN stores it once instead of writing every row.
_STEADY = frozenset(
    {"now", "transaction_timestamp", "statement_timestamp", "timezone", "date", "timestamp", "current_schema", "lower", "upper"}
)


def definition(column: Column) -> str:
    """Return the column as CREATE TABLE and ADD COLUMN want it."""
    parts = [quote(column.name), column.type]
    if fdw := _fdw_options(column):
        parts.append("OPTIONS (" + ", ".join(f"{quote(name)} {literal(value)}" for name, value in fdw.items()) + ")")
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        kind = "STORED" if column.generated.is_stored else "VIRTUAL"
        parts.append(f"GENERATED ALWAYS AS ({column.generated.expression}) {kind}")
    if column.identity:
        parts.append(_identity(column))
    return " ".join([*parts, *_default_and_null(column)])


def options(column: Column) -> str:
    """Return what CREATE TABLE ... OF says of a column of the type, empty where that is nothing."""
    found = " ".join(_default_and_null(column))
    return f"{quote(column.name)} WITH OPTIONS {found}" if found else ""


def _default_and_null(column: Column) -> Iterator[str]:
    if column.default is not None:
        yield f"DEFAULT {column.default}"
    if not column.nullable and not not_null.is_unchecked(column):
        options = dict(column.options)
        name = options.get("not_null_name")
        suffix = " NO INHERIT" if options.get("not_null_no_inherit") == "true" else ""
        yield (f"CONSTRAINT {quote(name)} " if name else "") + "NOT NULL" + suffix


def _identity(column: Column) -> str:
    identity, sequence = column.identity or Identity("always"), dict(column.options).get("identity_sequence")
    clauses = [f"SEQUENCE NAME {quote(sequence)}"] if sequence else []  # the way pg_dump writes it
    clauses += [clause for clause in creation_clauses(identity.sequence or SequenceOptions()) if not clause.startswith("AS ")]
    return f"GENERATED {_MODES[identity.mode]} AS IDENTITY" + (f" ({' '.join(clauses)})" if clauses else "")


def _fdw_options(column: Column) -> dict[str, str]:
    return {name[4:]: value for name, value in column.options if name.startswith("fdw:")}


def extras(table: Ref, column: Column, scene: Scene, *, without: Column | None = None) -> Iterator[Statement]:
    """Yield what a column definition has no words for: storage, statistics, attribute options and the comment.

    `without` is the column as it stands when it is not new.
    """
    old = dict(without.options) if without else {}
    new = dict(column.options)
    prefix = f"ALTER TABLE {named(table)} ALTER COLUMN {quote(column.name)}"
    for name, default in (("storage", _default_storage(without)), ("compression", "default"), ("statistics", "-1")):
        if old.get(name) != new.get(name):
            value = new.get(name, default)
            sql = f"{prefix} SET {name.upper()} {value.upper() if name == 'storage' else value}"
            yield Statement(sql) if name == "statistics" else hazards.exclusively(scene, table, sql)
    kept = {name: value for name, value in new.items() if _is_attribute(name)}
    if changed := [f"{name} = {value}" for name, value in kept.items() if old.get(name) != value]:
        yield Statement(f"{prefix} SET ({', '.join(changed)})")
    if gone := [name for name in old if _is_attribute(name) and name not in kept]:
        yield Statement(f"{prefix} RESET ({', '.join(gone)})")
    yield from _alter_fdw_options(prefix, without, column)
    if without is None and not_null.is_unchecked(column):
        yield hazards.exclusively(scene, table, f"ALTER TABLE {named(table)} {not_null.add_unchecked(table, column)}")
    if without and without.identity and column.identity:
        yield from _rename_sequence(table, without, column)
    if column.comment != (without.comment if without else None):
        text = literal(column.comment) if column.comment is not None else "NULL"
        yield Statement(f"COMMENT ON COLUMN {named(table)}.{quote(column.name)} IS {text}")


def _rename_sequence(table: Ref, before: Column, after: Column) -> Iterator[Statement]:
    old, new = (numbers.of_identity(table, column) for column in (before, after))
    if old != new:
        yield Statement(f"ALTER SEQUENCE {named(old)} RENAME TO {quote(new.name)}")


def _is_attribute(name: str) -> bool:
    return name not in _SPECIAL and not name.startswith(("fdw:", "not_null_"))


def _default_storage(column: Column | None) -> str:
    """The storage that types have unless they say otherwise; PostgreSQL 16 knows the word DEFAULT."""
    if column is None:
        return "extended"
    main = ("numeric", "inet", "cidr")
    fixed = ("smallint", "integer", "bigint", "boolean", "real", "double precision", "date", "uuid", "money", "oid")
    base = column.type.split("(")[0].strip()
    if base in main and not column.type.endswith("]"):
        return "main"
    plain = base in fixed or base.startswith(("timestamp", "time"))
    return "plain" if plain and not column.type.endswith("]") else "extended"


def _alter_fdw_options(prefix: str, before: Column | None, after: Column) -> Iterator[Statement]:
    old, new = (_fdw_options(before), _fdw_options(after)) if before else ({}, {})
    parts = [f"DROP {quote(name)}" for name in old if name not in new]
    parts += [
        f"{'SET' if name in old else 'ADD'} {quote(name)} {literal(value)}"
        for name, value in new.items()
        if old.get(name) != value
    ]
    if parts:
        yield Statement(f"{prefix} OPTIONS ({', '.join(parts)})")


def add(table: Ref, column: Column, scene: Scene) -> Iterator[Statement]:
    """Yield ADD COLUMN and what follows it."""
    found: list[Hazard] = []
    if fills_every_row(column, scene):
        found += hazards.rewrites(scene, table)
        if column.default is not None and scene.rows(table):
            text = f"every row of {table.qualified} is written with its own {column.name}: {hazards.estimate(scene, table)}"
            found.append(Hazard("DEFAULT_CHANGES_ROWS", text))
    else:
        found += hazards.brief(scene, table)
    is_filled = column.default is not None or column.identity or column.generated
    if not column.nullable and not is_filled:
        found += hazards.may_fail(scene, table, f"rows have no value for {column.name}, which may not be NULL")
    sql = f"ALTER TABLE {named(table)} ADD COLUMN {definition(column)}"
    yield statement(sql, *found, lock_timeout_s=hazards.lock_timeout_s(scene, table))
    yield from extras(table, column, scene)
    if kept := _kept_for_toast(table, scene):
        yield Statement(f"ALTER TABLE {named(table)} SET ({kept})")


def _kept_for_toast(table: Ref, scene: Scene) -> str:
    """Return the parameters of a TOAST table that a new column may bring again.

    A table that is written anew for a type loses the one it had, if none of its columns needs it at that time.
    """
    before, after = scene.before.objects.get(table), scene.after.objects.get(table)
    if not isinstance(before, Table) or not isinstance(after, Table):
        return ""
    types = {column.name: column.type for column in before.columns}
    if all(types.get(column.name, column.type) == column.type for column in after.columns):
        return ""
    stay = dict(before.options)
    return assignments(tuple((name, value) for name, value in after.options if name.startswith("toast.") and name in stay))


def fills_every_row(column: Column, scene: Scene) -> bool:
    """Tell whether adding the column writes the table again; a steady default is kept apart from the rows."""
    if column.identity or (column.generated and column.generated.is_stored):
        return True
    if column.default is None or column.default.startswith("NULL"):
        return False
    domain = scene.domains.get(column.type)
    calls = {name.rsplit(".", 1)[-1] for name in _CALL.findall(re.sub(r"'(?:[^']|'')*'", "", column.default))}
    return domain is not None or bool(calls - _STEADY)


def drop(table: Ref, column: Column, scene: Scene) -> Iterator[Statement]:
    _refuse_another_expression(table, column.name, scene)
    found = [hazards.deletes_data(f"column {table.qualified}.{column.name} and its values are dropped")]
    if column.generated:
        found = [hazards.deletes_data(f"computed column {table.qualified}.{column.name} is dropped")]
    only = "ONLY " if scene.stays_with_heirs(table, column.name) else ""  # then it becomes the heirs' own (manual, ALTER TABLE)
    if only and not column.nullable and scene.version >= not_null.NAMED_SINCE:  # or the heirs' would count as inherited for ever
        yield statement(f"ALTER TABLE {only}{named(table)} ALTER COLUMN {quote(column.name)} DROP NOT NULL")
    sql = f"ALTER TABLE {only}{named(table)} DROP COLUMN {quote(column.name)}"
    yield statement(sql, *found, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))


def rename(table: Ref, before: str, after: str, scene: Scene) -> Iterator[Statement]:
    found = Hazard("RENAMES", f"programs that use {table.qualified}.{before} by this name break")
    sql = f"ALTER TABLE {named(table)} RENAME COLUMN {quote(before)} TO {quote(after)}"
    yield statement(sql, found, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))


def is_in_place(before: Column, after: Column, version: int) -> bool:
    """Tell whether ALTER TABLE can turn one column into the other; otherwise it is dropped and added (values are computed)."""
    if after.generated is None or (before.generated == after.generated and before.type == after.type):
        return True
    if before.generated is not None and using(before.name, before.type, after.type, {}) is not None:
        return False  # computed values are not converted (manual, ALTER TABLE)
    if before.generated == after.generated:
        return True
    return version >= 17 and before.generated is not None and before.generated.is_stored == after.generated.is_stored


def alter(
    table: Ref,
    before: Column,
    after: Column,
    scene: Scene,
    first: tuple[Statement, ...] = (),
    going: tuple[Ref, ...] = (),
    through: str | None = None,
) -> Iterator[Statement]:
    """Yield what turns one column into the other.

    `first` runs while the old identity is there: the sequence of a serial comes. `going` are sequences that give way to a new
    identity, which goes on after them.
    `through` converts the values although the type keeps its name: the type behind the name is another.
    """
    change = _ColumnChange(table, before, after, scene, through)
    yield from change.statements(first, going)
    yield from change.rest()


def writes_table_again(table: Ref, before: Column, after: Column, scene: Scene) -> bool:
    """Tell whether the change is one ALTER TABLE that writes every row: several of them can share the writing."""
    change = _ColumnChange(table, before, after, scene, None)
    return change.retyped and change.is_one_statement() and is_rewrite(before.type, after.type, scene.domains)


def alter_together(table: Ref, pairs: Iterable[tuple[Column, Column]], scene: Scene) -> Iterator[Statement]:
    """Yield one ALTER TABLE for several columns, so that the table is written again once (manual, ALTER TABLE, notes)."""
    changes = [_ColumnChange(table, before, after, scene, None) for before, after in pairs]
    for change in changes:
        yield from change.without_defaults_of_heirs()
    yield from changes[0].alter([action for change in changes for action in change.actions()])
    for change in changes:
        yield from change.rest()


def _refuse_heirs_of_others(table: Ref, name: str, scene: Scene) -> None:
    """The server changes a type in all heirs at once, and in none that has the column from a table outside of the family, too.

    Raises:
        PlanError: there is such an heir.
    """
    family = scene.family(table)
    for heir in family if not scene.is_way_back else ():
        steady = set(parents_of(table_in(scene.before, heir))) & set(parents_of(table_in(scene.after, heir)))
        for parent in sorted(steady.difference(family)):
            other = table_in(scene.before, parent)
            if heir != table and other is not None and other.column(name) is not None:
                way = f"first with {heir.qualified} as heir of one of them alone, the other's columns its own; then of both"
                raise PlanError(
                    f"the type of column {name} cannot change: {heir.qualified} inherits it from {table.qualified} and from"
                    f" {parent.qualified}, and PostgreSQL changes it for neither of them",
                    fix=f"apply twice: {way}",
                )


def _refuse_another_expression(table: Ref, name: str, scene: Scene) -> None:
    """A column that a parent hands down, too, is not made anew by itself, nor gives up what it is computed of.

    Raises:
        PlanError: the table has such a column.
    """
    old, new = table_in(scene.before, table), table_in(scene.after, table)
    if old is None or new is None or scene.is_way_back:
        return
    for parent in sorted(set(parents_of(old)) & set(parents_of(new))):
        above = [table_in(scene.before, parent), table_in(scene.after, parent)]
        own = old.column(name)
        if own and "inherited" not in dict(own.options) and all(item and item.column(name) for item in above):
            raise PlanError(
                f"what column {name} of {table.qualified} is computed of cannot change: {parent.qualified} hands the column"
                " down, too, and PostgreSQL neither drops nor changes such a column by itself",
                fix=f"apply twice: first with {table.qualified} as heir of nothing, its columns its own; then as heir again",
            )


class _ColumnChange:
    """One AlterColumn: sorts ALTER TABLE actions into one statement where PostgreSQL allows."""

    def __init__(self, table: Ref, before: Column, after: Column, scene: Scene, through: str | None) -> None:
        self.table, self.before, self.after, self.scene, self.through = table, before, after, scene, through
        self.retyped = before.type != after.type or before.collation != after.collation or through is not None
        self.prefix = f"ALTER COLUMN {quote(after.name)}"

    def statements(self, first: tuple[Statement, ...], going: tuple[Ref, ...]) -> Iterator[Statement]:
        yield from self.without_defaults_of_heirs()
        if not (first or going) and self.is_one_statement():
            yield from self.alter(self.actions())
            return
        leave, arrive, nulls = list(self._leaving()), list(self._arriving()), self._nullability()
        by_parts = bool(first or going) or self.before.identity != self.after.identity
        yield from first
        yield from self.alter([*leave, *(self._type() if not by_parts else ())])
        for sequence in going:
            yield numbers.give_up_name(sequence)
            yield Statement(f"ALTER SEQUENCE {named(numbers.aside_ref(sequence))} OWNED BY NONE")
        if by_parts:
            yield from self.alter(list(self._type()))
        yield from self.alter(nulls[0])
        yield from nulls[1]
        yield from self.alter(arrive)
        if self.after.identity and not self.before.identity and self.table in self.scene.before.objects:
            yield numbers.go_on_identity(self.table, self.after, map(numbers.aside_ref, going))
        for sequence in going:
            yield Statement(f"DROP SEQUENCE {named(numbers.aside_ref(sequence))}")

    def without_defaults_of_heirs(self) -> Iterator[Statement]:
        """A default that an heir alone has may be none of the new type; it comes again when the type is there.

        Where the table has one itself, it takes theirs along (ATPrepCmd in commands/tablecmds.c).
        """
        for heir in self.scene.family(self.table)[1:] if self.retyped and self.before.default is None else ():
            table = table_in(self.scene.before, heir)
            column = table.column(self.before.name) if table else None
            if column is not None and column.default is not None and column.generated is None:
                yield Statement(f"ALTER TABLE {named(heir)} {self.prefix} DROP DEFAULT")

    def rest(self) -> Iterator[Statement]:
        """Yield what ALTER COLUMN has other words for; a new type brings its own storage and no compression."""
        kept = tuple(pair for pair in self.before.options if pair[0] not in ("storage", "compression"))
        now = replace(self.before, type=self.after.type, options=kept) if self.retyped else self.before
        yield from extras(self.table, self.after, self.scene, without=now)
        yield from not_null.settle(self.table, self.before, self.after, self.scene)

    def is_one_statement(self) -> bool:
        return self.before.identity == self.after.identity and not self._nullability()[1]

    def actions(self) -> list[Action]:
        """Return everything this change asks of one ALTER TABLE, in order."""
        return [*self._leaving(), *self._type(), *self._nullability()[0], *self._arriving()]

    def alter(self, actions: list[Action]) -> Iterator[Statement]:
        if not actions:
            return
        found = [hazard for _, threats in actions for hazard in threats] or list(hazards.brief(self.scene, self.table))
        body = ",\n    ".join(action for action, _ in actions)
        head = f"ALTER TABLE {named(self.table)}"
        sql = f"{head} {body}" if len(actions) == 1 else f"{head}\n    {body}"
        yield statement(sql, *found, lock_timeout_s=hazards.lock_timeout_s(self.scene, self.table))

    def _leaving(self) -> Iterator[Action]:
        before, after = self.before, self.after
        if before.identity and not after.identity:
            yield f"{self.prefix} DROP IDENTITY", ()
        if before.generated and not after.generated:
            _refuse_another_expression(self.table, before.name, self.scene)
            yield f"{self.prefix} DROP EXPRESSION", ()
        if before.default is not None and (after.default is None or self.retyped):
            yield f"{self.prefix} DROP DEFAULT", ()

    def _arriving(self) -> Iterator[Action]:
        before, after = self.before, self.after
        if after.default is not None and (before.default != after.default or self.retyped):
            yield f"{self.prefix} SET DEFAULT {after.default}", ()
        if after.generated and before.generated and after.generated != before.generated:
            yield f"{self.prefix} SET EXPRESSION AS ({after.generated.expression})", hazards.rewrites(self.scene, self.table)
        if after.identity and not before.identity:
            yield f"{self.prefix} ADD {_identity(after)}", ()
        actions = self._identity_actions(before.identity, after.identity) if after.identity and before.identity else ()
        if text := " ".join(actions):
            yield f"{self.prefix} {text}", ()

    def _identity_actions(self, before: Identity, after: Identity) -> Iterator[str]:
        if before.mode != after.mode:
            yield f"SET GENERATED {_MODES[after.mode]}"
        old, new = before.sequence or SequenceOptions(), after.sequence or SequenceOptions()
        yield from (f"SET {clause}" for clause in numbers_clauses(new, old) if not clause.startswith("AS "))

    def _type(self) -> Iterator[Action]:
        if not self.retyped:
            return
        before, after, scene, table = self.before, self.after, self.scene, self.table
        _refuse_heirs_of_others(table, before.name, scene)
        domains = scene.domains
        found: list[Hazard] = []
        loss = fit(before.type, after.type, domains)
        what = f"{table.qualified}.{after.name} from {before.type} to {after.type}"
        if loss is Fit.LOSES:
            found.append(hazards.deletes_data(f"{what}: {loss.value}"))
            if scene.rows(table):
                found.append(Hazard("IRREVERSIBLE", f"{what}: no undo brings back what the values lose"))
        if loss is not Fit.ALL:
            found += hazards.may_fail(scene, table, f"{after.name} from {before.type} to {after.type}: {Fit.SOME.value}")
        if self.through or is_rewrite(before.type, after.type, domains, in_utc=scene.context.server.counts_in_utc):
            found += hazards.rewrites(scene, table)
        elif before.type != after.type:
            found += hazards.brief(scene, table)
        action = f"{self.prefix} TYPE {after.type}"
        if after.collation or before.collation:
            action += f" COLLATE {after.collation}" if after.collation else ""  # without it the type's own comes back
            if before.collation != after.collation and _is_indexed(before.name, table, scene):
                found += hazards.builds_index(scene, table, lock="ACCESS EXCLUSIVE")
            else:
                found += hazards.brief(scene, table) if not found else ()
        converted = self.through
        if converted is None and before.type != after.type:
            converted = using(quote(before.name), before.type, after.type, domains)
        if converted and not after.generated and not isinstance(scene.table(table), ForeignTable):  # its rows are its server's
            action += f" USING {converted}"
        yield action, tuple(found)

    def _nullability(self) -> tuple[list[Action], list[Statement]]:
        """Return actions for the ALTER TABLE, and statements of its own for a table that must not stand still."""
        if self.before.nullable == self.after.nullable:
            return [], []
        if self.after.nullable:
            return [(f"{self.prefix} DROP NOT NULL", ())], []
        if not_null.is_unchecked(self.after):
            return [(not_null.add_unchecked(self.table, self.after), ())], []
        why = hazards.may_fail(self.scene, self.table, f"{self.after.name} may be NULL in rows already stored")
        if not self.scene.is_online(self.table):
            scan = hazards.scans(self.scene, self.table, "ACCESS EXCLUSIVE")
            return [(f"{self.prefix} SET NOT NULL", (*why, *scan))], []
        return [], list(self._not_null_online(why))

    def _not_null_online(self, why: tuple[Hazard, ...]) -> Iterator[Statement]:
        """A validated check proves to SET NOT NULL that it need not scan (manual, ALTER TABLE, PostgreSQL 12 and later)."""
        head, column, scene, table = f"ALTER TABLE {named(self.table)}", quote(self.after.name), self.scene, self.table
        check = quote(f"dbops_{self.after.name}_not_null"[:63])
        wait = hazards.lock_timeout_s(scene, table)
        lock = hazards.brief(scene, table)
        alone = hazards.not_transactional("committed step by step, so that no strong lock is held while rows are read")
        for sql, found in (
            (
                f"DROP CONSTRAINT IF EXISTS {check}, ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
                (alone, *lock),
            ),
            (f"VALIDATE CONSTRAINT {check}", (*why, *hazards.scans(scene, table, "SHARE UPDATE EXCLUSIVE"))),
            (f"{self.prefix} SET NOT NULL", lock),
            (f"DROP CONSTRAINT {check}", lock),
        ):
            yield statement(f"{head} {sql}", *found, transactional=False, lock_timeout_s=wait)


def _is_indexed(name: str, table: Ref, scene: Scene) -> bool:
    """Tell whether an index or key that stays orders its entries by a column."""
    for item in scene.old.children(table):
        columns = item.columns if isinstance(item, PrimaryKey | Unique) else ()
        if isinstance(item, Index):
            columns = tuple(key.column or key.expression or "" for key in item.keys)
        if item.ref in scene.after.objects and any(name in column for column in columns):
            return True
    return False
