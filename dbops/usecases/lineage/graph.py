"""The graph of lineage: nearest neighbours first, without recursion, so that a chain may have any length."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from threading import RLock
from typing import Any, TypeVar

from dbops.arguments import checked
from dbops.errors import DbopsError
from dbops.usecases.lineage.model import EdgeType, LineageEdge, LineageNode, NodeType, one_of
from dbops.usecases.lineage.store import LineageStore

T = TypeVar("T", LineageNode, LineageEdge)
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_SHAPES: Mapping[NodeType, str] = {
    NodeType.DATASET: "cylinder",
    NodeType.TRANSFORMATION: "box",
    NodeType.MODEL: "component",
    NodeType.DASHBOARD: "note",
    NodeType.ARTIFACT: "folder",
    NodeType.EXTERNAL: "ellipse",
}


@checked
class LineageGraph:
    """Nodes by id, and edges between them; with a store, what is added is kept there. Threads may share it."""

    def __init__(self, store: LineageStore | None = None) -> None:
        """Begin with what the store holds. Raises: DbopsError: the store's file is damaged."""
        self._nodes: dict[str, LineageNode] = {}
        self._edges: dict[str, LineageEdge] = {}
        self._out: dict[str, dict[str, None]] = {}
        self._in: dict[str, dict[str, None]] = {}
        self._lock = RLock()
        self._store = store
        if store is not None:
            for item in store.read():
                self._take(item)

    # --- writing

    def add_node(self, node: LineageNode) -> LineageNode:
        """Add a node, in the place of one with the same id.

        Raises:
            DbopsError: INVALID_LINEAGE: it has no id, or JSON cannot say its metadata; nothing is added.
        """
        if not isinstance(node.id, str) or not node.id:
            raise DbopsError(f"a node has the id {node.id!r}", error_code="INVALID_LINEAGE", expected="a text that is not empty")
        node.node_type = one_of(NodeType, node.node_type)
        return self._add(node)

    def add_edge(self, edge: LineageEdge) -> LineageEdge:
        """Add an edge between nodes that are there, in the place of one of the same kind between them.

        Raises:
            DbopsError: NODE_NOT_FOUND; INVALID_LINEAGE: it leads back to its source, or JSON cannot say its metadata.
        """
        edge.edge_type = one_of(EdgeType, edge.edge_type)
        with self._lock:
            self._require(edge.source_id)
            self._require(edge.target_id)
            if edge.source_id == edge.target_id:
                raise DbopsError(f"{edge.source_id!r} cannot be made of itself", error_code="INVALID_LINEAGE")
            return self._add(edge)

    def _add(self, item: T) -> T:
        try:
            text = (
                _JSON.encode(item.to_dict()) if self._store is not None else _JSON.encode(item.metadata) if item.metadata else ""
            )
        except (TypeError, ValueError) as error:
            raise DbopsError(f"the metadata of {item.key!r} is not for JSON: {error}", error_code="INVALID_LINEAGE") from error
        with self._lock:
            if self._store is not None:
                self._store.append(item, text)
            self._take(item)
        return item

    def _take(self, item: LineageNode | LineageEdge) -> None:
        if isinstance(item, LineageNode):
            self._nodes[item.id] = item
        else:
            self._edges[item.key] = item
            self._out.setdefault(item.source_id, {})[item.target_id] = None
            self._in.setdefault(item.target_id, {})[item.source_id] = None

    # --- reading

    def get_node(self, node_id: str) -> LineageNode | None:
        """Return a node, None when there is none of this id."""
        return self._nodes.get(node_id)

    @property
    def nodes(self) -> list[LineageNode]:
        """All nodes, in the order in which they came."""
        return list(self._nodes.values())

    def get_edges(self, source_id: str | None = None, target_id: str | None = None) -> list[LineageEdge]:
        """Return the edges from a node, to a node, or between two; all without either."""
        return [
            edge
            for edge in list(self._edges.values())
            if source_id in (None, edge.source_id) and target_id in (None, edge.target_id)
        ]

    @property
    def node_count(self) -> int:
        return len(self._nodes)

    @property
    def edge_count(self) -> int:
        return len(self._edges)

    def get_upstream(self, node_id: str, max_depth: int | None = None) -> list[LineageNode]:
        """Return all that a node is made of, nearest first, without itself; `max_depth` counts edges, None is without limit.

        Raises:
            DbopsError: NODE_NOT_FOUND.
        """
        return self._reached(node_id, self._in, max_depth)

    def get_downstream(self, node_id: str, max_depth: int | None = None) -> list[LineageNode]:
        """Return all that is made of a node, nearest first, without itself. Otherwise as `get_upstream`."""
        return self._reached(node_id, self._out, max_depth)

    def get_path(self, source_id: str, target_id: str) -> list[str]:
        """Return the ids on a shortest way of the data from one node to another, both included; empty when there is none.

        Raises:
            DbopsError: NODE_NOT_FOUND.
        """
        self._require(target_id)
        return way_back(self.came_from(source_id), target_id)

    def came_from(self, source_id: str) -> dict[str, str | None]:
        """Return for each node that a node reaches, itself too, the one before it on a shortest way.

        Raises:
            DbopsError: NODE_NOT_FOUND.
        """
        with self._lock:
            self._require(source_id)
            before: dict[str, str | None] = {source_id: None}
            waiting = deque([source_id])
            while waiting:
                here = waiting.popleft()
                for there in self._out.get(here, ()):
                    if there not in before:
                        before[there] = here
                        waiting.append(there)
        return before

    def is_end(self, node_id: str) -> bool:
        """Tell whether nothing is made of a node."""
        return not self._out.get(node_id)

    def is_start(self, node_id: str) -> bool:
        """Tell whether a node is made of nothing."""
        return not self._in.get(node_id)

    def _reached(self, start: str, ways: Mapping[str, Iterable[str]], max_depth: int | None) -> list[LineageNode]:
        with self._lock:
            self._require(start)
            seen, level, depth = {start: None}, [start], 0
            while level and (max_depth is None or depth < max_depth):
                found = dict.fromkeys(there for here in level for there in ways.get(here, ()) if there not in seen)
                seen.update(found)
                level, depth = list(found), depth + 1
            return [self._nodes[node_id] for node_id in seen if node_id != start]

    def _require(self, node_id: str) -> None:
        if node_id not in self._nodes:
            raise DbopsError(f"there is no node {node_id!r}", {"node_id": node_id}, "NODE_NOT_FOUND", fix="add it first")

    # --- the whole

    def validate_graph(self) -> dict[str, Any]:
        """Return `{valid, node_count, edge_count, cycles: [[id]], isolated_nodes: [id]}`.

        A graph with cycles is not valid: something would be made of itself. Isolated nodes are none of its faults.
        """
        with self._lock:
            cycles = [sorted(group) for group in self._circles()]
            isolated = [node_id for node_id in self._nodes if self.is_start(node_id) and self.is_end(node_id)]
        return {
            "valid": not cycles,
            "node_count": self.node_count,
            "edge_count": self.edge_count,
            "cycles": sorted(cycles),
            "isolated_nodes": isolated,
        }

    def _circles(self) -> Iterator[list[str]]:
        """Yield the groups of nodes that reach each other (Tarjan 1972, with a stack of its own)."""
        number: dict[str, int] = {}
        lowest: dict[str, int] = {}
        stack: list[str] = []
        on_stack: set[str] = set()
        for root in self._nodes:
            if root in number:
                continue
            work = [(root, iter(self._out.get(root, ())))]
            number[root] = lowest[root] = len(number)
            stack.append(root)
            on_stack.add(root)
            while work:
                here, ways = work[-1]
                there = next(ways, None)
                if there is None:
                    work.pop()
                    if work:
                        lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[here])
                    if lowest[here] == number[here]:
                        group = [stack.pop()]
                        while group[-1] != here:
                            group.append(stack.pop())
                        on_stack.difference_update(group)
                        if len(group) > 1:
                            yield group
                elif there not in number:
                    number[there] = lowest[there] = len(number)
                    stack.append(there)
                    on_stack.add(there)
                    work.append((there, iter(self._out.get(there, ()))))
                elif there in on_stack:
                    lowest[here] = min(lowest[here], number[there])

    def to_dict(self) -> dict[str, Any]:
        """Return `{nodes: [...], edges: [...]}`, ready for JSON."""
        with self._lock:
            return {
                "nodes": [node.to_dict() for node in self._nodes.values()],
                "edges": [edge.to_dict() for edge in self._edges.values()],
            }

    def export_to_dot(self) -> str:
        """Return the graph in the language of Graphviz."""
        with self._lock:
            nodes = [f"  {_dot(node.id)} [label={_dot(node.name)}, shape={_SHAPES[node.node_type]}];" for node in self.nodes]
            edges = [
                f"  {_dot(edge.source_id)} -> {_dot(edge.target_id)} [label={_dot(edge.edge_type.value)}];"
                for edge in self._edges.values()
            ]
        return "\n".join(["digraph lineage {", "  rankdir=LR;", *nodes, *edges, "}"]) + "\n"


def way_back(before: Mapping[str, str | None], target_id: str) -> list[str]:
    """Return the way to a node that `came_from` found, from its start; empty when it does not get there."""
    if target_id not in before:
        return []
    path, here = [], target_id
    while True:
        path.append(here)
        earlier = before[here]
        if earlier is None:
            return path[::-1]
        here = earlier


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
