"""What stands in, on a private server that has one database alone, for what its views and defaults name in others.

No server makes a view over what is not there, or fills a table that draws from it. A view that a server shows says all its
columns by name, so that their names are enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise

from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.engines.mysql.qualifiers import CALLS_OF_SEQUENCES, Naming, places_of_tables, stands_before_dot
from dbops.engines.mysql.tokens import Token, words

_COLUMN = "dbops_stand_in"


@dataclass(frozen=True, slots=True)
class StandIns:
    """Tables by their databases and names, with what may be columns of theirs, functions, with how many arguments they take
    (MySQL looks at that when it makes a view), and sequences.
    """

    tables: dict[tuple[str, str], set[str]]
    functions: dict[tuple[str, str], int]
    sequences: frozenset[tuple[str, str]] = frozenset()

    @property
    def databases(self) -> set[str]:
        """The databases that all of it is in."""
        return {database for database, _ in (*self.tables, *self.functions, *self.sequences)}

    def without(self, databases: Collection[str]) -> StandIns:
        """Leave out what is in some databases."""
        return StandIns(
            {one: columns for one, columns in self.tables.items() if one[0] not in databases},
            {one: arguments for one, arguments in self.functions.items() if one[0] not in databases},
            frozenset(one for one in self.sequences if one[0] not in databases),
        )


def named_elsewhere(views: Iterable[str], drawn_from: Iterable[tuple[str, str]], own: Naming) -> StandIns:
    """Return what views, as the server writes them, and tables that draw from sequences name in other databases."""
    tables: dict[tuple[str, str], set[str]] = {}
    functions: dict[tuple[str, str], int] = {}
    sequences = {one for one in drawn_from if not own.is_meant_by(one[0])}
    for view in views:
        names = words(view)
        named = places_of_tables(names)
        columns = {name.lower() for name in _behind_dots(names)}
        for place, token in enumerate(names[:-2]):
            if not stands_before_dot(names, place) or own.is_meant_by(token.identifier):
                continue
            one = (token.identifier or "", names[place + 2].identifier or "")
            if place in named and place > 1 and names[place - 2].upper in CALLS_OF_SEQUENCES:
                sequences.add(one)
            elif place in named:
                tables.setdefault(one, {_COLUMN}).update(columns)
            elif place + 3 < len(names) and names[place + 3].text == "(":
                functions[one] = _arguments(names[place + 3 :])
    return StandIns(tables, functions, frozenset(sequences))


def _behind_dots(names: list[Token]) -> Iterator[str]:
    for before, token in pairwise(names):
        if before.text == "." and token.identifier is not None:
            yield token.identifier


def _arguments(call: list[Token]) -> int:
    """Count the arguments of a call, whose tokens begin at its parenthesis."""
    if call[1].text == ")":
        return 0
    depth, commas = 0, 0
    for token in call:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            break
        commas += depth == 1 and token.text == ","
    return commas + 1


def make_sequences(conn: MysqlConnection, wanted: StandIns) -> None:
    """Make the sequences. They stay: who replays rows into a table has to open what it draws from."""
    for database, name in sorted(wanted.sequences):
        conn.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(database)}")
        conn.execute(f"CREATE SEQUENCE {quoted(database)}.{quoted(name)}")


def make(conn: MysqlConnection, wanted: StandIns) -> None:
    """Make the tables and functions."""
    for database in sorted(wanted.databases):
        conn.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(database)}")
    for (database, name), columns in wanted.tables.items():
        listed = ", ".join(f"{quoted(column)} int" for column in sorted(columns))
        conn.execute(f"CREATE TABLE {quoted(database)}.{quoted(name)} ({listed}) ENGINE = MEMORY")
    for (database, name), count in wanted.functions.items():
        arguments = ", ".join(f"a{number} int" for number in range(count))
        conn.execute(f"CREATE FUNCTION {quoted(database)}.{quoted(name)}({arguments}) RETURNS int NO SQL RETURN 0")


def remove(conn: MysqlConnection, wanted: StandIns) -> None:
    """Remove the tables and functions, with the databases that held nothing else."""
    for database, name in wanted.tables:
        conn.execute(f"DROP TABLE {quoted(database)}.{quoted(name)}")
    for database, name in wanted.functions:
        conn.execute(f"DROP FUNCTION {quoted(database)}.{quoted(name)}")
    for database in sorted(wanted.databases - {database for database, _ in wanted.sequences}):
        conn.execute(f"DROP DATABASE {quoted(database)}")
