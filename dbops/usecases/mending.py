"""advise --apply: what mends a database, written where its truth stands, and carried out as plans are.

What a `Schema` governs is written into its source first, and applied from there: the next plan finds nothing to take back. What
changes no schema (VACUUM, ANALYZE, REINDEX), and what no manifest governs, is a plan of its own: shown, approved, journaled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterObject, CatalogChange, ChangeSet, CreateObject, DropObject, diff
from dbops.catalog.model import Index
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.advice import Finding, Rule
from dbops.engines.base.connect import Connection
from dbops.engines.base.render import RenderContext
from dbops.errors import ApplyError, DbopsError
from dbops.reconcile.change import Change
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.planner import Work
from dbops.reconcile.step import Step
from dbops.resources.migrations.model import DesiredMigrations
from dbops.resources.schema.copying import build
from dbops.resources.schema.diff import schema_changes
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.resource import SchemaResource
from dbops.sql.splitter import split
from dbops.sql.statement import Statement
from dbops.usecases.accept import FileEdit, collect, edits_for, write_edit
from dbops.usecases.advise import Advised
from dbops.usecases.apply import ApplyResult, Consent, apply, carry_out, locked
from dbops.usecases.runtime import Workspace, now, open_workspace
from dbops.version import __version__


@dataclass(frozen=True, slots=True)
class Remedy:
    """The SQL of one finding, for one connection."""

    connection: str
    rule: Rule
    finding: Finding

    @property
    def address(self) -> str:
        """Where the journal keeps it, when no manifest has an address for it."""
        return f"advice/{self.connection}/{self.rule.id}/{self.finding.object}"


@dataclass(frozen=True, slots=True)
class Left:
    """A remedy that is shown and not applied, and why; `fix` is what its reader does."""

    remedy: Remedy
    why: str
    fix: str


@dataclass(slots=True)
class Mending:
    """What is going to be done: files edited and addresses applied from them, entries of a plan beside, and what is left."""

    files: dict[Path, FileEdit] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done; files that were edited for an apply which did not take place are as they were."""

    results: tuple[ApplyResult, ...]
    files: tuple[FileEdit, ...]
    left: tuple[Left, ...]

    @property
    def is_approved(self) -> bool:
        return all(result.is_approved for result in self.results)


def sort_out(workspace: Workspace, found: Sequence[Advised]) -> Mending:
    """Decide of every finding with SQL where it is carried out; writes nothing to the databases or files."""
    mending = Mending()
    for one in found:
        safe: list[Remedy] = []
        for verdict in one.of("fail"):
            for finding in verdict.findings:
                remedy = Remedy(one.connection, verdict.rule, finding)
                if finding.sql and verdict.rule.is_safe:
                    safe.append(remedy)
                elif finding.sql:
                    mending.left.append(
                        Left(remedy, "it may lose something or keep others waiting", "read it, and run it by hand")
                    )
        if safe:
            by_workload = workspace.targets.engine(one.connection).advice.index_rule.id
            safe.sort(key=lambda remedy: remedy.rule.id != by_workload)  # its indexes may serve what others ask for
            _sort(workspace, one.connection, safe, mending)
    return mending


def mend(
    folder: Path, process_env: Mapping[str, str], mending: Mending, consent: Consent, show: Callable[[Sequence[FileEdit]], None]
) -> Mended:
    """Write the files, apply from them, then carry out what stands beside; `show` is given the edits before anything is asked.

    Raises:
        SchemaError: a file cannot be written; and what `apply` raises. Where nothing was done, the files are as they were.
    """
    results = []
    files = tuple(mending.files.values())
    if files:
        show(files)
        result = _applied_from(files, folder, process_env, mending.addresses, consent)
        results.append(result)
        files = files if result.is_approved else ()
    if mending.entries:
        with open_workspace(folder, process_env) as workspace:
            results.append(carry_out_beside(workspace, mending.entries, consent))
    return Mended(tuple(results), files, tuple(mending.left))


def _applied_from(
    files: Sequence[FileEdit], folder: Path, process_env: Mapping[str, str], addresses: Sequence[str], consent: Consent
) -> ApplyResult:
    written: list[FileEdit] = []
    is_kept = False
    try:
        for edit in files:
            write_edit(edit)
            written.append(edit)
        with open_workspace(folder, process_env) as workspace:
            result = apply(workspace, consent, only=addresses)
        is_kept = result.is_approved
    except ApplyError:
        is_kept = True  # some of it may stand; the source says what is wanted, and the journal what was done
        raise
    finally:
        if not is_kept:
            for edit in written:
                with suppress(DbopsError):
                    write_edit(replace(edit, before=edit.after, after=edit.before))
    return result


def carry_out_beside(workspace: Workspace, entries: Sequence[Entry], consent: Consent) -> ApplyResult:
    """Carry out what no manifest speaks of, under the same locks, gates and journals as a plan of manifests."""
    plan = Plan(
        dbops_version=__version__,
        environment=workspace.path,
        created_at=f"{now():%Y-%m-%dT%H:%M:%SZ}",
        fingerprints={},
        entries=tuple(_numbered(entries)),
    )
    names = sorted({step.on for step in plan.steps})
    with locked(workspace, consent, names) as locks:
        return carry_out(plan, (), locks.workspace, consent, locks)


def _numbered(entries: Sequence[Entry]) -> Iterator[Entry]:
    order = 0
    for entry in entries:
        yield replace(entry, steps=tuple(replace(step, order=order + place) for place, step in enumerate(entry.steps)))
        order += len(entry.steps)


def _sort(workspace: Workspace, name: str, remedies: Sequence[Remedy], mending: Mending) -> None:
    by_migrations = [
        w.desired for w in workspace.work if isinstance(w.desired, DesiredMigrations) and w.desired.connection == name
    ]
    by_schemas = [w for w in workspace.work if isinstance(w.desired, DesiredSchema) and w.desired.connection == name]
    live = workspace.targets.engine(name).inspect(_reader(workspace, name))
    governed: dict[str, list[tuple[Remedy, tuple[CatalogChange, ...]]]] = {}
    for remedy, changes, error in _effects(workspace, name, live, remedies):
        if error is not None:
            mending.left.append(Left(remedy, f"it was tried on a scratch, and failed: {error}", "see why, and run it by hand"))
        elif not changes:
            mending.entries.append(_entry(workspace, remedy))
        elif by_migrations:
            desired = by_migrations[0]
            fix = f"put its SQL into a migration: dbops migrate new {desired.name}"
            mending.left.append(Left(remedy, f"the schema of {name} comes about by the migrations of {desired.name}", fix))
        else:
            owner = next((w for w in by_schemas if _is_in_scope(changes, w.desired)), None)
            if owner is None:
                mending.entries.append(_rendered(workspace, remedy, live, changes))
            else:
                governed.setdefault(owner.desired.address, []).append((remedy, changes))
    for work in by_schemas:
        _into_source(workspace, work, live, governed.get(work.desired.address, []), mending)


def _reader(workspace: Workspace, name: str) -> Connection:
    conn = workspace.targets.reader(name)
    assert conn is not None, "its rules were asked"
    return conn


def _is_in_scope(changes: Sequence[CatalogChange], desired: object) -> bool:
    assert isinstance(desired, DesiredSchema)
    return all(desired.scope.includes(change.ref) for change in changes)


def _effects(
    workspace: Workspace, name: str, live: Catalog, remedies: Sequence[Remedy]
) -> Iterator[tuple[Remedy, tuple[CatalogChange, ...], str | None]]:
    """Run each on a scratch copy of the schema, and yield what it changed there; an error where it failed.

    One that makes an index which another that was made before it begins with is passed over.
    """
    engine, target = workspace.targets.engine(name), workspace.targets.target(name)
    with engine.scratch(target) as scratch:
        try:
            build(live, engine, scratch)
        except DbopsError as error:
            yield from ((remedy, (), f"the schema cannot be copied: {error.message}") for remedy in remedies)
            return
        before, made = engine.inspect(scratch), list[Index]()
        for remedy in remedies:
            try:
                for statement in split(str(remedy.finding.sql), engine.dialect):
                    scratch.execute(statement.text)
            except DbopsError as error:
                yield remedy, (), error.message
                continue
            after = engine.inspect(scratch)
            changes = diff(before, after, column_order=engine.features.has_column_order)
            before = after
            indexes = [change.item for change in changes if isinstance(change, CreateObject) and isinstance(change.item, Index)]
            if not (indexes and len(indexes) == len(changes) and all(_is_begun(index, made) for index in indexes)):
                yield remedy, changes, None
            made += indexes


def _is_begun(index: Index, made: Sequence[Index]) -> bool:
    return any(one.ref.table == index.ref.table and one.keys[: len(index.keys)] == index.keys for one in made)


def _as_if(live: Catalog, changes: Sequence[CatalogChange]) -> Catalog:
    """Return the live catalog as it will be; of what is altered, only what differs is taken from the scratch."""
    objects = dict(live.objects)
    for change in changes:
        match change:
            case CreateObject(item):
                objects[item.ref] = item
            case DropObject(item):
                objects.pop(item.ref, None)
            case AlterObject(_, after):
                objects[after.ref] = replace(objects[after.ref], **{one: getattr(after, one) for one in change.attributes})
            case _:
                raise AssertionError("advice changes no columns and renames nothing")
    return replace(live, objects=objects)


def _entry(workspace: Workspace, remedy: Remedy) -> Entry:
    """Return a plan's entry for statements that change no schema: nothing has to be taken back of them."""
    dialect = workspace.targets.engine(remedy.connection).dialect
    statements = tuple(
        Statement(one.text, hazards=remedy.finding.hazards, transactional=False)
        for one in split(str(remedy.finding.sql), dialect)
    )
    title = " ".join(statements[0].sql.split())
    step = Step(on=remedy.connection, title=title, do=statements, undo=())
    return Entry(_change(remedy), (step,))


def _rendered(workspace: Workspace, remedy: Remedy, live: Catalog, changes: tuple[CatalogChange, ...]) -> Entry:
    """Return a plan's entry for changes of a schema that no manifest speaks of, with the way back."""
    engine, conn = workspace.targets.engine(remedy.connection), _reader(workspace, remedy.connection)
    context = RenderContext(conn.server, engine.sizes(conn), online=True)
    acts = engine.render(ChangeSet(live, _as_if(live, changes), changes), context)
    steps = tuple(Step(on=remedy.connection, title=act.title, do=act.do, undo=act.undo) for act in acts)
    return Entry(_change(remedy), steps)


def _change(remedy: Remedy) -> Change:
    return Change(address=remedy.address, action="run", reason=f"{remedy.rule.title}: {remedy.finding.object}")


def _into_source(
    workspace: Workspace,
    work: Work,
    live: Catalog,
    remedies: Sequence[tuple[Remedy, tuple[CatalogChange, ...]]],
    mending: Mending,
) -> None:
    """Edit the source of a schema so that it says what the remedies do; those that it cannot say are left, with the reason."""
    resource, desired = work.resource, work.desired
    assert isinstance(resource, SchemaResource) and isinstance(desired, DesiredSchema)
    if not remedies:
        return
    observed = resource.read_anew(desired, workspace.targets)
    changes = [change for _, found in remedies for change in found]
    there = _as_if(observed.live or live, changes)
    changed = replace(observed, live=there, renamed=_as_if(observed.renamed, changes), changes=None)
    differing = schema_changes(desired, changed, now().date())
    refs: set[Ref] = {change.ref for change in changes}
    chosen = [change for change in differing if change.change.ref in refs]
    wanted = [f"{desired.address}/{change.ref}" for change in changes]
    try:
        if chosen:  # else the source says it already, and apply is all that is missing
            collect(mending.files, edits_for(workspace, work, changed, differing, chosen))
    except DbopsError as error:
        for remedy, _ in remedies:
            mending.left.append(Left(remedy, error.message, error.fix or "write it into the source by hand, then dbops apply"))
        return
    mending.addresses += wanted
