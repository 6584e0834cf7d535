"""One YAML document: plain Python values, and the place of every key and value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dbops.dataclass import dataclass
from dbops.errors import Mark

#: Keys and list positions that lead from the top of a document to a value.
KeyPath = tuple[str | int, ...]


class Node(NamedTuple):
    """A value where it stands; lines and columns count from 0.

    `text` is a scalar as written, before YAML made a number or boolean of it; None for mappings and lists. `inside` holds the
    nodes of a mapping by key or of a list by position, `keys` the places of a mapping's keys.
    """

    value: Any
    line: int
    column: int
    text: str | None = None
    inside: Mapping[Any, Node] = {}
    keys: Mapping[str, tuple[int, int]] = {}


class Layer(NamedTuple):
    """A node whose content stands at `prefix` of a document."""

    file: str
    node: Node
    prefix: KeyPath = ()


@dataclass(frozen=True, slots=True)
class Marks:
    """Where the values of a document were written; layers that patch it come after it, and may be other files."""

    layers: tuple[Layer, ...]

    def value(self, path: KeyPath) -> Mark:
        """Return where the value at `path` begins, or the nearest mapping or list around it."""
        file, node, _ = self._find(path)
        return Mark(file, node.line + 1, node.column + 1)

    def key(self, path: KeyPath) -> Mark:
        """Return where the key that leads to `path` stands; the value itself when it has no key."""
        if path and isinstance(path[-1], str):
            for layer in reversed(self.layers):
                parent = _inside(layer, path[:-1])
                if parent is not None and path[-1] in parent.keys:
                    line, column = parent.keys[path[-1]]
                    return Mark(layer.file, line + 1, column + 1)
        return self.value(path)

    def text(self, path: KeyPath) -> str | None:
        """Return the scalar at `path` as written, None when a mapping, a list or nothing is there."""
        _, node, is_exact = self._find(path)
        return node.text if is_exact else None

    def patched(self, layer: Layer) -> Marks:
        """Return the marks with a patch laid over them."""
        return Marks((*self.layers, layer))

    def cut(self, path: KeyPath, prefix: KeyPath) -> Layer:
        """Return what stands at `path` as a layer for `prefix` of another document."""
        file, node, _ = self._find(path)
        return Layer(file, node, prefix)

    def _find(self, path: KeyPath) -> tuple[str, Node, bool]:
        """Return the file, the node at `path` or around it, and whether it is the one asked for.

        A patch merges mappings and replaces everything else: a mapping belongs to who wrote it first, the rest
        to who wrote it last.
        """
        for length in range(len(path), -1, -1):
            found = [(layer.file, node) for layer in self.layers if (node := _inside(layer, path[:length])) is not None]
            if found:
                file, node = found[0] if isinstance(found[-1][1].value, dict) else found[-1]
                return file, node, length == len(path)
        first = self.layers[0]
        return first.file, first.node, not path


def _inside(layer: Layer, path: KeyPath) -> Node | None:
    if path[: len(layer.prefix)] != layer.prefix:
        return None
    node = layer.node
    for step in path[len(layer.prefix) :]:
        if step not in node.inside:
            return None
        node = node.inside[step]
    return node


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file; its top is a mapping."""

    file: str
    node: Node

    @property
    def value(self) -> dict[str, Any]:
        value: dict[str, Any] = self.node.value
        return value

    @property
    def marks(self) -> Marks:
        return Marks((Layer(self.file, self.node),))
