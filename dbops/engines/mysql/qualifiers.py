"""Where a text of MySQL or MariaDB names a database: told by the grammar, beside whatever else is called so. Pure.

`shop.items` is a table of the database `shop` where a table, view or routine is named, and a column or field of something
called `shop` where a value is (MySQL 8.4 manual, 11.2.2 "Identifier Qualifiers"); `shop.f(` calls a function of the database, and
the first of three names is one. So it is asked where tables are named, and never what an alias may hide.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.mysql.tokens import Token, tokens

#: Reserved words that begin a statement, or what a statement is made of.
_VERBS = frozenset(
    {
        *("ALTER", "ANALYZE", "CALL", "CHECK", "CREATE", "DELETE", "DESCRIBE", "DROP", "EXPLAIN", "GRANT", "INSERT"),
        *("LOAD", "LOCK", "OPTIMIZE", "RENAME", "REPLACE", "REVOKE", "SELECT", "SHOW", "UPDATE"),
    }
)
#: Those with the name of `one` table, or of `many`, at their beginning.
_NAMES_FIRST = {"INSERT": "one", "REPLACE": "one", "UPDATE": "many", "DELETE": "many"}
#: Statements whose privileges or objects are called as other statements are.
_LASTING = frozenset({"GRANT", "REVOKE", "SHOW"})
#: Words behind which other kinds of things are named than tables, in statements that make, change, show or grant them.
_OBJECTS = frozenset({"VIEW", "SEQUENCE", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"})
_ABOUT_OBJECTS = frozenset({"CREATE", "DROP", "ALTER", "SHOW", "GRANT", "REVOKE"})
#: Reserved words between a statement's first and the name of its table.
_NOISE = frozenset({"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "IF", "NOT", "EXISTS", "AS", "TO", "INTO"})
#: The same of words that may be names: what stands before them then.
_NOISE_BEHIND = {"QUICK": "DELETE", "HISTORY": "DELETE", "BODY": "PACKAGE", "OJ": "{"}
#: Words behind which no table follows until another word says so.
_ENDS = frozenset(
    {
        *("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "SET", "VALUES", "VALUE", "UNION", "EXCEPT"),
        *("INTERSECT", "MINUS", "RETURNING", "RETURN", "RETURNS", "BEGIN", "DECLARE", "SELECT", "WITH", "INTO"),
        *("DO",),
    }
)
#: Those that may be names of tables.
_MAY_BE_NAMES = frozenset({"VALUE", "WINDOW", "BEGIN", "RETURNS", "RETURNING", "DO"})
#: What stands before UPDATE, DELETE and INSERT where they begin no statement: KEY UPDATE, FOR UPDATE, ON DELETE, AFTER INSERT.
_NO_STATEMENT = frozenset({"KEY", "ON", "BEFORE", "AFTER", "OR"})
_CALLS_WITH_FROM = frozenset({"EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "MID"})
#: Calls in which a sequence is named.
CALLS_OF_SEQUENCES = frozenset({"NEXTVAL", "LASTVAL", "SETVAL"})
#: What stands before a statement: where Oracle's language calls a procedure without CALL.
_STARTS = frozenset({";", ">", "BEGIN", "THEN", "ELSE", "LOOP", "IS", "AS"})


@dataclass(slots=True)
class _Part:
    """What is open at a place: a statement, or something in parentheses behind the word `opener`."""

    opener: str = ""
    verb: str = ""
    lists_tables: bool = False
    """Behind a comma comes another table."""
    expects: bool = False
    """A table, view or routine is named next."""
    has_query: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """How a database is named in texts: `folds_case` where `lower_case_table_names` is not 0, under which names of databases
    are alike in any case; `packages` are those of the database, in lower case.
    """

    database: str
    folds_case: bool = False
    packages: frozenset[str] = field(default_factory=frozenset)

    def is_meant_by(self, name: str | None) -> bool:
        """Tell whether a name is the database's."""
        if name is None:
            return False
        return name == self.database or (self.folds_case and name.lower() == self.database.lower())

    def may_be_in(self, text: str) -> bool:
        """Tell whether a text may name the database at all: cheap, and true of names that quotes write otherwise."""
        name = self.database.lower()
        return "`" in name or '"' in name or name in text.lower()

    def places(self, found: list[Token], sql_mode: str = "") -> list[int]:
        """Return the places, among tokens, where a text that was written under `sql_mode` names the database."""
        meant = [place for place, token in enumerate(found) if token.kind != "space"]
        names = [found[place] for place in meant]
        if not any(self.is_meant_by(token.identifier) for token in names):
            return []
        named = places_of_tables(names)
        is_oracle = "ORACLE" in sql_mode.upper().split(",")
        has_namesake = self._has_namesake(names, is_oracle)
        return [
            meant[place]
            for place, token in enumerate(names)
            if self.is_meant_by(token.identifier)
            and (self._is_bare(names, place) or self._is_qualifier(names, place, named, has_namesake, is_oracle))
        ]

    def qualifiers(self, found: list[Token]) -> list[int]:
        """Return the places, among tokens, where the database is named before something of it."""
        meant = [place for place, token in enumerate(found) if token.kind != "space"]
        names = [found[place] for place in meant]
        where = {place: number for number, place in enumerate(meant)}
        return [place for place in self.places(found) if stands_before_dot(names, where[place])]

    def _is_qualifier(self, names: list[Token], place: int, named: set[int], has_namesake: bool, is_oracle: bool) -> bool:
        if not stands_before_dot(names, place):
            return False
        behind = _text(names, place + 3)
        if behind == "." and _text(names, place + 4) != ".":
            return True
        is_call = _upper(names, place - 1) == "CALL"
        if (place in named and not is_call) or (is_oracle and behind == "%" and _upper(names, place + 4) == "ROWTYPE"):
            return True
        if is_call or behind == "(" or (is_oracle and behind in (";", "") and _is_start(names, place)):
            return not (is_oracle and self.database.lower() in self.packages)  # a package comes first (MariaDB 10.11)
        return not has_namesake and not _is_of_table(names, place, is_oracle)

    def _has_namesake(self, names: list[Token], is_oracle: bool) -> bool:
        """Tell whether something else is called as the database: a variable or a column alias in any case, NEW and OLD too."""
        wanted = self.database.lower()
        if wanted in ("new", "old") and any(token.upper == "TRIGGER" for token in names):
            return True
        return any(
            (token.identifier or "").lower() == wanted and not stands_before_dot(names, place) and not self._is_bare(names, place)
            for place, token in enumerate(names)
        )

    def _is_bare(self, names: list[Token], place: int) -> bool:
        """Tell whether a database is named without anything of it: DROP DATABASE shop, SHOW TABLES FROM shop."""
        if _text(names, place + 1) in (".", "("):
            return False
        at = place - 1
        while at > 0 and names[at].upper in ("IF", "NOT", "EXISTS"):
            at -= 1
        if at < 1:
            return False
        if names[at].upper in ("DATABASE", "SCHEMA"):
            return any(token.upper in ("CREATE", "DROP", "ALTER", "REPLACE") for token in names[max(0, at - 3) : at])
        if names[at].upper not in ("FROM", "IN"):
            return False
        shown = _shown(names, at)
        if not shown:
            return False
        return (
            "TABLES" in shown or "TRIGGERS" in shown or "EVENTS" in shown or "STATUS" in shown or "FROM" in shown or "IN" in shown
        )


def in_case_of(text: str, name: str, other: str) -> str:
    """Return `other` in capitals, or with one, where `text` is `name` so."""
    if text == name or text.lower() != name.lower():
        return other
    return other.upper() if text.isupper() else other.capitalize() if text == name.capitalize() else other


def turned_back(texts: Any, new: str, old: str) -> Any:
    """Return texts, in tuples of any depth, in which `old` stands again, in quotes of the same kind, where it gave way to `new`:
    a name that nothing else has, such as a scratch database's.
    """
    if isinstance(texts, tuple):
        return tuple(turned_back(one, new, old) for one in texts)
    if not isinstance(texts, str) or new.lower() not in texts.lower():
        return texts

    def back(found: re.Match[str]) -> str:
        mark = found[1]
        return f"{mark}{old.replace(mark, mark * 2)}{mark}" if mark else in_case_of(found[2], new, old)

    return re.sub(rf"([`\"]?)({re.escape(new)})\1", back, texts, flags=re.IGNORECASE)


def places_of_tables(names: list[Token]) -> set[int]:
    """Return at which places, among tokens without space, a table, view or routine is named: those of its first name."""
    return _Reading(names).named


def without_qualifier(sql: str, database: str) -> str:
    """Return text that the server wrote or a source holds without the qualifier `database`, where that means the database."""
    naming = Naming(database)
    if not naming.may_be_in(sql):
        return sql
    found = list(tokens(sql))
    removed: set[int] = set()
    for place in naming.qualifiers(found):
        dot = next(at for at in range(place + 1, len(found)) if found[at].text == ".")
        removed |= {place, dot}
    return "".join(token.text for place, token in enumerate(found) if place not in removed)


def stands_before_dot(names: list[Token], place: int) -> bool:
    """Tell whether the first of several names stands at a place, among tokens without space."""
    if _text(names, place + 1) != "." or _text(names, place + 2) == ".":
        return False
    if place == 0 or names[place - 1].text == "@":
        return place == 0
    return names[place - 1].text != "." or _is_range(names, place)


def _is_range(names: list[Token], place: int) -> bool:
    """Tell whether the dot before a place is that of `1..n` in FOR i IN 1..n."""
    return place > 1 and (names[place - 2].text == "." or names[place - 2].text.endswith("."))


def _shown(names: list[Token], place: int) -> set[str]:
    """Return the words between SHOW and a place, none where something else stands there."""
    words: set[str] = set()
    for token in reversed(names[max(0, place - 10) : place]):
        if token.upper == "SHOW":
            return words | {"SHOW"}
        if token.text in (";", "(", ")") or token.upper in ("WHERE", "LIKE", "SELECT"):
            return set()
        words.add(token.upper)
    return set()


def _is_of_table(names: list[Token], place: int, is_oracle: bool) -> bool:
    """Tell whether a table is meant though nothing else is called so: shop.*, TYPE OF shop.made, and Oracle's shop.made%TYPE and
    shop.NEXTVAL.
    """
    if _text(names, place + 2) == "*" or [_upper(names, place - 2), _upper(names, place - 1)] == ["TYPE", "OF"]:
        return True
    if not is_oracle:
        return False
    if names[place + 2].upper in ("NEXTVAL", "CURRVAL"):
        return True
    return _text(names, place + 3) == "%" and _text(names, place + 4).upper() == "TYPE"


def _is_start(names: list[Token], place: int) -> bool:
    return place == 0 or (names[place - 1].upper or names[place - 1].text) in _STARTS


def _text(names: list[Token], place: int) -> str:
    return names[place].text if 0 <= place < len(names) else ""


class _Reading:
    """Reads a text once, and notes at which places a table, view or routine is named: the place of its first name."""

    def __init__(self, names: list[Token]) -> None:
        self.names = names
        self.named: set[int] = set()
        self.open = [_Part()]
        for place, token in enumerate(names):
            self._take(place, token)

    def _take(self, place: int, token: Token) -> None:
        part = self.open[-1]
        if token.kind == "mark":
            self._mark(place, token.text, part)
        elif self._is_later_name(place):
            return
        elif not (token.kind == "word" and self._word(place, token.upper, part)) and part.expects:
            if _text(self.names, place + 2) != "*" or part.verb in ("GRANT", "REVOKE"):  # DELETE shop.* FROM shop
                self.named.add(place)
            part.expects = False

    def _is_later_name(self, place: int) -> bool:
        return place > 0 and self.names[place - 1].text == "." and not _is_range(self.names, place)

    def _mark(self, place: int, text: str, part: _Part) -> None:
        if text == ";":
            self.open = [_Part()]
        elif text == "(":
            self.open.append(self._opened(place, part))
        elif text == ")" and len(self.open) > 1:
            self.open.pop()
            self.open[-1].expects = False
        elif text == "," and part.lists_tables:
            part.expects = True

    def _opened(self, place: int, part: _Part) -> _Part:
        before = self.names[place - 1] if place else None
        opener = before.upper if before is not None and not self._is_later_name(place - 1) else ""
        inner = _Part(opener, part.verb)
        if part.expects or (opener == "" and [_upper(self.names, place - 2), _text(self.names, place - 1)] == ["UNION", "="]):
            inner.lists_tables = inner.expects = True
        elif opener in CALLS_OF_SEQUENCES:
            inner.expects = True
        return inner

    def _word(self, place: int, word: str, part: _Part) -> bool:
        """Take a keyword; tell whether it was one here, and no name."""
        before, after = _upper(self.names, place - 1), _text(self.names, place + 1)
        if after == ".":
            return False  # a name that is called as a keyword
        if part.expects and (
            word in _NOISE or (word in _NOISE_BEHIND and _NOISE_BEHIND[word] in (before, self.names[place - 1].text))
        ):
            return True
        if part.expects and (word in _MAY_BE_NAMES or (word == "LATERAL" and after == "(")):
            return word == "LATERAL"
        is_statement = word in _VERBS and self._is_statement(word, before, after, part)
        if is_statement and part.verb not in _LASTING:
            part.verb = word
            part.has_query |= word == "SELECT"
        names = _NAMES_FIRST.get(word, "") if is_statement and part.verb == word else ""
        if names := names or self._names_behind(place, word, before, after, part):
            part.lists_tables, part.expects = names == "many", True
            return True
        if word in _ENDS or is_statement or (word == "DUPLICATE" and before == "ON"):
            part.lists_tables = part.expects = False
            return True
        return False

    def _is_statement(self, word: str, before: str, after: str, part: _Part) -> bool:
        if before == "FOR" and word == "UPDATE":
            return part.verb != "SELECT"  # SET STATEMENT ... FOR UPDATE shop.items
        if word in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
            return before not in _NO_STATEMENT and (after != "(" or word == "DELETE")
        return True

    def _names_behind(self, place: int, word: str, before: str, after: str, part: _Part) -> str:
        """Tell whether `one` or `many` tables are named behind a keyword; empty for neither."""
        match word:
            case "FROM":
                return self._behind_from(place, before, part)
            case "JOIN":
                return "many"
            case "STRAIGHT_JOIN":
                return "many" if part.lists_tables else ""
            case "TABLE":
                return "many"
            case "TABLES":
                return (
                    "many"
                    if before in ("LOCK", "FLUSH", "DROP", "RENAME", "ANALYZE", "CHECK", "OPTIMIZE", "REPAIR", "LOCAL")
                    else ""
                )
            case "CALL" | "REFERENCES":
                return "one"
            case "TRUNCATE" | "HANDLER":
                return "one" if after.upper() != "FOR" and self.names[place + 1 :] and self.names[place + 1].identifier else ""
            case "DESC" | "DESCRIBE" | "EXPLAIN":
                return "one" if _text(self.names, place + 2) == "." else ""
            case "USING":
                return "many" if part.verb == "DELETE" and after != "(" else ""
            case "LIKE":
                is_of_table = (part.verb == "CREATE" and part.lists_tables) or self._opens(place)
                return "one" if is_of_table else ""
            case "RENAME" | "TO":
                return "many" if part.verb in ("RENAME", "ALTER") else ""
            case "ON":
                return "one" if part.verb in ("CREATE", "DROP", "GRANT", "REVOKE") else ""
            case "IN":
                return "one" if part.verb == "SHOW" else ""
            case "OF":
                return "one" if [_upper(self.names, place - 2), before] == ["ROW", "TYPE"] else ""
            case "FOR":
                return "one" if before == "VALUE" and _upper(self.names, place - 2) in ("NEXT", "PREVIOUS") else ""
            case _ if (
                word in _OBJECTS
                and part.verb in _ABOUT_OBJECTS
                and (not part.expects or (before == "ON" and part.verb in ("GRANT", "REVOKE")))
            ):
                return "many" if part.verb == "DROP" else "one"
            case _:
                return ""

    def _opens(self, place: int) -> bool:
        return place > 0 and self.names[place - 1].text == "("

    def _behind_from(self, place: int, before: str, part: _Part) -> str:
        """FROM also stands in calls, before moments, and before the text of PREPARE; behind it may stand accounts."""
        is_of_call = part.opener in _CALLS_WITH_FROM and not part.has_query
        is_of_moments = before in ("SYSTEM_TIME", "DISTINCT") or _upper(self.names, place - 3) == "PORTION"
        if is_of_call or is_of_moments or _upper(self.names, place - 2) == "PREPARE" or part.verb in ("GRANT", "REVOKE"):
            return ""
        return "many"


def _upper(names: list[Token], place: int) -> str:
    return names[place].upper if 0 <= place < len(names) else ""
