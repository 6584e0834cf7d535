"""What stands in a repository, read: backups, evidence, failures, holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from dbops.archive import manifest as manifests
from dbops.archive.repository import Repository
from dbops.engines.base.shape import Shape, misfit, or_none
from dbops.resources.backups.model import Evidence, Failure, Standing


def standing_of(repository: Repository, timeline: str | None) -> Standing:
    """Read what stands in a repository: a few listings, and one request for each document not seen before."""
    contents = repository.contents()
    evidence, failures = _evidence(repository, "verify"), []
    for timeline_folder in sorted(contents.timelines):
        for key, facts in repository.notes(f"{timeline_folder}/failures"):
            with suppress(KeyError, TypeError, ValueError):
                failures.append(_failure(key, facts))
    keys = repository.keys
    asks = keys.methods or timeline is not None  # without a key and a database nobody asks more than what is there
    foreign = frozenset(one.id for one in contents.backups if asks and not keys.opens(one.encryption))
    held = repository.held()
    return Standing(contents.backups, contents.broken, evidence, tuple(failures), held, timeline, foreign, contents.lost)


def proven_at(repository: Repository, backup_id: str, level: int = 2) -> datetime | None:
    """Return when what a backup leads to was last put together and checked by its engine, or from level 3 on restored; None when
    never, or it failed since.
    """
    evidence = _evidence(repository, f"verify/{backup_id}")
    latest = Standing(evidence=evidence).verified(level)
    return max(one.at for one in evidence if one.ok and one.level >= level) if backup_id in latest else None


def evidence_from(facts: Mapping[str, Any]) -> Evidence:
    """Read evidence as `proving.keep` wrote it.

    Raises:
        KeyError, TypeError, ValueError: it is of another shape.
    """
    _must_fit(facts, _EVIDENCE)
    return Evidence(
        facts["backup_id"],
        manifests.moment(facts["at"]),
        facts["level"],
        facts["ok"],
        tuple(facts["problems"]),
        facts["seconds"],
        facts["details"],
        number=facts.get("number") or 0,
    )


_EVIDENCE: Mapping[str, Shape] = {
    "backup_id": str,
    "at": str,
    "level": int,
    "ok": bool,
    "problems": [str],
    "seconds": or_none(lambda value: isinstance(value, int | float)),
    "details": dict,
    "number": or_none(int),
}
_FAILURE: Mapping[str, Shape] = {"kind": str, "at": str, "error": str}


def _must_fit(facts: Mapping[str, Any], shape: Mapping[str, Shape]) -> None:
    if (wrong := misfit(dict(facts), shape, "it")) is not None:
        raise TypeError(wrong)


def _failure(key: str, facts: Mapping[str, Any]) -> Failure:
    _must_fit(facts, _FAILURE)
    return Failure(_stem(key), facts["kind"], manifests.moment(facts["at"]), facts["error"])


def tried(repository: Repository, backup_id: str) -> int:
    """Return the number of the last verification of a backup, 0 where there was none."""
    return max((one.number for one in _evidence(repository, f"verify/{backup_id}")), default=0)


def _stem(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _evidence(repository: Repository, below: str) -> tuple[Evidence, ...]:
    found = []
    for _, facts in repository.notes(below):
        with suppress(KeyError, TypeError, ValueError):
            found.append(evidence_from(facts))
    return tuple(found)
