"""Tables and foreign keys drawn: sheets of at most some dozen tables, each an SVG with a card for each table."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from dbops.cli.views.html.layout import Box, Drawing, Point, Wire, arrange
from dbops.cli.views.html.markup import Markup, joined, tag
from dbops.cli.views.html.page import anchor
from dbops.dataclass import dataclass
from dbops.usecases.entities import Attribute, Entity, Relationship

SHEET = 60
"""How many tables stay readable on one sheet."""

_ROW, _HEAD, _CHAR, _PAD, _MARGIN = 21.0, 32.0, 7.25, 12.0, 28.0
_MOST_ROWS, _NAME, _TYPE = 14, 30, 22


@dataclass(frozen=True, slots=True)
class Sheet:
    """Tables that are drawn together."""

    title: str
    tables: tuple[Entity, ...]


def sheets(tables: Sequence[Entity], references: Sequence[Relationship]) -> list[Sheet]:
    """Return the tables on one sheet where they fit; else by schema, and by what refers to each other most closely."""
    if len(tables) <= SHEET:
        return [Sheet("All tables", tuple(tables))] if tables else []
    by_schema: defaultdict[str, list[Entity]] = defaultdict(list)
    for table in tables:
        by_schema[table.ref.schema].append(table)
    found = []
    for schema, members in by_schema.items():
        prefix = f"{schema}: " if len(by_schema) > 1 else ""
        if len(members) <= SHEET:
            found.append(Sheet(schema or "All tables", tuple(members)))
        else:
            found += [Sheet(prefix + sheet.title, sheet.tables) for sheet in _clusters(members, references)]
    return found


def _clusters(tables: Sequence[Entity], references: Sequence[Relationship]) -> Iterator[Sheet]:
    """Join tables along their references, those of rarely referenced tables first, as long as a sheet can hold them."""
    inside = {table.ref: table for table in tables}
    edges = [r for r in references if r.child in inside and r.parent in inside and r.child != r.parent]
    degree = Counter(ref for edge in edges for ref in (edge.child, edge.parent))
    group: dict[object, list[Entity]] = {table.ref: [table] for table in tables}
    for edge in sorted(edges, key=lambda edge: (degree[edge.child] * degree[edge.parent], edge.child, edge.parent)):
        one, other = group[edge.child], group[edge.parent]
        if one is not other and len(one) + len(other) <= SHEET * 2 // 3:
            one += other
            for table in other:
                group[table.ref] = one
    known = {id(members): members for members in group.values()}
    small = [table for members in known.values() if len(members) < 4 for table in members]
    for members in sorted((m for m in known.values() if len(m) >= 4), key=len, reverse=True):
        middle = max(members, key=lambda table: degree[table.ref])
        yield Sheet(f"around {middle.ref.name}", tuple(sorted(members, key=lambda table: table.ref)))
    small.sort(key=lambda table: table.ref)
    for start in range(0, len(small), SHEET):
        part = small[start : start + SHEET]
        yield Sheet(f"{part[0].ref.name} … {part[-1].ref.name}", tuple(part))


def sheet_svg(sheet: Sheet, references: Sequence[Relationship], colors: Mapping[str, int], number: int) -> Markup:
    """Return one sheet; tables of other sheets that it refers to are drawn as names.

    `colors` number the schemas; where there is one alone, it is not said.
    """
    cards = {str(table.ref): _Card(table, table.title if len(colors) > 1 else table.ref.name) for table in sheet.tables}
    here = {table.ref for table in sheet.tables}
    shown = [reference for reference in references if reference.child in here]
    away = {str(r.parent): r.parent for r in shown if r.parent not in here}
    boxes = [Box(key, card.width, card.height) for key, card in cards.items()]
    boxes += [Box(key, _wide(ref.qualified, _NAME) + 2 * _PAD, _HEAD) for key, ref in away.items()]
    wires = [_wire(reference, cards) for reference in shown]
    drawing = arrange(boxes, wires)
    lines = (_line(reference, route) for reference, route in zip(shown, drawing.routes, strict=True))
    tables = (_drawn(card, drawing.places[key], colors.get(card.table.ref.schema, 0)) for key, card in cards.items())
    names = (_away(key, ref.qualified, drawing, boxes) for key, ref in away.items())
    size = (-_MARGIN, -_MARGIN, drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN)
    return tag(
        "svg",
        tag("title", f"Diagram: {sheet.title}"),
        tag("g", *lines, class_="lines", aria_hidden="true"),
        tag("g", *tables, *names),
        viewBox=" ".join(f"{value:.0f}" for value in size),
        width=f"{size[2]:.0f}",
        height=f"{size[3]:.0f}",
        role="group",
        aria_label=f"Diagram of {len(sheet.tables)} tables and {len(shown)} references; the list below says the same",
        data_sheet=number,
    )


class _Card:
    """A table as it is drawn: which columns, how wide, how high. Keys are never left out for length."""

    def __init__(self, table: Entity, title: str) -> None:
        self.table, self.title = table, title
        rows = list(table.attributes)
        if len(rows) > _MOST_ROWS:
            keyed = sum(bool(row.keys) for row in rows)
            spare = max(_MOST_ROWS - 1 - keyed, 0)
            rows = [row for place, row in enumerate(rows) if row.keys or sum(not r.keys for r in rows[:place]) < spare]
        self.rows: list[Attribute] = rows
        self.hidden = len(table.attributes) - len(rows)
        names = max((_wide(row.name, _NAME) for row in rows), default=0.0)
        self.types = [_type(row, table.ref.schema) for row in rows]
        types = max((_wide(kind, _TYPE) for kind in self.types), default=0.0)
        self.key_width = 26.0 if any(row.keys for row in rows) else 0.0
        self.width = max(_wide(title, _NAME + 8) * 1.03 + 2 * _PAD, self.key_width + names + types + 2 * _PAD + 18, 120.0)
        self.height = _HEAD + _ROW * (len(rows) + bool(self.hidden)) + 6

    def y_of(self, columns: Sequence[str]) -> float:
        """Return the height at which a line about these columns meets the card: the first of them, or the head."""
        for place, row in enumerate(self.rows):
            if columns and row.name == columns[0]:
                return _HEAD + _ROW * (place + 0.5) + 3
        return _HEAD / 2


def _wire(reference: Relationship, cards: Mapping[str, _Card]) -> Wire:
    parent = cards.get(str(reference.parent))
    there = parent.y_of(reference.parent_columns) if parent else _HEAD / 2
    if reference.child == reference.parent:
        there = _HEAD / 2
    return Wire(str(reference.child), str(reference.parent), cards[str(reference.child)].y_of(reference.columns), there)


def _drawn(card: _Card, place: Point, color: int) -> Markup:
    x, y = place
    table = card.table
    rows = (_row(card, number) for number in range(len(card.rows)))
    more = None
    if card.hidden:
        at = _HEAD + _ROW * len(card.rows) + 18
        more = tag("text", f"and {card.hidden} more columns", class_="more", x=_PAD + card.key_width, y=at)
    keys = f"{table.title} {table.comment or ''}"
    return tag(
        "a",
        tag("title", keys.strip()),
        tag("rect", class_="card", width=card.width, height=card.height, rx=7),
        tag("path", class_=f"head c{color % 8}", d=_roof(card.width, _HEAD, 7)),
        tag("text", _short(card.title, _NAME + 8), class_="name", x=_PAD, y=_HEAD / 2 + 5),
        *rows,
        more,
        class_="table",
        href=f"#{anchor(str(table.ref))}",
        transform=f"translate({x:.1f} {y:.1f})",
        data_ref=str(table.ref),
        aria_label=f"table {table.title}, {len(table.attributes)} columns",
    )


def _roof(width: float, height: float, radius: float) -> str:
    """Return the outline of a card's head: round above, straight below."""
    r = radius
    return f"M0 {height:g}V{r:g}Q0 0 {r:g} 0H{width - r:.1f}Q{width:.1f} 0 {width:.1f} {r:g}V{height:g}Z"


def _row(card: _Card, number: int) -> Markup:
    row, baseline = card.rows[number], _HEAD + _ROW * number + 18
    key = row.keys[0] if row.keys else ""
    badge = tag("text", key, class_=f"key {key.lower()}", x=_PAD, y=baseline) if key else None
    name = tag(
        "text", _short(row.name, _NAME), class_="column pk" if key == "PK" else "column", x=_PAD + card.key_width, y=baseline
    )
    kind = tag("text", _short(card.types[number], _TYPE), class_="type", x=card.width - _PAD, y=baseline, text_anchor="end")
    return joined(badge, name, kind)


def _type(row: Attribute, schema: str) -> str:
    """Return a type as short as it can be said, a question mark behind it where the column may be NULL."""
    short = _SHORT_TYPES.get(row.type, row.type).removeprefix(f"{schema}.")
    for long, shorter in _SHORT_PARTS:
        short = short.replace(long, shorter)
    return f"{short}?" if row.nullable else short


_SHORT_TYPES = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "double precision": "double",
}
_SHORT_PARTS = (("character varying", "varchar"), ("character(", "char("))


def _away(key: str, name: str, drawing: Drawing, boxes: Sequence[Box]) -> Markup:
    x, y = drawing.places[key]
    width = next(box.width for box in boxes if box.key == key)
    return tag(
        "a",
        tag("title", f"{name}, on another sheet"),
        tag("rect", class_="card away", width=width, height=_HEAD, rx=7),
        tag("text", _short(name, _NAME), class_="name away", x=_PAD, y=_HEAD / 2 + 5),
        class_="table",
        href=f"#{anchor(key)}",
        transform=f"translate({x:.1f} {y:.1f})",
        data_ref=key,
        aria_label=f"table {name}, on another sheet",
    )


def _line(reference: Relationship, route: Sequence[Point]) -> Markup:
    """Return a curve with its ends: a crow's foot for many, a bar for one, a ring for none."""
    start, end = route[0], route[-1]
    out_at_start, out_at_end = _outwards(route), _outwards(route[::-1])
    marks = joined(
        tag("path", class_="end", d=_foot(start, out_at_start, many=not reference.is_single)),
        _ring(start, out_at_start, 17),
        tag("path", class_="end", d=_bar(end, out_at_end, 9)),
        _ring(end, out_at_end, 17) if not reference.needs_parent else tag("path", class_="end", d=_bar(end, out_at_end, 14)),
    )
    label = f"{reference.child.qualified} ({', '.join(reference.columns)}) refers to {reference.parent.qualified}"
    return tag(
        "g",
        tag("title", label),
        tag("path", class_="reach", d=_curve(route)),
        tag("path", class_="wire" if reference.is_identifying else "wire weak", d=_curve(route)),
        marks,
        class_="line",
        data_child=str(reference.child),
        data_parent=str(reference.parent),
    )


def _outwards(route: Sequence[Point]) -> int:
    """Return 1 when a route leaves its first point to the right, -1 when to the left."""
    x = route[0][0]
    return next((1 if other > x else -1 for other, _ in route[1:] if other != x), 1)


def _curve(route: Sequence[Point]) -> str:
    """Return the path through the points: level at each of them, in S-bends between."""
    (x, y), *rest = route
    parts = [f"M{x:.1f} {y:.1f}"]
    for nx, ny in rest:
        if abs(ny - y) < 0.5:
            parts.append(f"H{nx:.1f}")
        elif abs(nx - x) < 0.5:
            parts.append(f"V{ny:.1f}")
        else:
            middle = (x + nx) / 2
            parts.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {ny:.1f} {nx:.1f} {ny:.1f}")
        x, y = nx, ny
    return "".join(parts)


def _foot(at: Point, out: int, *, many: bool) -> str:
    x, y = at
    if not many:
        return _bar(at, out, 9)
    tip = x + out * 12
    return f"M{tip:.1f} {y:.1f}L{x:.1f} {y - 6:.1f}M{tip:.1f} {y:.1f}L{x:.1f} {y + 6:.1f}"


def _bar(at: Point, out: int, distance: int) -> str:
    x, y = at[0] + out * distance, at[1]
    return f"M{x:.1f} {y - 6:.1f}V{y + 6:.1f}"


def _ring(at: Point, out: int, distance: int) -> Markup:
    return tag("circle", class_="ring", cx=at[0] + out * distance, cy=at[1], r=4.0)


def _cells(text: str) -> int:
    """Return how many columns of a fixed-width font a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1 for char in text)


def _wide(text: str, most: int) -> float:
    return min(_cells(text), most) * _CHAR


def _short(text: str, most: int) -> str:
    if _cells(text) <= most:
        return text
    kept = ""
    for char in text:
        if _cells(kept + char) >= most:
            break
        kept += char
    return kept + "…"
