"""What one backup is, as JSON: written last and create-only, so that its presence is the commit.

The seal is a BLAKE3 over the whole document without seal and mac, in canonical form, and finds damage. Where the key is symmetric
the mac is the same with the key, so that nobody without it can write or change a manifest. A manifest is in the clear, so that
listing, retention and checks of stored bytes need no key; what tells of contents (the counts of rows) is a stream, encrypted as
the rest.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from dbops.archive.hashes import new_hash
from dbops.archive.parts import PartRecord, StreamRecord
from dbops.dataclass import dataclass
from dbops.errors import BackupError

FORMAT = "dbops.backup/1"

Kind = Literal["full", "incremental", "differential", "log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One committed backup.

    `target` and `timeline` are its folder. `parent_digest` is the digest of the parent's manifest. `fence` is the number of the
    lease under which it was made. `details` and positions are the engine's. `encryption` and `tools` hold no secret.
    """

    id: str
    target: str
    timeline: str
    engine: str
    server_version: str
    kind: Kind
    method: str
    tool: str
    family: str
    begun_at: datetime
    ended_at: datetime
    """The moment that a restore leads to, by the database's clock."""
    finished_at: datetime
    start: Mapping[str, Any]
    end: Mapping[str, Any]
    parent_id: str | None = None
    parent_digest: str | None = None
    full_id: str | None = None
    """The full at the beginning of the chain; its own id for a full."""
    points: tuple[str, ...] = ()
    """What a restore can stop at while it replays this backup: `time`, `lsn`, `name`."""
    identity: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    exits: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    streams: tuple[StreamRecord, ...] = ()
    encryption: Mapping[str, Any] = field(default_factory=lambda: {"method": "none"})
    schema_digest: str | None = None
    database_size: int | None = None
    warnings: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    fence: int = 0
    dbops_version: str = ""
    seal: str = ""
    """BLAKE3 in hexadecimal, empty before `sealed`; what a child remembers of its parent."""
    mac: str = ""
    """The same with the backup's key, empty where there is no symmetric one."""

    @property
    def plain_size(self) -> int:
        """The bytes of all streams, with what a tool keeps of this backup in a place of its own (`details.elsewhere`)."""
        return sum(stream.plain_size for stream in self.streams) + int(self.details.get("elsewhere", {}).get("plain", 0))

    @property
    def stored_size(self) -> int:
        return sum(stream.stored_size for stream in self.streams) + int(self.details.get("elsewhere", {}).get("stored", 0))

    @property
    def duration_s(self) -> float:
        return (self.finished_at - self.begun_at).total_seconds()


def to_dict(manifest: Manifest) -> dict[str, Any]:
    """Return the document, seal and mac included."""
    return {
        "format": FORMAT,
        "id": manifest.id,
        "target": manifest.target,
        "timeline": manifest.timeline,
        "engine": manifest.engine,
        "server_version": manifest.server_version,
        "identity": dict(manifest.identity),
        "kind": manifest.kind,
        "method": manifest.method,
        "tool": manifest.tool,
        "family": manifest.family,
        "parent_id": manifest.parent_id,
        "parent_digest": manifest.parent_digest,
        "full_id": manifest.full_id,
        "points": list(manifest.points),
        "begun_at": _time(manifest.begun_at),
        "ended_at": _time(manifest.ended_at),
        "finished_at": _time(manifest.finished_at),
        "start": dict(manifest.start),
        "end": dict(manifest.end),
        "tools": dict(manifest.tools),
        "exits": [dict(one) for one in manifest.exits],
        "details": dict(manifest.details),
        "schema_digest": manifest.schema_digest,
        "database_size": manifest.database_size,
        "encryption": dict(manifest.encryption),
        "streams": [_stream_to_dict(stream) for stream in manifest.streams],
        "warnings": list(manifest.warnings),
        "labels": dict(manifest.labels),
        "fence": manifest.fence,
        "dbops_version": manifest.dbops_version,
        "seal": manifest.seal,
        "mac": manifest.mac,
    }


def from_dict(data: Mapping[str, Any]) -> Manifest:
    """Read what `to_dict` wrote; the seal is not looked at.

    Raises:
        KeyError, TypeError, ValueError: the data is of another shape.
    """
    _must_fit(data, _SHAPE)
    if "elsewhere" in data["details"]:
        _must_fit(data["details"], {"elsewhere": _FACTS})
        _must_fit(data["details"]["elsewhere"], dict.fromkeys(data["details"]["elsewhere"], _SIZE))
    if data["kind"] not in get_args(Kind):
        raise ValueError(f"unknown kind {data['kind']!r}")
    return Manifest(
        id=data["id"],
        target=data["target"],
        timeline=data["timeline"],
        engine=data["engine"],
        server_version=data["server_version"],
        identity=data["identity"],
        kind=data["kind"],
        method=data["method"],
        tool=data["tool"],
        family=data["family"],
        parent_id=data["parent_id"],
        parent_digest=data["parent_digest"],
        full_id=data["full_id"],
        points=tuple(data["points"]),
        begun_at=moment(data["begun_at"]),
        ended_at=moment(data["ended_at"]),
        finished_at=moment(data["finished_at"]),
        start=data["start"],
        end=data["end"],
        tools=data["tools"],
        exits=tuple(data["exits"]),
        details=data["details"],
        schema_digest=data["schema_digest"],
        database_size=data["database_size"],
        encryption=data["encryption"],
        streams=tuple(_stream_from_dict(stream) for stream in data["streams"]),
        warnings=tuple(data["warnings"]),
        labels=data["labels"],
        fence=data["fence"],
        dbops_version=data["dbops_version"],
        seal=data["seal"],
        mac=data["mac"],
    )


_TEXT, _TEXTS, _FACTS, _SIZE = (str,), (list, str), (dict,), (int,)
_SHAPE: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "target", "timeline", "engine", "server_version", "method", "tool", "family", "kind"), _TEXT),
    **dict.fromkeys(("begun_at", "ended_at", "finished_at", "dbops_version", "seal", "mac"), _TEXT),
    **dict.fromkeys(("parent_id", "parent_digest", "full_id", "schema_digest"), (str, type(None))),
    **dict.fromkeys(("points", "warnings"), _TEXTS),
    **dict.fromkeys(("identity", "start", "end", "tools", "details", "encryption", "labels"), _FACTS),
    **dict.fromkeys(("exits", "streams"), (list, dict)),
    "database_size": (int, type(None)),
    "fence": _SIZE,
}
"""The types of fields; behind `list` that of what it holds."""
_STREAM_SHAPE: Mapping[str, tuple[type, ...]] = {"name": _TEXT, "compression": _TEXT, "parts": (list, dict)}
_PART_SHAPE: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("key", "plain_blake3", "stored_blake3"), _TEXT),
    **dict.fromkeys(("plain_size", "stored_size"), _SIZE),
}


def _must_fit(data: Mapping[str, Any], shape: Mapping[str, tuple[type, ...]]) -> None:
    """Let data pass whose fields have their types, so that one bad manifest stops nobody from using the others.

    Raises:
        KeyError, TypeError: another shape; ValueError: a number below 0.
    """
    for name, types in shape.items():
        value = data[name]
        if types[0] is list:
            fits = isinstance(value, list) and all(isinstance(one, types[1]) for one in value)
        else:
            fits = isinstance(value, types) and not isinstance(value, bool)
        if not fits:
            raise TypeError(f"{name} is {type(value).__name__}, or holds what it cannot")
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{name} is {value}")


def sealed(manifest: Manifest, mac_key: bytes | None) -> Manifest:
    """Return a manifest with its seal and, where there is a key, its mac."""
    return replace(manifest, seal=_digest(manifest, None), mac=_digest(manifest, mac_key) if mac_key is not None else "")


def _digest(manifest: Manifest, key: bytes | None) -> str:
    document = {name: value for name, value in to_dict(manifest).items() if name not in ("seal", "mac")}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    hasher = new_hash(key)
    hasher.update(text)
    digest: str = hasher.hexdigest()
    return digest


def to_json(manifest: Manifest) -> bytes:
    """Return the manifest as it is stored."""
    return (json.dumps(to_dict(manifest), indent=1, ensure_ascii=False) + "\n").encode()


def from_json(text: bytes, key: str, *, is_copy: bool = False) -> Manifest:
    """Read a stored manifest; `key` is where it was found. Whether the mac holds tells `check_mac`.

    Of a copy of what was read before only the seal is compared, which takes a third of the time: spaces do not matter then.

    Raises:
        BackupError: it is damaged, of a later format, or not the one of its folder.
    """
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise BackupError(f"{key} is of the format {data['format']}", expected=FORMAT, fix="use a newer dbops")
        manifest = from_dict(data)
        strange = next(_strange(manifest), None)
        is_whole = (is_copy or to_json(manifest) == text) and manifest.seal == _digest(manifest, None)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BackupError(f"{key} is no manifest of a backup: {error}", error_code="MANIFEST_DAMAGED") from error
    if strange is not None:
        raise BackupError(f"{key} names {strange}, which dbops never writes", error_code="MANIFEST_DAMAGED")
    if not is_whole:
        raise BackupError(f"{key} is not as it was written: its seal does not hold", error_code="MANIFEST_DAMAGED")
    if key != f"{manifest.target}/{manifest.timeline}/backups/{manifest.id}/manifest.json":
        raise BackupError(f"{key} is the manifest of another backup, {manifest.id}", error_code="MANIFEST_MOVED")
    return manifest


_PART = re.compile(r"parts/[0-9]{5,}\.pack")
_STREAM = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[^/\0]+(?:/[^/\0]+)*")


def is_part(key: str) -> bool:
    """Tell whether a key below a backup's folder is one of a part."""
    return _PART.fullmatch(key) is not None


def _strange(manifest: Manifest) -> Iterator[str]:
    """Yield what would lead elsewhere, or nowhere, if it were followed: keys and names become paths."""
    for stream in manifest.streams:
        if not _STREAM.fullmatch(stream.name):
            yield f"the stream {stream.name!r}"
        yield from (f"the part {part.key!r}" for part in stream.parts if not is_part(part.key))
    method = manifest.encryption["method"]
    if method == "age" and not all(isinstance(one, str) for one in manifest.encryption["recipients"]):
        yield "recipients of another shape"
    if method == "aes-256-gcm":
        base64.b64decode(manifest.encryption["salt"], validate=True)
        if manifest.encryption["kdf"] not in ("none", "scrypt") or not isinstance(manifest.encryption["key_id"], str):
            yield "a key of another shape"


def check_mac(manifest: Manifest, mac_key: bytes | None, key: str) -> None:
    """Compare the mac of a manifest with what the key says; None where the backup has no symmetric key.

    Raises:
        BackupError: somebody without the key wrote it.
    """
    import hmac

    expected = _digest(manifest, mac_key) if mac_key is not None else ""
    if not hmac.compare_digest(manifest.mac, expected):
        raise BackupError(f"{key} was written by somebody without the key", error_code="MANIFEST_DAMAGED")


def _stream_to_dict(stream: StreamRecord) -> dict[str, Any]:
    parts = [
        {
            "key": part.key,
            "plain_size": part.plain_size,
            "stored_size": part.stored_size,
            "plain_blake3": part.plain_hash,
            "stored_blake3": part.stored_hash,
        }
        for part in stream.parts
    ]
    return {"name": stream.name, "compression": stream.compression, "parts": parts}


def _stream_from_dict(data: Mapping[str, Any]) -> StreamRecord:
    _must_fit(data, _STREAM_SHAPE)
    for part in data["parts"]:
        _must_fit(part, _PART_SHAPE)
    parts = tuple(
        PartRecord(part["key"], part["plain_size"], part["stored_size"], part["plain_blake3"], part["stored_blake3"])
        for part in data["parts"]
    )
    return StreamRecord(data["name"], data["compression"], parts)


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """Return a moment as documents have it, in UTC.

    Raises:
        ValueError: it is none, has no time zone, or is of no time in which anybody made backups.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    if found.year not in _YEARS:
        raise ValueError(f"{text} is of no time in which anybody made backups")
    return found.astimezone(UTC)


_YEARS = range(1900, 9000)
"""Beyond them there is no time of other zones, or none a promise later, and whoever reckons with it fails."""
