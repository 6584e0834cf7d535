"""The rules, by what they look after; importing this fills the register."""

from dbops.lint.rules import (
    building,
    enforcing,
    files,
    indexes,
    locks,
    losses,
    naming,
    rebuilds,
    rights,
    rows,
    tables,
    transactions,
    types,
)

__all__ = [
    "building",
    "enforcing",
    "files",
    "indexes",
    "locks",
    "losses",
    "naming",
    "rebuilds",
    "rights",
    "rows",
    "tables",
    "transactions",
    "types",
]
