"""squash: one checkpoint in place of the first migrations, proved equal on the scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.errors import DbopsError, Mark, MigrationError
from dbops.resources.migrations.folder import write_text
from dbops.resources.migrations.model import Migration, Script, version_key
from dbops.resources.migrations.replay import from_nothing, replay, run_on_scratch
from dbops.usecases.migrate.files import lock, read_set
from dbops.usecases.migrate.rows import of_modules, statements, written
from dbops.usecases.migrate.sets import MigrationWork, find, one_set
from dbops.usecases.runtime import Workspace

#: What sees rows come: made behind them.
_WATCH_ROWS = frozenset({"trigger", "event_trigger", "rule", "materialized_view"})


@dataclass(frozen=True, slots=True)
class Squashed:
    """The checkpoint that was written, the ids it stands for, and how many rows of which tables it writes, as they did."""

    files: tuple[Path, ...]
    replaced: tuple[str, ...]
    rows: Mapping[str, int]


def squash(workspace: Workspace, version: str, name: str | None = None, *, remove: bool = False) -> Squashed:
    """Write a checkpoint that stands for the migrations up to a version, on databases that had none of them.

    `remove` takes their files away; databases that had them are content with the checkpoint.

    Raises:
        MigrationError: the checkpoint does not give the same catalog and rows; nothing was written.
    """
    one = one_set(workspace, name)
    if one.desired.format != "sql":
        raise MigrationError("only sets of the format sql have checkpoints", at=one.desired.at)
    migrations = read_set(one.desired)
    last = find(migrations, version)
    chosen = [m for m in from_nothing(migrations) if not m.is_repeatable and version_key(m.version) <= version_key(last.version)]
    if remove:
        _must_not_be_needed(chosen, migrations)
    target = workspace.targets.target(one.desired.connection)
    text, counted = _checkpoint(one, chosen, last, target)
    path = one.desired.directory / f"{last.version}.1_checkpoint.sql"
    if path.exists():
        raise MigrationError(f"there is a checkpoint of {last.version} already", at=Mark(str(path)))
    write_text(path, text)
    if remove:
        for file in _files(chosen, one):
            file.unlink(missing_ok=True)
    return Squashed((path, lock(one.desired)), tuple(migration.id for migration in chosen), counted)


def _must_not_be_needed(going: Sequence[Migration], migrations: Sequence[Migration]) -> None:
    """Raise MigrationError where one that stays says that it depends on one whose file is to go."""
    gone = {migration.version: migration for migration in going}
    for migration in migrations:
        if migration.version not in gone and (named := [gone[version].id for version in migration.depends if version in gone]):
            raise MigrationError(
                f"{migration.id} depends on {', '.join(named)}, whose file would be gone",
                at=migration.at,
                fix="take dbops:depends out of it, which is a cosmetic edit: it runs behind the checkpoint anyway",
            )


def _checkpoint(
    one: MigrationWork, chosen: Sequence[Migration], last: Migration, target: Target
) -> tuple[str, Mapping[str, int]]:
    """Return the text of the checkpoint, and how many rows of which tables it writes; run alone it gives what they give."""
    engine = one.engine
    with engine.scratch(target) as conn:
        replay(chosen, engine, conn)
        wanted = engine.inspect(conn)
        rows, counters = written(wanted, engine, conn), engine.scripts.counters(conn)
        virtual = of_modules(wanted, engine, conn)
        data = [*statements(rows, wanted, engine), *(sql for filling in virtual.values() for sql in filling), *counters]
        body = "\n".join(f"{engine.dialect.terminated(sql)}" for sql in _statements(wanted, data, engine, conn))
    head = (
        f"-- Stands for all migrations up to {last.id}, on databases that had none of them.\n-- dbops:checkpoint {last.version}\n"
    )
    text = f"{head}\n{body}\n"
    trial = replace(
        last, version="checkpoint", name="", up=Script(text, Mark("checkpoint", 1, 1)), down=None, depends=(), kind="sql"
    )
    with engine.scratch(target) as conn:
        try:
            run_on_scratch(trial, "up", engine, conn)
        except DbopsError as error:
            raise MigrationError(f"the checkpoint does not run: {error.message}", fix="please report this") from error
        if left := diff(engine.inspect(conn), wanted):
            names = ", ".join(str(change.ref) for change in left[:5])
            raise MigrationError(f"the checkpoint does not give what the migrations give: {names}", fix="please report this")
        again = written(wanted, engine, conn)
        differing = [ref.qualified for ref in dict.fromkeys((*rows, *again)) if rows.get(ref) != again.get(ref)]
        filled = of_modules(wanted, engine, conn)
        differing += [ref.qualified for ref in dict.fromkeys((*virtual, *filled)) if virtual.get(ref) != filled.get(ref)]
        if differing or engine.scripts.counters(conn) != counters:
            names = ", ".join(differing[:5]) or "sequences"
            raise MigrationError(
                f"the checkpoint does not give the rows that the migrations give: {names}", fix="end the checkpoint before them"
            )
    counted = {ref.qualified: len(found) for ref, found in rows.items()}
    return text, counted | {ref.qualified: len(found) for ref, found in virtual.items()}


def _statements(catalog: Catalog, data: Sequence[str], engine: Engine, conn: Connection) -> Iterator[str]:
    """Yield the statements that make a catalog, and those of its rows before the first that would see them come."""
    context = RenderContext(conn.server, online=False, as_shown=True)
    acts = engine.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), context)
    place = next((place for place, act in enumerate(acts) if act.ref.kind in _WATCH_ROWS), len(acts))
    yield from (statement.sql for act in acts[:place] for statement in act.do)
    yield from data
    yield from (statement.sql for act in acts[place:] for statement in act.do)


def _files(chosen: Sequence[Migration], one: MigrationWork) -> Iterator[Path]:
    names = {Path(migration.at.file).name for migration in chosen}
    names |= {Path(migration.down.at.file).name for migration in chosen if migration.down is not None}
    return (one.desired.directory / name for name in names)
