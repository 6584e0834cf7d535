"""Owners, grants and comments of every kind of object."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.model import CatalogObject, Defined, Grant, Routine, Schema, Sequence
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import columns, designation, literal, named, quote, unquote
from dbops.engines.postgresql.render.scene import Scene, Survey, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_GRANT_WORDS = {
    "table": "TABLE",
    "foreign_table": "TABLE",
    "view": "TABLE",
    "materialized_view": "TABLE",
    "sequence": "SEQUENCE",
    "schema": "SCHEMA",
    "enum": "TYPE",
    "domain": "DOMAIN",
    "composite_type": "TYPE",
    "range_type": "TYPE",
    "foreign_data_wrapper": "FOREIGN DATA WRAPPER",
    "server": "FOREIGN SERVER",
    "language": "LANGUAGE",
}
_EVERYBODY_HAS = {
    "routine": (Grant("public", "EXECUTE"),),
    "enum": (Grant("public", "USAGE"),),
    "domain": (Grant("public", "USAGE"),),
    "composite_type": (Grant("public", "USAGE"),),
    "range_type": (Grant("public", "USAGE"),),
    "language": (Grant("public", "USAGE"),),
}
#: What ALTER DEFAULT PRIVILEGES calls the kinds of objects.
_DEFAULT_CLASSES = {
    "table": "TABLES",
    "foreign_table": "TABLES",
    "view": "TABLES",
    "materialized_view": "TABLES",
    "sequence": "SEQUENCES",
    "routine": "FUNCTIONS",
    "schema": "SCHEMAS",
    "enum": "TYPES",
    "domain": "TYPES",
    "composite_type": "TYPES",
    "range_type": "TYPES",
}
_DEFAULT_GRANT = re.compile(r' GRANT (\w+) ON [A-Z ]+ TO ("(?:[^"]|"")*"|[^\s;]+)( WITH GRANT OPTION)?')
#: Kinds without an owner of their own.
_UNOWNED = frozenset({"extension", "cast", "user_mapping", "transform", "default_privileges", "access_method"})


def comment(item: CatalogObject, before: str | None = None) -> Iterator[Statement]:
    if item.comment != before:
        usual = literal("standard public schema") if _is_public(item) else "NULL"  # as it is delivered
        text = literal(item.comment) if item.comment is not None else usual
        yield Statement(f"COMMENT ON {designation(item)} IS {text}")


def owner(item: CatalogObject, before: str | None, *, is_new: bool = False) -> Iterator[Statement]:
    """Yield the change of owner, of objects that have one by themselves."""
    if item.owner is None or item.owner == before or item.parent or item.ref.kind in _UNOWNED:
        return
    if isinstance(item, Sequence) and item.owned_by is not None:
        return  # goes with its table
    found = [] if is_new else [hazards.authz(f"{item.ref.qualified} goes to {item.owner}")]
    yield statement(f"ALTER {designation(item)} OWNER TO {quote(item.owner)}", *found)


def new_object(item: CatalogObject, scene: Scene) -> Iterator[Statement]:
    """Yield comment, owner and grants of an object that the account of the connection just made."""
    yield from comment(item)
    yield from owner(item, scene.context.server.user if not _is_public(item) else None, is_new=True)
    is_all = scene.is_way_back or scene.context.order_free or item.ref in scene.renewed
    if item.grants is not None or is_all:
        usual = _usual(item, scene)
        defaults = [default for survey in (scene.old, scene.new) for default in _defaults_for(item, survey)]
        given = {grant for default in defaults for grant in _given_by(default)}
        # Default privileges may change in the same plan: grant what is wanted, revoke what may have been given.
        yield from _granted(item, set() if defaults else set(usual), {*usual, *given}, scene, [])


def _usual(item: CatalogObject, scene: Scene) -> tuple[Grant, ...]:
    """Return what everybody may do as the server delivers it; nobody creates in schema `public` from PostgreSQL 15 on."""
    if _is_public(item):
        return (Grant("public", "USAGE"), *([Grant("public", "CREATE")] if scene.version < 15 else []))
    return _EVERYBODY_HAS.get(item.ref.kind, ())


def _is_public(item: CatalogObject) -> bool:
    """Schema `public` is not made but found."""
    return isinstance(item, Schema) and item.name == "public"


def _defaults_for(item: CatalogObject, survey: Survey) -> Iterator[Defined]:
    """Yield the default privileges that may fall to a new object."""
    kind = _DEFAULT_CLASSES.get(item.ref.kind)
    for default in survey.default_privileges:
        if kind and default.name.endswith(f" ON {kind}") and default.schema in ("", item.schema):
            yield default


def _given_by(default: Defined) -> Iterator[Grant]:
    for privilege, grantee, option in _DEFAULT_GRANT.findall(default.definition):
        yield Grant("public" if grantee == "PUBLIC" else unquote(grantee), privilege, bool(option))


def grants(item: CatalogObject, before: tuple[Grant, ...] | None, scene: Scene) -> Iterator[Statement]:
    """Yield GRANT and REVOKE from `before` to the object's own grants; None is what the server gives by itself.

    What is granted on columns that come or go comes and goes with them.
    """
    moving = {ref.name for ref in scene.moving if (ref.schema, ref.parent) == (item.schema, item.name)}
    had = {g for g in (_usual(item, scene) if before is None else before) if g.column not in moving}
    if item.grants is not None and moving:
        item = replace(item, grants=tuple(grant for grant in item.grants if grant.column not in moving))
    yield from _granted(item, had, had, scene, [hazards.authz(f"grants on {item.ref.qualified} change")])


def as_owned(before: CatalogObject, after: CatalogObject, scene: Scene) -> tuple[tuple[Grant, ...] | None, CatalogObject]:
    """Return the grants that are left of `before` when the owner of `after` has it, and `after` with those it is to have.

    What a new owner had been granted becomes part of its ownership (aclnewowner in utils/adt/acl.c), and is gone when that goes.
    """
    if after.owner is None or before.owner in (None, after.owner):
        return before.grants, after
    live = scene.after.objects.get(after.ref) if scene.is_way_back and after.grants is None else None
    if live is not None and any(grant.grantee == before.owner for grant in live.grants or ()):
        return tuple(grant for grant in live.grants or () if grant.grantee != before.owner), replace(after, grants=live.grants)
    left = None if before.grants is None else tuple(grant for grant in before.grants if grant.grantee != after.owner)
    return left, after


def column(ref: Ref, scene: Scene) -> Iterator[Statement]:
    """Yield the grants on a column that was just added: those that are declared, else those it had before it was made again."""
    for side in (scene.after, scene.before):
        table = next(
            (side.objects[at] for kind in ("table", "foreign_table") if (at := Ref(kind, *_place(ref))) in side.objects), None
        )
        if table is not None and table.grants is not None:
            wanted = {grant for grant in table.grants if grant.column == ref.name}
            for words, option in (("", False), (" WITH GRANT OPTION", True)):
                for who, what in _grouped(grant for grant in wanted if grant.grantable == option):
                    yield Statement(f"GRANT {what} ON TABLE {named(table.ref)} TO {role(who)}{words}")
            return


def _place(ref: Ref) -> tuple[str, str]:
    return ref.schema, ref.parent


def _granted(
    item: CatalogObject, had: set[Grant], may_have: set[Grant], scene: Scene, found: list[Hazard]
) -> Iterator[Statement]:
    """Grant what is wanted beyond `had`, revoke what is not wanted of `may_have`: nobody minds losing what was not there."""
    wanted = set(item.grants if item.grants is not None else _usual(item, scene))
    yield from _owner_part(item, had, wanted)
    had, may_have, wanted = ({grant for grant in part if grant.grantee} for part in (had, may_have, wanted))
    weaker = {grant for grant in may_have - wanted if grant.grantable and _without_option(grant) in wanted}
    had -= _taken_along(may_have - wanted - weaker, had)
    target = _target(item)
    for words, granted in (
        ("REVOKE GRANT OPTION FOR {what} ON {target} FROM {who}", weaker),
        ("REVOKE {what} ON {target} FROM {who}", {g for g in may_have - wanted - weaker if _with_option(g) not in wanted}),
        ("GRANT {what} ON {target} TO {who}", {g for g in wanted - had if not g.grantable and _with_option(g) not in had}),
        ("GRANT {what} ON {target} TO {who} WITH GRANT OPTION", {g for g in wanted - had if g.grantable}),
    ):
        for who, what in _grouped(granted):
            yield statement(words.format(what=what, target=target, who=role(who)), *found)


def _taken_along(revoked: set[Grant], had: set[Grant]) -> set[Grant]:
    """Revoking a privilege on a table revokes it on every column too (manual, REVOKE)."""
    whole = {(grant.grantee, grant.privilege) for grant in revoked if not grant.column}
    return {grant for grant in had - revoked if grant.column and (grant.grantee, grant.privilege) in whole}


def _without_option(grant: Grant) -> Grant:
    return Grant(grant.grantee, grant.privilege, False, grant.column)


def _with_option(grant: Grant) -> Grant:
    return Grant(grant.grantee, grant.privilege, True, grant.column)


def _owner_part(item: CatalogObject, had: Iterable[Grant], wanted: Iterable[Grant]) -> Iterator[Statement]:
    """The owner appears in grants only when it gave up privileges: as grantee `""`, with NONE when it kept nothing."""
    old, new = ({grant.privilege for grant in part if not grant.grantee} for part in (had, wanted))
    if old == new:
        return
    who, target = (quote(item.owner) if item.owner else "CURRENT_USER"), _target(item)
    found = hazards.authz(f"what the owner may do with {item.ref.qualified} changes")
    if not new:
        yield statement(f"GRANT ALL ON {target} TO {who}", found)
        return
    yield statement(f"REVOKE ALL ON {target} FROM {who}", found)
    if kept := ", ".join(sorted(new - {"NONE"})):
        yield statement(f"GRANT {kept} ON {target} TO {who}", found)


def _target(item: CatalogObject) -> str:
    if isinstance(item, Routine):
        word = "PROCEDURE" if item.flavour == "procedure" else "FUNCTION"
        return f"{word} {named(item.ref)}"
    return f"{_GRANT_WORDS.get(item.ref.kind, 'TABLE')} {named(item.ref)}"


def role(name: str) -> str:
    return "PUBLIC" if name == "public" else quote(name)


def _grouped(granted: Iterable[Grant]) -> Iterator[tuple[str, str]]:
    """Yield `(grantee, "SELECT, UPDATE (a, b)")`."""
    whole: defaultdict[str, list[str]] = defaultdict(list)
    by_column: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for grant in sorted(granted):
        if grant.column:
            by_column[grant.grantee, grant.privilege].append(grant.column)
        else:
            whole[grant.grantee].append(grant.privilege)
    for (grantee, privilege), names in by_column.items():
        whole[grantee].append(f"{privilege} ({columns(tuple(names))})")
    for grantee, privileges in whole.items():
        yield grantee, ", ".join(privileges)
