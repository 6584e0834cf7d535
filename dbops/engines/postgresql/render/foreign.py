"""Foreign data wrappers, servers and user mappings, read from the statements that make them, and what changes them in place."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbops.catalog.model import Defined
from dbops.engines.postgresql.render.names import designation, quote
from dbops.engines.postgresql.render.options import fdw_changes
from dbops.engines.postgresql.render.scene import Scene
from dbops.errors import PlanError
from dbops.sql.statement import Statement

KINDS = frozenset({"foreign_data_wrapper", "server", "user_mapping"})

_LITERAL = r"E?'(?:[^'\\]|''|\\.)*'"
_NAME = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_OPTION = re.compile(rf"(\"(?:[^\"]|\"\")*\"|[\w.]+) ({_LITERAL})")
#: What ALTER exchanges by itself, each by the word that takes it away.
_VERSION = re.compile(rf"(CREATE SERVER {_NAME}(?: TYPE {_LITERAL})?)( VERSION {_LITERAL})?")
_FUNCTIONS = re.compile(
    rf"(CREATE FOREIGN DATA WRAPPER {_NAME})( HANDLER {_NAME}(?:\.{_NAME})?)?( VALIDATOR {_NAME}(?:\.{_NAME})?)?"
)


def is_in_place(before: Defined, after: Defined) -> bool:
    """Tell whether ALTER reaches `after`: a server keeps its type and wrapper."""
    return _lasting(before) == _lasting(after)


def alter(before: Defined, after: Defined) -> Iterator[Statement]:
    """Yield ALTER for another version, other functions, other options."""
    clauses = [new or f" {without}" for old, new, without in _exchanged(before, after) if old != new]
    if options := fdw_changes(_options(before), _options(after)):
        clauses.append(f" {options}")
    if clauses:
        yield Statement(f"ALTER {designation(after)}{''.join(clauses)}")


def refuse_to_lose_secrets(item: Defined, scene: Scene) -> None:
    """A server does not go while there are user mappings that nobody can make again.

    Raises:
        PlanError: there is one that holds a secret.
    """
    for other in scene.before.unmanaged if item.what == "server" and not scene.is_way_back else ():
        if other.kind == "user_mapping" and other.name.endswith(f" SERVER {quote(item.name)}"):
            raise PlanError(
                f"server {item.name} cannot be dropped or made again: the user mapping for {other.name} depends on it."
                f" It is not managed: {other.reason}",
                fix=f"DROP USER MAPPING FOR {other.name}; and make it again by hand where the server comes back",
            )


def _exchanged(before: Defined, after: Defined) -> Iterator[tuple[str, str, str]]:
    pattern, words = _pattern(after)
    matches = [pattern.match(item.definition) for item in (before, after)] if pattern else []
    if len(matches) == 2 and matches[0] and matches[1]:
        for number, without in enumerate(words, 2):
            yield matches[0][number] or "", matches[1][number] or "", without


def _pattern(item: Defined) -> tuple[re.Pattern[str] | None, tuple[str, ...]]:
    if item.what == "server":
        return _VERSION, ("VERSION NULL",)
    return (_FUNCTIONS, ("NO HANDLER", "NO VALIDATOR")) if item.what == "foreign_data_wrapper" else (None, ())


def _lasting(item: Defined) -> str:
    pattern, _ = _pattern(item)
    head = item.definition.partition(" OPTIONS (")[0]
    return pattern.sub(r"\1", head, count=1) if pattern else head


def _options(item: Defined) -> tuple[tuple[str, str], ...]:
    text = item.definition.partition(" OPTIONS (")[2]
    return tuple((_bare(name), _value(value)) for name, value in _OPTION.findall(text))


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _value(text: str) -> str:
    if text.startswith("E"):
        return text[2:-1].replace("''", "'").replace("\\\\", "\\")
    return text[1:-1].replace("''", "'")
