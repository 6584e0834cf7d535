"""A plan as Markdown: what a reviewer wants at the top of a pull request, short enough for any code host's comment field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dbops.cli.views import wording
from dbops.dataclass import dataclass
from dbops.reconcile.change import Action
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.step import Call, Step

if TYPE_CHECKING:
    from dbops.usecases.compare import Comparison

LIMIT = 65_536
"""What GitHub takes in a comment, in characters; counted here in bytes, so that it holds however a host counts."""

_MARKUP = re.compile(r"[\\`*\[\]<>|~&@]|(?<![^\W_])_|_(?![^\W_])")
_TICKS = re.compile(r"`{3,}")
_NAME, _TEXT = 160, 300
_DANGER: dict[Action, int] = {"delete": 1, "replace": 2, "update": 3, "run": 4, "create": 5}


def plan_markdown(plan: Plan, limit: int = LIMIT) -> str:
    """Return the plan in fewer than `limit` bytes of UTF-8.

    When it is too long, SQL of the least dangerous changes goes first, then lines of changes; blocking hazards stay
    longest. What was left out is said.
    """
    head, foot = _head(plan), _foot(plan)
    pieces = _pieces(plan)
    room = limit - _weight(head) - _weight(foot) - _RESERVED
    kept = _keep(pieces, room)
    parts = [head]
    if hazards := _texts(kept, "hazard"):
        parts.append("### Hazards\n\n| hazard | change | what may happen |\n|---|---|---|\n" + "\n".join(hazards))
    if changes := _texts(kept, "line", "details"):
        parts.append("### Changes\n\n" + "\n".join(changes))
    if observations := _texts(kept, "observation"):
        parts.append("### Observations\n\n" + "\n".join(observations))
    if note := _left_out(pieces, kept):
        parts.append(note)
    return "\n\n".join([*parts, foot]) + "\n"


def comparison_markdown(found: Comparison, limit: int = LIMIT) -> str:
    """Return a comparison in fewer than `limit` bytes: what differs, and the SQL as long as there is room."""
    head = f"## dbops diff\n\nFrom {code(found.before)} to {code(found.after)}: "
    differences = found.differences
    if not differences:
        return f"{head}no difference.\n"
    lines = [f"- <b>{one.action}</b> {code(one.address)}: {plain(one.reason)}" for one in differences]
    sql = "\n".join(found.engine.dialect.terminated(statement.for_client) for act in found.acts for statement in act.do)
    blocks = f"\n\n<details><summary>SQL</summary>\n\n{fenced(sql, 'sql')}\n\n</details>"
    text = f"{head}{wording.count(len(differences), 'difference')}.\n\n" + "\n".join(lines)
    if _weight(text) + _weight(blocks) < limit:
        return f"{text}{blocks}\n"
    kept, room = [], limit - _RESERVED
    for line in lines:
        room -= _weight(line) + 1
        if room < 0:
            break
        kept.append(line)
    left = f" and {wording.count(len(lines) - len(kept), 'difference')}" if len(kept) < len(lines) else ""
    note = f"**Left out for length:** the SQL{left}. All of it: <code>dbops diff -o sql</code>"
    return f"{head}{wording.count(len(differences), 'difference')}.\n\n" + "\n".join([*kept, "", note]) + "\n"


_RESERVED = 700  # headings, the note on what was left out, and the blank lines between parts


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the document that can be left out: `rank` says how late; `place` which change it belongs to.

    `text` is None when it is longer than the whole document may be.
    """

    part: str
    rank: tuple[int, ...]
    place: int
    text: str | None


def plain(text: str, longest: int = _TEXT) -> str:
    """Return text on one line with everything escaped that Markdown or a table would read."""
    text = _clip(wording.on_one_line(text), longest)
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def code(text: str, longest: int = _NAME) -> str:
    """Return text as inline code that holds inside tables and HTML."""
    return f"<code>{plain(text, longest)}</code>"


def fenced(text: str, language: str) -> str:
    """Return text in a code block whose fence is longer than any fence inside."""
    ticks = max((len(run) for run in _TICKS.findall(text)), default=2)
    fence = "`" * (ticks + 1)
    return f"{fence}{language}\n{wording.printable(text)}\n{fence}"


def _head(plan: Plan) -> str:
    title = f"## dbops plan: {plain(plan.environment, _NAME)}"
    if plan.is_empty:
        return f"{title}\n\n{'⛔' if plan.is_refused or plan.is_blind else '✅'} {wording.no_changes(plan)}"
    table = "| create | update | replace | delete | run |\n|---:|---:|---:|---:|---:|\n| " + " | ".join(
        f"{plan.summary[action]:,}" for action in wording.SYMBOLS
    )
    return f"{title}\n\n{_verdict(plan)}\n\n{table} |"


def _verdict(plan: Plan) -> str:
    if plan.rehearsal is not None and not plan.rehearsal.ok:
        return "⛔ **The rehearsal did not come out right.** This plan should not be applied."
    if plan.is_refused:
        return f"⛔ {wording.REFUSED}"
    if stops := wording.stops(plan):
        flags = " ".join(f"--allow {name}" for name in sorted(set(stops)))
        return f"⛔ **Blocked** by {wording.count(len(stops), 'hazard')}. After review: `dbops apply {flags}`"
    hazards = sum(len(step.hazards) for step in plan.steps)
    return f"⚠️ Ready to apply, with {wording.count(hazards, 'hazard')}." if hazards else "✅ Ready to apply, no hazards."


def _foot(plan: Plan) -> str:
    parts = [f"dbops {plain(plan.dbops_version, 40)}", plain(plan.created_at, 40)]
    if plan.rehearsal is not None and plan.rehearsal.ok:
        parts.insert(0, f"Rehearsed on a scratch copy in {wording.duration(plan.rehearsal.duration_s)}")
    return f"<sub>{' · '.join(parts)}</sub>"


def _pieces(plan: Plan) -> list[_Piece]:
    pieces: list[_Piece] = []
    for place, entry in enumerate(wording.in_order(plan)):
        pieces += _hazard_pieces(entry, place)
        danger = _danger(entry)
        line = _line(entry)
        pieces.append(_Piece("line", (1, danger, place), place, f"- {line}"))
        if entry.steps:
            text = _details(entry, line) if _sql_length(entry) < LIMIT else None
            pieces.append(_Piece("details", (4, danger, place), place, text))
    for place, observation in enumerate(plan.observations):
        text = f"- **{plain(observation.severity, 20)}** {code(observation.code)} {plain(observation.message)}"
        pieces.append(_Piece("observation", (3, place), place, text))
    return pieces


def _hazard_pieces(entry: Entry, place: int) -> Iterator[_Piece]:
    for warned in dict.fromkeys(warned for step in entry.steps for warned in wording.warnings(step)):
        name = f"**{plain(warned.code)}** (blocks)" if warned.stops else plain(warned.code)
        text = f"| {name} | {code(entry.change.address)} | {plain(warned.message)} |"
        yield _Piece("hazard", (0 if warned.stops else 2, place), place, text)


def _danger(entry: Entry) -> int:
    found = [warned for step in entry.steps for warned in wording.warnings(step)]
    if any(warned.stops for warned in found):
        return -1
    return 0 if found else _DANGER[entry.change.action]


def _line(entry: Entry) -> str:
    change = entry.change
    drifted = "drift: " if change.cause == "drift" else ""
    reason = f": {drifted}{plain(change.reason)}" if change.reason else ""
    return f"<b>{change.action}</b> {code(change.address)}{reason}"


def _details(entry: Entry, line: str) -> str:
    blocks = [f"<details><summary>{line}</summary>", *_place(entry)]
    for step in entry.steps:
        blocks += _step_blocks(step)
    return "\n\n".join([*blocks, "</details>\n"])


def _sql_length(entry: Entry) -> int:
    folded = [wording.folded(step.do) for step in entry.steps if not isinstance(step.do, Call)]
    return sum(len(statement.sql) for first, _, last in folded for statement in (*first, *last))


def _place(entry: Entry) -> Iterator[str]:
    if entry.change.at is not None:
        yield code(wording.place(entry.change.at))


def _step_blocks(step: Step) -> Iterator[str]:
    if isinstance(step.do, Call):
        yield fenced(wording.call_text(step.do), "text")
    else:
        first, left_out, last = wording.folded(step.do)
        lines = [f"{statement.sql};" for statement in first]
        lines += [f"-- {left_out}", *(f"{statement.sql};" for statement in last)] if left_out else []
        yield fenced("\n".join(lines), "sql")
    facts = [wording.estimate(step.estimate), "no undo" if step.undo is None else ""]
    if said := ", ".join(fact for fact in facts if fact):
        yield said


def _keep(pieces: list[_Piece], room: int) -> list[_Piece]:
    """Choose what stays: by rank, as long as it fits; details only where their line stays, which they then replace."""
    kept: list[_Piece] = []
    lines: dict[int, int] = {}
    for piece in sorted(pieces, key=lambda piece: piece.rank):
        if piece.text is None or (piece.part == "details" and piece.place not in lines):
            continue
        weight = _weight(piece.text) + 1
        if piece.part == "details":
            weight -= lines[piece.place]
        if weight > room:
            continue
        room -= weight
        kept.append(piece)
        if piece.part == "line":
            lines[piece.place] = weight
    return kept


def _texts(kept: list[_Piece], *parts: str) -> list[str]:
    """Return the texts of some parts in the plan's order, for each change the last of `parts` that stays."""
    chosen: dict[tuple[int, int], str] = {}
    for part in parts:
        for number, piece in enumerate(piece for piece in kept if piece.part == part):
            chosen[piece.place, number if len(parts) == 1 else 0] = piece.text or ""
    return [chosen[key] for key in sorted(chosen)]


def _left_out(pieces: list[_Piece], kept: list[_Piece]) -> str:
    missing = Counter(piece.part for piece in pieces)
    missing.subtract(piece.part for piece in kept)
    nouns = {"details": "change", "line": "change", "hazard": "hazard", "observation": "observation"}
    counted = {part: wording.count(missing[part], noun) for part, noun in nouns.items() if missing[part]}
    parts = [f"the SQL of {text}" if part == "details" else text for part, text in counted.items()]
    return f"**Left out for length:** {', '.join(parts)}. All of it: `dbops plan`, or the plan file." if parts else ""


def _weight(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _clip(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
