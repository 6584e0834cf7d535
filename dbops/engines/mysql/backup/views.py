"""Views that cannot be read: what they name is gone. No tool dumps a database with such a view, and no server makes one anew."""

from __future__ import annotations

from collections.abc import Mapping

from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.errors import QueryError

_VIEWS = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'VIEW' ORDER BY table_name"
)


def broken_views(conn: MysqlConnection) -> Mapping[str, str]:
    """Return the views that cannot be read, and why; a query for each view."""
    found = {}
    with conn.opening_views():
        for (name,) in conn.query(_VIEWS):
            try:
                conn.query(f"SHOW FIELDS FROM {quoted(name)}")
            except QueryError as error:
                found[str(name)] = error.message
    return found


def left_out(broken: Mapping[str, str]) -> list[str]:
    """Say that broken views are left out."""
    return [f"the view {name} is left out, for it is broken: {reason}" for name, reason in broken.items()]


def definitions(conn: MysqlConnection, names: Mapping[str, str]) -> str:
    """Return the statements of views, for whoever wants to mend them."""
    texts = []
    for name, reason in names.items():
        [row] = conn.query(f"SHOW CREATE VIEW {quoted(name)}")
        texts.append(f"-- {' '.join(reason.split())}\n{row[1]};\n")
    return "\n".join(texts)
