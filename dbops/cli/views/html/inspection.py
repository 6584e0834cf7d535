"""The page of a database: a diagram of its tables, and everything in it to browse and search.

Of very large databases the most connected part is drawn and described in full, so that a browser can hold the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from dbops.cli.views import wording
from dbops.cli.views.html.diagram import Sheet, sheet_svg, sheets
from dbops.cli.views.html.markup import Child, Markup, joined, tag
from dbops.cli.views.html.page import anchor, code, link, page, sql_block, table, theme_button
from dbops.usecases.entities import Relationship, entities, relationships
from dbops.usecases.handbook import ColumnLine, Leaf, PartLine, handbook
from dbops.usecases.inspect import Inspection

MOST_SHEETS, MOST_IN_FULL = 12, 1_000
"""So many sheets are drawn, and so many objects described in full, on one page."""


def inspection_html(inspection: Inspection) -> str:
    """Return the page."""
    leaves = handbook(inspection)
    in_full = _in_full(leaves)
    shows_schemas = len({leaf.ref.schema for leaf in leaves if leaf.ref.schema}) > 1
    known = {str(leaf.ref) for leaf in leaves}
    return page(
        f"{inspection.name} · database",
        _header(inspection, leaves),
        _diagrams(inspection),
        _not_managed(inspection),
        *(_section(kind, list(group), known, in_full) for kind, group in groupby(leaves, key=lambda leaf: leaf.kind)),
        tag("p", "No object matches.", id="nothing", hidden=True),
        aside=_aside(inspection, leaves, shows_schemas),
    )


def _in_full(leaves: Sequence[Leaf]) -> set[str]:
    """Return the objects to describe in full: those with the most neighbours, where there are too many for all."""
    by_neighbours = sorted(leaves, key=lambda leaf: -len(leaf.referred_by) - len(leaf.uses) - len(leaf.used_by))
    return {str(leaf.ref) for leaf in by_neighbours[:MOST_IN_FULL]}


def _aside(inspection: Inspection, leaves: Sequence[Leaf], shows_schemas: bool) -> Markup:
    search = tag(
        "div",
        tag("label", "Search tables, columns, code", for_="search", class_="unseen"),
        tag("input", id="search", type="search", placeholder="Search   /", autocomplete="off", spellcheck="false"),
        tag("p", role="status", id="found", aria_live="polite"),
        class_="search needs-script",
    )
    lists = (
        tag(
            "details",
            tag("summary", _plural(kind), " ", tag("small", f"{len(group):,}")),
            _entries(group, shows_schemas),
            open=True,
        )
        for kind, group in ((kind, list(found)) for kind, found in groupby(leaves, key=lambda leaf: leaf.kind))
    )
    title = tag("div", tag("a", inspection.name, href="#content", class_="brand"), theme_button(), class_="title")
    return tag("aside", title, search, tag("nav", *lists, aria_label="Objects"))


def _entries(leaves: Sequence[Leaf], shows_schemas: bool) -> Markup:
    groups = groupby(leaves, key=lambda leaf: leaf.ref.schema if shows_schemas else "")
    return joined(
        *(
            tag("div", tag("p", schema, class_="space") if schema else None, tag("ul", *map(_entry, group)), class_="group")
            for schema, group in groups
        )
    )


def _entry(leaf: Leaf) -> Markup:
    return tag("li", link(str(leaf.ref), leaf.ref.name), data_find=_words(leaf), title=leaf.ref.qualified)


def _words(leaf: Leaf) -> str:
    """Return what the search looks at."""
    names = [leaf.ref.qualified, leaf.kind, leaf.comment]
    names += [word for column in leaf.columns for word in (column.name, column.comment)]
    names += [part.name for part in leaf.parts]
    return " ".join(name for name in names if name).lower()


def _header(inspection: Inspection, leaves: Sequence[Leaf]) -> Markup:
    server = inspection.server
    counts = Counter(leaf.kind for leaf in leaves)
    totals = (tag("li", tag("b", f"{number:,}"), " ", _noun(kind, number)) for kind, number in counts.items())
    return tag(
        "header",
        tag("h1", inspection.name),
        tag("p", code(inspection.url), " · ", f"{server.flavour} {server.version_text}", class_="where"),
        tag("ul", *totals, class_="totals") if counts else tag("p", "The database is empty."),
        _brevity(len(leaves)),
    )


def _brevity(objects: int) -> Markup | None:
    if objects <= MOST_IN_FULL:
        return None
    said = f"The {MOST_IN_FULL:,} objects with the most neighbours are described in full, the others in brief: "
    return tag("p", said, code("dbops inspect -o sql"), " and ", code("-o json"), " leave nothing out.")


def _diagrams(inspection: Inspection) -> Markup | None:
    tables, references = entities(inspection.catalog), relationships(inspection.catalog)
    colors = {schema: number for number, schema in enumerate(sorted({table.ref.schema for table in tables}))}
    found = _most_connected(sheets(tables, references), references)
    if not found:
        return None
    drawn = [
        tag(
            "div",
            sheet_svg(sheet, references, colors, number),
            class_="sheet",
            id=f"sheet-{number}",
            tabindex=0,
            role="group",
            aria_label=f"{sheet.title}: arrow keys move, plus and minus zoom, 0 shows all",
        )
        for number, sheet in enumerate(found)
    ]
    left_out = len(tables) - sum(len(sheet.tables) for sheet in found)
    note = tag("p", f"{left_out:,} tables with fewer foreign keys among them are not drawn.") if left_out else None
    toolbar = _toolbar([sheet.title for sheet in found])
    return tag("section", tag("h2", "Diagram"), toolbar, *drawn, note, _legend(), class_="diagram")


def _most_connected(found: Sequence[Sheet], references: Sequence[Relationship]) -> Sequence[Sheet]:
    """Return the sheets with the most foreign keys between their tables, in their order, where there are too many to draw."""
    if len(found) <= MOST_SHEETS:
        return found
    sheet_of = {table.ref: number for number, sheet in enumerate(found) for table in sheet.tables}
    wires = Counter(sheet_of[r.child] for r in references if r.child in sheet_of and sheet_of[r.child] == sheet_of.get(r.parent))
    chosen = sorted(range(len(found)), key=lambda number: (-wires[number], number))[:MOST_SHEETS]
    return [found[number] for number in sorted(chosen)]


def _toolbar(titles: Sequence[str]) -> Markup:
    options = (tag("option", title, value=number) for number, title in enumerate(titles))
    chooser = tag("label", "Sheet ", tag("select", *options, id="sheet")) if len(titles) > 1 else None
    buttons = (
        tag("button", label, type="button", data_zoom=name, title=title, aria_label=title)
        for label, name, title in (
            ("−", "out", "Zoom out"),
            ("+", "in", "Zoom in"),
            ("Fit", "fit", "Show all"),
            ("1:1", "one", "Full size"),
        )
    )
    return tag("div", chooser, tag("span", *buttons, class_="zoom"), class_="toolbar needs-script")


def _legend() -> Markup:
    return tag(
        "p",
        *(tag("b", key, class_=f"badge {key.lower()}") for key in ("PK", "FK", "UK")),
        " primary, foreign, unique key · ",
        code("type?"),
        " may be NULL · crow’s foot: many, bar: one, ring: none too · dashed: not part of the primary key",
        class_="legend",
    )


def _not_managed(inspection: Inspection) -> Markup | None:
    found = inspection.catalog.unmanaged
    if not found:
        return None
    rows: list[list[Child]] = [[item.kind.replace("_", " "), code(item.name), item.reason] for item in found]
    return tag("section", tag("h2", "Not managed"), table(["Kind", "Name", "Reason"], rows, "objects that are not managed"))


def _section(kind: str, leaves: Sequence[Leaf], known: set[str], in_full: set[str]) -> Markup:
    articles = (_leaf(leaf, known) if str(leaf.ref) in in_full else _brief(leaf) for leaf in leaves)
    return tag("section", tag("h2", _plural(kind)), *articles, class_="leaves")


def _title(leaf: Leaf) -> Markup:
    space = tag("span", f"{leaf.ref.schema}.", class_="space") if leaf.ref.schema else None
    return tag("h3", link(str(leaf.ref), space, leaf.ref.name, class_="self"), " ", tag("small", leaf.kind))


def _brief(leaf: Leaf) -> Markup:
    """Return an object with its columns on one line."""
    columns = ", ".join(f"{column.name} {column.type}" for column in leaf.columns)
    comment = tag("p", leaf.comment, class_="comment") if leaf.comment else None
    line = tag("p", code(columns)) if columns else None
    return tag("article", _title(leaf), comment, line, id=anchor(str(leaf.ref)), data_find=leaf.ref.qualified.lower())


def _leaf(leaf: Leaf, known: set[str]) -> Markup:
    address = str(leaf.ref)
    return tag(
        "article",
        _title(leaf),
        tag("p", leaf.comment, class_="comment") if leaf.comment else None,
        _facts(leaf),
        _columns(leaf),
        _parts(leaf, known),
        _references(leaf),
        tag("details", tag("summary", "SQL"), sql_block(leaf.sql)) if leaf.sql else None,
        id=anchor(address),
        data_find=_words(leaf),
    )


def _facts(leaf: Leaf) -> Markup | None:
    if not leaf.facts:
        return None
    return tag("dl", *(joined(tag("dt", label), tag("dd", code(value))) for label, value in leaf.facts))


def _columns(leaf: Leaf) -> Markup | None:
    if not leaf.columns:
        return None
    is_output = all(column.nullable is None for column in leaf.columns)
    head = ["Column", "Type"] if is_output else ["Column", "Type", "Null", "Default", "Comment"]
    has_comments = any(column.comment for column in leaf.columns)
    if not has_comments and not is_output:
        head = head[:-1]
    rows = [list(_column(column))[: len(head)] for column in leaf.columns]
    return table(head, rows, f"columns of {leaf.ref.name}")


def _column(column: ColumnLine) -> Iterator[Child]:
    yield joined(code(column.name, class_="name"), *(_badge(key) for key in column.keys))
    yield code(column.type, class_="type")
    yield {True: "null", False: tag("span", "not null", class_="not-null"), None: ""}[column.nullable]
    yield code(column.filled) if column.filled else ""
    yield column.comment


def _badge(key: str) -> Markup:
    words = {"PK": "primary key", "FK": "foreign key", "UK": "unique"}
    return joined(" ", tag("abbr", key, class_=f"badge {key.lower()}", title=words[key]))


def _parts(leaf: Leaf, known: set[str]) -> Markup | None:
    if not leaf.parts:
        return None
    rows = [_part(part, known) for part in leaf.parts]
    return table(["Part", "Name", "Definition"], rows, f"keys, indexes and other parts of {leaf.ref.name}")


def _part(part: PartLine, known: set[str]) -> list[Child]:
    said: list[Child] = [code(part.detail)]
    if part.parent and str(part.parent) in known:
        said += [" ", link(str(part.parent), "→ ", part.parent.qualified)]
    if part.comment:
        said.append(tag("p", part.comment, class_="comment"))
    return [part.kind, code(part.name) if part.name else "", said]


def _references(leaf: Leaf) -> Markup | None:
    lines = []
    if leaf.referred_by:
        found = (joined(link(str(ref), ref.qualified), " ", code(f"({columns})")) for ref, columns in leaf.referred_by)
        lines.append(_line("Referred to by", list(found)))
    for label, refs in (("Uses", leaf.uses), ("Used by", leaf.used_by)):
        if refs:
            lines.append(_line(label, [link(str(ref), ref.qualified) for ref in refs]))
    return tag("div", *lines, class_="references") if lines else None


def _line(label: str, links: Sequence[Markup]) -> Markup:
    return tag("p", tag("b", label), " ", *(joined(", " if place else "", found) for place, found in enumerate(links)))


def _plural(kind: str) -> str:
    return _noun(kind, 2).capitalize()


def _noun(kind: str, number: int) -> str:
    return kind if number == 1 else wording.plural(kind)
