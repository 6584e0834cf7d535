"""Index advice for a database: its statements, or those of a file, answered as the findings of a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, CreateObject
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.advice import Finding, Rule, Verdict
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.engines.base.trial import Values
from dbops.engines.base.workload import Counted, Workload
from dbops.errors import MonitoringError, SchemaError
from dbops.sql.splitter import split
from dbops.usecases.indexing.candidates import begun_by, candidates, described, more_candidates, tables_of
from dbops.usecases.indexing.choosing import Asked, Choice, choose, shortened
from dbops.usecases.indexing.reading import Reader, Reading
from dbops.usecases.indexing.trying import Live, trial
from dbops.usecases.runtime import Workspace

SAMPLE_ROWS = 20_000
"""Rows of each table that are copied to a scratch, unless somebody says otherwise."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Source:
    """Where the statements come from: a file of SQL, or the database's own counters where it is None.

    `sample` are the rows of each table that may be copied to a scratch on the server, 0 for none.
    """

    file: Path | None = None
    sample: int = 0


def verdicts(
    workspace: Workspace, name: str, rules: Sequence[Rule], source: Source, thresholds: Mapping[str, Mapping[str, float]]
) -> list[Verdict]:
    """Answer the rules about statements, of one connection: indexes that they want, and what their plans show.

    Writes nothing to the database.

    Raises:
        ConnectError, QueryError: the database cannot be read.
    """
    engine = workspace.targets.engine(name)
    own = engine.advice.index_rule
    numbers = {**own.thresholds, **thresholds.get(own.id, {})}
    conn = workspace.targets.reader(name)
    if conn is None:
        raise MonitoringError("the database does not exist")
    if source.file is None:
        workload = engine.workloads.costliest(conn, by="total", limit=int(numbers["statements"]))
    else:
        workload = from_file(source.file, engine)
    if workload.why:
        return [Verdict(rule, "unknown", (), workload.why, _or_a_file(workload.fix)) for rule in rules]
    catalog = engine.inspect(conn)
    live = Live(engine, conn, workspace.targets.target(name), catalog, engine.sizes(conn))
    sample = source.sample or (0 if engine.trials.wants_server else SAMPLE_ROWS)
    try:
        found = [_answer(live, workload.statements, numbers, sample)] if own in rules else []
        others = [rule for rule in rules if rule != own]
        return found + (_plans_of(live, others, workload.statements, thresholds, sample) if others else [])
    except (MonitoringError, SchemaError) as error:
        return [Verdict(rule, "unknown", (), error.message, error.fix or "") for rule in rules]


def _plans_of(
    live: Live,
    rules: Sequence[Rule],
    statements: Sequence[Counted],
    thresholds: Mapping[str, Mapping[str, float]],
    sample: int,
) -> list[Verdict]:
    """Answer the rules about the plans of single statements."""
    reader = Reader(_own(live.catalog), live.engine.trials.dialect)
    read = [(shortened(one), reading) for one in statements if (reading := reader.read(one.text)) is not None]
    findings: dict[str, list[Finding]] = {rule.id: [] for rule in rules}
    with trial(live, reader.tables([reading for _, reading in read]), sample) as place:
        for one, reading in read:
            for id_, seen in place.remarks(reading.sql, thresholds):
                if id_ in findings:
                    findings[id_].append(Finding(one.text, f"{_calls(one)}{seen}"))
    return [Verdict(rule, "fail" if findings[rule.id] else "pass", findings[rule.id]) for rule in rules]


def _or_a_file(fix: str) -> str:
    return f"{fix.removesuffix(';')}; or --statements FILE, with the SQL that programs send" if fix else "--statements FILE"


def from_file(file: Path, engine: Engine) -> Workload:
    """Return the statements of a file as a workload: one that stands there several times counts so often.

    Raises:
        MonitoringError: the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MonitoringError(f"{file} cannot be read: {error}", expected="a file of SQL statements in UTF-8") from error
    found = Counter(one.text for one in split(text, engine.dialect, str(file)) if one.kind == "sql")
    share = 1 / max(1, found.total())
    return Workload(
        [Counted(str(n), sql, calls, 0, 0, 0, None, 0, 0, calls * share) for n, (sql, calls) in enumerate(found.items(), 1)]
    )


def _answer(live: Live, statements: Sequence[Counted], numbers: Mapping[str, float], sample: int) -> Verdict:
    rule = live.engine.advice.index_rule
    reader = Reader(_own(live.catalog), live.engine.trials.dialect)
    read = [(one, reading) for one in statements if (reading := reader.read(one.text)) is not None]
    wanting = [(one, reading) for one, reading in read if reading.uses]
    uses = [use for _, reading in wanting for use in reading.uses]
    forms = live.engine.trials.forms(live.conn)
    ideas = candidates(uses, live.catalog, int(numbers["candidates"]), forms)
    more = more_candidates(uses, live.catalog, int(numbers["candidates"]), forms, ideas)
    if not ideas and not more:
        return Verdict(rule, "pass")
    with trial(live, tables_of(uses), sample) as place:
        asked = [Asked(one, _sql(reading, reader, place.values)) for one, reading in wanting]
        chosen, unexplained = choose(
            asked,
            ideas,
            place,
            min_cost=numbers["min_cost"],
            max_share=numbers["max_share"],
            most=int(numbers["most"]),
            more=more,
        )
        if place.denied or unexplained == len(asked):
            why = f"{unexplained} of {len(asked)} statements cannot be explained by this account"
            return Verdict(rule, "unknown", (), why, live.engine.trials.grant_to_read(live.conn))
        how, unit = place.how, place.unit
    written = Counter(
        {ref: sum(o.calls for o, r in read if r.writes is not None and r.writes.ref == ref) for ref in _written(read)}
    )
    findings = [_finding(choice, live, written[choice.index.ref.table], how, unit) for choice in chosen]
    return Verdict(rule, "fail" if findings else "pass", findings)


def _own(catalog: Catalog) -> Catalog:
    return Catalog.of([item for item in catalog if not item.name.startswith("dbops_")])


def _written(read: Sequence[tuple[Counted, Reading]]) -> set[Ref]:
    return {reading.writes.ref for _, reading in read if reading.writes is not None}


def _sql(reading: Reading, reader: Reader, values: Values | None) -> str:
    return reading.sql if values is None else reader.with_values(reading, values)


def _finding(choice: Choice, live: Live, writes: int, how: str, unit: str) -> Finding:
    """Return the evidence: the statements with their calls and time, what they cost before and after, the size; and the SQL."""
    both = replace(live.catalog, objects={**live.catalog.objects, choice.index.ref: choice.index})
    changes = ChangeSet(live.catalog, both, (CreateObject(choice.index),))
    acts = live.engine.render(changes, RenderContext(live.conn.server, live.sizes, online=True))
    savings = [replace(one, counted=shortened(one.counted)) for one in choice.savings]
    lines = [
        f"{_calls(one.counted)}{one.counted.text}: {unit} {_number(one.before)} → {_number(one.after)}"
        for one in savings[:_SHOWN]
    ]
    if len(savings) > _SHOWN:
        lines.append(f"and {len(savings) - _SHOWN} more statements")
    spare = [index.name for index in begun_by(choice.index, live.catalog)]
    lines.append(f"about {_size(choice.size_bytes)}; tried {how}" + (f"; written by {writes:,} of the calls" if writes else ""))
    if spare:
        lines.append(f"{', '.join(spare)} would then serve nothing that it does not")
    details = {
        "table": choice.index.ref.table.qualified,
        "columns": [key.column or key.expression for key in choice.index.keys],
        "include": list(choice.index.include),
        "where": choice.index.predicate,
        "index": choice.index.name,
        "size_bytes": choice.size_bytes,
        "tried": how,
        "unit": unit,
        "writes": writes,
        "makes_redundant": spare,
        "statements": [
            {
                "id": one.counted.id,
                "text": one.counted.text,
                "calls": one.counted.calls,
                "total_s": one.counted.total_s,
                "before": one.before,
                "after": one.after,
            }
            for one in savings
        ],
    }
    sql = "\n".join(_terminated(statement.sql) for act in acts for statement in act.do)
    hazards = tuple(dict.fromkeys(hazard for act in acts for hazard in act.hazards))
    return Finding(described(choice.index), "\n".join(lines), sql, hazards, details)


def _terminated(sql: str) -> str:
    return sql if sql.rstrip().endswith(";") else f"{sql};"


def _calls(counted: Counted) -> str:
    """Return `12 calls, 3.4 s: `."""
    took = f", {counted.total_s:,.1f} s" if counted.total_s else ""
    return f"{counted.calls:,} {'call' if counted.calls == 1 else 'calls'}{took}: "


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):,.1f} MiB" if size_bytes >= 1 << 20 else f"{max(1, size_bytes >> 10)} KiB"
