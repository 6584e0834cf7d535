"""The hazards of migrations that are to run: the rules of lint, for the server that is there, and the sizes of its tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.sql.hazard import Hazard

if TYPE_CHECKING:
    from dbops.catalog.ref import Ref
    from dbops.engines.base.connect import Connection, TableSize, Target
    from dbops.engines.base.engine import Engine
    from dbops.lint.check import Weighed
    from dbops.lint.facts import Fact, Name
    from dbops.resources.migrations.model import Migration
    from dbops.resources.migrations.visible import Lines
    from dbops.sql.dialect import Dialect

_WORDS = (
    *("alter", "drop", "truncate", "delete", "update", "rename", "replace", "merge", "index", "grant", "revoke", "cluster"),
    *("vacuum", "optimize", "lock", "refresh", "extension", "function", "procedure", "sequence"),
)
"""A text without any of these makes tables and fills them, which harms nobody."""

_LONG = 1 << 20
"""Of texts with more characters only statements are weighed that carry no rows."""

_CARRIES_ROWS = re.compile(r"\s*(?:INSERT|REPLACE|VALUES|COPY|SELECT|SET)\b", re.IGNORECASE)

_OF_WORK = frozenset(
    {
        *("REWRITES_TABLE", "BLOCKS_READS", "BLOCKS_WRITES", "LOCK_QUEUE", "SCANS_TABLE", "MAY_FAIL_ON_DATA", "INDEX_BUILD"),
        *("INDEX_DROPPED", "CONSTRAINT_SWAP", "DEFAULT_CHANGES_ROWS", "IMPLICIT_ZERO_VALUE", "DISK_SPACE", "BACKFILL_INLINE"),
    }
)
"""Hazards that come of rows: a table that is new or empty has none of them."""


def hazards_of(
    pending: Sequence[Migration], migrations: Sequence[Migration], engine: Engine, conn: Connection, target: Target
) -> Mapping[str, tuple[Hazard, ...]]:
    """Return the hazards of ways up, by version, each statement's in order; of Python as far as it shows its SQL.

    `migrations` are all of the set. A Python step that puts SQL together runs on a scratch of `target`, to hear what it sends.

    What one pending migration makes is new to the next. Those applied tell what is there by the statements that made it; only
    such as name the tables of the pending ones are read. Costs a query for the sizes of tables where a text is long or
    may be hazardous, and none where not; a database without tables has nothing to lose, so long texts are not read for it.
    """
    suspects = [one for one in pending if one.kind == "python" or len(one.up.text) > _LONG or _may_be_hazardous(one.up.text)]
    if not suspects or not (live := engine.sizes(conn)):
        return {}
    if not any(one.kind == "python" or _may_be_hazardous(one.up.text) for one in suspects):
        return {}
    texts = {one.version: _text(one, engine.dialect) for one in pending if one.kind == "sql"}
    if others := [one for one in pending if one.kind != "sql"]:
        from dbops.resources.migrations.visible import Sight

        sight = Sight(engine.dialect)
        unseen = {one.version for one in others if one.kind == "python" and not sight.is_whole(one)}
        heard = _heard(migrations, unseen, engine, target) if unseen else {}
        texts |= {one.version: sight.one_way(one, "up", heard.get(one.version)) for one in others}
        texts = {one.version: texts[one.version] for one in pending}
    earlier = [one for one in migrations if one.version not in texts]
    return _weighed(texts, earlier, engine, conn, live)


def _heard(migrations: Sequence[Migration], versions: Collection[str], engine: Engine, target: Target) -> Mapping[str, Lines]:
    from dbops.resources.migrations.heard import heard_on_scratch

    return heard_on_scratch(migrations, versions, engine, target)


def hazards_of_way_back(
    going: Sequence[Migration], applied: Sequence[Migration], engine: Engine, conn: Connection
) -> Mapping[str, tuple[Hazard, ...]]:
    """Return the hazards of ways back, by version, as `hazards_of` does for ways up; `going` are in the order of going."""
    if not (live := engine.sizes(conn)):
        return {}
    from dbops.resources.migrations.visible import Sight

    sight = Sight(engine.dialect)
    texts = {
        one.version: _short(one.down.text, engine.dialect) if one.kind == "sql" and one.down else sight.one_way(one, "down")
        for one in going
    }
    return _weighed(texts, applied, engine, conn, live)


def _weighed(
    texts: Mapping[str, str], earlier: Sequence[Migration], engine: Engine, conn: Connection, live: Mapping[Ref, TableSize]
) -> Mapping[str, tuple[Hazard, ...]]:
    """Weigh texts, by version, that are applied one after the other to what earlier migrations left."""
    from dbops.lint.check import LintSet, weigh
    from dbops.lint.rule import ENGINES, rules
    from dbops.lint.settings import LintSettings
    from dbops.lint.statements import SqlFile
    from dbops.resources.migrations.touched import touched

    names = [touched(text, engine.dialect) for text in texts.values()]
    wanted = None if None in names else frozenset().union(*(found for found in names if found))
    before = [one for one in earlier if one.kind == "sql" and _speaks_of(one.up.text, wanted)]
    flavour = next((name for name in ENGINES if name == conn.server.flavour), engine.dialect.name)
    chosen = frozenset(rule.code for rule in rules().values() if rule.is_hazard)
    settings = LintSettings(engine=flavour, version=conn.server.version, select=chosen)  # type: ignore[arg-type]  # one of ENGINES
    files = [SqlFile(f"{_BEFORE}{one.version}", _short(one.up.text, engine.dialect)) for one in before]
    standing = [sql for sql in engine.scripts.going_with_tables(conn) if _speaks_of(sql, wanted)]
    files.append(SqlFile(f"{_BEFORE}all", "\n".join(map(engine.dialect.terminated, standing))))
    files += [SqlFile(version, text) for version, text in texts.items()]
    found = weigh(
        LintSet(
            files=tuple(files),
            dialect=engine.dialect,
            settings={file.name: settings for file in files},
            at_once=frozenset(texts),
        )
    )
    size = _sizes(live, engine)
    by_version: dict[str, list[Hazard]] = {}
    for one in found:
        if (hazard := _hazard(one, size)) is not None:
            by_version.setdefault(one.at.file, []).append(hazard)
    return {version: tuple(dict.fromkeys(hazards)) for version, hazards in by_version.items()}


_BEFORE = "before "
"""Begins the names of what is there: a migration that is taken back is named for itself."""


def _speaks_of(text: str, names: frozenset[str] | None) -> bool:
    if names is None:
        return True
    lower = text.lower()
    return any(name in lower for name in names)


def _may_be_hazardous(text: str) -> bool:
    """Look for the words in pieces, which overlap by the longest of them."""
    pieces = (text[start : start + _LONG + 16].lower() for start in range(0, len(text), _LONG))
    return any(word in piece for piece in pieces for word in _WORDS)


def _text(migration: Migration, dialect: Dialect) -> str:
    """Return the whole file, whose head may say what is allowed; the text up alone where SQL stands in another form."""
    from dbops.resources.migrations.folder import read_text

    path = Path(migration.at.file)
    is_read = path.suffix == ".sql" and len(migration.up.text) <= _LONG
    return read_text(path) if is_read else _short(migration.up.text, dialect)


def _short(text: str, dialect: Dialect) -> str:
    """Return a text, without the statements that carry rows where it is long; remarks stay with their statements."""
    if len(text) <= _LONG:
        return text
    from dbops.errors import SchemaError
    from dbops.sql.splitter import iterate

    kept: list[str] = []
    try:
        for statement in iterate(text, dialect):
            if not _CARRIES_ROWS.match(statement.text):
                kept += [comment.text for comment in statement.comments if comment.offset < 0]
                kept.append(dialect.terminated(statement.text))
    except SchemaError:
        pass  # where it cannot be read further, the run will say so
    return "\n".join(kept)


def _sizes(sizes: Mapping[Ref, TableSize], engine: Engine) -> Callable[[Name], TableSize | None]:
    """Return what looks a table up; a name without schema finds the largest of that name."""
    is_folded = engine.dialect.name != "postgresql"
    found: dict[tuple[str, str], TableSize] = {}
    for ref, size in sorted(sizes.items(), key=lambda item: item[1].rows):
        name = ref.name.lower() if is_folded else ref.name
        found[ref.schema, name] = found["", name] = size

    def look(name: Name) -> TableSize | None:
        own = name.name.lower() if is_folded else name.name
        schema = "" if engine.dialect.name != "postgresql" else name.schema
        return found.get((schema, own))

    return look


def _hazard(one: Weighed, size: Callable[[Name], TableSize | None]) -> Hazard | None:
    """Return a finding with the size of its table; None where its table has no rows that it could concern."""
    from dbops.engines.base.render import about

    named = list(_tables(one.fact))
    known = [(name, found) for name in named if (found := size(name)) is not None and found.rows]
    if named and not known and one.code in _OF_WORK:
        return None
    sized = ", ".join(f"{name}: {about(found.rows)}" for name, found in known[:3])
    return Hazard(one.code, f"{one.message}; {sized}" if sized else one.message, one.allowed)


def _tables(fact: Fact) -> Iterator[Name]:
    """Yield the tables that a statement is about, as far as it names them."""
    from dbops.lint.facts import Drop, Name

    for field in fields(fact):
        value = getattr(fact, field.name)
        if field.name in ("table", "tables") or (isinstance(fact, Drop) and fact.kind == "table" and field.name == "names"):
            yield from (name for name in (value if isinstance(value, tuple) else (value,)) if isinstance(name, Name))
