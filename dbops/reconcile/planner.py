"""Builds a plan: observe, diff, steps, order, fingerprints, rehearsal; writes nothing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import PlanError
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry, Plan, Rehearsal
from dbops.reconcile.resource import Desired, Observed, Resource, Targets


@dataclass(frozen=True, slots=True)
class Work:
    """One desired thing and the resource that knows its kind."""

    resource: Resource[Any, Any]
    desired: Desired


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one piece of work; `left_out` are addresses that differ and that the plan is not about."""

    work: Work
    observed: Observed
    entries: tuple[Entry, ...]
    left_out: frozenset[str] = frozenset()

    @property
    def observations(self) -> Iterator[Observation]:
        """What was observed of that which the plan is about."""
        return (said for said in self.observed.observations if said.address not in self.left_out)


def observe(work: Sequence[Work], targets: Targets, only: Sequence[str] = ()) -> list[Finding]:
    """Observe and diff every piece of work, kinds with lower rank first.

    `only` are addresses: changes outside them (and what lies below them) are left out.

    Raises:
        PlanError: an address of `only` matches no piece of work.
    """
    chosen = _chosen(work, only)
    findings = []
    for item in sorted(chosen, key=lambda item: item.resource.rank):
        observed = item.resource.observe(item.desired, targets)
        found = item.resource.diff(item.desired, observed)
        changes = [change for change in found if _is_within(change.address, only)]
        entries = item.resource.steps(changes, item.desired, observed, targets) if changes else ()
        left_out = (
            {change.address for change in found} - {entry.change.address for entry in entries} - {c.address for c in changes}
        )
        findings.append(Finding(item, observed, tuple(entries), frozenset(left_out)))
    return findings


def make_plan(
    findings: Sequence[Finding],
    targets: Targets,
    *,
    version: str,
    environment: str,
    now: datetime,
    only: Sequence[str] = (),
    rehearse: bool = True,
) -> Plan:
    """Put the findings into one plan, steps numbered in the order they run, rehearsed when `rehearse` says so.

    `only` are the addresses that were observed, as given to `observe`.
    """
    entries = _numbered([entry for finding in findings for entry in finding.entries])
    rehearsals = [_rehearsed(finding, targets) for finding in findings if rehearse and finding.entries]
    return Plan(
        dbops_version=version,
        environment=environment,
        created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        fingerprints=fingerprints(findings),
        entries=tuple(entries),
        observations=tuple(_observations(findings)),
        only=tuple(only),
        rehearsal=_together([rehearsal for rehearsal in rehearsals if rehearsal is not None]),
    )


def fingerprints(findings: Sequence[Finding]) -> Mapping[str, str]:
    """Return one SHA-256 per connection over everything its resources observed there."""
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for finding in findings:
        for connection, mark in finding.observed.fingerprints.items():
            seen[connection].append(f"{finding.work.desired.address}={mark}")
    return {name: hashlib.sha256("\n".join(sorted(marks)).encode()).hexdigest() for name, marks in sorted(seen.items())}


def _chosen(work: Sequence[Work], only: Sequence[str]) -> list[Work]:
    if not only:
        return list(work)
    chosen = [item for item in work if _is_within(item.desired.address, only) or _contains(item.desired.address, only)]
    for address in only:
        if not any(_is_within(item.desired.address, [address]) or _contains(item.desired.address, [address]) for item in work):
            known = ", ".join(item.desired.address for item in work)
            raise PlanError(f"no resource has the address {address!r}", expected=f"one of {known}, or an object inside one")
    return chosen


def _is_within(address: str, only: Sequence[str]) -> bool:
    return not only or any(address == wanted or address.startswith(wanted + "/") for wanted in only)


def _contains(address: str, only: Sequence[str]) -> bool:
    return any(wanted.startswith(address + "/") for wanted in only)


def _numbered(entries: Sequence[Entry]) -> list[Entry]:
    """Number the steps of all entries; within one resource the given order of steps is kept."""
    offset = 0
    result: list[Entry] = []
    block: list[Entry] = []

    def close() -> None:
        nonlocal offset
        result.extend(
            replace(entry, steps=tuple(replace(step, order=step.order + offset) for step in entry.steps)) for entry in block
        )
        offset += 1 + max((step.order for entry in block for step in entry.steps), default=-1)
        block.clear()

    for entry in entries:
        if block and _owner(block[-1].change) != _owner(entry.change):
            close()
        block.append(entry)
    close()
    return result


def _owner(change: Change) -> str:
    return "/".join(change.address.split("/", 2)[:2])


def _rehearsed(finding: Finding, targets: Targets) -> Rehearsal | None:
    return finding.work.resource.rehearse(finding.entries, finding.work.desired, finding.observed, targets)


def _together(rehearsals: Sequence[Rehearsal]) -> Rehearsal | None:
    if not rehearsals:
        return None
    return Rehearsal(
        ok=all(one.ok for one in rehearsals),
        duration_s=sum(one.duration_s for one in rehearsals),
        connections=tuple(dict.fromkeys(name for one in rehearsals for name in one.connections)),
        differences=tuple(difference for one in rehearsals for difference in one.differences),
    )


def _observations(findings: Sequence[Finding]) -> list[Observation]:
    return list(dict.fromkeys(observation for finding in findings for observation in finding.observations))
