"""The text of a YAML file turned into documents that remember where everything stands.

YAML is read from libyaml's events where PyYAML has it: no recursion in C, no objects made from tags, places for free. Words are
read as YAML 1.1 does (`yes`, `on`, `off` are booleans) except where it surprises: dates, sexagesimals (`22:15`) and numbers with
a leading zero (`0042`) stay text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from dbops.errors import ManifestError, Mark
from dbops.manifests.document import Document, Node

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_DEPTH_LIMIT = 64
_ALIAS_LIMIT = 100_000

_WORDS: dict[str, Any] = {
    spelled: value
    for words, value in (("true yes on", True), ("false no off", False), ("null ~", None))
    for word in words.split()
    for spelled in (word, word.capitalize(), word.upper())
} | {"": None}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,29})|0x[0-9a-fA-F]{1,30}|0o[0-7]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})


def read_bytes(path: Path, shown: str) -> bytes:
    """Return the content of a file.

    Raises:
        ManifestError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"the file cannot be read: {error.strerror}", at=Mark(shown)) from error


def decode(data: bytes, shown: str) -> str:
    """Return UTF-8 bytes as text, without a byte order mark.

    Raises:
        ManifestError: they are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        at = Mark(shown, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise ManifestError(f"the file is not UTF-8: byte 0x{data[error.start]:02x}", at=at, expected="UTF-8 text") from error


def parse_documents(text: str, shown: str) -> list[Document]:
    """Return the documents of a file's text, empty ones left out; `shown` is the file's name in messages.

    Raises:
        ManifestError: it is not YAML, is empty, or holds a document that is no mapping.
    """
    nodes = _Composer(text, shown).documents()
    if not nodes:
        raise ManifestError("the file is empty", at=Mark(shown), expected="at least one manifest")
    for node in nodes:
        if not isinstance(node.value, dict):
            found = "a list" if isinstance(node.value, list) else "a single value"
            at = Mark(shown, node.line + 1, node.column + 1)
            raise ManifestError(f"the document is {found}", at=at, expected="a mapping that begins with apiVersion: dbops/v1")
    return [Document(shown, node) for node in nodes]


class _Composer:
    """Builds nodes from the parser's events, one document after the other."""

    def __init__(self, text: str, shown: str) -> None:
        self._text, self._file = text, shown
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._made = self._aliased = 0

    def documents(self) -> list[Node]:
        try:
            return self._documents()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from None
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, error.position) + 1
            message = f"the file holds the control character U+{error.character:04X}"
            raise ManifestError(message, at=Mark(self._file, line), expected="printable text") from None

    def _documents(self) -> list[Node]:
        self._events = _Loader(self._text)
        found: list[Node] = []
        while True:
            event = self._events.get_event()
            if isinstance(event, yaml.StreamEndEvent):
                return found
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                node = self._node(self._events.get_event(), 0)
                if node.value is not None or node.text:
                    found.append(node)

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > _DEPTH_LIMIT:
            raise self._error(f"values are nested more than {_DEPTH_LIMIT} deep", event)
        before, anchor = self._made + self._aliased, event.anchor
        self._made += 1
        if anchor:
            self._anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif event.tag not in _PLAIN_TAGS:
            raise self._unknown_tag(event)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._list(event, depth)
        if anchor:
            self._anchors[anchor] = node, self._made + self._aliased - before
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise self._error(f"the alias *{event.anchor} has no anchor", event, expected=f"&{event.anchor} before it")
        anchored = self._anchors[event.anchor]
        if anchored is None:
            raise self._error(f"the alias *{event.anchor} stands inside what it names", event)
        node, size = anchored
        self._aliased += size
        if self._aliased > _ALIAS_LIMIT:
            raise self._error(f"aliases repeat more than {_ALIAS_LIMIT} values", event)
        return node

    def _scalar(self, event: Any) -> Node:
        line, column, text = event.start_mark.line, event.start_mark.column, event.value
        if event.tag in (None, "!"):
            value = plain_value(text) if event.implicit[0] else text
        elif event.tag == f"{_TAG}str":
            value = text
        else:
            raise self._unknown_tag(event)
        return Node(value, line, column, text)

    def _list(self, start: Any, depth: int) -> Node:
        nodes: list[Node] = []
        while not isinstance(event := self._events.get_event(), yaml.SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        place = start.start_mark
        return Node([node.value for node in nodes], place.line, place.column, inside=dict(enumerate(nodes)))

    def _mapping(self, start: Any, depth: int) -> Node:
        inside: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        merged: list[Node] = []
        while not isinstance(event := self._events.get_event(), yaml.MappingEndEvent):
            name = self._key(event, depth + 1)
            value = self._node(self._events.get_event(), depth + 1)
            if name == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged += self._merge(value, event)
                continue
            if name in keys:
                message = f"the key '{name}' stands twice in one mapping; first in line {keys[name][0] + 1}"
                raise self._error(message, event, expected="every key once")
            inside[name], keys[name] = value, (event.start_mark.line, event.start_mark.column)
        for node in merged:
            for name, value in node.inside.items():
                if name not in keys:
                    inside[name], keys[name] = value, node.keys[name]
        place = start.start_mark
        return Node({name: node.value for name, node in inside.items()}, place.line, place.column, None, inside, keys)

    def _key(self, event: Any, depth: int) -> str:
        if isinstance(event, yaml.ScalarEvent) and not event.anchor and not event.tag:
            text = str(event.value)
            value = plain_value(text) if event.implicit[0] else text
        else:
            node = self._node(event, depth)
            text, value = node.text or "", node.value
        if isinstance(value, str):
            return value
        if text:
            raise self._error(f"the key {text} is not text", event, expected="text", fix=quote_it(text, value))
        raise self._error("the key is not text", event, expected="text before the colon")

    def _merge(self, node: Node, event: Any) -> list[Node]:
        nodes = list(node.inside.values()) if isinstance(node.value, list) else [node]
        if any(not isinstance(item.value, dict) for item in nodes):
            raise self._error("the merge key << takes in something that is no mapping", event, expected="an alias of a mapping")
        return nodes

    def _unknown_tag(self, event: Any) -> ManifestError:
        tag = event.tag.replace(_TAG, "!!")
        return self._error(f"the tag {tag} is not known", event, expected="plain YAML; only !!str is understood")

    def _error(self, message: str, event: Any, expected: str | None = None, fix: str | None = None) -> ManifestError:
        at = Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
        return ManifestError(message, at=at, expected=expected, fix=fix)

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> ManifestError:
        mark = error.problem_mark or error.context_mark
        at = Mark(self._file, mark.line + 1, mark.column + 1) if mark else Mark(self._file)
        if mark and self._stands_at_tab(mark.line, mark.column):
            return ManifestError("a tab where YAML expects spaces", at=at, expected="spaces: YAML is never indented with tabs")
        where = f" {error.context}" if error.context else ""
        start = error.context_mark
        if where and start and mark and (start.line, start.column) != (mark.line, mark.column):
            where += f" that begins in line {start.line + 1}"
        return ManifestError(f"this is not YAML: {error.problem}{where}", at=at)

    def _stands_at_tab(self, line: int, column: int) -> bool:
        lines = self._text.splitlines()
        return line < len(lines) and lines[line][column : column + 1] == "\t"


def plain_value(text: str) -> Any:
    """Return what an unquoted scalar means: text, a number, a boolean or None."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789":
        if _INTEGER.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def quote_it(text: str, value: object) -> str:
    """Say how to keep `text` as text, which YAML read as `value`."""
    read_as = "a boolean" if isinstance(value, bool) else "nothing" if value is None else "a number"
    return f'YAML reads {text} without quotes as {read_as}: write "{text}"'
