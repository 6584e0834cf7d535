"""Tables and foreign keys as an erDiagram of Mermaid, which code hosts draw inside Markdown.

Names are free text in a database and are not in Mermaid: what its grammar (erDiagram.jison, 10 and 11) has no escape for is
replaced by a character that looks alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbops.cli.views import wording
from dbops.usecases.entities import Attribute, Entity, Relationship, entities, relationships
from dbops.usecases.inspect import Inspection

_ALIKE = str.maketrans(
    {'"': "”", "%": "％", "\\": "＼", "<": "‹", ">": "›", "`": "ˋ", "~": "∼", "#": "＃", "$": "＄", "*": "∗", "|": "¦"}
)
_DIRECTION = re.compile(r"(direction)\s+(?=(?:TB|BT|RL|LR))", re.IGNORECASE)
_NO_WORD = re.compile(r"[^A-Za-z0-9_\u00c0-\uffff-]")
_NO_TYPE = re.compile(r"[^A-Za-z0-9_\u00c0-\uffff()\[\]-]+")
_START = re.compile(r"[A-Za-z_\u00c0-\uffff]")
_KEY = re.compile(r"(?:PK|FK|UK)(?![A-Za-z0-9_])", re.IGNORECASE)


def inspection_mermaid(inspection: Inspection) -> str:
    """Return the diagram of all tables."""
    return entities_mermaid(entities(inspection.catalog), relationships(inspection.catalog))


def entities_mermaid(tables: Sequence[Entity], references: Sequence[Relationship]) -> str:
    """Return the diagram, one entity for each table and one line for each foreign key; two tables never share a name."""
    names = _names(tables)
    lines = ["erDiagram"]
    for table in tables:
        name = names[table.ref]
        if table.attributes:
            lines += [f"    {name} {{", *_attributes(table.attributes), "    }"]
        else:
            lines.append(f"    {name}")
    for reference in references:
        lines.append(f"    {names[reference.parent]} {_line(reference)} {names[reference.child]} : {_label(reference)}")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return text as a quoted name or comment of Mermaid."""
    clean = wording.on_one_line(text).translate(_ALIKE)
    return '"' + (_DIRECTION.sub(r"\1_", clean) or " ") + '"'


def _names(tables: Sequence[Entity]) -> dict[object, str]:
    names: dict[object, str] = {}
    taken: set[str] = set()
    for table in tables:
        name, count = quoted(table.title), 1
        while name in taken:
            count += 1
            name = quoted(f"{table.title} ({count})")
        taken.add(name)
        names[table.ref] = name
    return names


def _attributes(attributes: Sequence[Attribute]) -> Iterator[str]:
    for attribute in attributes:
        name = _word(attribute.name)
        notes = []
        if name != attribute.name:
            notes.append(attribute.name)
        if attribute.nullable:
            notes.append("null")
        if attribute.comment:
            notes.append(attribute.comment)
        keys = ",".join(attribute.keys)
        note = quoted(", ".join(notes)) if notes else ""
        yield "        " + " ".join(part for part in (_type(attribute.type), name, keys, note) if part)


def _word(text: str) -> str:
    """Return a name as the word that an attribute's name must be."""
    word = _NO_WORD.sub("_", text)
    return f"_{word}" if not _START.match(word) or _KEY.match(word) else word


def _type(text: str) -> str:
    """Return a type as one word: `numeric(10_2)`, `timestamp_with_time_zone`."""
    word = _NO_TYPE.sub("_", text)
    return f"_{word}" if not _START.match(word) or _KEY.match(word) else word


def _line(reference: Relationship) -> str:
    parent = "||" if reference.needs_parent else "|o"
    child = "o|" if reference.is_single else "o{"
    return f"{parent}{'--' if reference.is_identifying else '..'}{child}"


def _label(reference: Relationship) -> str:
    return quoted(", ".join(reference.columns))
