"""The order of a set: by what depends on what, and by version where nothing does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from dbops.errors import DbopsError, MigrationError, Problems
from dbops.reconcile.ledger import LONGEST_VERSION
from dbops.resources.migrations.model import Migration, one_version, version_key


def ordered(migrations: Sequence[Migration]) -> list[Migration]:
    """Return migrations in the order in which they run, `depends` turned into versions.

    Raises:
        Problems: of MigrationError: two of one version, a dependency that is not there, a cycle; each with names and places.
    """
    problems: list[DbopsError] = [*_duplicates(migrations), *_too_long(migrations)]
    by_name = _by_name(migrations)
    resolved = []
    for migration in migrations:
        if not migration.depends:
            resolved.append(migration)
            continue
        depends = []
        for word in migration.depends:
            found = by_name.get(word) or by_name.get(str(version_key(word)))
            if found is None:
                problems.append(_unknown(migration, word, by_name))
            else:
                depends.append(found.version)
        resolved.append(replace(migration, depends=tuple(dict.fromkeys(depends))))
    if problems:
        raise Problems(problems)
    return _sorted(resolved)


def _duplicates(migrations: Sequence[Migration]) -> list[MigrationError]:
    first: dict[object, Migration] = {}
    problems = []
    for migration in migrations:
        other = first.setdefault((migration.is_repeatable, one_version(migration.version)), migration)
        if other is not migration:
            words = "" if other.version == migration.version else f", which is {other.version} too"
            problems.append(
                MigrationError(
                    f"two migrations have the version {migration.version}{words}: {other.at.file} and {migration.at.file}",
                    at=migration.at,
                    expected="a version of its own for each",
                    fix="give the one that was applied nowhere the next version",
                    error_code="DUPLICATE_VERSION",
                )
            )
    return problems


def _too_long(migrations: Sequence[Migration]) -> list[MigrationError]:
    return [
        MigrationError(
            f"{migration.version[:40]}… is too long for a version: {len(migration.version)} characters",
            at=migration.at,
            expected=f"at most {LONGEST_VERSION}, which the ledger holds",
        )
        for migration in migrations
        if len(migration.version) > LONGEST_VERSION
    ]


def _by_name(migrations: Sequence[Migration]) -> Mapping[str, Migration]:
    """Return migrations by all that a dependency may call them."""
    return {word: one for one in migrations for word in (str(version_key(one.version)), one.version, one.id)}


def _unknown(migration: Migration, word: str, known: Mapping[str, Migration]) -> MigrationError:
    from difflib import get_close_matches

    near = get_close_matches(word, [one.id for one in known.values()], 1)
    return MigrationError(
        f"{migration.id} depends on {word}, which is not there",
        at=migration.at,
        expected="the version or id of another migration of the set",
        fix=f"did you mean {near[0]}?" if near else None,
    )


def _sorted(migrations: Sequence[Migration]) -> list[Migration]:
    """Take, again and again, the lowest version of which everything it depends on is taken."""
    if not any(migration.depends for migration in migrations):
        return sorted(migrations, key=lambda migration: migration.sort_key)
    by_version = {migration.version: migration for migration in migrations}
    waiting = {migration.version: len(migration.depends) for migration in migrations}
    dependents: defaultdict[str, list[str]] = defaultdict(list)
    for migration in migrations:
        for version in migration.depends:
            dependents[version].append(migration.version)
    ready = [(by_version[version].sort_key, version) for version, count in waiting.items() if not count]
    heapify(ready)
    result = []
    while ready:
        _, version = heappop(ready)
        result.append(by_version[version])
        for dependent in dependents[version]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heappush(ready, (by_version[dependent].sort_key, dependent))
    if len(result) < len(migrations):
        raise _cycle([migration for migration in migrations if waiting[migration.version]], by_version)
    return result


def _cycle(left: Sequence[Migration], by_version: Mapping[str, Migration]) -> MigrationError:
    """Return the error that names one circle among those that wait for each other."""
    waiting = {migration.version for migration in left}
    path = [left[0]]
    while path[-1].version not in {one.version for one in path[:-1]}:
        path.append(by_version[next(version for version in path[-1].depends if version in waiting)])
    start = next(place for place, one in enumerate(path) if one.version == path[-1].version)
    circle = " -> ".join(one.id for one in path[start:])
    return MigrationError(f"migrations depend on each other in a circle: {circle}", at=path[-1].at, expected="an order")


def dependents_of(version: str, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that say they depend on one."""
    return [migration for migration in migrations if version in migration.depends]


def heads(migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations on which none depends, among those where dependencies are told."""
    told = {version for migration in migrations for version in migration.depends}
    return [migration for migration in migrations if migration.version not in told and not migration.is_repeatable]


def through(last: Migration, migrations: Sequence[Migration], *, has_order: bool) -> frozenset[str]:
    """Return the versions up to one, itself included: all that come before it, or, without an order, all it depends on."""
    if has_order:
        key = version_key(last.version)
        return frozenset(one.version for one in migrations if not one.is_repeatable and version_key(one.version) <= key)
    by_version = {migration.version: migration for migration in migrations}
    found: set[str] = set()
    waiting = [last.version]
    while waiting:
        version = waiting.pop()
        if version not in found:
            found.add(version)
            waiting += by_version[version].depends
    return frozenset(found)
