"""Portable tables as the YAML that a manifest holds: a line for each column, quoted where a reader would see something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbops.resources.schema.portable import Data


def tables_text(tables: Sequence[Data], indent: int = 4) -> str:
    """Return `tables:` and the list below it, indented by `indent` blanks."""
    blanks = " " * indent
    if not tables:
        return f"{blanks}tables: []\n"
    return f"{blanks}tables:\n" + "\n".join(table_text(table, indent + 2) for table in tables)


def table_text(table: Data, indent: int) -> str:
    """Return one table as an item of a list, `indent` blanks before its dash."""
    import yaml

    text = yaml.dump(
        [literal(table)], Dumper=_dumper(), default_flow_style=None, sort_keys=False, width=1_000_000, allow_unicode=True
    )
    return "".join(" " * indent + line if line.strip() else line for line in text.splitlines(keepends=True))


def literal(value: Any) -> Any:
    """Return `value` with its texts spelled so that no part of them is taken for a variable."""
    match value:
        case str():
            return value.replace("${", "$${")
        case dict():
            return {name: literal(item) for name, item in value.items()}
        case list():
            return [literal(item) for item in value]
        case _:
            return value


def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Indents lists in mappings, as people do, and repeats values rather than naming them with anchors."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Dumper
