"""A script as the statements that run: what cannot stand in a migration is refused, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.engines.base.scripts import Conduct
from dbops.errors import Mark, MigrationError, QueryError, SchemaError
from dbops.resources.migrations.model import Migration, Script
from dbops.sql.redact import redact
from dbops.sql.splitter import SourceStatement, iterate


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement of a script, and how it behaves."""

    source: SourceStatement
    conduct: Conduct


def checked(script: Script, engine: Engine) -> Iterator[Planned]:
    """Yield the statements of a script that are to be run; a short one is read to its end first, and kept for the next time.

    A BEGIN at the head and a COMMIT at the end, which make the file one transaction for other programs, are left out; settings
    may stand before and behind them.

    Raises:
        MigrationError: a statement that ends the transaction, or is no SQL, with its place.
    """
    if len(script.text) > _SHORT:
        return _read(script, engine)
    return iter(_kept(script, engine))  # type: ignore[arg-type]  # a port says nothing of hashing; engines are told by identity


_SHORT, _MANY = 4_000, 4_096
"""How long a script may be to be kept, in characters, and how many are."""


@lru_cache(maxsize=_MANY)
def _kept(script: Script, engine: Engine) -> tuple[Planned, ...]:
    return tuple(_read(script, engine))


def _read(script: Script, engine: Engine) -> Iterator[Planned]:
    scripts, begun, committed, is_first = engine.scripts, None, None, True
    try:
        for statement in iterate(script.text, engine.dialect, script.at.file):
            is_setting = _SETTING.match(statement.text) is not None
            if committed is not None and not is_setting:
                raise _control(committed, script)
            _must_leave_own_tables(statement, script)
            conduct = scripts.conduct(statement)
            if conduct.refusal is not None:
                raise MigrationError(f"{title(statement)}: {conduct.refusal}", at=placed(statement.at, script))
            if conduct.is_skipped:
                continue
            if conduct.control is None:
                yield Planned(statement, conduct)
            elif conduct.control == "begin" and is_first:
                begun = statement
            elif conduct.control == "commit" and begun is not None:
                committed = statement
            else:
                raise _control(statement, script)
            is_first = is_first and is_setting
        if begun is not None and committed is None:
            raise _never_committed(begun, script)
    except SchemaError as error:
        at = placed(error.at, script) if error.at else None
        raise MigrationError(error.message, at=at, expected=error.expected, fix=error.fix) from error


def _must_leave_own_tables(statement: SourceStatement, script: Script) -> None:
    """Raise MigrationError for a statement that writes what dbops keeps for itself, as dumps of a database do that it knows."""
    if is_about_own_tables(statement.text):
        raise MigrationError(
            f"{title(statement)} is about what dbops keeps for itself: the ledger, in which this migration is written down, too",
            at=placed(statement.at, script),
            expected="statements about other tables",
            fix="take it out, or leave dbops's own tables out of the dump",
        )


def is_about_own_tables(sql: str) -> bool:
    """Tell whether a statement writes what dbops keeps for itself; reading it does no harm."""
    head = sql[:_HEAD]
    if "dbops" not in head.lower() or (found := _WRITES.match(head)) is None:
        return False
    return _OWN.search(_BEHIND_NAMES.split(head[found.end() :], maxsplit=1)[0]) is not None


_HEAD = 400
_WRITES = re.compile(r"(?:/\*M?!\d*\s*)?(?:CREATE|DROP|ALTER|TRUNCATE|INSERT|REPLACE|UPDATE|DELETE|COPY)\b", re.IGNORECASE)
_BEHIND_NAMES = re.compile(r"[('$]|\b(?:AS|VALUES|SELECT|SET|WHERE)\b", re.IGNORECASE)
_OWN = re.compile(
    r"\bdbops_(?:applies|steps|memory|migrations)\b|\bdbops[\"`]?\s*\.\s*[\"`]?\w|\bSCHEMA\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?\"?dbops\b",
    re.IGNORECASE,
)


def check(script: Script, engine: Engine) -> int:
    """Read a script to its end as a run would; return how many statements it has. Raises as a run does."""
    return sum(1 for _ in checked(script, engine))


def statements_of(script: Script, engine: Engine) -> Iterator[SourceStatement]:
    """Yield the statements that a run of a script would run. Raises as a run does."""
    return (planned.source for planned in checked(script, engine))


def of_session(planned: Iterable[Planned]) -> Iterator[Planned]:
    """Yield the statements that change the session alone: settings, prepared statements, temporary tables and their rows.

    A run that goes on in a new session runs them once more.
    """
    temporary: set[str] = set()
    for one in planned:
        text = one.source.text
        if _SETTING.match(text):
            yield one
        elif found := _TEMPORARY.match(text):
            temporary.add(found["name"].strip('"`').lower())
            yield one
        elif temporary and (found := _ON_TABLE.match(text)) and found["name"].strip('"`').lower() in temporary:
            yield one


_OPENING = r"(?:/\*M?!\d*\s*)?"
_NAME = r"(?P<name>\"[^\"]+\"|`[^`]+`|[\w$]+)(?![\w.$])"
_SETTING = re.compile(
    rf"{_OPENING}(?:SET|RESET|USE|PRAGMA|PREPARE|DEALLOCATE)\b|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\b", re.IGNORECASE
)
_TEMPORARY = re.compile(
    rf"{_OPENING}CREATE\s+(?:OR\s+REPLACE\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}", re.IGNORECASE
)
_ON_TABLE = re.compile(
    rf"(?:INSERT\s+(?:IGNORE\s+)?INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|ALTER\s+TABLE|COPY"
    rf"|DROP\s+(?:TEMPORARY\s+)?TABLE(?:\s+IF\s+EXISTS)?|CREATE\s+(?:UNIQUE\s+)?INDEX\s+\S+\s+ON)\s+{_NAME}",
    re.IGNORECASE,
)


def way_back(migration: Migration) -> Script:
    """Return the script that leads back.

    Raises:
        MigrationError: there is none; says why where the file does.
    """
    if migration.down is None:
        why = f": {migration.irreversible}" if migration.irreversible else ""
        raise MigrationError(
            f"nothing leads back from {migration.id}{why}",
            at=migration.at,
            expected=_way_back_in_words(migration),
            error_code="IRREVERSIBLE",
        )
    return migration.down


def _never_committed(begun: SourceStatement, script: Script) -> MigrationError:
    return MigrationError(
        f"{title(begun)} begins a transaction that no COMMIT ends: the file may have been cut off",
        at=placed(begun.at, script),
        expected="BEGIN first and COMMIT last, or neither",
        error_code="TRANSACTION_CONTROL",
    )


def _way_back_in_words(migration: Migration) -> str:
    if migration.is_json:
        return "SQL in rollback_sql"
    return (
        "a function down_fn(step)"
        if migration.kind == "python"
        else "-- migrate:down with statements behind it, or a file beside it"
    )


def _control(statement: SourceStatement, script: Script) -> MigrationError:
    return MigrationError(
        f"{title(statement)} stands inside a migration, whose transaction is dbops's own",
        at=placed(statement.at, script),
        expected="no transaction commands, or BEGIN first and COMMIT last",
        fix="take it out; -- dbops:transaction off lets each statement commit by itself",
        error_code="TRANSACTION_CONTROL",
    )


def placed(at: Mark, script: Script) -> Mark:
    """Return a place inside a script as a place in its file: the file alone where lines of the one are none of the other."""
    start = script.at
    if not start.line:
        return start
    return Mark(at.file, at.line + start.line - 1, at.column + (start.column - 1 if at.line == 1 else 0))


def title(statement: SourceStatement) -> str:
    """Return the beginning of a statement on one line, without passwords."""
    text = redact(" ".join(statement.text[:200].split()))
    return text if len(text) <= _TITLE else text[: _TITLE - 1] + "…"


_TITLE = 70


def failure(error: QueryError, script: Script, statement: SourceStatement, number: int, what: str, standing: str) -> QueryError:
    """Return the error of a statement of a script as people need it: where, what, the how manieth, and what stands."""
    position, row = error.context.get("position"), error.context.get("row")
    at = statement.mark(position - 1) if isinstance(position, int) and 0 < position <= len(statement.text) else statement.at
    if isinstance(row, int):
        at = statement.row_mark(row)
    return type(error)(
        f"{what}, statement {number}: {error.message}",
        {**error.context, "statement": number, "sql": title(statement)},
        at=placed(at, script),
        expected=error.expected or _in_place_of_placeholders(statement.text),
        fix=further(standing, error.fix),
    )


def _in_place_of_placeholders(text: str) -> str | None:
    """Return what a statement lacks that another runner would have filled in before it was sent."""
    found = ", ".join(dict.fromkeys(_PLACEHOLDER.findall(text)))
    return f"values in place of {found}, as Flyway fills in before it runs a file; here files run as they are" if found else None


_PLACEHOLDER = re.compile(r"\$\{[A-Za-z_][\w.:-]*\}")


def further(standing: str, fix: str | None) -> str:
    """Return what stands, and behind it the way out of an error."""
    return f"{standing}; {fix}" if fix and fix[0].islower() else f"{standing}. {fix or ''}".rstrip()
