"""Lineage: walked at any depth, kept across programs, and asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from dbops.errors import DbopsError

DEEP = 100_000


def shop(tracker: LineageTracker) -> LineageTracker:
    tracker.register_dataset("orders", "Orders", "db://orders", {"owner": "shop"})
    tracker.register_transformation("clean", "Clean", ["orders"], ["clean_orders"])
    tracker.register_transformation("sum", "Sum", ["clean_orders"], ["totals"])
    tracker.register_node("forecast", "Forecast", NodeType.MODEL, ["totals"])
    tracker.register_node("board", "Board", NodeType.DASHBOARD, ["forecast", "totals"])
    return tracker


def ids(nodes: list[LineageNode]) -> list[str]:
    return [node.id for node in nodes]


def test_a_graph_is_walked_both_ways_and_analysed() -> None:
    tracker = shop(LineageTracker())
    graph = tracker.graph
    assert ids(graph.get_upstream("totals")) == ["sum", "clean_orders", "clean", "orders"]
    assert ids(graph.get_downstream("orders", max_depth=2)) == ["clean", "clean_orders"]
    assert graph.get_path("orders", "board") == ["orders", "clean", "clean_orders", "sum", "totals", "board"]
    assert graph.get_path("board", "orders") == [] and graph.get_path("sum", "sum") == ["sum"]
    assert ids(tracker.get_origin("board")) == ["orders"] and len(tracker.get_impact("clean")) == 5
    assert ImpactAnalyzer(graph).analyze_change("clean_orders") == {
        "source_node": "clean_orders",
        "total_affected": 4,
        "affected_datasets": ["totals"],
        "affected_models": ["forecast"],
        "affected_transformations": ["sum"],
        "affected_dashboards": ["board"],
        "impact_paths": [["clean_orders", "sum", "totals", "board"]],
        "risk_level": "high",
    }
    assert ImpactAnalyzer(graph).analyze_change("board")["risk_level"] == "low"
    assert [edge.key for edge in graph.get_edges(target_id="board")] == ["forecast->board:used_by", "totals->board:used_by"]
    assert graph.validate_graph() == {"valid": True, "node_count": 7, "edge_count": 7, "cycles": [], "isolated_nodes": []}


def test_a_chain_of_a_hundred_thousand_is_no_obstacle() -> None:
    graph = LineageGraph()
    for number in range(DEEP + 1):
        graph.add_node(LineageNode(str(number), str(number), NodeType.DATASET))
        if number:
            graph.add_edge(LineageEdge(str(number - 1), str(number), EdgeType.DERIVED_FROM))
    assert len(graph.get_downstream("0")) == len(graph.get_upstream(str(DEEP))) == DEEP
    assert len(ImpactAnalyzer(graph).analyze_change("0")["impact_paths"][0]) == DEEP + 1
    graph.add_edge(LineageEdge(str(DEEP), "0", EdgeType.DERIVED_FROM))
    assert len(graph.validate_graph()["cycles"][0]) == DEEP + 1 and len(graph.get_downstream("5")) == DEEP


def test_what_was_registered_is_there_in_the_next_program(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lineage.jsonl"
    tracker = shop(LineageTracker(path=path))
    tracker.register_dataset("orders", "Orders", "elsewhere")
    code = f"""
from dbops.api.lineage import LineageTracker
tracker = LineageTracker(path={str(path)!r})
print([node.id for node in tracker.get_impact("clean_orders")], tracker.graph.get_node("orders").metadata["location"])
with tracker.track("more", "More") as run:
    run.add_input("totals")
    run.add_output("archive")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['sum', 'totals', 'forecast', 'board'] elsewhere\n"
    again = LineageTracker(path=path)
    assert again.graph.get_path("orders", "archive")[-2:] == ["more", "archive"]
    assert again.graph.nodes[0] == tracker.graph.nodes[0]


def test_a_line_that_was_not_finished_is_left_out_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    shop(LineageTracker(path=path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    tracker = LineageTracker(path=path)
    assert tracker.graph.edge_count == 6
    tracker.register_dataset("x", "x")
    assert LineageTracker(path=path).graph.node_count == 8
    path.write_bytes(whole.replace(b'"transformation"', b'"transmutation"', 1))
    with pytest.raises(DbopsError) as caught:
        LineageTracker(path=path)
    assert "lineage.jsonl:3:1" in caught.value.explain()


def test_what_cannot_be_is_refused_and_nothing_is_added(tmp_path: Path) -> None:
    tracker = shop(LineageTracker(path=tmp_path / "lineage.jsonl"))
    before = tracker.graph.to_dict()
    for wrong in (
        lambda: tracker.graph.add_edge(LineageEdge("orders", "nothing", EdgeType.USED_BY)),
        lambda: tracker.graph.add_edge(LineageEdge("orders", "orders", EdgeType.USED_BY)),
        lambda: tracker.register_dataset("", "no id"),
        lambda: tracker.register_dataset("x", "x", metadata={"x": object()}),
        lambda: tracker.graph.add_node(LineageNode("x", "x", "table")),  # type: ignore[arg-type]
        lambda: tracker.get_impact("nothing"),
        lambda: tracker.graph.get_path("orders", "nothing"),
    ):
        with pytest.raises(DbopsError):
            wrong()
    with pytest.raises(ZeroDivisionError), tracker.track("broken", "Broken") as run:
        run.add_output("y")
        raise ZeroDivisionError
    assert tracker.graph.to_dict() == before == LineageTracker(path=tmp_path / "lineage.jsonl").graph.to_dict()


def test_dot_quotes_what_names_hold() -> None:
    tracker = LineageTracker()
    tracker.register_dataset('a"b', 'a "quoted"\nname\\')
    tracker.register_transformation("t", "T", ['a"b'], [])
    assert tracker.graph.export_to_dot() == (
        "digraph lineage {\n  rankdir=LR;\n"
        '  "a\\"b" [label="a \\"quoted\\"\\nname\\\\", shape=cylinder];\n  "t" [label="T", shape=box];\n'
        '  "a\\"b" -> "t" [label="input_to"];\n}\n'
    )


def test_an_asset_knows_its_content() -> None:
    asset = DataAsset("a", "A", "file://a", schema={"id": "integer"})
    assert asset.compute_checksum(b"abc").startswith("ba7816bf") and asset.size_bytes == 3
    node = LineageTracker().register_asset(asset)
    assert node.metadata == {"location": "file://a", "schema": {"id": "integer"}, "size_bytes": 3, "checksum": asset.checksum}


@given(
    st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))))
)
def test_a_graph_answers_as_networkx_does(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    size, edges = drawn
    graph, theirs = LineageGraph(), networkx.DiGraph()
    for number in range(size):
        graph.add_node(LineageNode(str(number), "", NodeType.DATASET))
        theirs.add_node(str(number))
    for source, target in edges:
        if source != target:
            graph.add_edge(LineageEdge(str(source), str(target), EdgeType.USED_BY))
            theirs.add_edge(str(source), str(target))
    for node in theirs:
        assert {item.id for item in graph.get_downstream(node)} == networkx.descendants(theirs, node)
        assert {item.id for item in graph.get_upstream(node)} == networkx.ancestors(theirs, node)
        lengths = networkx.single_source_shortest_path_length(theirs, node)
        assert {target: len(graph.get_path(node, target)) - 1 for target in lengths} == lengths
    circles = sorted(sorted(group) for group in networkx.strongly_connected_components(theirs) if len(group) > 1)
    assert graph.validate_graph()["cycles"] == circles
