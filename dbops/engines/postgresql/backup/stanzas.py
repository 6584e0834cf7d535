"""pgBackRest's commands: which version is here, where a server's archive_command leads, and what they answer."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit
from dbops.engines.base.connect import Connection
from dbops.engines.base.processes import PACKAGES, Stage, find_tool, run
from dbops.engines.postgresql.private import account
from dbops.errors import BackupError

NAME = "pgbackrest"
SINCE = (2, 45)
"""The version that these commands and their answers were tried with."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """Where pgBackRest keeps the backups of a server: `options` name its configuration, as archive_command does."""

    name: str
    options: tuple[str, ...] = ()

    def stage(self, command: str, *more: str) -> Stage:
        """Return one of its commands, run by the account that runs servers."""
        program = find_tool(NAME)
        return Stage(program, (*self.options, f"--stanza={self.name}", *more, command), user=account())

    def archive_get(self, data: Path) -> str:
        """Return a restore_command for a server in `data`."""
        words = [str(find_tool(NAME)), *self.options, f"--stanza={self.name}", f"--pg1-path={data}"]
        return f'{shlex.join(words).replace("%", "%%")} archive-get %f "%p"'


def stanza_in(command: str) -> Stanza | None:
    """Return the stanza that an `archive_command` pushes to, None where it is not pgBackRest's."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    places = [place for place, word in enumerate(words) if Path(word).name == NAME]
    if not places or "archive-push" not in words[places[0] :]:
        return None
    options = [word for word in words[places[0] + 1 :] if word.startswith(("--stanza=", "--config"))]
    names = [word.removeprefix("--stanza=") for word in options if word.startswith("--stanza=")]
    return Stanza(names[-1], tuple(word for word in options if word.startswith("--config"))) if names else None


def refusal(archive_mode: str, command: str, *, is_standby: bool) -> tuple[str, str] | None:
    """Say why pgBackRest cannot be driven on this machine and server, and what to do; None where it can."""
    try:
        found = version()
    except BackupError as error:
        return "pgBackRest is not installed", error.fix or ""
    if found < SINCE:
        return f"pgBackRest {dotted(found)} is older than {dotted(SINCE)}", f"install a newer one: apt install {PACKAGES[NAME]}"
    if is_standby:
        return "the server is a standby, and its log is archived from its primary", "let the policy's connection lead there"
    if archive_mode == "off":
        return "archive_mode is off: pgBackRest needs the log in its archive", f"{settings()}; then restart the server"
    if stanza_in(command) is None:
        return (
            "archive_command does not say `pgbackrest ... --stanza=NAME archive-push %p`",
            f"{settings()}; then SELECT pg_reload_conf()",
        )
    return None


def stanza_of(details: Mapping[str, Any], options: Mapping[str, Any]) -> Stanza:
    """Return where a backup lies: as it was made, unless a restore says otherwise by the options `stanza` and `config`."""
    where = (f"--config={options['config']}",) if "config" in options else tuple(details["options"])
    return Stanza(str(options.get("stanza", details["stanza"])), where)


def backups_in(stanza: Stanza, system: str | None = None) -> list[dict[str, Any]] | None:
    """Return the backups of a stanza, oldest first, None where there is no such stanza yet.

    Raises:
        BackupError: it is of another server than `system`, or cannot be read.
    """
    answer, _ = ran(stanza.stage("info", "--output=json", "--repo=1"))
    found = next((one for one in json.loads(answer) if one["name"] == stanza.name), None)
    if found is None or not found["db"]:
        return None
    systems = {str(one["system-id"]) for one in found["db"]}
    if system is not None and system.isdigit() and system not in systems:
        raise BackupError(
            f"the stanza {stanza.name} is of the server {', '.join(sorted(systems))}, and this one is {system}",
            fix="give each server a stanza of its own in archive_command; after pg_upgrade: pgbackrest stanza-upgrade",
        )
    return list(found["backup"])


def ran(stage: Stage) -> tuple[bytes, Exit]:
    """Run a command and return what it wrote; its error is the one that pgBackRest tells, with its hints."""
    try:
        return run(stage)
    except BackupError as error:
        raise BackupError(
            f"pgBackRest: {_complaint(error)}", error.context, fix=error.fix, error_code=error.error_code
        ) from error


def _complaint(error: BackupError) -> str:
    """Return the error that pgBackRest told, with its hints, instead of the last line that it wrote."""
    told = "\n".join(str(exit["stderr"]) for exit in error.context.get("exits", ()))
    lines = [line.strip() for line in told.splitlines()]
    first = next((place for place, line in enumerate(lines) if "ERROR:" in line), None)
    if first is None:
        return error.message
    hints = [line.removeprefix("HINT: ") for line in lines[first + 1 :] if line.startswith("HINT:")]
    return "; ".join([lines[first].partition("ERROR: ")[2], *hints])


def stanza_on(conn: Connection) -> Stanza:
    """Return the stanza of a server.

    Raises:
        BackupError: its log goes elsewhere.
    """
    stanza = stanza_in(archive_command(conn))
    if stanza is None:
        raise BackupError("archive_command is not pgBackRest's any more", fix=settings())
    return stanza


def archive_command(conn: Connection) -> str:
    """Return what the server does with a segment of its log."""
    [(command,)] = conn.query("SELECT pg_catalog.current_setting('archive_command')")
    return str(command)


def settings() -> str:
    """Say what has to be set once, so that the log goes to pgBackRest."""
    command = "pgbackrest --stanza=NAME archive-push %p"
    return (
        "name the stanza and its pg1-path in /etc/pgbackrest/pgbackrest.conf; ALTER SYSTEM SET archive_mode = on;"
        f" ALTER SYSTEM SET archive_command = '{command}'"
    )


def version() -> tuple[int, ...]:
    """Return the version of pgBackRest on this machine."""
    answer, _ = run(Stage(find_tool(NAME), ("version",)))
    return tuple(int(part) for part in re.findall(r"\d+", answer.decode("utf-8", "replace"))[:2])


def dotted(numbers: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, numbers))
