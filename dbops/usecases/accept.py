"""drift --accept: the live state of objects written back into the sources, comments kept."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.errors import Mark, PlanError, SchemaError
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import ObservedSchema, SchemaChange
from dbops.usecases.runtime import Workspace, now

if TYPE_CHECKING:
    from dbops.reconcile.change import Change
    from dbops.reconcile.planner import Work
    from dbops.resources.schema.accept.accepting import Answer, Surroundings

ALL = "all"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class FileEdit:
    """One file, whole; `before` None when it is new, `after` None when it goes."""

    path: Path
    before: str | None
    after: str | None

    @property
    def action(self) -> str:
        """Return create, update or delete."""
        if self.before is None:
            return "create"
        return "delete" if self.after is None else "update"

    def diff(self, root: Path) -> str:
        """Return a unified diff; paths are shown from `root`."""
        shown = os.path.relpath(self.path, root)
        names = ["/dev/null" if text is None else f"{side}/{shown}" for side, text in (("a", self.before), ("b", self.after))]
        old, new = ((text or "").replace("\r\n", "\n").splitlines() for text in (self.before, self.after))
        return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, names[0], names[1], lineterm="", n=2))


@dataclass(frozen=True, slots=True)
class AcceptReport:
    """`accepted` are addresses, `left` those of rows, which `all` passes over; `is_written` is False after a dry run."""

    accepted: tuple[str, ...]
    files: tuple[FileEdit, ...]
    is_written: bool
    left: tuple[str, ...] = ()


def accept(workspace: Workspace, addresses: Sequence[str], *, dry_run: bool = False) -> AcceptReport:
    """Edit the sources so that they say what is live at `addresses`, and below them; `all` is all that left the last apply.

    Below an address, what only waits for an apply is left out when something there did leave it. Every edit is proved by
    the engine before the first file is written.

    Raises:
        PlanError: an address at which nothing differs, or where nothing can be accepted.
        SchemaError: a source that cannot be edited so; no file has changed.
    """
    known: list[str] = []
    accepted: list[str] = []
    edits: dict[Path, FileEdit] = {}
    matched: set[str] = set()
    left: list[str] = []
    for work in workspace.work:
        if not isinstance(work.desired, DesiredSchema):
            continue
        observed = work.resource.observe(work.desired, workspace.targets)
        changes = work.resource.diff(work.desired, observed)
        known += [change.address for change in changes]
        chosen, found = _chosen(addresses, changes)
        matched |= found
        if ALL in addresses:
            left += [change.address for change in changes if change.cause == "drift" and not isinstance(change, SchemaChange)]
        if chosen:
            answer = edits_for(workspace, work, observed, changes, chosen)
            accepted += [change.address for change in answer.accepted]
            collect(edits, answer)
    _refuse_unknown(workspace, addresses, matched, known)
    if not dry_run:
        for edit in edits.values():
            write_edit(edit)
    return AcceptReport(tuple(dict.fromkeys(accepted)), tuple(edits.values()), not dry_run, tuple(left))


def _chosen(addresses: Sequence[str], changes: Sequence[Change]) -> tuple[list[Change], set[str]]:
    """Return the changes at `addresses`, and the addresses that name any."""
    chosen: list[Change] = []
    matched = set()
    for address in addresses:
        here = [change for change in changes if address in (change.address, ALL)]
        below = [change for change in changes if change.address.startswith(f"{address}/")]
        drifted = [change for change in here + below if change.cause == "drift"]
        if address == ALL:
            chosen += [change for change in drifted if isinstance(change, SchemaChange)]
        else:
            chosen += here + (drifted if drifted or here else below)
        if here or below:
            matched.add(address)
    return list({change.address: change for change in chosen}.values()), matched


def edits_for(
    workspace: Workspace, work: Work, observed: ObservedSchema, changes: Sequence[Change], chosen: Sequence[Change]
) -> Answer:
    """Return the edits that make a schema's source say what is observed, as far as it is chosen among `changes`; writes nothing.

    Raises:
        PlanError, SchemaError: there is nothing to accept, or the source cannot be edited so.
    """
    from dbops.resources.schema.accept.accepting import Question
    from dbops.resources.schema.accept.accepting import accept as answer
    from dbops.usecases.source_files import free_path

    desired = work.desired
    assert isinstance(desired, DesiredSchema)
    if observed.live is None:
        raise PlanError(f"the database of {desired.address} does not exist: there is nothing live to accept")
    live = observed.live
    others = [change.address for change in chosen if not isinstance(change, SchemaChange)]
    if others:
        raise PlanError(f"rows cannot be accepted: {', '.join(others)}", fix="export them into the file that data: names")

    def path_of(ref: Ref, taken: set[str]) -> str:
        return free_path(ref, taken, live)

    schema_changes = [change for change in changes if isinstance(change, SchemaChange)]
    picked = [change for change in chosen if isinstance(change, SchemaChange)]
    return answer(Question(desired, observed, schema_changes, picked, path_of), _surroundings(workspace, desired))


def _surroundings(workspace: Workspace, desired: DesiredSchema) -> Surroundings:
    from dbops.resources.schema.accept.accepting import Surroundings
    from dbops.resources.schema.cache import CatalogCache, default_folder

    target = workspace.targets.target(desired.connection)
    cache = CatalogCache(default_folder())
    return Surroundings(
        workspace.targets.engine(desired.connection), target, cache, now().date(), workspace.environment, os.environ, _read
    )


def collect(edits: dict[Path, FileEdit], answer: Answer) -> None:
    """Add the files of an answer to `edits`.

    Raises:
        SchemaError: another answer changes one of them too.
    """
    for path, text in answer.texts.items():
        if path in edits:
            raise SchemaError(
                "two schemas share this file, and both would change it", at=Mark(str(path)), fix="accept one at a time"
            )
        edits[path] = FileEdit(path, _read(path) if path.exists() else None, text)


def _refuse_unknown(workspace: Workspace, addresses: Sequence[str], matched: set[str], known: Sequence[str]) -> None:
    missing = [address for address in addresses if address not in matched and address != ALL]
    if not missing:
        return
    others = [work.desired.address for work in workspace.work if not isinstance(work.desired, DesiredSchema)]
    if missing[0] in others:
        raise PlanError(f"{missing[0]} cannot be accepted", expected="objects of schemas")
    if not known:
        raise PlanError(f"nothing differs at {missing[0]}, nor anywhere else")
    raise PlanError(f"nothing differs at {missing[0]}", expected=f"one of {', '.join(known)}")


def _read(path: Path) -> str:
    """Return a file's text with its line ends, without a byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"the file cannot be read: {error}", at=Mark(str(path))) from error


def write_edit(edit: FileEdit) -> None:
    """Put a file in place as a whole, with the mode and the byte order mark it had; or remove it."""
    path = edit.path.resolve()
    if edit.after is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    is_there = path.exists()
    mark = _BOM if is_there and path.read_bytes().startswith(_BOM) else b""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(mark + edit.after.encode())
        if is_there:
            part.chmod(path.stat().st_mode)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise SchemaError(f"the file cannot be written: {error.strerror}", at=Mark(str(path))) from error
