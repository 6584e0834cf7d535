"""Names in SQL: quoting, qualifying, and the words by which statements call each kind of object."""

from __future__ import annotations

import re
from zlib import crc32

from dbops.catalog.model import CatalogObject, Routine
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.statements import literal as literal

#: Words that pg_get_keywords() calls reserved, or allowed only as column, type or function names (PostgreSQL 13 to 18).
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
        character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
        current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
        else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike
        in initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg json_exists
        json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left like
        limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset
        on only or order out outer overlaps overlay placing position precision primary real references returning right row select
        session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing
        treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat
        xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable""",
    )
)
#: A longer name is cut (manual, "Identifiers and Key Words").
_NAME_BYTES = 63
_ASIDE = "__replaced"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

#: What DROP, ALTER, COMMENT ON and GRANT call a kind, where it is not the kind's name with spaces.
_WORDS = {
    "enum": "TYPE",
    "composite_type": "TYPE",
    "range_type": "TYPE",
    "text_search_configuration": "TEXT SEARCH CONFIGURATION",
    "text_search_dictionary": "TEXT SEARCH DICTIONARY",
    "text_search_parser": "TEXT SEARCH PARSER",
    "text_search_template": "TEXT SEARCH TEMPLATE",
    "transform": "TRANSFORM FOR",
    "user_mapping": "USER MAPPING FOR",
    "primary_key": "CONSTRAINT",
    "unique": "CONSTRAINT",
    "foreign_key": "CONSTRAINT",
    "check": "CONSTRAINT",
    "exclusion": "CONSTRAINT",
}
_ROUTINE_WORDS = {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}

#: Kinds whose names say what they belong to: `trgm_ops USING gin`, `reader SERVER remote`.
_JOINTS = {"operator_class": " USING ", "operator_family": " USING ", "user_mapping": " SERVER ", "transform": " LANGUAGE "}


def quote(name: str) -> str:
    """Return an identifier, in quotes only where PostgreSQL would read the bare word differently."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def unquote(identifier: str) -> str:
    """Return the name that an identifier, quoted or not, stands for."""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def qualified(schema: str, name: str) -> str:
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def named(ref: Ref) -> str:
    """Return the SQL name of a free-standing object: quoted, with its schema."""
    if ref.kind == "routine":
        name, _, arguments = ref.name.rpartition("(")
        return f"{qualified(ref.schema, name)}({arguments}"
    if joint := _JOINTS.get(ref.kind):
        first, joint, second = ref.name.rpartition(joint)
        own = quote(first) if ref.kind != "transform" and first != "PUBLIC" else first
        return (f"{quote(ref.schema)}." if ref.schema else "") + own + joint + quote(second)
    if ref.kind in ("operator", "cast"):
        return f"{quote(ref.schema)}.{ref.name}" if ref.schema else ref.name
    return qualified(ref.schema, ref.name)


def parent_of(ref: Ref) -> str:
    """Return the SQL name of the table that contains `ref`."""
    return qualified(ref.schema, ref.parent)


def columns(names: tuple[str, ...]) -> str:
    return ", ".join(quote(name) for name in names)


def word(item: CatalogObject) -> str:
    """Return what statements call this kind of object: `TABLE`, `FUNCTION`, `TEXT SEARCH DICTIONARY`."""
    if isinstance(item, Routine):
        return _ROUTINE_WORDS.get(item.flavour, "FUNCTION")
    kind = item.ref.kind
    return _WORDS.get(kind, kind.replace("_", " ").upper())


def aside(name: str) -> str:
    """Return what something is called while its successor bears its name: no two names give the same, nor more than 63 bytes."""
    if len(name.encode()) <= _NAME_BYTES - len(_ASIDE):
        return name + _ASIDE
    mark = f"_{crc32(name.encode()):08x}{_ASIDE}"
    return name.encode()[: _NAME_BYTES - len(mark)].decode(errors="ignore") + mark


def designation(item: CatalogObject) -> str:
    """Return word and name as DROP and COMMENT ON want them: `TRIGGER stamp ON public.users`."""
    ref = item.ref
    if isinstance(item, Routine) and item.flavour == "aggregate":
        return f"AGGREGATE {named(ref).rpartition('(')[0]}({dict(item.options).get('identity', '*')})"
    if ref.parent and ref.kind != "index":
        return f"{word(item)} {quote(ref.name)} ON {parent_of(ref)}"
    return f"{word(item)} {named(ref)}"
