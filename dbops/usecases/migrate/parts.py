"""Steps of a plan written as migrations of a set: parted by transaction, hazards as comments, data left as marked places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.reconcile.step import Call, Step
from dbops.resources.migrations.model import DesiredMigrations
from dbops.sql.dialect import Dialect
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement
from dbops.usecases.migrate.files import read_set, write, write_alembic, write_json
from dbops.usecases.migrate.naming import Form, form_of

#: What a person has to say about rows that are there, by the hazard that says they matter.
_OF_ROWS = {
    "DELETES_DATA": "copy what must not be lost",
    "MAY_FAIL_ON_DATA": "mend the rows that would stand in the way",
    "IMPLICIT_ZERO_VALUE": "say what the rows that are there hold",
    "DEFAULT_CHANGES_ROWS": "say what the rows that are there hold",
    "BACKFILL_INLINE": "fill the rows in batches",
}


@dataclass(frozen=True, slots=True)
class Written:
    """One statement as a migration holds it, and what goes above it."""

    sql: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring steps that run in one transaction, or each statement by itself.

    `down` leads back, last step first; empty where a step has no way back, and `stuck` says which.
    """

    up: tuple[Written, ...]
    down: tuple[Written, ...]
    is_transactional: bool
    is_back_transactional: bool
    stuck: str = ""


def parts(steps: Sequence[Step], engine: Engine) -> list[Part]:
    """Return the steps, in their order, as parts; one where the engine commits every statement that changes the schema."""
    found = []
    commits = not engine.features.has_transactional_ddl
    for is_transactional, group in groupby(steps, key=lambda step: commits or step.is_transactional):
        members = list(group)
        stuck = next((step.title for step in members if step.undo is None), "")
        back = [] if stuck else [step for step in reversed(members) if step.undo is not None]
        undone = [statement for step in back for statement in _statements(step.undo)]
        found.append(
            Part(
                tuple(one for step in members for one in _written(step.title, _statements(step.do), engine)),
                tuple(one for step in back for one in _written(f"take back: {step.title}", _statements(step.undo), engine, "")),
                is_transactional,
                commits or all(statement.transactional for statement in undone),
                stuck,
            )
        )
    return found


def _written(title: str, statements: Sequence[Statement], engine: Engine, mark: str = "TODO(data): ") -> Iterator[Written]:
    remarks = [_on_one_line(title)]
    for statement in statements:
        if engine.scripts.is_given(statement.sql):
            continue
        remarks += [f"hazard {hazard.code}: {_on_one_line(hazard.message)}" for hazard in statement.hazards]
        remarks += [mark + text for text in _about_rows(statement.hazards) if mark]
        yield Written(_with_values(statement, engine.dialect), tuple(remarks))
        remarks = []


def _about_rows(hazards: Sequence[Hazard]) -> list[str]:
    return list(dict.fromkeys(_OF_ROWS[hazard.code] for hazard in hazards if hazard.code in _OF_ROWS))


def _statements(act: tuple[Statement, ...] | Call | None) -> tuple[Statement, ...]:
    assert isinstance(act, tuple), "a schema plans no calls"
    return act


def _with_values(statement: Statement, dialect: Dialect) -> str:
    """Return a statement whose parameters stand in it; those of schema statements are names and texts."""
    pieces = statement.sql.split("?")
    if not statement.parameters or len(pieces) != len(statement.parameters) + 1:
        return statement.sql
    values = [dialect.string(str(value)) if isinstance(value, str) else str(value) for value in statement.parameters]
    return "".join(piece + value for piece, value in zip(pieces, [*values, ""], strict=True))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


# --- the forms of sets


def write_part(desired: DesiredMigrations, part: Part, title: str, dialect: Dialect) -> list[Path]:
    """Write a part as the next migration of a set, in the set's form; return its files and the lock file."""
    migrations = read_set(desired)
    if desired.format == "alembic":
        return write_alembic(desired, migrations, title, _python(part), _python_back(part))
    up, down = _script(part.up, dialect), _script(part.down, dialect)
    if desired.format == "json":
        alone = not part.is_transactional or not part.is_back_transactional
        described = "\n".join(remark for one in part.up for remark in one.remarks)
        return write_json(desired, migrations, title, up, down or None, description=described, is_transactional=not alone)
    return write(desired, migrations, title, *_texts(form_of(migrations), title, part, up, down))


def _texts(form: Form, title: str, part: Part, up: str, down: str) -> tuple[str, str | None]:
    """Return the text of the migration, and of its way back where that has a file of its own."""
    head = f"-- {title}\n"
    if part.stuck:
        head += f"-- dbops:irreversible nothing takes back: {_on_one_line(part.stuck)}\n"
    alone, back = ("" if is_on else _ALONE for is_on in (part.is_transactional, part.is_back_transactional))
    if form != "markers":
        return f"{head}{alone}\n{up}", f"{back}{down}" if down else None
    return f"{head}{alone}\n-- migrate:up\n{up}" + (f"\n-- migrate:down\n{back}{down}" if down else ""), None


_ALONE = "-- dbops:transaction off\n"


def _script(written: Sequence[Written], dialect: Dialect) -> str:
    lines: list[str] = []
    for one in written:
        if one.remarks and lines:
            lines.append("")
        lines += [f"-- {remark}" for remark in one.remarks]
        lines.append(dialect.terminated(one.sql))
    return "\n".join(lines) + "\n" if lines else ""


def _python(part: Part) -> list[str]:
    return _called(part.up, part.is_transactional)


def _python_back(part: Part) -> list[str]:
    if part.stuck:
        return [f"raise NotImplementedError({f'nothing takes back: {part.stuck}'!r})"]
    return _called(part.down, part.is_back_transactional)


def _called(written: Sequence[Written], is_transactional: bool) -> list[str]:
    """Return the lines of an Alembic revision."""
    lines = [] if is_transactional else ["with op.get_context().autocommit_block():"]
    indent = "" if is_transactional else "    "
    for one in written:
        lines += [f"{indent}# {remark}" for remark in one.remarks]
        lines.append(f"{indent}op.execute({as_text(one.sql)!r})")
    return lines


#: What SQLAlchemy takes for a parameter in a text, and the colons whose backslash it takes away (sqlalchemy/sql/compiler.py,
#: BIND_PARAMS and BIND_PARAMS_ESC); it doubles `%` by itself where a driver wants that.
_PARAMETER = re.compile(r"(?<![:\w$\\]):[\w$]+(?![:\w$])")
_ESCAPED = re.compile(r"\\:[\w$]*(?![:\w$])")


def as_text(sql: str) -> str:
    """Return SQL as `op.execute` sends it unchanged: without parameters, whatever colons it has."""
    return _PARAMETER.sub(_behind_backslash, _ESCAPED.sub(_behind_backslash, sql))


def _behind_backslash(found: re.Match[str]) -> str:
    return f"\\{found[0]}"
