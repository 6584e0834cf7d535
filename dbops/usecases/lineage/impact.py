"""What a change of one node reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbops.usecases.lineage.graph import LineageGraph, way_back
from dbops.usecases.lineage.model import LineageNode, NodeType

MOST_PATHS = 100


def impact_of(graph: LineageGraph, node_id: str) -> dict[str, Any]:
    """Return what a change reaches; see `ImpactAnalyzer.analyze_change`.

    Raises:
        DbopsError: NODE_NOT_FOUND.
    """
    affected = graph.get_downstream(node_id)
    before = graph.came_from(node_id)
    ends = [node.id for node in affected if graph.is_end(node.id)] or [node.id for node in affected[-1:]]
    return {
        "source_node": node_id,
        "total_affected": len(affected),
        "affected_datasets": _of(affected, NodeType.DATASET),
        "affected_models": _of(affected, NodeType.MODEL),
        "affected_transformations": _of(affected, NodeType.TRANSFORMATION),
        "affected_dashboards": _of(affected, NodeType.DASHBOARD),
        "impact_paths": [way_back(before, end) for end in ends[:MOST_PATHS]],
        "risk_level": _risk(affected),
    }


def _of(nodes: Sequence[LineageNode], kind: NodeType) -> list[str]:
    return [node.id for node in nodes if node.node_type is kind]


def _risk(affected: Sequence[LineageNode]) -> str:
    """High where people or models see the change, medium where data does, low where nothing that holds data does."""
    kinds = {node.node_type for node in affected}
    if kinds & {NodeType.MODEL, NodeType.DASHBOARD}:
        return "high"
    return "medium" if kinds & {NodeType.DATASET, NodeType.ARTIFACT, NodeType.EXTERNAL} else "low"
