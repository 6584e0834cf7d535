"""A catalog as people look things up in it: a leaf for each object, with all that belongs to it and links to what it knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Domain,
    Enum,
    Extension,
    ForeignKey,
    ForeignTable,
    MaterializedView,
    Options,
    Routine,
    Sequence,
    Table,
    Trigger,
    View,
    VirtualTable,
)
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.sql.dialect import Dialect
from dbops.sql.tokens import tokens
from dbops.usecases.entities import Parts, attribute_keys, by_table
from dbops.usecases.inspect import Inspection, Owners, by_owner, creation, script
from dbops.usecases.outline import detail, filling

Marked = tuple[tuple[str, str], ...]
"""SQL in pieces: what each is (keyword, string, number, comment, or empty), and its text."""


@dataclass(frozen=True, slots=True)
class ColumnLine:
    """A column as the table of a leaf shows it; `filled` is its default, expression or numbering."""

    name: str
    type: str
    nullable: bool | None
    filled: str = ""
    keys: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class PartLine:
    """A key, constraint, index, trigger, rule or policy; `parent` is the table that a foreign key leads to."""

    kind: str
    name: str
    detail: str
    comment: str = ""
    parent: Ref | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One object. `facts` are pairs of label and value; `uses`, `used_by`, `referred_by` lead to other leaves."""

    ref: Ref
    kind: str
    comment: str
    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[ColumnLine, ...] = ()
    parts: tuple[PartLine, ...] = ()
    referred_by: tuple[tuple[Ref, str], ...] = ()
    uses: tuple[Ref, ...] = ()
    used_by: tuple[Ref, ...] = ()
    sql: Marked = field(default=(), repr=False)


def handbook(inspection: Inspection) -> list[Leaf]:
    """Return the leaves in the order in which a reader expects kinds: tables, views, code, types, the rest; then by name."""
    catalog, owners = inspection.catalog, Owners(inspection.catalog)
    parts, links = by_table(catalog), _Links.of(catalog, owners)
    sql = _sql(inspection)
    found = [
        Leaf(
            ref=item.ref,
            kind=kind_of(item),
            comment=item.comment or "",
            facts=tuple(_facts(item)),
            columns=tuple(_columns(item, parts)),
            parts=tuple(_parts(item, parts, owners)),
            referred_by=tuple(links.referred_by.get(item.ref, ())),
            uses=tuple(sorted(links.uses.get(item.ref, ()))),
            used_by=tuple(sorted(links.used_by.get(item.ref, ()))),
            sql=sql.get(item.ref, ()),
        )
        for item in catalog
        if not item.parent
    ]
    return sorted(found, key=lambda leaf: (_rank(leaf.kind), leaf.ref.schema, leaf.ref.name))


def kind_of(item: CatalogObject) -> str:
    """Return the kind as people say it: `materialized view`, and `function` rather than `routine`."""
    return item.flavour if isinstance(item, Routine) else item.ref.kind.replace("_", " ")


_ORDER = (
    *("table", "foreign table", "virtual table", "view", "materialized view", "function", "procedure", "aggregate", "window"),
    *("event", "enum", "domain", "composite type", "range type", "sequence", "schema", "extension"),
)


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


@dataclass(frozen=True, slots=True)
class _Links:
    """What leads from leaf to leaf."""

    referred_by: Mapping[Ref, list[tuple[Ref, str]]]
    uses: Mapping[Ref, set[Ref]]
    used_by: Mapping[Ref, set[Ref]]

    @classmethod
    def of(cls, catalog: Catalog, owners: Owners) -> _Links:
        referred_by: defaultdict[Ref, list[tuple[Ref, str]]] = defaultdict(list)
        uses: defaultdict[Ref, set[Ref]] = defaultdict(set)
        used_by: defaultdict[Ref, set[Ref]] = defaultdict(set)
        for key in catalog.all(ForeignKey):
            referred_by[owners.of(key.references)].append((owners.of(key.ref), ", ".join(key.columns)))
        for ref, needs in catalog.dependencies.items():
            user = owners.of(ref)
            if ref.kind == "foreign_key" or user not in catalog:
                continue
            for need in needs:
                used = owners.of(need)
                if used != user and used in catalog and used.kind != "schema":
                    uses[user].add(used)
                    used_by[used].add(user)
        return cls(referred_by, uses, used_by)


def _columns(item: CatalogObject, parts: Parts) -> Iterator[ColumnLine]:
    match item:
        case Table() | ForeignTable():
            keys = attribute_keys(parts.get(Ref("table", item.schema, item.name), ()))
            yield from (_column(column, keys) for column in item.columns)
        case CompositeType():
            yield from (_column(column, {}) for column in item.columns)
        case View() | MaterializedView():
            yield from (ColumnLine(name, kind, None) for name, kind in item.columns)
        case _:
            return


def _column(column: Column, keys: Mapping[str, tuple[str, ...]]) -> ColumnLine:
    kind = f"{column.type} collate {column.collation}" if column.collation else column.type
    own = keys.get(column.name, ())
    is_nullable = column.nullable and "PK" not in own
    return ColumnLine(column.name, kind, is_nullable, filling(column), own, column.comment or "")


_FIRST = ("primary_key", "unique", "foreign_key", "check", "exclusion", "index", "trigger", "rule", "policy")


def _parts(item: CatalogObject, parts: Parts, owners: Owners) -> Iterator[PartLine]:
    found = (
        parts.get(Ref("table", item.schema, item.name), ()) if owners.of(Ref("table", item.schema, item.name)) == item.ref else ()
    )
    place = {kind: number for number, kind in enumerate(_FIRST)}
    for part in sorted(found, key=lambda part: (place.get(part.ref.kind, len(place)), part.name)):
        name = "" if isinstance(part, Constraint) and not part.is_named else part.name
        parent = owners.of(part.references) if isinstance(part, ForeignKey) else None
        yield PartLine(part.ref.kind.replace("_", " "), name, _part_detail(part), part.comment or "", parent)


def _part_detail(part: CatalogObject) -> str:
    words = [detail(part)]
    match part:
        case ForeignKey():
            words += [f"on {event} {action.lower()}" for event, action in _actions(part)]
            words += [word for word, holds in (("deferrable", part.deferrable), ("not valid", not part.is_valid)) if holds]
        case Trigger():
            words.append(_head(part.definition) + ("" if part.enabled == "origin" else f" ({part.enabled})"))
        case _:
            definition = getattr(part, "definition", "")
            if not words[0] and isinstance(definition, str):
                words.append(_head(definition))
    return " ".join(word for word in words if word)


def _actions(key: ForeignKey) -> Iterator[tuple[str, str]]:
    for event, action in (("delete", key.on_delete), ("update", key.on_update)):
        if action != "NO ACTION":
            yield event, action


def _head(definition: str) -> str:
    """Return the beginning of a statement, enough to know what it is about."""
    text = " ".join(definition.split())
    return text if len(text) <= 160 else f"{text[:159]}…"


def _facts(item: CatalogObject) -> Iterator[tuple[str, str]]:
    yield from _own_facts(item)
    if item.owner:
        yield "owner", item.owner
    grants: defaultdict[str, list[str]] = defaultdict(list)
    for grant in item.grants or ():
        column = f" ({grant.column})" if grant.column else ""
        grants[grant.grantee].append(f"{grant.privilege}{column}{' with grant option' if grant.grantable else ''}")
    for grantee, privileges in grants.items():
        yield f"granted to {grantee}", ", ".join(privileges)


def _own_facts(item: CatalogObject) -> Iterator[tuple[str, str]]:
    match item:
        case Table():
            yield from _table_facts(item)
        case ForeignTable():
            yield "server", item.server
            yield from _options(item.options)
        case VirtualTable():
            yield "definition", _head(item.definition)
        case Enum():
            yield "values", ", ".join(item.labels)
        case Domain():
            yield "type", item.base_type + ("" if item.nullable else " not null")
            if item.default is not None:
                yield "default", item.default
            yield from ((f"check {name}", expression) for name, expression in item.checks)
        case Sequence():
            numbers = item.numbers
            yield "numbers", f"{numbers.data_type} from {numbers.start} by {numbers.increment}"
            if item.owned_by:
                yield "owned by", item.owned_by.qualified
        case Routine():
            yield "signature", item.signature
            yield "language", item.language
        case Extension():
            yield from (("version", item.version),) if item.version else ()
            yield from (("schema", item.schema),) if item.schema else ()
        case _:
            options = getattr(item, "options", ())
            yield from _options(options)


def _table_facts(table: Table) -> Iterator[tuple[str, str]]:
    if table.persistence != "permanent":
        yield "persistence", table.persistence
    if table.partition_by:
        yield "partitioned by", f"{table.partition_by.strategy} {table.partition_by.expression}".strip()
    if table.partition_of:
        yield "partition of", f"{table.partition_of.parent.qualified} {table.partition_of.bound}"
    if table.inherits:
        yield "inherits", ", ".join(ref.qualified for ref in table.inherits)
    if table.row_security:
        yield "row security", "forced" if table.force_row_security else "on"
    yield from _options(table.options)


def _options(options: Options) -> Iterable[tuple[str, str]]:
    return ((name.replace("_", " "), value) for name, value in options if value)


def _sql(inspection: Inspection) -> Mapping[Ref, Marked]:
    engine = inspection.engine
    return {
        ref: marked(
            script(acts, engine),
            engine.dialect,
        )
        for ref, acts in by_owner(creation(inspection), inspection.catalog).items()
    }


def marked(sql: str, dialect: Dialect) -> Marked:
    """Return SQL in pieces for a view that colours them; together they are `sql` again."""
    pieces: list[tuple[str, str]] = []
    at = 0
    for token in tokens(sql, dialect):
        kind = {"string": "string", "number": "number", "comment": "comment"}.get(token.kind, "")
        if token.kind == "word" and token.text.lower() in dialect.reserved | _WORDS:
            kind = "keyword"
        if kind:
            pieces += [("", sql[at : token.offset])] if token.offset > at else []
            pieces.append((kind, token.text))
            at = token.offset + len(token.text)
    return (*pieces, ("", sql[at:])) if at < len(sql) else tuple(pieces)


_WORDS = frozenset(
    """
    add after alter always as before begin by cascade check column comment constraint create cycle default delete domain
    drop each else end enum event execute for foreign from function generated grant identity if immutable index insert
    into is key language materialized not null of on or order owner partition primary procedure range references replace
    restrict return returns row select sequence set stable stored table then to trigger type unique update using values
    view virtual volatile when where with
    """.split()  # noqa: SIM905 (a list of ninety strings is no better to read)
)
