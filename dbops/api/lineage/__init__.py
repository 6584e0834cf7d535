"""Lineage: where data comes from, where it goes, and what a change of it reaches.

`LineageGraph` holds nodes and edges, `LineageTracker` fills it and keeps it in a file, `ImpactAnalyzer` asks it.
"""

from __future__ import annotations

from dbops.api.lineage.tracker import ImpactAnalyzer, LineageTracker
from dbops.usecases.lineage.graph import LineageGraph
from dbops.usecases.lineage.model import DataAsset, EdgeType, LineageEdge, LineageNode, NodeType

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
