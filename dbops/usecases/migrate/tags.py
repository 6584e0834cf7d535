"""verify from tags: a database of each release, brought up to date, is one that ran all migrations from nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.catalog.model import Table
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.errors import DbopsError, MigrationError, Problems
from dbops.reconcile.ledger import Record
from dbops.resources.migrations.alembic_folders import INI, ini_of, names_folders, version_folders
from dbops.resources.migrations.folder import migrations_of, read_contents
from dbops.resources.migrations.model import ALEMBIC_TABLE, DesiredMigrations, Migration, Standing
from dbops.resources.migrations.replay import from_nothing, replay, run_on_scratch
from dbops.resources.migrations.standing import Rules, in_the_way, standings, to_run
from dbops.usecases.migrate.rows import Written, columns_of, of_modules, written
from dbops.usecases.migrate.sets import MigrationWork, one_of_each_server, sets_of
from dbops.usecases.migrate.verify import Verified, in_words
from dbops.usecases.revision import tags_of, unpack
from dbops.usecases.runtime import Workspace


def verify_from_tags(workspace: Workspace, pattern: str, name: str | None = None) -> list[Verified]:
    """Run, for each tag of git, the migrations that it has from nothing, then those pending since; compare catalogs and rows.

    What a tag has and the folder has not, or not as it was, is named. Tags with the same files are proved once. Rows are those
    that migrations write; a column to which two runs from nothing give different values, such as the time, is not compared.

    Raises:
        PlanError: no git, no repository, or no such tag.
        MigrationError: the migrations of now do not run from nothing.
    """
    found = []
    for one in one_of_each_server(sets_of(workspace, name), workspace):
        target = workspace.targets.target(one.desired.connection)
        parts = _parts(one.desired)
        tags: dict[tuple[str | None, ...], list[str]] = {}
        for tag, ids in tags_of(parts, pattern):
            tags.setdefault(ids, []).append(tag)
        wanted = _from_nothing(one, target)
        found += [_from(one, dict(zip(parts, ids, strict=True)), ", ".join(named), wanted, target) for ids, named in tags.items()]
    return found


@dataclass(frozen=True, slots=True)
class _Built:
    """What migrations gave on a scratch."""

    catalog: Catalog
    rows: Written


def _from_nothing(one: MigrationWork, target: Target) -> _Built:
    with one.engine.scratch(target) as conn:
        replay(one.resource.migrations(one.desired), one.engine, conn)
        catalog = one.engine.inspect(conn)
        return _Built(catalog, _rows(catalog, one, conn))


def _rows(catalog: Catalog, one: MigrationWork, conn: Connection) -> Written:
    """Read all rows; of virtual tables each is the statement that writes it, and those that none would write are left out."""
    found = {ref: rows for ref, rows in written(catalog, one.engine, conn).items() if ref.name != ALEMBIC_TABLE}
    try:
        return found | {ref: tuple((sql,) for sql in filling) for ref, filling in of_modules(catalog, one.engine, conn).items()}
    except MigrationError:
        return found


def _parts(desired: DesiredMigrations) -> list[Path]:
    """Return what a set consists of: its directory, and of Alembic also the alembic.ini and the folders that this names."""
    if desired.format != "alembic" or (ini := ini_of(desired.directory)) is None or not names_folders(ini):
        return [desired.directory]
    folders = [folder for folder in version_folders(desired.directory) if not folder.is_relative_to(desired.directory)]
    apart = [folder for folder in folders if not any(folder != other and folder.is_relative_to(other) for other in folders)]
    return [desired.directory, *(() if ini.is_relative_to(desired.directory) else (ini,)), *apart]


def _from(one: MigrationWork, parts: Mapping[Path, str | None], tags: str, wanted: _Built, target: Target) -> Verified:
    directory = one.desired.directory
    base = Path(os.path.commonpath([directory.parent, *(part.parent for part in parts)]))
    with TemporaryDirectory() as place:
        folder = Path(place) / directory.relative_to(base)
        for part, found in parts.items():
            if found is not None:
                unpack(directory, found, Path(place) / part.relative_to(base))
        try:
            if one.desired.format == "alembic":
                _must_lie_in(Path(place), version_folders(folder))
            then = migrations_of(folder, read_contents(folder, one.desired.format), one.desired.format, one.desired.alembic)
            return Verified(tags, *_brought_up(one, from_nothing(then), wanted, target))
        except Problems as error:
            return Verified(tags, "", "; ".join(problem.message for problem in error.problems))
        except DbopsError as error:
            return Verified(tags, "", error.message)


def _must_lie_in(place: Path, folders: Sequence[Path]) -> None:
    """Raise MigrationError for folders of revisions that are not the tag's own, since they are read as they are now."""
    if outside := [folder for folder in folders if not folder.is_relative_to(place)]:
        raise MigrationError(
            f"its {INI} names folders that are not read as the tag has them: {', '.join(map(str, outside))}",
            fix="%(here)s in front of a path stands for the folder of alembic.ini",
        )


def _brought_up(one: MigrationWork, then: Sequence[Migration], wanted: _Built, target: Target) -> tuple[str, str]:
    """Return what was proved, and what was not as it should be."""
    texts = {migration.version: migration.up.text for migration in then}
    rules = Rules(one.engine.dialect, one.desired.out_of_order, texts.get, has_order=one.desired.has_order)
    found = standings(one.resource.migrations(one.desired), [_record(*numbered) for numbered in enumerate(then, 1)], rules)
    if stuck := [*in_the_way(found), *(standing for standing in found if _is_lost(standing))]:
        return "", "; ".join(f"{standing.id}: {standing.detail.splitlines()[0]}" for standing in stuck)
    pending = [standing.migration for standing in to_run(found) if standing.migration is not None]
    with one.engine.scratch(target) as conn:
        for migration in (*then, *pending):
            run_on_scratch(migration, "up", one.engine, conn)
        found_catalog = one.engine.inspect(conn)
        left = [str(change.ref) for change in diff(found_catalog, wanted.catalog) if change.ref.table.name != ALEMBIC_TABLE]
        rows = {} if left else _rows(wanted.catalog, one, conn)
    if not left and rows != wanted.rows and (apart := list(_apart(rows, wanted, _from_nothing(one, target)))):
        return "", f"brought up to date, its rows are not those that all migrations write: {in_words(apart)}"
    if left:
        return "", f"brought up to date, it is not what all migrations give: {in_words(left)}"
    return f"{len(then)} applied then and {len(pending)} since give the same catalog and rows as all from nothing", ""


def _apart(rows: Written, wanted: _Built, again: _Built) -> Iterator[str]:
    """Yield the tables whose rows differ, with how many; `again` is what a later run from nothing gave, like `wanted`."""
    for ref in dict.fromkeys((*wanted.rows, *rows)):
        first, second, found = (given.get(ref, ()) for given in (wanted.rows, again.rows, rows))
        if len(first) != len(second):
            continue  # it is written as chance or the clock has it
        table = wanted.catalog.objects[ref]
        width = len(columns_of(table)) if isinstance(table, Table) else 1
        steady = [n for n in range(width) if Counter(row[n] for row in first) == Counter(row[n] for row in second)]
        one, other = (Counter(tuple(row[n] for n in steady) for row in given) for given in (first, found))
        if more := sum((other - one).values()):
            yield f"{ref.qualified} has {_count(more)} that they do not write"
        if fewer := sum((one - other).values()):
            yield f"{ref.qualified} lacks {_count(fewer)}"


def _count(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _record(position: int, migration: Migration) -> Record:
    return Record(migration.version, migration.name, position, migration.checksum, "applied", "")


def _is_lost(standing: Standing) -> bool:
    """Tell whether a tag has a migration, later than every file now, that the folder has not."""
    return standing.state == "unknown" and not standing.id.startswith("R__")
