"""The name of an object in a catalog: comparable, hashable, and readable as an address."""

from __future__ import annotations

from typing import NamedTuple


class Ref(NamedTuple):
    """`schema` is empty on engines without schemas; `parent` is the table of what lives in one: columns, keys, triggers."""

    kind: str
    schema: str
    name: str
    parent: str = ""

    @property
    def table(self) -> Ref:
        """The table (or view) this object belongs to; itself when it belongs to none."""
        return Ref("table", self.schema, self.parent) if self.parent else self

    @property
    def qualified(self) -> str:
        """`schema.parent.name` without the empty parts, for messages."""
        return ".".join(part for part in (self.schema, self.parent, self.name) if part)

    def __str__(self) -> str:
        """The address inside a schema resource: `table/public.users/column/email`."""
        if self.parent:
            return f"table/{_dotted(self.schema, self.parent)}/{self.kind}/{self.name}"
        return f"{self.kind}/{_dotted(self.schema, self.name)}"


def _dotted(schema: str, name: str) -> str:
    return f"{schema}.{name}" if schema else name
