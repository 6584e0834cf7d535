"""What a restored database still says of the one it came from: asked of the server, not of the dump that was rewritten."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.engines.mysql.qualifiers import Naming, places_of_tables, stands_before_dot
from dbops.engines.mysql.raw_text import readable
from dbops.engines.mysql.tokens import Token, tokens

_VIEWS = "SELECT 'VIEW', table_name, '', '' FROM information_schema.views WHERE table_schema = DATABASE()"
_TRIGGERS = """
SELECT 'TRIGGER', trigger_name, sql_mode, event_object_table
FROM information_schema.triggers WHERE trigger_schema = DATABASE()"""
_ROUTINES = "SELECT routine_type, routine_name, sql_mode, '' FROM information_schema.routines WHERE routine_schema = DATABASE()"
_EVENTS = "SELECT 'EVENT', event_name, sql_mode, '' FROM information_schema.events WHERE event_schema = DATABASE()"
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
_COLUMNS = "SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
#: Where the text of SHOW CREATE stands.
_TEXT = {"VIEW": 1, "EVENT": 3}
#: Words of texts in which a string that is a database's name and nothing else is likely to mean it.
_ASKS = re.compile(r"\b(?:PREPARE|EXECUTE|INFORMATION_SCHEMA|PERFORMANCE_SCHEMA|MYSQL)\b", re.IGNORECASE)
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Mention:
    """A place where a view, routine, trigger or event names a database. In `is_text` it is a string, which may be run."""

    kind: str
    name: str
    line: int
    words: str
    is_text: bool = False

    def __str__(self) -> str:
        return f"{self.kind.lower()} {quoted(self.name)}, line {self.line}: {self.words}"


def mentions(conn: MysqlConnection, old: Naming, tables: Collection[str] | None = None) -> list[Mention]:
    """Return where the database of a session may name `old`; of chosen `tables` only their triggers count.

    Six queries and one for each view, routine, trigger and event. What the account may not read is left out.
    """
    *several, tables_there, columns = conn.query_each([_VIEWS, _TRIGGERS, _ROUTINES, _EVENTS, _TABLES, _COLUMNS])
    code = [row for rows in several for row in sorted(rows) if tables is None or (row[0] == "TRIGGER" and row[3] in tables)]
    answers = conn.query_each([f"SHOW CREATE {kind} {quoted(str(name))}" for kind, name, *_ in code])
    objects = {str(name).lower() for (name,) in tables_there} | {str(name).lower() for _, name, *_ in several[2]}
    suspects = objects - {str(name).lower() for (name,) in columns}
    found: list[Mention] = []
    for (kind, name, mode, _), rows in zip(code, answers, strict=True):
        text = rows[0][_TEXT.get(str(kind), 2)]
        if text is not None:
            found += mentions_in(readable(text), str(kind), str(name), str(mode or ""), old, suspects)
    return found


def mentions_in(text: str, kind: str, name: str, sql_mode: str, old: Naming, suspects: Collection[str]) -> Iterator[Mention]:
    """Yield where a text may name a database. `suspects` are names that tables and routines have there and no column, in lower
    case: `shop.items` is hardly a column then, whatever the place.
    """
    if not old.may_be_in(text):
        return
    found = list(tokens(text, sql_mode))
    places = {*old.places(found, sql_mode), *_suspicious(found, old, suspects)}
    asks = _ASKS.search(text) is not None
    before = ""
    for place, token in enumerate(found):
        is_text = token.kind == "string" and before != "COMMENT" and _speaks_of(token.text, old, asks=asks)
        before = before if token.kind == "space" else token.upper
        if place in places or is_text:
            words = token.text if is_text else "".join(one.text for one in found[place : place + 3])
            line = text.count("\n", 0, token.start) + 1
            yield Mention(kind, name, line, " ".join(words.split())[:_SHOWN], is_text)


def _suspicious(found: list[Token], old: Naming, suspects: Collection[str]) -> Iterator[int]:
    """Yield where what is hardly a column stands behind the name; of a text that names other databases nothing is known, for
    their tables may be called so and have such a column.
    """
    meant = [place for place, token in enumerate(found) if token.kind != "space"]
    names = [found[place] for place in meant]
    named = places_of_tables(names)
    if any(stands_before_dot(names, place) and not old.is_meant_by(names[place].identifier) for place in named):
        return
    explained = {  # by an alias, a variable or a field that is called so
        (token.identifier or "").lower()
        for place, token in enumerate(names)
        if place not in named and names[place - 1].text != "." and not stands_before_dot(names, place)
    }
    for place, token in enumerate(names[:-2]):
        if old.is_meant_by(token.identifier) and stands_before_dot(names, place):
            name = (names[place + 2].identifier or "").lower()
            if name in suspects and name not in explained and old.database.lower() not in old.packages:
                yield meant[place]


def _speaks_of(string: str, old: Naming, *, asks: bool) -> bool:
    """Tell whether a string names a database: `shop.items` in it or, where texts are run or the server is asked, nothing else, or
    `shop.` at the end.
    """
    name, inside, flags = re.escape(old.database), string[1:-1], re.IGNORECASE if old.folds_case else 0
    if asks and re.search(rf"^[`\s]*{name}[`\s]*$|(?<![\w$@.]){name}`?\.$", inside, flags):
        return True
    return re.search(rf"(?<![\w$@.]){name}[`\"]?\s*\.[\w$`\"*]|`{name}`", inside, flags) is not None
