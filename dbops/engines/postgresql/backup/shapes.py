"""What the facts of PostgreSQL's backups look like, so that a manifest by somebody else is told before it is used."""

from __future__ import annotations

from collections.abc import Mapping

from dbops.engines.base.shape import Shape, is_size, or_none

_TEXT = or_none(str)


def _is_oid(value: object) -> bool:
    """Tell whether a value is an OID in text, which names a folder too."""
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _is_config(value: object) -> bool:
    """Tell whether a value is an option that says where pgBackRest's configuration is; an archive_command gives no other."""
    return isinstance(value, str) and value.startswith("--config")


_POSITION: Mapping[str, Shape] = {"lsn": str, "timeline": is_size}
_SERVER: Mapping[str, Shape] = {"database": str, "database_oid": or_none(is_size), "superuser": str, "major": is_size}
_DUMP: Mapping[str, Shape] = {
    **_SERVER,
    "dump_major": is_size,
    "jobs": or_none(is_size),
    "owner": str,
    "connection_limit": int,
    "comment": _TEXT,
    "is_template": or_none(bool),
    "tablespace": _TEXT,
    "locale": (str, str, str, _TEXT, _TEXT, _TEXT),
    "grants": [(str, str, bool)],
    "settings": [(str, [str])],
    "roles": [str],
    "extensions": [str],
    "tablespaces": [str],
}
_FILES: Mapping[str, Shape] = {**_SERVER, "system": str, "segment_size": is_size, "tablespaces": [_is_oid]}
_RECORD: Mapping[str, Shape] = {**_FILES, "stanza": str, "options": [_is_config], "label": str}


def shape(method: str, *, is_record: bool) -> Mapping[str, Shape]:
    """Return the shape of the facts of a dump, of files, or of a record of pgBackRest's."""
    details = _DUMP if method == "logical" else _RECORD if is_record else _FILES
    return {"start": _POSITION, "end": _POSITION, "details": details}
