"""Where the boxes and lines of a diagram stand: pure geometry, the same for the same input.

Boxes that are connected are drawn in layers from left (what is referred to) to right (what refers), as Sugiyama, Tagawa and
Toda describe in "Methods for Visual Understanding of Hierarchical System Structures" (IEEE SMC 11, 1981); no layer gets taller
than the shape of the page wants, after Coffman and Graham. Boxes without lines stand in a grid below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import pairwise

from dbops.dataclass import dataclass

GAP_X, GAP_Y, LANE, BLOCK_GAP = 84.0, 26.0, 14.0, 56.0
_SWEEPS = 12

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle to be placed."""

    key: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Wire:
    """A line from box `child` to box `parent`; `child_y`, `parent_y` are where it meets them, from their upper edge."""

    child: str
    parent: str
    child_y: float
    parent_y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """`places` are the upper left corners by key; `routes` the points of each wire, from its child to its parent."""

    places: Mapping[str, Point]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def arrange(boxes: Sequence[Box], wires: Sequence[Wire], aspect: float = 1.6) -> Drawing:
    """Place every box and route every wire; `aspect` is the width of the page by its height."""
    by_key = {box.key: box for box in boxes}
    blocks = []
    singles = []
    for keys in _components(list(by_key), wires):
        if len(keys) == 1:
            singles.append(by_key[keys[0]])
        else:
            blocks.append(_Block.of([by_key[key] for key in keys], [w for w in wires if w.child in keys], aspect))
    area = sum(block.width * block.height for block in blocks) + sum((b.width + GAP_Y) * (b.height + GAP_Y) for b in singles)
    page = max([(area * aspect) ** 0.5, *(block.width for block in blocks)], default=0.0)
    if singles:
        blocks.append(_grid(singles, page))
    return _packed(blocks, wires, page, by_key)


@dataclass(slots=True)
class _Block:
    """Placed boxes that move together."""

    places: dict[str, Point]
    lanes: dict[Wire, list[Point]]
    width: float
    height: float

    @classmethod
    def of(cls, boxes: Sequence[Box], wires: Sequence[Wire], aspect: float) -> _Block:
        """Draw one connected part in layers."""
        return _Layers(boxes, [wire for wire in wires if wire.child != wire.parent], aspect).block()


def _components(keys: Sequence[str], wires: Iterable[Wire]) -> list[list[str]]:
    """Return the connected parts, largest first, else in the given order."""
    near: defaultdict[str, list[str]] = defaultdict(list)
    for wire in wires:
        near[wire.child].append(wire.parent)
        near[wire.parent].append(wire.child)
    seen: set[str] = set()
    found = []
    for key in keys:
        if key in seen:
            continue
        part, queue = [], [key]
        seen.add(key)
        while queue:
            part.append(queue.pop())
            for other in near[part[-1]]:
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        inside = set(part)
        found.append([name for name in keys if name in inside])
    return sorted(found, key=len, reverse=True)


@dataclass(slots=True)
class _Node:
    """A box in its layer, or a lane: the place where a wire crosses a layer that it does not end in."""

    name: str
    width: float
    height: float
    layer: int
    is_lane: bool = False
    y: float = 0.0
    left: list[tuple[_Node, float, float]] = field(default_factory=list)
    right: list[tuple[_Node, float, float]] = field(default_factory=list)


class _Layers:
    """One connected part on its way from layers to coordinates."""

    def __init__(self, boxes: Sequence[Box], wires: Sequence[Wire], aspect: float) -> None:
        self._wires = wires
        turned = _against_the_current(boxes, wires)
        self._ends = {w: (w.child, w.parent) if w in turned else (w.parent, w.child) for w in wires}
        layer = _layered(boxes, list(self._ends.values()), aspect)
        self._boxes = {box.key: _Node(box.key, box.width, box.height, layer[box.key]) for box in boxes}
        self._layers: list[list[_Node]] = [[] for _ in range(max(layer.values()) + 1)]
        for node in self._boxes.values():
            self._layers[node.layer].append(node)
        self._chains = {wire: self._chain(wire) for wire in wires}

    def _chain(self, wire: Wire) -> list[_Node]:
        """Return the nodes a wire runs through, from left to right, with a lane in every layer between; join them."""
        start, end = (self._boxes[name] for name in self._ends[wire])
        lanes = [
            _Node(f"{start.name}>{end.name}@{layer}", 0, LANE, layer, is_lane=True) for layer in range(start.layer + 1, end.layer)
        ]
        chain = [start, *lanes, end]
        for lane in lanes:
            self._layers[lane.layer].append(lane)
        for a, b in pairwise(chain):
            at_a, at_b = self._port(a, wire), self._port(b, wire)
            a.right.append((b, at_a, at_b))
            b.left.append((a, at_b, at_a))
        return chain

    def _port(self, node: _Node, wire: Wire) -> float:
        if node.is_lane:
            return LANE / 2
        return wire.child_y if node.name == wire.child else wire.parent_y

    def block(self) -> _Block:
        self._untangle()
        self._settle()
        lefts, width = self._columns()
        top = min(node.y for layer in self._layers for node in layer)
        places = {node.name: (lefts[node.layer], node.y - top) for node in self._boxes.values()}
        lanes = {wire: self._points(wire, lefts, top) for wire in self._wires}
        height = max(node.y + node.height for layer in self._layers for node in layer) - top
        return _Block(places, lanes, width, height)

    def _untangle(self) -> None:
        """Order each layer so that few wires cross: every node to the middle of its neighbours, back and forth."""
        for layer in self._layers:
            _stack(layer)
        best, fewest = [list(layer) for layer in self._layers], self._crossings()
        for sweep in range(_SWEEPS):
            order = self._layers if sweep % 2 == 0 else self._layers[::-1]
            for layer in order:
                side = "left" if sweep % 2 == 0 else "right"
                layer.sort(key=lambda node: _wanted(node, side) + node.height / 2)
                _stack(layer)
            found = self._crossings()
            if found < fewest:
                best, fewest = [list(layer) for layer in self._layers], found
        self._layers = best
        for layer in self._layers:
            _stack(layer)

    def _crossings(self) -> int:
        count = 0
        for layer in self._layers:
            ends = sorted((a.y + at_a, b.y + at_b) for a in layer for b, at_a, at_b in a.right)
            for place, (_, y) in enumerate(ends):
                count += sum(other < y for _, other in ends[place + 1 :])
        return count

    def _settle(self) -> None:
        """Move nodes up and down, order kept, so that wires are as straight as they can be."""
        for sweep in range(_SWEEPS):
            order = self._layers if sweep % 2 == 0 else self._layers[::-1]
            for layer in order:
                side = "both" if sweep > _SWEEPS - 3 else "left" if sweep % 2 == 0 else "right"
                _spread(layer, [_wanted(node, side) for node in layer])

    def _columns(self) -> tuple[list[float], float]:
        """Return where each layer begins, and where the last one ends."""
        lefts, x = [], 0.0
        for layer in self._layers:
            lefts.append(x)
            widest = max((node.width for node in layer), default=0.0)
            x += widest + GAP_X + 3 * min(sum(len(node.right) for node in layer), 30)
        return lefts, max(lefts[node.layer] + node.width for node in self._boxes.values())

    def _points(self, wire: Wire, lefts: Sequence[float], top: float) -> list[Point]:
        """Return the points of a wire from left to right; beside each box it runs level to the edge of the layer."""
        points: list[Point] = []
        chain = self._chains[wire]
        for node in chain:
            y = node.y + self._port(node, wire) - top
            left, widest = lefts[node.layer], max(other.width for other in self._layers[node.layer])
            if node is chain[0]:
                points += [(left + node.width, y), (left + widest, y)]
            elif node is chain[-1]:
                points.append((left, y))
            else:
                points += [(left, y), (left + widest, y)]
        return points if self._ends[wire][0] == wire.child else points[::-1]


def _against_the_current(boxes: Sequence[Box], wires: Sequence[Wire]) -> set[Wire]:
    """Return wires that close a cycle: drawn with their child on the left."""
    children: defaultdict[str, list[Wire]] = defaultdict(list)
    for wire in wires:
        children[wire.parent].append(wire)
    referring = {wire.child for wire in wires}
    turned: set[Wire] = set()
    state: dict[str, int] = {}
    for root in sorted((box.key for box in boxes), key=lambda key: key in referring):
        if root in state:
            continue
        state[root] = 1
        stack = [(root, iter(children[root]))]
        while stack:
            key, rest = stack[-1]
            closing = next(rest, None)
            if closing is None:
                state[key] = 2
                stack.pop()
            elif state.get(closing.child) == 1:
                turned.add(closing)
            elif closing.child not in state:
                state[closing.child] = 1
                stack.append((closing.child, iter(children[closing.child])))
    return turned


def _layered(boxes: Sequence[Box], ends: Sequence[tuple[str, str]], aspect: float) -> dict[str, int]:
    """Return the layer of each box: right of all it refers to, and no layer much taller than `aspect` allows."""
    before: defaultdict[str, set[str]] = defaultdict(set)
    after: defaultdict[str, set[str]] = defaultdict(set)
    for left, right in ends:
        before[right].add(left)
        after[left].add(right)
    area = sum((box.width + GAP_X) * (box.height + GAP_Y) for box in boxes)
    room = max([(area / aspect) ** 0.5 * 1.15, *(box.height + GAP_Y for box in boxes)])
    heights = {box.key: box.height + GAP_Y for box in boxes}
    loads: defaultdict[int, float] = defaultdict(float)
    layer: dict[str, int] = {}
    ready = [box.key for box in boxes if not before[box.key]]
    while ready:
        ready.sort(key=lambda key: (max((layer[other] for other in before[key]), default=0), -len(after[key])))
        key = ready.pop(0)
        place = max((layer[other] + 1 for other in before[key]), default=0)
        while loads[place] and loads[place] + heights[key] > room:
            place += 1
        layer[key] = place
        loads[place] += heights[key]
        ready += [other for other in sorted(after[key]) if other not in layer and before[other] <= layer.keys()]
    _pull(layer, before, after, loads, heights, room)
    return layer


def _pull(
    layer: dict[str, int],
    before: Mapping[str, set[str]],
    after: Mapping[str, set[str]],
    loads: dict[int, float],
    heights: Mapping[str, float],
    room: float,
) -> None:
    """Move boxes that hang on the right only next to what refers to them."""
    for key in sorted(layer, key=lambda key: -layer[key]):
        if before[key] or not after[key]:
            continue
        for place in range(min(layer[other] for other in after[key]) - 1, layer[key], -1):
            if loads[place] + heights[key] <= room:
                loads[layer[key]] -= heights[key]
                layer[key] = place
                loads[place] += heights[key]
                break


def _gap(above: _Node, below: _Node) -> float:
    return 4.0 if above.is_lane and below.is_lane else GAP_Y


def _stack(layer: Sequence[_Node]) -> None:
    y = 0.0
    for place, node in enumerate(layer):
        y += _gap(layer[place - 1], node) if place else 0.0
        node.y = y
        y += node.height
    for node in layer:  # layers of different heights meet at their middles
        node.y -= y / 2


def _wanted(node: _Node, side: str) -> float:
    """Return the upper edge that would make the wires on one side (or on both) level on average."""
    near = (node.left if side != "right" else []) + (node.right if side != "left" else [])
    if not near:
        return node.y
    return sum(other.y + there - here for other, here, there in near) / len(near)


def _spread(layer: Sequence[_Node], wanted: Sequence[float]) -> None:
    """Put nodes as near to where they want to be as their order and gaps allow.

    Neighbours that would overlap form a group that stands at the average of its wishes (pooling adjacent violators).
    """
    offsets, offset = [], 0.0
    for place, node in enumerate(layer):
        if place:
            offset += layer[place - 1].height + _gap(layer[place - 1], node)
        offsets.append(offset)
    groups: list[list[float]] = []  # each: sum of wishes, how many
    for wish, offset in zip(wanted, offsets, strict=True):
        groups.append([wish - offset, 1.0])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
    place = 0
    for total, count in groups:
        for _ in range(int(count)):
            layer[place].y = total / count + offsets[place]
            place += 1


def _grid(boxes: Sequence[Box], page: float) -> _Block:
    """Place boxes in columns of one width, each into the shortest column."""
    width = max(box.width for box in boxes)
    number = min(len(boxes), max(1, int((page + GAP_Y) // (width + GAP_Y))))
    ends = [0.0] * number
    places = {}
    for box in boxes:
        column = min(range(number), key=lambda place: (ends[place], place))
        places[box.key] = (column * (width + GAP_Y), ends[column])
        ends[column] += box.height + GAP_Y
    return _Block(places, {}, number * (width + GAP_Y) - GAP_Y, max(ends) - GAP_Y)


def _packed(blocks: Sequence[_Block], wires: Sequence[Wire], page: float, boxes: Mapping[str, Box]) -> Drawing:
    """Put blocks on shelves as wide as the page, in the given order."""
    x = y = shelf = width = 0.0
    places: dict[str, Point] = {}
    lanes: dict[Wire, tuple[Point, ...]] = {}
    for block in blocks:
        if x and x + block.width > page:
            x, y, shelf = 0.0, y + shelf + BLOCK_GAP, 0.0
        places |= {key: (x + left, y + top) for key, (left, top) in block.places.items()}
        lanes |= {wire: tuple((x + left, y + top) for left, top in points) for wire, points in block.lanes.items()}
        width = max(width, x + block.width)
        x += block.width + BLOCK_GAP
        shelf = max(shelf, block.height)
    routes = tuple(lanes[wire] if wire in lanes else _loop(wire, places[wire.child], boxes[wire.child]) for wire in wires)
    width = max([width, *(x for route in routes for x, _ in route)])
    return Drawing(places, routes, width, y + shelf)


def _loop(wire: Wire, place: Point, box: Box) -> tuple[Point, ...]:
    """Return the way of a wire that comes back to its own box, on its right side."""
    x, y = place
    right = x + box.width
    return (
        (right, y + wire.child_y),
        (right + 28, y + wire.child_y),
        (right + 28, y + wire.parent_y),
        (right, y + wire.parent_y),
    )
