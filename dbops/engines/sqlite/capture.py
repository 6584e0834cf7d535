"""What SQLite shows of a database kept as text, and read into a catalog only when somebody asks for that.

After every apply the database is remembered; of a thousand tables, reading their statements takes ten times as long as asking
for them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dbops.engines.sqlite.shown import Shown, look

if TYPE_CHECKING:
    from dbops.catalog.catalog import Catalog
    from dbops.engines.sqlite.connect import SqliteConnection

_FORMAT = "sqlite.shown/1"


def capture(conn: SqliteConnection) -> str:
    """Return all that SQLite shows of the main database."""
    with conn.snapshot():
        shown = look(conn)
    uses = {name: sorted(used) for name, used in shown.uses.items()}
    data = {"format": _FORMAT, "columns": shown.columns, "schema": shown.schema, "uses": uses}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def captured(text: str) -> Catalog:
    """Return the catalog of what was captured.

    Raises:
        ValueError, KeyError, TypeError: the text is of another format.
    """
    from dbops.engines.sqlite.inspect import catalog_of

    data = json.loads(text)
    if data["format"] != _FORMAT:
        raise ValueError(f"not a {_FORMAT} text")
    uses = {name: [tuple(use) for use in used] for name, used in data["uses"].items()}
    return catalog_of(Shown(data["columns"], [tuple(row) for row in data["schema"]], uses))
