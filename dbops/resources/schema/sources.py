"""Sources turned into statements: SQL files as they are, SQLAlchemy models and portable tables through their engine's DDL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.errors import DbopsError, Mark, Problems, SchemaError
from dbops.resources.schema.model import ModelSource, Source, SqlSource, TableSource

if TYPE_CHECKING:
    from dbops.engines.base.connect import Target
    from dbops.engines.base.engine import Engine
    from dbops.sql.dialect import Dialect
    from dbops.sql.splitter import SourceStatement


def read_source(source: Source, engine: Engine, target: Target) -> list[SourceStatement]:
    """Return the statements of a source in the order in which they stand.

    Raises:
        Problems: of SchemaError: files that cannot be read or split, models that cannot be imported.
    """
    match source:
        case SqlSource(paths):
            return _read_files(sql_files(paths), engine.dialect)
        case ModelSource():
            from dbops.resources.schema.models import model_statements

            return model_statements(source, engine, target)
        case TableSource(tables, marks):
            from dbops.resources.schema.tables import table_statements

            return table_statements(tables, marks, engine)


def sql_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that `paths` name: files as they are, all `*.sql` below folders, sorted by path.

    Raises:
        Problems: of SchemaError: a path that does not exist, a folder without SQL files.
    """
    files: list[Path] = []
    problems: list[DbopsError] = []
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.rglob("*.sql") if not _is_hidden(item.relative_to(path)))
            files += found
        elif path.exists():
            files.append(path)
        else:
            problems.append(
                SchemaError("the SQL source does not exist", at=Mark(shown(path)), expected="an SQL file or a folder of them")
            )
    if problems:
        raise Problems(problems)
    return list(dict.fromkeys(files))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_files(files: Sequence[Path], dialect: Dialect) -> list[SourceStatement]:
    from dbops.sql.splitter import split

    statements: list[SourceStatement] = []
    problems: list[DbopsError] = []
    for file in files:
        try:
            statements += split(read_sql(file, dialect), dialect, shown(file))
        except SchemaError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    return statements


def shown(file: Path) -> str:
    """Return a path as messages and plans name it: relative to the working directory where it lies below it."""
    folder = Path.cwd()
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)


def read_sql(file: Path, dialect: Dialect) -> str:
    """Return the text of an SQL file.

    Raises:
        SchemaError: it cannot be read, or is not in UTF-8 nor in the encoding that it names.
    """
    from dbops.sql.encoding import decode

    return decode(_bytes(file), dialect, shown(file))


def read_text(file: Path, at: Mark | None = None) -> str:
    """Return the text of a file that is in UTF-8; `at` is where a manifest names it.

    Raises:
        SchemaError: it cannot be read, or is not.
    """
    from dbops.sql.encoding import utf8

    return utf8(_bytes(file, at), shown(file))


def _bytes(file: Path, at: Mark | None = None) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        message = f"the file {shown(file)} cannot be read" if at else "the file cannot be read"
        raise SchemaError(f"{message}: {error.strerror}", at=at or Mark(shown(file))) from error


_NAME = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|[^\s"`\[\](.;]+)"""
_CREATES = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+|UNIQUE\s+|UNLOGGED\s+|VIRTUAL\s+|MATERIALIZED\s+|FOREIGN\s+|GLOBAL\s+|FULLTEXT\s+|SPATIAL\s+"
    r"|CONSTRAINT\s+|RECURSIVE\s+|ALGORITHM\s*=\s*\w+\s+|DEFINER\s*=\s*\S+\s+|SQL\s+SECURITY\s+\w+\s+)*"
    r"(?:TABLE|VIEW|INDEX|SEQUENCE|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|TRIGGER|EVENT|SCHEMA|EXTENSION|POLICY|RULE|STATISTICS)\s+"
    rf"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?:(?P<schema>{_NAME})\s*\.\s*)?(?P<name>{_NAME})",
    re.IGNORECASE,
)


def places(statements: Sequence[SourceStatement], dialect: Dialect) -> Mapping[tuple[str, str], Mark]:
    """Return where statements create objects, by schema and name in lower case; schema is empty where none is written."""
    found: dict[tuple[str, str], Mark] = {}
    for statement in statements:
        match = _CREATES.match(statement.text)
        if match:
            schema, name = (_unquoted(match[part] or "").lower() for part in ("schema", "name"))
            found.setdefault((schema, name), statement.at)
    return found


def unchecked_routines(statements: Sequence[SourceStatement], setting: str) -> frozenset[tuple[str, str]]:
    """Return what statements create while their file has turned `setting` off: schema and name, as in `places`.

    Databases have routines that name what is gone; a source says by this that one is meant as it stands, as dumps say it of all.
    """
    if not setting:
        return frozenset()
    turns = re.compile(
        rf"(?:SET\s+(?:SESSION\s+|LOCAL\s+)?{setting}\s*(?:=|\bTO\b)\s*'?(\w+)"
        rf"|SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'{setting}'\s*,\s*'(\w+)|RESET\s+(?:{setting}|ALL)\b)",
        re.IGNORECASE,
    )
    off, found = set[str](), set[tuple[str, str]]()
    for statement in statements:
        if (turn := turns.match(statement.text)) is not None:
            is_off = (turn[1] or turn[2] or "").lower() in ("off", "false", "no", "0", "f", "n")
            (off.add if is_off else off.discard)(statement.at.file)
        elif statement.at.file in off and (match := _CREATES.match(statement.text)):
            found.add((_unquoted(match["schema"] or "").lower(), _unquoted(match["name"]).lower()))
    return frozenset(found)


_ROWS = re.compile(r"(?:INSERT(?!\s+INTO\s+[\"`\[]?sqlite_)|REPLACE|COPY|LOAD\s+DATA)\b", re.IGNORECASE)


def rows_passed_over(statements: Sequence[SourceStatement]) -> str | None:
    """Say that statements of a source write rows, which a schema does not consist of; None where none does."""
    found = [item for item in statements if item.kind == "sql" and _ROWS.match(item.text)]
    if not found:
        return None
    first = found[0].at
    more = f", the first of {len(found)} such statements," if len(found) > 1 else ""
    return (
        f"{first.file}:{first.line}{more} writes rows, which a Schema passes over:"
        " reference rows belong under data:, others in a MigrationSet"
    )


def _unquoted(name: str) -> str:
    if name[:1] in ('"', "`"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name.strip("[]")
