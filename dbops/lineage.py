"""The names of `dbops.api.lineage`, where older programs look for them."""

from dbops.api.lineage import (
    DataAsset,
    EdgeType,
    ImpactAnalyzer,
    LineageEdge,
    LineageGraph,
    LineageNode,
    LineageTracker,
    NodeType,
)

__all__ = [
    "DataAsset",
    "EdgeType",
    "ImpactAnalyzer",
    "LineageEdge",
    "LineageGraph",
    "LineageNode",
    "LineageTracker",
    "NodeType",
]
