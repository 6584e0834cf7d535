"""Dataclasses that are frozen for the type checker and quick to make at run time.

A frozen dataclass sets every field through `object.__setattr__`, so an object of the model, which has a dozen, takes twice as
long to make, and a database has tens of thousands of them. That nobody assigns to their fields is proved by mypy instead.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, **options: Any) -> Any:
        """Make a dataclass that compares and hashes as `frozen` says."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)


__all__ = ["dataclass"]
