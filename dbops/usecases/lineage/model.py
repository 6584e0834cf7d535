"""Nodes and edges of lineage: data points from what it is made of to what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any, TypeVar

from dbops.dataclass import dataclass
from dbops.errors import DbopsError


class NodeType(Enum):
    """What a node is."""

    DATASET = "dataset"
    TRANSFORMATION = "transformation"
    MODEL = "model"
    DASHBOARD = "dashboard"
    ARTIFACT = "artifact"
    EXTERNAL = "external"


class EdgeType(Enum):
    """What the source of an edge has to do with its target; the data always goes from source to target."""

    INPUT_TO = "input_to"
    PRODUCED_BY = "produced_by"
    DERIVED_FROM = "derived_from"
    USED_BY = "used_by"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class LineageNode:
    """A thing that holds, makes or shows data; `metadata` is what JSON can say."""

    id: str
    name: str
    node_type: NodeType
    version: str = "1.0"
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=_now, compare=False)

    @property
    def key(self) -> str:
        """The kind and the id, as `dataset:orders`."""
        return f"{self.node_type.value}:{self.id}"

    def to_dict(self) -> dict[str, Any]:
        """Return `{id, name, type, version, metadata, created_at}`, ready for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.node_type.value,
            "version": self.version,
            "metadata": self.metadata,
            "created_at": self.created_at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LineageNode:
        """Return the node that `to_dict` described. Raises: KeyError, ValueError: it did not."""
        kind, moment = NodeType(data["type"]), datetime.fromisoformat(data["created_at"])
        return cls(data["id"], data["name"], kind, data["version"], data["metadata"], moment)


@dataclass(slots=True)
class LineageEdge:
    """Data goes from `source_id` to `target_id`."""

    source_id: str
    target_id: str
    edge_type: EdgeType
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=_now, compare=False)

    @property
    def key(self) -> str:
        """What tells edges apart, as `orders->report:input_to`."""
        return f"{self.source_id}->{self.target_id}:{self.edge_type.value}"

    def to_dict(self) -> dict[str, Any]:
        """Return `{source, target, type, metadata, created_at}`, ready for JSON."""
        return {
            "source": self.source_id,
            "target": self.target_id,
            "type": self.edge_type.value,
            "metadata": self.metadata,
            "created_at": self.created_at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LineageEdge:
        """Return the edge that `to_dict` described. Raises: KeyError, ValueError: it did not."""
        kind, moment = EdgeType(data["type"]), datetime.fromisoformat(data["created_at"])
        return cls(data["source"], data["target"], kind, data["metadata"], moment)


@dataclass(slots=True)
class DataAsset:
    """A dataset as it is at one place; `schema` is column names to types, sizes are in bytes, `checksum` is SHA-256."""

    id: str
    name: str
    location: str
    schema: dict[str, str] | None = None
    row_count: int | None = None
    size_bytes: int | None = None
    checksum: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def compute_checksum(self, data: bytes) -> str:
        """Take the checksum and the size of the asset's content, and return the checksum."""
        self.checksum, self.size_bytes = sha256(data).hexdigest(), len(data)
        return self.checksum


_E = TypeVar("_E", bound=Enum)


def one_of(kind: type[_E], value: object) -> _E:
    """Return the member that `value` is, or names.

    Raises:
        DbopsError: INVALID_LINEAGE: it is none.
    """
    try:
        return kind(value)
    except ValueError:
        expected = ", ".join(str(item.value) for item in kind)
        raise DbopsError(
            f"{value!r} is no {kind.__name__}", error_code="INVALID_LINEAGE", expected=f"one of {expected}"
        ) from None
