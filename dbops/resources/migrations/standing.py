"""A set of migrations against the ledger: how each stands, what is to be run, and what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dbops.dataclass import dataclass
from dbops.reconcile.ledger import LONGEST_NAME, Record
from dbops.resources.migrations.edits import edit, edit_of_python, is_python
from dbops.resources.migrations.model import Migration, OutOfOrder, Standing, version_key
from dbops.resources.migrations.touched import touched
from dbops.sql.dialect import Dialect
from dbops.sql.redact import redact

_STANDS = ("applied", "baselined")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the set says about order. `text` returns what was applied of a version; `is_empty` says the database holds nothing."""

    dialect: Dialect
    out_of_order: OutOfOrder
    text: Callable[[str], str | None]
    baseline: frozenset[str] = frozenset()
    """Versions that count as applied on a database that has objects and no ledger."""
    is_empty: bool = True
    has_order: bool = True
    """Whether versions say what comes before what."""


def standings(migrations: Sequence[Migration], records: Sequence[Record], rules: Rules) -> list[Standing]:
    """Return how every migration of the folder and of the ledger stands, in order, what has no file last."""
    by_version = {record.version: record for record in records}
    known = aliases(migrations, by_version)
    filed = set(known.values())
    unfiled = [record for record in records if record.version not in filed and record.state != "rolled back"]
    gone = {record.checksum: record for record in reversed(unfiled) if _stands(record)}
    order = _Order.of(migrations, records, known)
    skipped = behind_checkpoint(migrations, records)
    found = []
    for migration in migrations:
        if migration.version in skipped:
            continue
        record = by_version.get(known.get(migration.version, migration.version))
        found.append(_standing(migration, record, records, order, gone, rules))
    found += _halfway(migrations, records)
    last = max((version_key(one.version) for one in migrations if rules.has_order and not one.is_repeatable), default=())
    same = {migration.checksum: migration for migration in reversed(migrations)}
    return [*found, *(_without_file(record, same, last) for record in unfiled if not _squashed(record, migrations))]


@dataclass(frozen=True, slots=True)
class _Order:
    """What was applied, in the order of the files, which their dependencies decide too; without a file a version alone tells.

    `places` are the files' by their version in the ledger; `last` and `newest` the last of what was applied, with and without.
    """

    places: Mapping[str, int]
    own: Mapping[str, int]
    last: int
    newest: tuple[object, ...]

    @classmethod
    def of(cls, migrations: Sequence[Migration], records: Sequence[Record], known: Mapping[str, str]) -> _Order:
        own = {migration.version: place for place, migration in enumerate(migrations)}
        places = {known[version]: place for version, place in own.items() if version in known}
        standing = [one.version for one in records if _stands(one) and not _is_repeatable(one)]
        return cls(
            places,
            own,
            max((places[version] for version in standing if version in places), default=-1),
            max((version_key(version) for version in standing if version not in places), default=()),
        )

    def is_overtaken(self, migration: Migration) -> bool:
        """Tell whether something that comes behind a migration was applied."""
        return self.last > self.own[migration.version] or self.newest > version_key(migration.version)

    def is_behind(self, record: Record, migration: Migration) -> bool:
        """Tell whether what was applied comes behind a migration."""
        if record.version in self.places:
            return self.places[record.version] > self.own[migration.version]
        return version_key(record.version) > version_key(migration.version)


def to_run(found: Sequence[Standing]) -> list[Standing]:
    """Return what is to be run up, in order."""
    return [standing for standing in found if standing.state in ("pending", "failed") and not is_half_way_back(standing)]


def in_the_way(found: Sequence[Standing]) -> list[Standing]:
    """Return what must be cleared before anything is run."""
    return [standing for standing in found if standing.state in ("changed", "missing", "late") or is_half_way_back(standing)]


def is_half_way_back(standing: Standing) -> bool:
    """Tell whether a part of the way back stands, so that only `down` can go on."""
    return standing.state == "failed" and standing.record is not None and standing.record.direction == "down"


def _standing(
    migration: Migration,
    record: Record | None,
    records: Sequence[Record],
    order: _Order,
    gone: Mapping[str, Record],
    rules: Rules,
) -> Standing:
    """Return how a migration stands; `gone` are records without a file that stand, by their checksum."""
    if record is None or record.state == "rolled back":
        return _pending(migration, record, records, order, gone, rules)
    if record.state in ("failed", "running") and not _is_unharmed(record):
        if record.direction == "down":
            why = f"leading back failed: {record.error or 'it was interrupted'}; {record.reached} of those statements stand"
            return Standing("failed", migration, record, f"{why}, and dbops migrate down goes on behind them")
        return Standing("failed", migration, record, _came_to(record))
    if record.state == "baselined":
        return Standing("baselined", migration, record)
    if migration.is_repeatable:
        return Standing("applied" if record.checksum == migration.checksum else "pending", migration, record)
    if record.name != migration.name[:LONGEST_NAME] and migration.kind != "alembic":  # there it is the docstring's, and no file's
        return Standing(
            "changed", migration, record, f"it was applied as {record.version}_{record.name}, and its file was renamed since"
        )
    if record.checksum == migration.checksum:
        return Standing("applied", migration, record)
    return _edited(migration, record, rules)


def _edited(migration: Migration, record: Record, rules: Rules) -> Standing:
    before = rules.text(record.version)
    hashes = f"{record.checksum[:12]} was applied, {migration.checksum[:12]} is there"
    if before is None:
        return Standing("changed", migration, record, f"it was edited since it was applied: {hashes}")
    is_sql = migration.kind == "sql"
    found = edit(before, migration.up.text, rules.dialect) if is_sql else edit_of_python(before, migration.up.text)
    if found.is_cosmetic:
        return Standing("cosmetic", migration, record, "cosmetic edit")
    shown = "\n".join(f"    {redact(line)}" for line in found.diff)
    return Standing("changed", migration, record, f"it was edited {found.where} since it was applied ({hashes}):\n{shown}")


def _pending(
    migration: Migration,
    record: Record | None,
    records: Sequence[Record],
    order: _Order,
    gone: Mapping[str, Record],
    rules: Rules,
) -> Standing:
    twin = gone.get(migration.checksum)
    if twin is not None and not migration.is_repeatable:
        return Standing(
            "changed", migration, record, f"it holds what was applied as {twin.version}_{twin.name}, whose file is gone"
        )
    if not records and not rules.is_empty and migration.version in rules.baseline:
        return Standing("baselined", migration, record, "counts as applied, as the manifest's baseline says")
    if migration.is_repeatable or not rules.has_order or rules.out_of_order is True or not order.is_overtaken(migration):
        return Standing("pending", migration, record)
    later = [one for one in records if _stands(one) and order.is_behind(one, migration)]
    names = ", ".join(one.version if _is_repeatable(one) else f"{one.version}_{one.name}" for one in later[:3])
    if rules.out_of_order == "if-independent":
        if common := _common(migration, later, rules):
            return Standing("late", migration, record, f"it comes before {names}, applied already, and both touch {common}")
        return Standing("pending", migration, record, f"out of order: before {names}, which touch other objects")
    return Standing("late", migration, record, f"it comes before {names}, applied already; outOfOrder of the manifest is false")


def _common(migration: Migration, later: Sequence[Record], rules: Rules) -> str:
    """Return what a migration and later ones, applied already, both touch; what cannot be told touches everything."""
    own = touched(migration.up.text, rules.dialect) if migration.kind == "sql" else None
    for record in later:
        text = rules.text(record.version)
        theirs = None if text is None or is_python(text) else touched(text, rules.dialect)
        if own is None or theirs is None:
            return "objects that cannot be told from their text"
        if both := sorted(own & theirs):
            return ", ".join(both[:3])
    return ""


def _came_to(record: Record) -> str:
    how = "it failed" if record.state == "failed" else "it was interrupted"
    stands = f"; {record.reached} of its statements stand" if record.reached else ""
    return f"{how}{f': {record.error}' if record.error else ''}{stands}{_parts_of(record.trace)}"


def _parts_of(trace: str | None) -> str:
    """Return what is finished of a migration in Python, as its steps have written it down; empty for others."""
    if trace is None or not trace.startswith("{"):
        return ""
    import json

    try:
        found = json.loads(trace)
    except ValueError:
        return ""
    walks = [
        f"{seen:,} rows along {name}"
        for name, value in found.items()
        if isinstance(value, list) and isinstance(seen := value[-1] if value else None, int)
    ]
    parts = [name for name, value in found.items() if value is True]
    return f"; what stands: {', '.join([*parts, *walks])}" if parts or walks else ""


def _without_file(record: Record, same: Mapping[str, Migration], last: tuple[object, ...]) -> Standing:
    if _is_repeatable(record):
        return Standing("unknown", None, record, "it was applied, and its file is gone; it ran for the last time")
    is_open = record.state in ("failed", "running") and record.direction == "up"
    if last and version_key(record.version) > last:
        forgotten = f"its file is gone or elsewhere; dbops migrate resolve {record.version} --pending forgets it"
        why = f"{_came_to(record)}; {forgotten}" if is_open else "it was applied from elsewhere: every file here is older"
        return Standing("unknown", None, record, why)
    if is_open:
        return Standing("missing", None, record, f"{_came_to(record)}, and its file is gone")
    renamed = same.get(record.checksum)
    if renamed is not None:
        return Standing("missing", None, record, f"it was applied, and its file is gone; {renamed.id} holds the same")
    return Standing("missing", None, record, "it was applied, and its file is gone")


def _stands(record: Record) -> bool:
    return record.state in _STANDS or _is_unharmed(record)


def _is_unharmed(record: Record) -> bool:
    """Tell whether a way back failed and left nothing, so that the migration is as applied as before."""
    is_begun = record.reached > 0 or record.trace is not None
    return record.direction == "down" and record.state in ("failed", "running") and not is_begun


def _is_repeatable(record: Record) -> bool:
    return record.version.startswith("R__")


def aliases(migrations: Sequence[Migration], records: Mapping[str, Record]) -> dict[str, str]:
    """Return the ledger's version of each migration: 7 of a file is 0007 of the ledger."""
    by_key = {(_is_repeatable(record), version_key(version)): version for version, record in records.items()}
    found = {}
    for migration in migrations:
        if migration.version in records:
            found[migration.version] = migration.version
        elif (other := by_key.get((migration.is_repeatable, version_key(migration.version)))) is not None:
            found[migration.version] = other
    return found


def behind_checkpoint(migrations: Sequence[Migration], records: Sequence[Record]) -> set[str]:
    """Return the versions that do not count: of a checkpoint where the ledger has older ones, of what it stands for where not."""
    checkpoints = [migration for migration in migrations if migration.checkpoint is not None]
    if not checkpoints:
        return set()
    latest = max(checkpoints, key=lambda migration: version_key(migration.version))
    others = {migration.version for migration in checkpoints if migration is not latest}
    limit = version_key(latest.checkpoint or "")
    known = {record.version for record in records if _stands(record)}
    older = {m.version for m in migrations if not m.is_repeatable and m.checkpoint is None and version_key(m.version) <= limit}
    if latest.version in known or not known:
        return others | older
    return others | {latest.version}


def _halfway(migrations: Sequence[Migration], records: Sequence[Record]) -> list[Standing]:
    """Return a checkpoint that this database can neither run nor do without: it had some of what that stands for, not all."""
    known = {version_key(record.version) for record in records if _stands(record) and not _is_repeatable(record)}
    there = {version_key(migration.version) for migration in migrations if migration.checkpoint is None}
    for migration in migrations:
        limit = version_key(migration.checkpoint) if migration.checkpoint is not None else ()
        if limit and known and limit not in known | there and version_key(migration.version) not in known:
            detail = f"it stands for all up to {migration.checkpoint}, of which this database had only some; bring the files back"
            return [Standing("late", migration, None, detail)]
    return []


def _squashed(record: Record, migrations: Sequence[Migration]) -> bool:
    """Tell whether a checkpoint of the folder stands for what was applied."""
    return any(
        version_key(record.version) <= version_key(migration.checkpoint)
        for migration in migrations
        if migration.checkpoint is not None and not _is_repeatable(record)
    )
