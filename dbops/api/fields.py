"""What several faces share: dataclasses whose fields answer like those of a dictionary too."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


class ByName:
    """A dataclass of which `x["id"]` and `x.id` are the same, and `dict(x)` works."""

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name.

        Raises:
            KeyError: there is no such field.
        """
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    def keys(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(field.name for field in fields(self))  # type: ignore[arg-type]  # those who inherit are dataclasses

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by its name, `default` where there is none."""
        return getattr(self, name) if name in self.keys() else default
