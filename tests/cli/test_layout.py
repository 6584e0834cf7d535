"""The geometry of diagrams: nothing overlaps, wires end where they should, and the same input gives the same drawing."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from dbops.cli.views.html.layout import Box, Wire, arrange


@st.composite
def drawings(draw: st.DrawFn) -> tuple[list[Box], list[Wire]]:
    count = draw(st.integers(1, 24))
    sizes = st.integers(40, 400)
    boxes = [Box(f"t{number}", draw(sizes), draw(sizes)) for number in range(count)]
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=40))
    return boxes, [Wire(f"t{child}", f"t{parent}", 10 + number % 20, 16) for number, (child, parent) in enumerate(pairs)]


@settings(max_examples=60)
@given(drawings())
def test_boxes_never_overlap_and_wires_end_at_their_boxes(drawing: tuple[list[Box], list[Wire]]) -> None:
    boxes, wires = drawing
    found = arrange(boxes, wires)
    assert found == arrange(boxes, wires)
    by_key = {box.key: box for box in boxes}
    for a, b in combinations(boxes, 2):
        (ax, ay), (bx, by) = found.places[a.key], found.places[b.key]
        assert ax + a.width <= bx or bx + b.width <= ax or ay + a.height <= by + 0.01 or by + b.height <= ay + 0.01, (a, b)
    for wire, route in zip(wires, found.routes, strict=True):
        for key, y, point in ((wire.child, wire.child_y, route[0]), (wire.parent, wire.parent_y, route[-1])):
            left, top = found.places[key]
            assert abs(point[1] - top - y) < 0.01
            assert min(abs(point[0] - left), abs(point[0] - left - by_key[key].width)) < 0.01
    for key, (x, y) in found.places.items():
        assert (
            x >= 0
            and y >= -0.01
            and x + by_key[key].width <= found.width + 0.01
            and y + by_key[key].height <= found.height + 0.01
        )


def test_what_is_referred_to_stands_left_of_what_refers() -> None:
    boxes = [Box(name, 100, 100) for name in ("orders", "customers", "items")]
    found = arrange(boxes, [Wire("orders", "customers", 10, 10), Wire("items", "orders", 10, 10)])
    assert found.places["customers"][0] < found.places["orders"][0] < found.places["items"][0]


def test_a_table_that_all_others_refer_to_does_not_make_a_tower() -> None:
    boxes = [Box(f"t{number}", 200, 120) for number in range(50)]
    found = arrange(boxes, [Wire(f"t{number}", "t0", 30, 30) for number in range(1, 50)])
    assert 0.8 < found.width / found.height < 3
