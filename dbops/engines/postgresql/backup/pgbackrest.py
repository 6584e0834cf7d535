"""Backups by pgBackRest: in a repository of its own, which it alone writes; a policy has of each a record that leads there.

Which stanza and which configuration says the server's archive_command, since the log has to go where the files go. Secrets stand
in pgBackRest's configuration, and are never ours. Each backup is annotated with the policy and the id of its record. A record
that is missing is no reason to remove one: a storage that was not mounted has none.

The state that a backup leads to is that of a commit written behind it, as with pg_receivewal: a restore replays the log that far.
`check` proves that it has been archived.

Sources: pgBackRest 2.45, https://pgbackrest.org/command.html and configuration.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from dbops.engines.base.backup import Exit, Inventory, Link, Order, Position, Produced, Sink, Told, refuse_options, schema_digest
from dbops.engines.base.connect import Target
from dbops.engines.postgresql.backup.bases import read_facts
from dbops.engines.postgresql.backup.dumping import be_patient, timeline_of
from dbops.engines.postgresql.backup.logs import write_mark
from dbops.engines.postgresql.backup.stanzas import (
    NAME,
    Stanza,
    backups_in,
    dotted,
    ran,
    stanza_of,
    stanza_on,
    version,
)
from dbops.engines.postgresql.connect import PostgresConnection, connect
from dbops.engines.postgresql.fingerprint import fingerprint
from dbops.errors import BackupError

RECORD = "pgbackrest.json"
OPTIONS = frozenset({"config", "stanza", "process_max"})
"""What a restore may be told."""
_POLICY, _ID = "dbops-policy", "dbops-backup"
_TYPES = {"full": "full", "incremental": "incr", "differential": "diff"}
_FULL = "make a full backup: dbops backup run --type full"
_KEPT = ("--repo1-retention-full-type=count", "--repo1-retention-full=9999999")
"""Nothing goes by its own rules: the policy's decide."""
_VALID = re.compile(r"backup: (\S+), status: ([^,\n]+)")


def produce(order: Order, conn: PostgresConnection, target: Target, sink: Sink, told: Told) -> Produced:
    """Let pgBackRest make a backup, or see to it that the log is archived; see the port."""
    refuse_options(order, NAME, "process_max", "start_fast")
    be_patient(conn)
    facts, timeline, stanza = read_facts(conn), timeline_of(conn), stanza_on(conn)
    parent = order.parent
    if parent is not None and parent.end["timeline"] != timeline:
        raise BackupError(
            f"the server is on timeline {timeline} now, and {parent.id} ended on {parent.end['timeline']}",
            fix=_FULL,
            error_code="TIMELINE_CHANGED",
        )
    before = fingerprint(conn)
    exits: list[Exit] = []
    entry: dict[str, Any] | None = None
    if order.mechanism.kind != "log":
        entry = _backed_up(order, stanza, str(facts["system"]), exits, told)
    with closing(connect(target)) as writer:
        mark = write_mark(writer)
    told("waiting until the log is archived")
    exits.append(ran(stanza.stage("check"))[1])
    end = {"lsn": mark.lsn_text, "timeline": timeline}
    with sink.stream(RECORD) as stream:
        stream.write(json.dumps(entry or {"archived": end}, indent=1).encode())
    return Produced(
        start=_start(order, entry, timeline),
        end=end,
        ended_at=mark.at,
        tools={NAME: dotted(version())},
        exits=exits,
        inventory=Inventory(_digest(conn) if entry and fingerprint(conn) == before else None, {}, facts["size_bytes"]),
        details={**facts, "stanza": stanza.name, "options": list(stanza.options), **_place(entry, order)},
        warnings=() if entry is None or not entry["error"] else ("pgBackRest found pages whose checksums are wrong",),
    )


def lay_out(chain: Sequence[Link], data: Path, options: Mapping[str, Any], told: Told) -> str:
    """Let pgBackRest restore the files that a chain leads to into `data`; return the restore_command that brings the log."""
    from dbops.engines.postgresql.backup.folders import tablespaces_beside
    from dbops.engines.postgresql.backup.recovery import give_to_account

    last = [link for link in chain if link.kind != "log"][-1].details  # a log may be of a newer one than it is replayed on
    stanza = stanza_of(last, options)
    data.mkdir(mode=0o700)
    beside = tablespaces_beside(data)
    mapped = [f"--tablespace-map={oid}={beside / oid}" for oid in last["tablespaces"]]
    for oid in last["tablespaces"]:
        (beside / oid).mkdir(parents=True, mode=0o700)
    give_to_account(data.parent, beside)
    told(f"restoring {last['label']} with pgBackRest")
    parallel = [f"--process-max={options['process_max']}"] if "process_max" in options else []
    what = (f"--set={last['label']}", f"--pg1-path={data}", "--repo=1", "--type=preserve", *mapped, *parallel)
    ran(stanza.stage("restore", *what))
    return stanza.archive_get(data)


def examine(chain: Sequence[Link], told: Told) -> list[str]:
    """Let pgBackRest compare every file of its repository with its checksums; return what is wrong with these backups."""
    details = chain[-1].details
    stanza = stanza_of(details, {})
    labels = list(dict.fromkeys(str(link.details["label"]) for link in chain))
    told("checking pgBackRest's repository")
    answer, _ = ran(stanza.stage("verify", "--output=text", "--verbose", "--repo=1"))
    text = answer.decode("utf-8", "replace")
    status = dict(_VALID.findall(text))
    problems = [f"pgBackRest says of {label}: {status.get(label, 'there is no such backup')}" for label in labels]
    problems = [problem for problem, label in zip(problems, labels, strict=True) if status.get(label) != "valid"]
    archived = re.search(r"missing: (\d+), checksum invalid: (\d+), size invalid: (\d+), other: (\d+)", text)
    if archived is not None and any(int(count) for count in archived.groups()):
        problems.append(f"pgBackRest says of the archived log: {archived[0]}")
    return problems


def forget(link: Link, told: Told) -> None:
    """Let pgBackRest remove a backup, and the log that no full needs any more; see the port."""
    stanza, label = stanza_of(link.details, {}), str(link.details["label"])
    known = {str(one["label"]): one for one in backups_in(stanza) or ()}
    if label not in known:
        return
    if others := [other for other, one in known.items() if label in (one["reference"] or ())]:
        raise BackupError(
            f"pgBackRest's {others[0]} needs {label}, which is {link.id}: it stays",
            fix=f"pgbackrest --stanza={stanza.name} expire --set={others[0]}, if nobody wants that one",
        )
    told(f"letting pgBackRest remove {label}")
    ran(stanza.stage("expire", "--repo=1", f"--set={label}", *_KEPT))
    if link.kind == "full":
        fulls = sum(one["type"] == "full" for one in known.values()) - 1
        rule = ("--repo1-retention-archive-type=full", f"--repo1-retention-archive={fulls}")
        ran(stanza.stage("expire", "--repo=1", *_KEPT, *rule))


def _backed_up(order: Order, stanza: Stanza, system: str, exits: list[Exit], told: Told) -> dict[str, Any]:
    """Make a backup and return what pgBackRest says of it."""
    known = backups_in(stanza, system)
    if known is None:
        told(f"making the stanza {stanza.name}")
        exits.append(ran(stanza.stage("stanza-create"))[1])
        known = []
    _must_follow(order, known)
    kind = _TYPES[order.mechanism.kind]
    more = [f"--process-max={order.options['process_max']}"] if "process_max" in order.options else []
    more += ["--start-fast"] if order.options.get("start_fast", True) else []
    marks = (f"--annotation={_POLICY}={order.owner}", f"--annotation={_ID}={order.name}")
    told("copying the files with pgBackRest")
    exits.append(ran(stanza.stage("backup", "--repo=1", f"--type={kind}", "--no-expire-auto", *_KEPT, *more, *marks))[1])
    made = [one for one in backups_in(stanza, system) or () if _annotated(one, _ID) == order.name]
    if not made or made[-1]["type"] != kind:
        raise BackupError(f"pgBackRest ended well and shows no {kind} backup of {order.name}")
    return dict(made[-1])


def _must_follow(order: Order, known: Sequence[Mapping[str, Any]]) -> None:
    """Let an increment pass that pgBackRest will base on the policy's own backup: it takes its newest, or its newest full."""
    if order.parent is None:
        return
    bases = [one for one in known if order.mechanism.kind == "incremental" or one["type"] == "full"]
    label = order.parent.details["label"]
    if not bases or bases[-1]["label"] != label:
        newest = bases[-1]["label"] if bases else "none"
        raise BackupError(
            f"pgBackRest would go on from {newest}, and {order.parent.id} is {label} there; somebody else backs up too",
            fix=_FULL,
            error_code="NO_PARENT",
        )


def _start(order: Order, entry: Mapping[str, Any] | None, timeline: int) -> Position:
    """Return where a backup begins; the log behind a new base begins where the log before it ended, for all of it is archived."""
    if order.parent is None:
        assert entry is not None
        return {"lsn": entry["lsn"]["start"], "timeline": timeline}
    if entry is None and order.log_end is not None and order.log_end["timeline"] == timeline:
        return dict(order.log_end)
    return dict(order.parent.end)


def _place(entry: Mapping[str, Any] | None, order: Order) -> dict[str, Any]:
    """Return the label that a restore begins with, and how much lies in pgBackRest's repository for this backup."""
    if entry is None:
        assert order.parent is not None
        return {"label": order.parent.details["label"]}
    size = entry["info"]
    return {"label": entry["label"], "elsewhere": {"plain": size["delta"], "stored": size["repository"]["delta"]}}


def _annotated(entry: Mapping[str, Any], name: str) -> str:
    return str(entry.get("annotation", {}).get(name, ""))


def _digest(conn: PostgresConnection) -> str:
    """The catalog as it was all the while."""
    from dbops.engines.postgresql.engine import PostgresEngine

    return schema_digest(PostgresEngine(), conn)
