"""What `dbops migrate new` writes, and whether somebody has filled it in."""

from __future__ import annotations

import re

from dbops.resources.migrations.model import Migration

SQL = """\
-- {title}
-- Comments here may say: dbops:depends VERSION, dbops:transaction off, dbops:irreversible WHY

-- migrate:up

-- migrate:down
"""
PYTHON = '''\
"""{title}."""


def up_fn(step):
    """Run statements with step.execute(sql), rows in keyed batches with step.batches(table, key, change)."""


def down_fn(step):
    """Lead back; take this function away where nothing does."""
'''
JSON = "-- {title}"


def is_unfilled(migration: Migration) -> bool:
    """Tell whether a migration is still as it was begun: markers with nothing between them, not even a comment.

    dbmate begins its files so, too. A revision of Alembic that does nothing is none: merges are such.
    """
    match migration.kind:
        case "python":
            return _CODE.sub("", migration.up.text, count=1) == _CODE.sub("", PYTHON, count=1)
        case "alembic":
            return False
        case "sql":
            up = migration.up.text.strip()
            if migration.is_json:
                return up == JSON.format(title=migration.name)
            return not up and migration.down is not None and not migration.down.text.strip()


_CODE = re.compile(r'\A""".*"""\n')
"""The line with the title, which a name decides."""
