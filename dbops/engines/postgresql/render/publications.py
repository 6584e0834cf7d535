"""What publications send, read from the statements that make them, and what of it forbids to change rows.

Source: manual, "Logical Replication", Row Filters and Column Lists; CREATE PUBLICATION.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from dbops.catalog.model import Defined, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.names import named, quote, unquote
from dbops.engines.postgresql.render.scene import statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_WHOLE = re.compile(r"CREATE PUBLICATION .*?(?: FOR (?P<what>.*))? WITH \((?P<options>[^()]*)\)", re.DOTALL)
_NAME = r'"(?:[^"]|"")*"|[\w$]+'
_PART = re.compile(
    rf"( \((?P<columns>(?:{_NAME}|, )+)\))?( WHERE \((?P<condition>.*?)\)(?=, ONLY |, TABLES IN | WITH \(publish))?", re.DOTALL
)
_PUBLISH = re.compile(r"publish = '([^']*)'")
_TEXT = re.compile(r"E?'(?:[^'\\]|''|\\.)*'")
_ASKED = re.compile(rf"(?<!::)(?<![\w$\".])({_NAME})(?![\w$\".(])")


def is_of_parts(item: Defined) -> bool:
    """Tell whether a publication names tables or schemas, which ALTER can exchange."""
    return _whole(item)[0] is not None


def alter(before: Defined, after: Defined) -> Iterator[Statement]:
    (old, old_options), (new, new_options) = _whole(before), _whole(after)
    head = f"ALTER PUBLICATION {quote(after.name)}"
    if old != new:
        yield statement(f"{head} SET {new}", Hazard("REPLICATION_IMPACT", f"publication {after.name} publishes other tables"))
    if old_options != new_options:
        options = new_options if "publish_via" in new_options else f"{new_options}, publish_via_partition_root = false"
        yield statement(f"{head} SET ({options})", Hazard("REPLICATION_IMPACT", f"publication {after.name} publishes otherwise"))


def publishes(item: Defined, table: Ref) -> bool:
    """Tell whether a publication sends anything of a table."""
    text = item.definition
    if " FOR ALL TABLES" in text or f"TABLES IN SCHEMA {table.schema}" in text:
        return True
    return _part(item, table) is not None


def forbids_changes(item: Defined, table: Table, identity: Collection[str] | None) -> bool:
    """Tell whether a row of `table` cannot be updated or deleted, for what is sent of it does not go with its replica identity.

    `identity` are the columns that tell rows apart, None where all do: a list of columns has to hold them, and can never hold
    all; a condition may ask for no other.
    """
    part = _part(item, table.ref)
    if part is None or not {"update", "delete"}.intersection(_actions(item)):
        return False
    listed = None if part["columns"] is None else {unquote(name) for name in re.findall(_NAME, part["columns"])}
    if identity is None:
        return listed is not None
    asked = _asked(part["condition"] or "").intersection(column.name for column in table.columns)
    return not asked.issubset(identity) or not (listed is None or listed.issuperset(identity))


def without_changes(item: Defined) -> Statement:
    return _sending(item, [action for action in _actions(item) if action not in ("update", "delete")])


def with_changes(item: Defined) -> Statement:
    return _sending(item, _actions(item))


def _sending(item: Defined, actions: Iterable[str]) -> Statement:
    return Statement(f"ALTER PUBLICATION {quote(item.name)} SET (publish = '{', '.join(actions)}')")


def _whole(item: Defined) -> tuple[str | None, str]:
    """Return the tables and schemas published, None when that is all or nothing, and the options."""
    match = _WHOLE.fullmatch(item.definition)
    if match is None or match["what"] in (None, "ALL TABLES"):
        return None, match["options"] if match else ""
    return match["what"], match["options"]


def _part(item: Defined, table: Ref) -> re.Match[str] | None:
    """Return the columns and the condition of a table that is published by its name."""
    for name in {named(table), named(table).removeprefix("public.")}:
        if found := re.search(rf"ONLY {re.escape(name)}(?![\w.])", item.definition):
            return _PART.match(item.definition, found.end())
    return None


def _actions(item: Defined) -> list[str]:
    found = _PUBLISH.search(_whole(item)[1])
    return found[1].split(", ") if found and found[1] else []


def _asked(condition: str) -> set[str]:
    """Return the names of a condition that may be columns: neither types nor functions, nor what text says."""
    return {unquote(name) for name in _ASKED.findall(_TEXT.sub("''", condition))}
