"""Which hazards stop an apply: those that lose or block something, unless somebody allowed them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dbops.dataclass import dataclass
from dbops.errors import ApplyError, HazardError
from dbops.reconcile.change import BACKUP_REFUSED, DATA_REFUSES, MIGRATION_REFUSED, Observation
from dbops.reconcile.step import Call, Step
from dbops.sql.hazard import BEYOND_TEXT, HAZARDS, Hazard

ALL = "all"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A hazard that nobody allowed, and the step that carries it."""

    step: Step
    hazard: Hazard


def check_codes(codes: Iterable[str]) -> frozenset[str]:
    """Return the codes as a set, upper-cased.

    Raises:
        HazardError: a code nobody knows; names the nearest.
    """
    from difflib import get_close_matches

    known = {ALL, *HAZARDS}
    result = set()
    for code in codes:
        name = ALL if code.lower() == ALL else code.upper().replace("-", "_")
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise HazardError(
                f"unknown hazard {code!r}",
                expected="one of all, " + ", ".join(sorted(HAZARDS)),
                fix=f"did you mean {near[0]}?" if near else None,
            )
        result.add(name)
    return frozenset(result)


def blocked(steps: Iterable[Step], allowed: Collection[str]) -> list[Blocked]:
    """Return the blocking hazards that neither `allowed` nor the manifest's own policy lets pass."""
    if ALL in allowed:
        return []
    return [
        Blocked(step, hazard)
        for step in steps
        for hazard in step.hazards
        if hazard.is_blocking and hazard.code not in allowed and hazard.code not in step.allowed and ALL not in step.allowed
    ]


def refuse(observations: Iterable[Observation]) -> None:
    """Let the plan pass unless live rows are known to make a step fail, migrations refuse, or a promised backup cannot be made;
    nobody can allow that.

    Raises:
        ApplyError: says what stands in the way.
    """
    seen = list(observations)
    if refused := [item for item in seen if item.code == MIGRATION_REFUSED]:
        lines = "\n".join(f"  {item.message}" for item in refused)
        raise ApplyError(
            f"migrations stand in the way; nothing was done:\n{lines}",
            fix="; ".join((*dict.fromkeys(item.fix for item in refused if item.fix), "dbops migrate status shows all")),
            error_code=MIGRATION_REFUSED,
        )
    if impossible := [item for item in seen if item.code == BACKUP_REFUSED]:
        lines = "\n".join(f"  {item.address}: {item.message}" for item in impossible)
        raise ApplyError(
            f"backups that are promised cannot be made; nothing was done:\n{lines}",
            fix="mend that, or take them out of the schedule; --target leaves a policy out",
            error_code=BACKUP_REFUSED,
        )
    reasons = [item for item in seen if item.code == DATA_REFUSES]
    if reasons:
        lines = "\n".join(f"  {item.address}: {item.message}" for item in reasons)
        raise ApplyError(f"rows stand in the way; nothing was done:\n{lines}", fix="mend these rows, or change the manifests")


def gate(steps: Iterable[Step], allowed: Collection[str]) -> None:
    """Let the steps pass, or say which hazards must be allowed first.

    Raises:
        HazardError: at least one blocking hazard is not allowed.
    """
    stops = blocked(steps, allowed)
    if stops:
        codes = sorted({stop.hazard.code for stop in stops})
        lines = [f"{stop.hazard.code}: {stop.hazard.message}" for stop in stops]
        has_remarks = any(isinstance(stop.step.do, Call) and stop.hazard.code not in BEYOND_TEXT for stop in stops)
        raise HazardError(
            "hazards are not allowed:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(lines)),
            fix="after review, allow them with "
            + " ".join(f"--allow {code}" for code in codes)
            + ", or in the manifest's policy.allow"
            + (", or by -- dbops:allow CODE reason in the file" if has_remarks else ""),
            codes=codes,
        )
