"""What a virtual table holds, as statements that write it again: rows of FTS3 to FTS5 and of R*Trees, and settings of FTS5.

https://www.sqlite.org/fts5.html (sections 4.4 and 6), https://www.sqlite.org/fts3.html (sections 6.2 and 7),
https://www.sqlite.org/rtree.html (section 3)
"""

from __future__ import annotations

import re

from dbops.catalog.model import VirtualTable
from dbops.engines.base.connect import Connection
from dbops.engines.sqlite.tokens import quote
from dbops.errors import QueryError

_MODULE = re.compile(r"\bUSING\s+[\"`\[]?(?P<module>\w+)", re.IGNORECASE)
_CONTENT = re.compile(r"[(,]\s*content\s*=\s*(?P<table>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[[^\]]*\]|[^\s,)]*)", re.IGNORECASE)
_LANGUAGE = re.compile(r"[(,]\s*languageid\s*=", re.IGNORECASE)


def statements(conn: Connection, virtual: VirtualTable) -> list[str] | None:
    """Return what fills an empty virtual table alike; empty where there is nothing, None where no statement would do.

    An index over the rows of another table is built anew from these, where it agrees with them; one without content cannot be
    read. Runs FTS's own check, which writes nothing.
    """
    found = _MODULE.search(virtual.definition)
    module = found["module"].lower() if found else ""
    name = quote(virtual.name)
    is_empty = not conn.query(f"SELECT 1 FROM {name} LIMIT 1")
    match module:
        case "rtree" | "rtree_i32":
            return _rows(conn, virtual.name, ())
        case "fts3" | "fts4" | "fts5":
            settings = _settings(conn, virtual.name) if module == "fts5" else []
            content = _CONTENT.search(virtual.definition) if module != "fts3" else None
            if is_empty:
                return settings
            if _LANGUAGE.search(virtual.definition):
                return None
            if content is None:
                return [*settings, *_rows(conn, virtual.name, ("rowid",))]
            if not content["table"].strip("'\"[]") or not _agrees(conn, name, module):
                return None
            return [*settings, f"INSERT INTO {name}({name}) VALUES ('rebuild')"]
        case _:
            return [] if is_empty else None


def _rows(conn: Connection, table: str, keys: tuple[str, ...]) -> list[str]:
    shown = [str(row[1]) for row in conn.query(f"PRAGMA table_xinfo({quote(table)})") if not row[6]]
    columns = ", ".join([*keys, *map(quote, shown)])
    values = ", ".join(f"quote({one})" for one in (*keys, *map(quote, shown)))
    rows = conn.query(f"SELECT {values} FROM {quote(table)} ORDER BY rowid")
    return [f"INSERT INTO {quote(table)} ({columns}) VALUES ({', '.join(map(str, row))})" for row in rows]


def _settings(conn: Connection, table: str) -> list[str]:
    """Return the statements that give an FTS5 table the settings that it keeps, such as its rank function."""
    name = quote(table)
    kept = conn.query(f"SELECT quote(k), quote(v) FROM {quote(f'{table}_config')} WHERE k <> 'version' ORDER BY k")
    return [f"INSERT INTO {name}({name}, rank) VALUES ({key}, {value})" for key, value in kept]


def _agrees(conn: Connection, name: str, module: str) -> bool:
    """Tell whether an index agrees with the table whose rows it is about."""
    check = f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)"
    if module != "fts5":
        check = f"INSERT INTO {name}({name}) VALUES ('integrity-check')"
    try:
        conn.execute(check)
    except QueryError:
        return False
    return True
