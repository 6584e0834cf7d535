"""Statements about single rows, with every value written out: a plan shows them as they will run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbops.sql.dialect import Dialect

Values = Mapping[str, str | None]


def literal(value: str | None, dialect: Dialect) -> str:
    """Return a value as text; engines turn it into the column's type."""
    return "NULL" if value is None else dialect.string(value)


def insert_row(table: str, values: Values, dialect: Dialect, overriding: str = "") -> str:
    """Return an INSERT; `overriding` stands before VALUES (`OVERRIDING SYSTEM VALUE`)."""
    columns = ", ".join(dialect.identifier(name) for name in values)
    written = ", ".join(literal(value, dialect) for value in values.values())
    return f"INSERT INTO {table} ({columns}){' ' + overriding if overriding else ''} VALUES ({written})"


def update_row(table: str, key: Values, values: Values, dialect: Dialect) -> str:
    assigned = ", ".join(f"{dialect.identifier(name)} = {literal(value, dialect)}" for name, value in values.items())
    return f"UPDATE {table} SET {assigned} WHERE {_where(key, dialect)}"


def delete_row(table: str, key: Values, dialect: Dialect) -> str:
    return f"DELETE FROM {table} WHERE {_where(key, dialect)}"


def select_text(table: str, columns: Sequence[str], cast: str, dialect: Dialect) -> str:
    """Return a SELECT of all rows with every value as text."""
    listed = ", ".join(f"CAST({dialect.identifier(name)} AS {cast})" for name in columns)
    return f"SELECT {listed} FROM {table}"


def _where(key: Values, dialect: Dialect) -> str:
    return " AND ".join(
        f"{dialect.identifier(name)} IS NULL" if value is None else f"{dialect.identifier(name)} = {literal(value, dialect)}"
        for name, value in key.items()
    )
