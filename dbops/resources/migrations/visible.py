"""The SQL of migrations that are no SQL files, as far as it is seen without running them: text whose lines are those of the file.

Of Python steps it is what stands as text in calls of `execute`, `query` and `executemany`, beside what they were heard to send on
a scratch; of Alembic's revisions what they write in Alembic's offline mode, without a database (`alembic upgrade --sql`); of JSON
files their SQL. A remark `# dbops:allow CODE reason` is one of SQL here.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, TypeGuard

from dbops.errors import MigrationError
from dbops.resources.migrations.model import Direction, Migration
from dbops.resources.migrations.prints import printing_aside
from dbops.sql.dialect import Dialect

Lines = dict[int, list[str]]
"""SQL by the line of the file on which it begins; remarks end with their line."""

_RUNS = frozenset({"execute", "query", "executemany"})
_MARK = "-- migrate:down"


class Sight:
    """Sees what the migrations of a set run on one engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def one_way(self, migration: Migration, direction: Direction, heard: Lines | None = None) -> str:
        """Return what a migration in Python runs in one direction, and what was `heard`; empty where nothing can be seen."""
        lines = self._lines(migration, tree := ast.parse(migration.up.text), direction)
        for number, pieces in _placed(heard or {}, tree).items():
            lines[number] = list(dict.fromkeys((*lines.get(number, ()), *pieces)))
        return _text(lines, migration.up.text)

    def is_whole(self, migration: Migration) -> bool:
        """Tell whether all that a Python step runs up can be seen: none of its SQL is put together, or sent from elsewhere."""
        functions = _functions(tree := ast.parse(migration.up.text))
        constants = _constants(tree)
        return not any(_is_unseen(node, functions, constants) for name in functions for node in ast.walk(functions[name]))

    def file(self, migration: Migration, text: str) -> str:
        """Return what the file of a migration, whose text this is, runs both ways: the way back behind `-- migrate:down`.

        The way back is left out where it stands before the other in the file.
        """
        if migration.kind == "sql":
            return _of_json(text)
        tree = ast.parse(text)
        up, down = self._lines(migration, tree, "up"), self._lines(migration, tree, "down")
        name = {"python": "down_fn", "alembic": "downgrade"}[migration.kind]
        begins = next((node.lineno for node in _functions(tree).values() if node.name == name), 0)
        if down and begins and max(up, default=0) < begins <= min(down):
            up |= {begins: [_MARK, *down.get(begins, [])]} | {line: found for line, found in down.items() if line != begins}
        return _text(up, text)

    def _lines(self, migration: Migration, tree: ast.Module, direction: Direction) -> Lines:
        if migration.kind == "python":
            return _of_python(tree, "up_fn" if direction == "up" else "down_fn", self._dialect)
        return _of_revision(migration, direction, self._dialect)


def _text(lines: Lines, source: str) -> str:
    """Return a text in which each statement begins on its line, as far as those before it leave room."""
    for number, remark in _remarks(source):
        lines = {**lines, number: [f"/* {remark} */", *lines.get(number, [])]}
    written: list[str] = []
    at = 1
    for number in sorted(lines):
        if number > at:
            written.append("\n" * (number - at))
            at = number
        for piece in lines[number]:
            is_whole_line = piece.startswith(("--", "DELIMITER"))
            if is_whole_line and written and not written[-1].endswith("\n"):
                piece = f"\n{piece}"
            written.append(piece + ("\n" if is_whole_line else " "))
            at += written[-1].count("\n")
    return "".join(written)


def _remarks(source: str) -> Iterator[tuple[int, str]]:
    if "dbops:allow" not in source:
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and "dbops:allow" in token.string:
                yield token.start[0], token.string.lstrip("# ").replace("*/", "")
    except (tokenize.TokenError, SyntaxError):
        return


# --- Python steps


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _of_python(tree: ast.Module, entry: str, dialect: Dialect) -> Lines:
    """Read the function that is run, and those of the file that it names."""
    functions, constants = _functions(tree), _constants(tree)
    waiting, seen, found = [entry], set[str](), Lines()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Name):
                waiting.append(node.id)
            elif _runs(node) and (sql := _plain(node.args[0], constants)) is not None:
                found.setdefault(node.args[0].lineno, []).append(dialect.terminated(sql.strip()))
    return found


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: value
        for node in tree.body
        if isinstance(node, ast.Assign) and (value := _plain(node.value, {})) is not None
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _runs(node: ast.AST) -> TypeGuard[ast.Call]:
    """Tell whether a node is a call that is given SQL."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _RUNS and bool(node.args)


def _is_unseen(node: ast.AST, functions: Mapping[str, ast.FunctionDef], constants: dict[str, str]) -> bool:
    """Tell whether a call is given SQL that is no plain text, or hands a step on to what stands in another file."""
    if _runs(node):
        return _plain(node.args[0], constants) is None
    if not isinstance(node, ast.Call):
        return False
    is_own = isinstance(node.func, ast.Name) and node.func.id in functions
    steps = {function.args.args[0].arg for function in functions.values() if function.args.args}
    return not is_own and any(isinstance(given, ast.Name) and given.id in steps for given in node.args)


def _placed(heard: Lines, tree: ast.Module) -> Lines:
    """Return what was heard by the lines on which the SQL of its call begins; Python tells the line of the call."""
    calls = [node for node in ast.walk(tree) if _runs(node)]
    found = Lines()
    for number, pieces in heard.items():
        begins = [call.args[0].lineno for call in calls if call.lineno <= number <= (call.end_lineno or call.lineno)]
        found.setdefault(min(begins, default=number), []).extend(pieces)
    return found


def _plain(value: ast.expr, constants: dict[str, str]) -> str | None:
    """Return the text that an expression says: a literal, a constant of the module's, several joined; None for others."""
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return constants.get(name)
        case ast.BinOp(op=ast.Add()):
            left, right = _plain(value.left, constants), _plain(value.right, constants)
            return None if left is None or right is None else left + right
        case _:
            return None


# --- Alembic


class _Heard(io.TextIOBase):
    """Takes what Alembic writes in offline mode, each statement with the line of the revision that had it written."""

    def __init__(self, file: str) -> None:
        self._file, self.lines, self._leaves_transaction = file, Lines(), False

    def whole(self) -> Lines:
        """Return what was written; where a revision left its transaction for a while, with the beginning and end of that."""
        if self._leaves_transaction and self.lines:
            self.lines[min(self.lines)].insert(0, "BEGIN;")
            self.lines[max(self.lines)].append("COMMIT;")
        return self.lines

    def write(self, text: str) -> int:
        sql = text.strip()
        self._leaves_transaction |= sql == "COMMIT;" and _is_called_by("autocommit_block")
        if sql and not sql.startswith("--"):
            on_one_line = sql if "--" in sql else " ".join(sql.split("\n"))
            self.lines.setdefault(self._line(), []).append(on_one_line)
        return len(text)

    def _line(self) -> int:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != self._file:
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 1


def _is_called_by(name: str) -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != name:
        frame = frame.f_back
    return frame is not None


def _of_revision(migration: Migration, direction: Direction, dialect: Dialect) -> Lines:
    """Let a revision write its SQL; where it wants a database, what it has written until then counts."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    from dbops.resources.migrations.alembic_scripts import database_named, revisions_of

    scripts = revisions_of(migration).scripts
    revision: Any = scripts.get_revision(migration.version)
    heard = _Heard(revision.path)
    options: dict[str, Any] = {"as_sql": True, "output_buffer": heard, "literal_binds": True}
    # with the style of most drivers `%` would be doubled
    context = MigrationContext.configure(dialect_name=dialect.name, dialect_opts={"paramstyle": "named"}, opts=options)
    try:
        given = database_named(migration, direction, scripts)
        with Operations.context(context), printing_aside(io.StringIO()):  # what it prints it will print when it runs
            (revision.module.upgrade if direction == "up" else revision.module.downgrade)(**given)
    except MigrationError:
        return {}
    except (Exception, SystemExit):
        return heard.whole()  # it asks a database, which is not there: the run will say whether it is right
    return heard.whole()


# --- JSON


def _of_json(text: str) -> str:
    """Return the SQL of a JSON file, each way on the line of its field as far as that goes."""
    data, written, at = json.loads(text), list[str](), 1
    for field, mark in (("sql", ""), ("rollback_sql", f"{_MARK}\n")):
        sql, found = data.get(field), re.search(rf'"{field}"\s*:', text)
        if not isinstance(sql, str) or found is None:
            continue
        line = text.count("\n", 0, found.start()) + 1
        piece = mark + _ended(sql if "--" in sql else " ".join(sql.split("\n")))
        written.append("\n" * max(line - at - (1 if mark else 0), 1 if written else 0) + piece)
        at += written[-1].count("\n")
    return "".join(written)


def _ended(script: str) -> str:
    """Return a script whose last statement another one can follow."""
    if script.rstrip().endswith(";"):
        return script
    last_line = script.rsplit("\n", 1)[-1]
    return f"{script}\n;" if "--" in last_line or "#" in last_line else f"{script};"
