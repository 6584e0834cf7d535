"""One schema's accepted changes turned into edited files, proved, for any kind of source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from dbops.catalog.changes import RenameObject
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.errors import Mark, SchemaError
from dbops.manifests.environment import Environment, Manifest
from dbops.manifests.variables import Variable, Variables
from dbops.resources.schema.accept.attempt import Place
from dbops.resources.schema.accept.goal import make_goal, with_company
from dbops.resources.schema.accept.proof import Judge, Objection, in_words, objections_of
from dbops.resources.schema.accept.sql_source import SqlEdits, ways
from dbops.resources.schema.accept.texts import SourceTexts
from dbops.resources.schema.cache import CatalogCache
from dbops.resources.schema.model import DesiredSchema, ModelSource, SqlSource, TableSource
from dbops.resources.schema.observed import ObservedSchema, SchemaChange
from dbops.resources.schema.sources import sql_files


@dataclass(frozen=True, slots=True)
class Question:
    """What to accept: `chosen` among `changes`, all that differ. `path_of` names the file of a new object in a folder."""

    desired: DesiredSchema
    observed: ObservedSchema
    changes: Sequence[SchemaChange]
    chosen: Sequence[SchemaChange]
    path_of: Callable[[Ref, set[str]], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """`texts` are the files that change, None for those that go; `accepted` may be more than was chosen."""

    accepted: tuple[SchemaChange, ...]
    texts: dict[Path, str | None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What accepting needs of the outside."""

    engine: Engine
    target: Target
    cache: CatalogCache
    today: date
    environment: Environment
    process_env: Mapping[str, str]
    read: Callable[[Path], str]


def accept(question: Question, around: Surroundings) -> Answer:
    """Return the edits that make the source mean what is live, as far as it was chosen; reads files, writes none.

    Raises:
        SchemaError: the source cannot be edited so, and why; nothing is half done.
    """
    accepted = with_company(question.chosen, question.changes)
    desired, observed = question.desired, _under_live_names(question.observed)
    _refuse_models(desired, accepted)
    goal = make_goal(observed.renamed, observed.desired, accepted)
    judge = Judge(desired, observed, goal, around.engine, around.target, around.cache, around.today)
    match desired.source:
        case SqlSource(paths):
            texts = _sql(paths, judge, question, around)
        case TableSource():
            from dbops.resources.schema.accept.table_source import edited

            manifest = _manifest(desired, around.environment)
            texts = dict(edited(manifest, judge, _variables(around), around.read(manifest.file)))
        case ModelSource():
            raise AssertionError("refused before")
    return Answer(tuple(accepted), texts)


def _under_live_names(observed: ObservedSchema) -> ObservedSchema:
    """Take back renames of constraints and indexes, which nobody asked for: their live names may be what is accepted."""
    if observed.live is None or not all(isinstance(one, RenameObject) and one.ref.parent for one in observed.renames):
        return observed
    return replace(observed, renamed=observed.live, renames=())


def _refuse_models(desired: DesiredSchema, accepted: Sequence[SchemaChange]) -> None:
    if isinstance(desired.source, ModelSource):
        told = "; ".join(f"{change.change.ref}: {change.reason}" for change in accepted)
        raise SchemaError(
            f"dbops does not rewrite Python: the models of {desired.address} stay as they are",
            at=desired.at,
            fix=f"change the models so that these differ no more (the live side stands first): {told}",
        )


def _manifest(desired: DesiredSchema, environment: Environment) -> Manifest:
    return next(manifest for manifest in environment.of_kind("Schema") if manifest.at == desired.at)


def _variables(around: Surroundings) -> Variables:
    """Return what manifests were read with; the environment's variables have their values already."""
    here = Mark(str(around.environment.root))
    declared = {name: Variable(value.replace("${", "$${"), here) for name, value in around.environment.variables.items()}
    return Variables(declared, around.process_env)


def _sql(paths: Sequence[Path], judge: Judge, question: Question, around: Surroundings) -> dict[Path, str | None]:
    files = {path: around.read(path) for path in sql_files(paths)}
    folder = next((path for path in paths if path.is_dir()), None)
    single = next((path for path in paths if not path.is_dir()), None)
    edits = SqlEdits(files, judge.goal, around.engine, question.observed.server, Place(folder, single, question.path_of))
    objections: list[Objection] = []
    objected: set[Ref] = set()
    tried: list[dict[Path, str]] = [files]
    for way in ways(judge.goal, objected):
        edited = edits.edited(way)
        if edited not in tried:
            tried.append(edited)
            found = _objections(edited, judge, around.engine)
            if not found:
                return {path: _kept(path, text, paths) for path, text in edited.items() if files.get(path) != text}
            objections = objections or found
            objected |= {one.ref.table for one in found if one.ref}
    raise _cannot(question.desired, objections)


def _objections(files: dict[Path, str], judge: Judge, engine: Engine) -> list[Objection]:
    try:
        statements = SourceTexts(files, engine.dialect).statements()
    except SchemaError as error:
        return objections_of(error)
    return judge.objections(statements)


def _kept(path: Path, text: str, paths: Sequence[Path]) -> str | None:
    """A file that is left without a word goes, unless the manifest names it."""
    return text if text.strip() or path in paths else None


def _cannot(desired: DesiredSchema, objections: Sequence[Objection]) -> SchemaError:
    told = in_words(objections) or "nothing in it says otherwise"
    return SchemaError(
        f"the source of {desired.address} cannot be edited to say what is live: {told}",
        at=desired.at,
        fix="accept what belongs together in one go, or edit the source by hand",
    )
