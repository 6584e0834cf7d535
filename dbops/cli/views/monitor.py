"""What databases are doing, as tables and data: looks, histories, and the vocabulary of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.blocked import blocked_text
from dbops.cli.views.tables import table
from dbops.cli.views.unseen import unseen_text
from dbops.usecases.monitor import History, KnownFigure, Number, Reading, in_words

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 60


def readings_text(readings: Sequence[Reading]) -> str:
    """Return each look as a table, figures of one object behind those of the whole database, and what could not be seen."""
    return "\n\n".join(map(_reading_text, readings)) if readings else "This environment has no connections."


def _reading_text(one: Reading) -> str:
    name = style(wording.on_one_line(one.connection), bold=True)
    if one.look is None:
        return f"{name}: {style('not seen', fg='red')}: {wording.printable(one.error or '')}"
    took = f"{one.look.queries} queries, {wording.duration(one.took_s)}"
    head = f"{name} ({one.engine}) at {_moment(one.at)}, {took}"
    plain, of = [("FIGURE", "VALUE")], [("FIGURE", "OF", "VALUE")]
    for item in one.numbers:
        shown = in_words(item.number, item.unit)
        if item.labels:
            of.append((item.figure, wording.on_one_line(" ".join(item.labels.values())), shown))
        else:
            plain.append((item.figure, shown))
    parts = [
        head,
        table(plain),
        table(of) if len(of) > 1 else "",
        blocked_text(one.blocked),
        unseen_text("not seen", ((item.metric, item.why, item.fix) for item in one.unseen)),
    ]
    return "\n\n".join(part for part in parts if part)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"


def reading_data(one: Reading) -> dict[str, Any]:
    """Return a look as JSON has it: figures with their labels by name, and what could not be seen."""
    return {
        "connection": one.connection,
        "engine": one.engine,
        "at": _iso(one.at),
        "error": one.error,
        "queries": one.look.queries if one.look else None,
        "took_s": round(one.took_s, 6),
        "figures": [_number_data(item) for item in one.numbers],
        "blocked": [asdict(item) for item in one.blocked],
        "unseen": [{"metric": item.metric, "why": item.why, "fix": item.fix} for item in one.unseen],
    }


def _number_data(item: Number) -> dict[str, Any]:
    return {"figure": item.figure, "unit": item.unit, "labels": dict(item.labels), "value": item.number}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def histories_text(found: Sequence[History]) -> str:
    """Return each series in a line: least, mean and most of the whole time, the last, and how it went."""
    rows: list[tuple[str, ...]] = [("CONNECTION", "OF", "LEAST", "MEAN", "MOST", "LAST", "HOW IT WENT")]
    for one in found:
        for labels, points in one.series.items():
            numbers = [point.mean for point in points]
            mean = sum(numbers) / len(numbers)
            shown = (min(p.least for p in points), mean, max(p.most for p in points), numbers[-1])
            name, of = wording.on_one_line(one.connection), wording.on_one_line(" ".join(labels))
            rows.append((name, of, *(in_words(number, one.unit) for number in shown), _line(numbers)))
    return f"{style(found[0].figure, bold=True)}: {found[0].meaning}\n\n{table(rows)}"


def _line(numbers: Sequence[float]) -> str:
    """Return a row of bars, each for the mean of its stretch."""
    width = min(_COLUMNS, len(numbers))
    borders = [place * len(numbers) // width for place in range(width + 1)]
    means = [sum(part) / len(part) for part in (numbers[a:b] for a, b in pairwise(borders))]
    least, most = min(means), max(means)
    if most == least:
        return _BARS[0] * width
    return "".join(_BARS[round((mean - least) / (most - least) * (len(_BARS) - 1))] for mean in means)


def history_data(one: History) -> dict[str, Any]:
    """Return a history as JSON has it; `step_s` is 0 for a point as it came."""
    return {
        "connection": one.connection,
        "figure": one.figure,
        "unit": one.unit,
        "series": [
            {
                "labels": dict(zip(one.labels, labels, strict=True)),
                "points": [
                    {"at": _iso(p.at), "mean": p.mean, "least": p.least, "most": p.most, "step_s": p.step_s} for p in points
                ],
            }
            for labels, points in one.series.items()
        ],
    }


def figures_text(found: Sequence[KnownFigure]) -> str:
    """Return the vocabulary as a table."""
    rows = [("FIGURE", "UNIT", "OF", "ENGINES", "MEANING")]
    rows += [(one.name, one.unit, " ".join(one.labels), " ".join(one.engines), one.meaning) for one in found]
    return table(rows)
