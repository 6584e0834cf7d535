"""Data as the YAML that a manifest holds: inner mappings in one line, texts quoted where they would be read as something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def list_text(name: str, items: Sequence[Any], indent: int) -> str:
    """Return the key `name` and a list below it, `indent` blanks before the key and a blank line between items."""
    blanks = " " * indent
    if not items:
        return f"{blanks}{name}: []\n"
    return f"{blanks}{name}:\n" + "\n".join(item_text(item, indent + 2) for item in items)


def item_text(item: Any, indent: int) -> str:
    """Return an item of a list, `indent` blanks before its dash."""
    import yaml

    text = yaml.dump(
        [literal(item)], Dumper=_dumper(), default_flow_style=None, sort_keys=False, width=1_000_000, allow_unicode=True
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
