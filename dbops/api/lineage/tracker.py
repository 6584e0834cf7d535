"""What programs say about their data, kept in a graph, and what they ask about it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbops.arguments import checked
from dbops.dataclass import dataclass
from dbops.usecases.lineage.graph import LineageGraph
from dbops.usecases.lineage.impact import impact_of
from dbops.usecases.lineage.model import DataAsset, EdgeType, LineageEdge, LineageNode, NodeType
from dbops.usecases.lineage.store import LineageStore


@dataclass(slots=True)
class Tracked:
    """A transformation that runs: `add_input` and `add_output` name its datasets."""

    inputs: list[str]
    outputs: list[str]

    def add_input(self, dataset_id: str) -> None:
        """Say that it reads a dataset."""
        self.inputs.append(dataset_id)

    def add_output(self, dataset_id: str) -> None:
        """Say that it writes a dataset."""
        self.outputs.append(dataset_id)


@checked
class LineageTracker:
    """Datasets and transformations as they are registered; with `path`, kept in that file and there again the next time."""

    def __init__(self, graph: LineageGraph | None = None, *, path: str | os.PathLike[str] | None = None) -> None:
        """Begin with `graph`, or with what the file holds.

        Raises:
            ValueError: both are given.
            DbopsError: the file is damaged.
        """
        if graph is not None and path is not None:
            raise ValueError("a graph or a path is given, not both")
        if graph is None:
            graph = LineageGraph(LineageStore(Path(path)) if path is not None else None)
        self.graph = graph

    def register_dataset(self, id: str, name: str, location: str = "", metadata: dict[str, Any] | None = None) -> LineageNode:
        """Register a dataset and return its node, whose metadata holds the location.

        Raises:
            DbopsError: INVALID_LINEAGE.
        """
        return self.graph.add_node(LineageNode(id, name, NodeType.DATASET, metadata={"location": location, **(metadata or {})}))

    def register_asset(self, asset: DataAsset) -> LineageNode:
        """Register a dataset as it is at one place. Raises as `register_dataset` does."""
        known = {"schema": asset.schema, "row_count": asset.row_count, "size_bytes": asset.size_bytes, "checksum": asset.checksum}
        return self.register_dataset(
            asset.id,
            asset.name,
            asset.location,
            {**{name: value for name, value in known.items() if value is not None}, **asset.metadata},
        )

    def register_node(self, id: str, name: str, node_type: NodeType, made_of: Iterable[str] = (), **metadata: Any) -> LineageNode:
        """Register a model, a dashboard or another node, and the nodes that it uses.

        Raises:
            DbopsError: NODE_NOT_FOUND, INVALID_LINEAGE.
        """
        node = self.graph.add_node(LineageNode(id, name, node_type, metadata=metadata))
        for source_id in made_of:
            self.graph.add_edge(LineageEdge(source_id, id, EdgeType.USED_BY))
        return node

    def register_transformation(
        self, id: str, name: str, inputs: Iterable[str], outputs: Iterable[str], metadata: dict[str, Any] | None = None
    ) -> LineageNode:
        """Register a transformation with the ids of what it reads and writes; ids that are new become datasets.

        Raises:
            DbopsError: INVALID_LINEAGE.
        """
        read, written = list(inputs), list(outputs)
        node = self.graph.add_node(LineageNode(id, name, NodeType.TRANSFORMATION, metadata=metadata or {}))
        for dataset_id in (*read, *written):
            if self.graph.get_node(dataset_id) is None:
                self.register_dataset(dataset_id, dataset_id)
        for dataset_id in read:
            self.graph.add_edge(LineageEdge(dataset_id, id, EdgeType.INPUT_TO))
        for dataset_id in written:
            self.graph.add_edge(LineageEdge(id, dataset_id, EdgeType.PRODUCED_BY))
        return node

    @contextmanager
    def track(self, id: str, name: str, metadata: dict[str, Any] | None = None) -> Iterator[Tracked]:
        """Register a transformation when the block that carries it out has ended well; nothing when it raises."""
        tracked = Tracked([], [])
        yield tracked
        self.register_transformation(id, name, tracked.inputs, tracked.outputs, metadata)

    def get_origin(self, node_id: str) -> list[LineageNode]:
        """Return the nodes that a node goes back to and that are made of nothing themselves, nearest first.

        Raises:
            DbopsError: NODE_NOT_FOUND.
        """
        return [node for node in self.graph.get_upstream(node_id) if self.graph.is_start(node.id)]

    def get_impact(self, node_id: str) -> list[LineageNode]:
        """Return all that is made of a node, nearest first. Raises: DbopsError: NODE_NOT_FOUND."""
        return self.graph.get_downstream(node_id)


@checked
class ImpactAnalyzer:
    """What changes of a graph's nodes reach."""

    def __init__(self, graph: LineageGraph) -> None:
        self.graph = graph

    def analyze_change(self, node_id: str) -> dict[str, Any]:
        """Return what a change of a node reaches, nearest first.

        `{source_node, total_affected, affected_datasets, affected_models, affected_transformations, affected_dashboards: [id],
        impact_paths: [[id]], risk_level}`. The paths are shortest ones to the nodes of which nothing is made, 100 at most. The
        risk is high where a model or a dashboard is reached, medium where other data is, else low.

        Raises:
            DbopsError: NODE_NOT_FOUND.
        """
        return impact_of(self.graph, node_id)
