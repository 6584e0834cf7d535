"""What stands in a repository, read: backups, evidence, failures, holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from dbops.archive.repository import Repository
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
    return Evidence(
        facts["backup_id"],
        datetime.fromisoformat(facts["at"]),
        facts["level"],
        facts["ok"],
        tuple(facts["problems"]),
        facts["seconds"],
        facts["details"],
    )


def _failure(key: str, facts: Mapping[str, Any]) -> Failure:
    return Failure(_stem(key), facts["kind"], datetime.fromisoformat(facts["at"]), facts["error"])


def _stem(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _evidence(repository: Repository, below: str) -> tuple[Evidence, ...]:
    found = []
    for _, facts in repository.notes(below):
        with suppress(KeyError, TypeError, ValueError):
            found.append(evidence_from(facts))
    return tuple(found)
