"""A plan: changes with their steps, bound to what was observed when it was made. Format `dbops.plan/1`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import Mark, PlanError
from dbops.reconcile import step as steps
from dbops.reconcile.change import ACTIONS, REFUSALS, UNSEEN, Change, Observation
from dbops.reconcile.step import Step

FORMAT = "dbops.plan/1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change and the steps that carry it out; empty when another entry's steps do (`Step` titles say so)."""

    change: Change
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The outcome of running the steps on a scratch copy: `differences` names objects that did not come out as desired."""

    ok: bool
    duration_s: float
    connections: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`fingerprints` name what was observed per connection; `created_at` is UTC in ISO 8601.

    `only` are the addresses the plan was asked for, empty for everything.
    """

    dbops_version: str
    environment: str
    created_at: str
    fingerprints: Mapping[str, str]
    entries: tuple[Entry, ...]
    observations: tuple[Observation, ...] = ()
    rehearsal: Rehearsal | None = None
    only: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.entries

    @property
    def is_refused(self) -> bool:
        """Whether something stands in the way that nobody can allow, so that an apply would stop before its first statement."""
        return any(observation.code in REFUSALS for observation in self.observations)

    @property
    def is_blind(self) -> bool:
        """Whether something declared could not be looked at, so that the plan may lack changes."""
        return any(observation.code in UNSEEN for observation in self.observations)

    @property
    def steps(self) -> list[Step]:
        """All steps in the order in which they run."""
        return sorted((step for entry in self.entries for step in entry.steps), key=lambda step: step.order)

    @property
    def summary(self) -> dict[str, int]:
        """How many changes there are of each action, all actions named."""
        counts: dict[str, int] = dict.fromkeys(ACTIONS, 0)
        for entry in self.entries:
            counts[entry.change.action] += 1
        return counts

    @property
    def connections(self) -> tuple[str, ...]:
        """The connections that steps run on, in order of first use."""
        return tuple(dict.fromkeys(step.on for step in self.steps))


def to_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values, as `specs/plan-format.md` describes them."""
    return {
        "format": FORMAT,
        "dbops_version": plan.dbops_version,
        "environment": plan.environment,
        "created_at": plan.created_at,
        "only": list(plan.only),
        "fingerprints": dict(plan.fingerprints),
        "summary": plan.summary,
        "refused": plan.is_refused,
        "changes": [_entry_to_dict(entry) for entry in plan.entries],
        "observations": [
            {"address": o.address, "code": o.code, "message": o.message, "severity": o.severity} for o in plan.observations
        ],
        "rehearsal": None if plan.rehearsal is None else _rehearsal_to_dict(plan.rehearsal),
    }


def to_json(plan: Plan) -> str:
    return json.dumps(to_dict(plan), indent=2, ensure_ascii=False)


def digest(plan: Plan) -> str:
    """Return a SHA-256 over everything that will run, for the journal."""
    text = json.dumps([steps.to_dict(step) for step in plan.steps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def from_json(text: str, file: str) -> Plan:
    """Read a saved plan.

    Raises:
        PlanError: `file` is no plan of this format.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise PlanError(f"not a plan file: {error}", at=Mark(file), fix="save one with: dbops plan --out FILE") from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        raise PlanError(f"not a plan this version reads: format {found!r}", at=Mark(file), expected=FORMAT)
    try:
        return _from_dict(data)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise PlanError(f"the plan file is damaged: {error!r}", at=Mark(file), fix="make the plan again") from error


def _entry_to_dict(entry: Entry) -> dict[str, Any]:
    change = entry.change
    return {
        "address": change.address,
        "kind": change.kind,
        "action": change.action,
        "cause": change.cause,
        "reason": change.reason,
        "at": None if change.at is None else change.at._asdict(),
        "steps": [steps.to_dict(step) for step in entry.steps],
    }


def _rehearsal_to_dict(rehearsal: Rehearsal) -> dict[str, Any]:
    return {
        "ok": rehearsal.ok,
        "duration_s": round(rehearsal.duration_s, 3),
        "connections": list(rehearsal.connections),
        "differences": list(rehearsal.differences),
    }


def _from_dict(data: Mapping[str, Any]) -> Plan:
    rehearsal = data["rehearsal"]
    return Plan(
        dbops_version=data["dbops_version"],
        environment=data["environment"],
        created_at=data["created_at"],
        fingerprints=data["fingerprints"],
        entries=tuple(_entry_from_dict(item) for item in data["changes"]),
        observations=tuple(Observation(**item) for item in data["observations"]),
        rehearsal=None
        if rehearsal is None
        else Rehearsal(
            rehearsal["ok"], rehearsal["duration_s"], tuple(rehearsal["connections"]), tuple(rehearsal["differences"])
        ),
        only=tuple(data["only"]),
    )


def _entry_from_dict(data: Mapping[str, Any]) -> Entry:
    if data["action"] not in ACTIONS:
        raise ValueError(f"unknown action {data['action']!r}")
    change = Change(
        address=data["address"],
        action=data["action"],
        cause=data["cause"],
        reason=data["reason"],
        at=None if data["at"] is None else Mark(**data["at"]),
    )
    return Entry(change, tuple(steps.from_dict(item) for item in data["steps"]))
