"""A graph of lineage in a file: one line of JSON for each node or edge that was added, a later one in the place of an earlier.

The first line names the format. A line is written whole, so programs that write at the same time do not mix; the last line of one
that died while it wrote is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from dbops.errors import DbopsError, Mark
from dbops.usecases.lineage.model import LineageEdge, LineageNode

FORMAT = "dbops.lineage/1"


class LineageStore:
    """The file at `path`, made when something is first added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Iterator[LineageNode | LineageEdge]:
        """Yield what was added, in order.

        Raises:
            DbopsError: the file is none of lineage, or a line of it is damaged; says which.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        lines = content.split(b"\n")
        for number, line in enumerate(lines[:-1], 1):  # what follows the last end of line is not finished
            try:
                data = json.loads(line)
                if number == 1:
                    if data["format"] != FORMAT:
                        raise ValueError(f"the format is {data['format']!r}")
                    continue
                yield LineageNode.from_dict(data["node"]) if "node" in data else LineageEdge.from_dict(data["edge"])
            except (KeyError, TypeError, ValueError) as error:
                raise DbopsError(
                    f"this is no line of lineage: {error!r}", at=Mark(str(self.path), number, 1), error_code="INVALID_LINEAGE"
                ) from error

    def append(self, item: LineageNode | LineageEdge, text: str) -> None:
        """Add a node or an edge, whose JSON is `text`.

        Raises:
            DbopsError: the file cannot be written.
        """
        kind = "node" if isinstance(item, LineageNode) else "edge"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                end = os.fstat(handle).st_size
                start = f'{{"format": "{FORMAT}"}}\n' if not end else "" if os.pread(handle, 1, end - 1) == b"\n" else None
                if start is None:
                    self._drop_unfinished(handle)
                    start = "" if os.fstat(handle).st_size else f'{{"format": "{FORMAT}"}}\n'
                os.write(handle, f'{start}{{"{kind}": {text}}}\n'.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise DbopsError(
                f"lineage cannot be kept: {error}", at=Mark(str(self.path)), error_code="LINEAGE_NOT_KEPT"
            ) from error

    def _drop_unfinished(self, handle: int) -> None:
        """Take away the end of a line whose writer died."""
        content = self.path.read_bytes()
        os.ftruncate(handle, content.rfind(b"\n") + 1)
