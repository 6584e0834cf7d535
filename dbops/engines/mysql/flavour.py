"""What differs between MariaDB and MySQL 8, by flavour and version: asked here and nowhere else."""

from __future__ import annotations

import re

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Flavour:
    """The dialect one server speaks."""

    is_mariadb: bool
    version: tuple[int, ...]

    @property
    def has_sequences(self) -> bool:
        """CREATE SEQUENCE (MariaDB 10.3)."""
        return self.is_mariadb and self.version >= (10, 3)

    @property
    def client_charset(self) -> str:
        """The character set of the command-line client in a UTF-8 locale, which the objects it makes remember.

        Ours is the same, so that nobody can tell who made a view. `utf8` has three bytes on MariaDB (old_mode).
        """
        return "utf8" if self.is_mariadb else "utf8mb4"

    @property
    def has_or_replace(self) -> bool:
        """CREATE OR REPLACE for triggers, routines and events (MariaDB 10.1.3); MySQL knows it for views only."""
        return self.is_mariadb

    @property
    def names_default_collations(self) -> bool:
        """SHOW CREATE names every collation, the default of a character set too (MariaDB 10.6)."""
        return self.is_mariadb and self.version >= (10, 6)

    @property
    def hidden_index(self) -> tuple[str, str]:
        """The words for an index the optimizer does not see, and for one it does (MariaDB 10.6, MySQL 8.0)."""
        return ("IGNORED", "NOT IGNORED") if self.is_mariadb else ("INVISIBLE", "VISIBLE")

    @property
    def lets_keys_take_over(self) -> bool:
        """A unique index that was there may take over from a key that goes (MariaDB 10.11); for MySQL 9.7 it has to be new."""
        return self.is_mariadb

    @property
    def unchecked(self) -> dict[str, str]:
        """The settings under which a row that is written need not satisfy its checks (MariaDB 10.2.1); MySQL has none."""
        return {"check_constraint_checks": "0"} if self.is_mariadb else {}

    @property
    def remembers_said_collations(self) -> bool:
        """A column whose source says the collation that its table has anyway stays apart from one that inherits it.

        MySQL shows it with its CHARACTER SET (8.4 manual, 15.7.7.10); for MariaDB the two are one.
        """
        return not self.is_mariadb

    @property
    def renames_inside_expressions(self) -> bool:
        """RENAME COLUMN rewrites what speaks of the column; MySQL refuses while a check, a default, a generated column or a
        functional index does (errors 3959, 3766, 3108 and 3837).
        """
        return self.is_mariadb

    @property
    def unwritten_action(self) -> str:
        """The referential action SHOW CREATE TABLE leaves out.

        MariaDB leaves out RESTRICT and writes NO ACTION; MySQL 8 the other way round. InnoDB treats both alike.
        """
        return "RESTRICT" if self.is_mariadb else "NO ACTION"

    @property
    def statement_timeout(self) -> tuple[str, int]:
        """The session variable that limits a statement, and how many of its units make a second."""
        return ("max_statement_time", 1) if self.is_mariadb else ("max_execution_time", 1000)

    @property
    def limits_reads_alone(self) -> bool:
        """The limit of a statement's time holds for SELECT alone (MySQL 8.4 manual, 7.1.8, max_execution_time)."""
        return not self.is_mariadb

    @property
    def has_instant_columns(self) -> bool:
        """Columns are added, anywhere, without touching rows (MariaDB 10.4, MySQL 8.0.29)."""
        return self.version >= ((10, 4) if self.is_mariadb else (8, 0, 29))

    @property
    def refuses_unsafe_defaults(self) -> bool:
        """A column with another value for each row cannot be added, but under binlog_format=STATEMENT (MySQL 9.7, error 1674)."""
        return not self.is_mariadb

    @property
    def folds_checks(self) -> bool:
        """Constants in checks are worked out when a column of theirs has changed its type (see `folding`)."""
        return not self.is_mariadb

    @property
    def table_privileges(self) -> tuple[str, ...]:
        """Privileges on tables that only this server has (MariaDB 10.3.5)."""
        return ("DELETE HISTORY",) if self.is_mariadb else ()

    @property
    def routine_privileges(self) -> tuple[str, ...]:
        """Privileges on routines that only this server has (MariaDB 11.3)."""
        return ("SHOW CREATE ROUTINE",) if self.is_mariadb and self.version >= (11, 3) else ()

    @property
    def identity(self) -> str:
        """The expression that names one server: MySQL's server_uuid; MariaDB has none, so where its files are."""
        return "CONCAT_WS(':', @@hostname, @@port, @@datadir)" if self.is_mariadb else "@@server_uuid"


def flavour_of(server: Server) -> Flavour:
    """Return what the server speaks."""
    return Flavour(server.flavour == "mariadb", server.version)


def parse_version(text: str) -> tuple[str, tuple[int, ...]]:
    """Read `SELECT VERSION()`: `10.11.6-MariaDB-0+deb12u1` is mariadb (10, 11, 6), `8.4.2` is mysql (8, 4, 2)."""
    flavour = "mariadb" if "mariadb" in text.lower() else "mysql"
    found = _NUMBERS.search(text.removeprefix("5.5.5-"))
    numbers = tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return flavour, numbers
