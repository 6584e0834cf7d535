"""Foreign keys added to tables in use: rows are checked after the key is there, while others read and write (MariaDB).

The server copies a table to check the rows of a new key, and adds a key in place only unchecked (MariaDB Knowledge Base,
InnoDB Online DDL, foreign_key_checks). From then on it checks what is written, so that one reading afterwards proves the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import ForeignKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import foreign_key_clause, literal
from dbops.engines.mysql.flavour import Flavour


def is_possible(table: Ref, keys: Sequence[ForeignKey], catalog: Catalog, flavour: Flavour) -> bool:
    """Tell whether all tables are plain InnoDB tables of this database; only MariaDB runs blocks outside of routines."""
    if not flavour.is_mariadb or not flavour.has_instant_columns or any(key.references.schema for key in keys):
        return False
    tables = [catalog.objects.get(ref) for ref in (table, *(key.references for key in keys))]
    return all(isinstance(found, Table) and not found.partition_by and _is_innodb(found) for found in tables)


def _is_innodb(table: Table) -> bool:
    options = dict(table.options)
    return options.get("engine", "InnoDB").lower() == "innodb" and "with system versioning" not in options


def added(table: Ref, keys: Sequence[ForeignKey], claims: Sequence[str], flavour: Flavour) -> str:
    """Return one block: as one statement it goes on to its end on the server, whatever becomes of the client.

    It begins with dropping the keys, so that it can be tried again. `claims` are clauses that keep indexes (`implied`).
    """
    name = quoted(table.name)
    dropped = ", ".join([*(f"DROP FOREIGN KEY IF EXISTS {quoted(key.name)}" for key in keys), *claims])
    new = ",\n    ".join(f"ADD {foreign_key_clause(key, flavour)}" for key in keys)
    lines = [
        "BEGIN NOT ATOMIC",
        "  DECLARE EXIT HANDLER FOR SQLEXCEPTION",
        "  BEGIN",
        "    SET SESSION foreign_key_checks = @dbops_foreign_key_checks;",
        "    RESIGNAL;",
        "  END;",
        "  SET @dbops_foreign_key_checks = @@SESSION.foreign_key_checks, SESSION foreign_key_checks = 0;",
        f"  ALTER TABLE {name} {dropped};",
        f"  ALTER TABLE {name}\n    {new},\n    ALGORITHM=INPLACE, LOCK=NONE;",
        "  SET SESSION foreign_key_checks = @dbops_foreign_key_checks;",
        *(line for key in keys for line in _proof(name, key)),
        "END",
    ]
    return "\n".join(lines)


def _proof(table: str, key: ForeignKey) -> list[str]:
    filled = " AND ".join(f"c.{quoted(name)} IS NOT NULL" for name in key.columns)
    pairs = zip(key.columns, key.referenced_columns, strict=True)
    same = " AND ".join(f"p.{quoted(there)} = c.{quoted(here)}" for here, there in pairs)
    parent = quoted(key.references.name)
    text = literal(f"rows refer to no row of {key.references.name}: {key.name}"[:120])
    orphans = f"SELECT 1 FROM {table} AS c WHERE {filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {same}) LIMIT 1"
    return [
        # a SELECT of its own reads a snapshot; as the condition of IF it would lock every row that it reads
        f"  SELECT count(*) INTO @dbops_orphans FROM ({orphans}) AS orphans;",
        "  IF @dbops_orphans > 0 THEN",
        f"    ALTER TABLE {table} DROP FOREIGN KEY {quoted(key.name)};",
        f"    SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1452, MESSAGE_TEXT = {text};",
        "  END IF;",
    ]
