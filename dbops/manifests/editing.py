"""Items of a YAML list edited in the text of their file: lines that an edit does not touch keep their spelling.

ruamel.yaml keeps comments but writes a whole item in its own layout; so only the lines that it would write otherwise after the
edit than before it are taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any

from dbops.errors import ManifestError, Mark
from dbops.manifests.loader import plain_value
from dbops.manifests.writing import literal

_KEY_OF_LIST = re.compile(r"^( *)(?:- )?[\w\"']+:[ \t]*(?:#.*)?\n((?:[ \t]*(?:#.*)?\n)*)( *)- ", re.MULTILINE)


class ListText:
    """A block list in a file: `items` are the places of its items' values, as marks count."""

    def __init__(self, text: str, items: Sequence[Mark]) -> None:
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self.lines: list[str] = text.replace("\r\n", "\n").split("\n")
        self._places = [(mark.line - 1, self._dash(mark)) for mark in items]
        self._end = self._end_of(len(items) - 1) if items else 0

    @property
    def text(self) -> str:
        return self._newline.join(self.lines)

    def edit(self, number: int, change: Callable[[Any], None]) -> None:
        """Let `change` edit an item, as ruamel.yaml's mapping. Items are edited from the last to the first."""
        start, dash = self._places[number]
        end = self._end_of(number)
        old = [line[dash:] for line in self.lines[start:end]]
        new = _edited(old, change)
        self.lines[start:end] = [" " * dash + line if line.strip() else line for line in new]

    def remove(self, number: int) -> None:
        """Remove an item, with comments directly above it and the blank lines behind it."""
        start, end = self._places[number][0], self._end_of(number)
        while start and self.lines[start - 1].lstrip().startswith("#"):
            start -= 1
        while end < len(self.lines) - 1 and not self.lines[end].strip():
            end += 1
        self.lines[start:end] = []

    def append(self, texts: Sequence[str]) -> None:
        """Add items behind the last; `texts` are written for a dash in the first column. Before any other edit."""
        dash = self._places[-1][1]
        is_spaced = len(self._places) > 1 and not self.lines[self._places[-1][0] - 1].strip()
        made: list[str] = []
        for text in texts:
            made += [""] if is_spaced else []
            made += [" " * dash + line if line.strip() else line for line in text.rstrip("\n").split("\n")]
        self.lines[self._end : self._end] = made

    def _dash(self, mark: Mark) -> int:
        before = self.lines[mark.line - 1][: mark.column - 1]
        dash = before.rfind("-")
        if dash < 0 or before.strip() != "-":
            raise ManifestError("the list stands in brackets", at=mark, expected="a line with a dash for each item")
        return dash

    def _end_of(self, number: int) -> int:
        """Return the line behind an item: blank lines and comments before what follows are no part of it."""
        start, dash = self._places[number]
        end = start + 1
        for index in range(start + 1, len(self.lines)):
            line = self.lines[index]
            if line.strip() and len(line) - len(line.lstrip()) <= dash:
                break
            if line.strip():
                end = index + 1
        return end


def _edited(lines: list[str], change: Callable[[Any], None]) -> list[str]:
    from ruamel.yaml import YAML
    from ruamel.yaml.compat import StringIO

    text = "\n".join(lines) + "\n"
    yaml: Any = YAML()
    yaml.preserve_quotes, yaml.width = True, 1_000_000
    found = _KEY_OF_LIST.search(text)
    offset = len(found[3]) - len(found[1]) if found else 2
    offset -= 2 if found and found[0].lstrip().startswith("- ") else 0
    yaml.indent(mapping=2, sequence=max(offset, 0) + 2, offset=max(offset, 0))

    def written(data: Any) -> list[str]:
        out = StringIO()
        yaml.dump(data, out)
        made = out.getvalue().rstrip("\n").split("\n")
        shift = len(made[0]) - len(made[0].lstrip())
        return [line[shift:] for line in made]

    data = yaml.load(text)
    before = written(data)
    change(data[0])
    return _merged(lines, before, written(data))


def _merged(lines: list[str], before: list[str], after: list[str]) -> list[str]:
    """Return `lines` with what changed from `before`, another spelling of them, to `after`; else `after` itself."""
    places = _places(before, lines)
    result: list[str] = []
    taken = 0
    for kind, start, end, first, last in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        begin = 0 if start == 0 else places.get(start - 1, -2) + 1
        stop = len(lines) if end == len(before) else places.get(end, -1)
        if begin < taken or stop < begin:
            return after
        result += lines[taken:begin] + after[first:last]
        taken = stop
    return result + lines[taken:]


def _places(before: list[str], lines: list[str]) -> dict[int, int]:
    found: dict[int, int] = {}
    for kind, start, end, first, last in SequenceMatcher(None, before, lines, autojunk=False).get_opcodes():
        if kind == "equal" or end - start == last - first:
            found |= dict(zip(range(start, end), range(first, last), strict=True))
    return found


def in_one_line(value: Any) -> Any:
    """Return data for an item: mappings and lists in one line, texts quoted where they would be read as something else."""
    return _built(literal(value))


def in_lines(items: Sequence[Any]) -> Any:
    """Return a list for an item, a line for each of its items."""
    made = in_one_line(list(items))
    made.fa.set_block_style()
    return made


def _built(value: Any) -> Any:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, str):
        return _scalar(value)
    made: Any = value
    if isinstance(value, dict):
        made = CommentedMap({name: _built(item) for name, item in value.items()})
    elif isinstance(value, list):
        made = CommentedSeq(_built(item) for item in value)
    if made is not value:
        made.fa.set_flow_style()
    return made


def _scalar(text: str) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    is_plain = isinstance(plain_value(text), str) and text == text.strip() and "\n" not in text
    return text if is_plain else DoubleQuotedScalarString(text)
