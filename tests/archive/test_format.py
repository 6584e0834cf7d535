"""Manifests as JSON: what the schema says, what is written, and what is not taken for one."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from dbops.archive.manifest import check_mac, from_json, sealed, to_dict, to_json
from dbops.archive.parts import PartRecord, StreamRecord
from dbops.archive.schema import json_schema
from dbops.errors import BackupError
from tests.archive.made import backup

PART = PartRecord("parts/00000.pack", 10, 5, "a" * 64, "b" * 64)
MADE = backup("20260101T030000Z-full-X", streams=(StreamRecord("database", "zstd", (PART,)),), points=("time",))
KEY = "shop/t1/backups/20260101T030000Z-full-X/manifest.json"
MAC = bytes(32)


@pytest.mark.parametrize("mac_key", [None, MAC])
def test_what_is_written_is_what_the_schema_says_and_reads_back(mac_key: bytes | None) -> None:
    made = sealed(MADE, mac_key)
    jsonschema.validate(to_dict(made), json_schema())
    assert from_json(to_json(made), KEY) == made
    check_mac(made, mac_key, KEY)


def test_every_field_is_under_the_seal() -> None:
    made = sealed(MADE, None)
    for name, value in to_dict(made).items():
        data = to_dict(made)
        if name in ("mac", "format"):
            continue
        data[name] = {"other": "x"} if isinstance(value, dict) else ["time"] if name == "warnings" else f"{value}1"
        with pytest.raises(BackupError):
            from_json((json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode(), KEY)


def test_no_bit_of_a_manifest_can_change_unseen() -> None:
    text = to_json(sealed(MADE, None))
    assert from_json(text, KEY)
    for place in range(len(text)):
        for bit in (1, 16, 128):
            changed = bytearray(text)
            changed[place] ^= bit
            with pytest.raises(BackupError):
                from_json(bytes(changed), KEY)
    for end in range(0, len(text), 7):
        with pytest.raises(BackupError):
            from_json(text[:end], KEY)


@pytest.mark.parametrize(
    "key", ["../../other/manifest.json", "parts/../../x", "/etc/passwd", "parts/0000.pack", "parts/00000.pack/"]
)
def test_a_part_lies_nowhere_but_among_the_parts(key: str) -> None:
    stream = StreamRecord("database", "zstd", (replace(PART, key=key),))
    with pytest.raises(BackupError, match="never writes"):
        from_json(to_json(sealed(replace(MADE, streams=(stream,)), None)), KEY)


@pytest.mark.parametrize("name", ["", "/x", "../x", "a/../b", "a//b", "a/", ".", "a\0b"])
def test_a_name_of_a_stream_leads_nowhere_else(name: str) -> None:
    with pytest.raises(BackupError, match="never writes"):
        from_json(to_json(sealed(replace(MADE, streams=(StreamRecord(name, "zstd", (PART,)),)), None)), KEY)


def test_what_is_said_of_encryption_is_looked_at() -> None:
    for facts in ({"method": "aes-256-gcm", "salt": "?", "kdf": "none", "key_id": ""}, {"method": "age", "recipients": [1]}, {}):
        with pytest.raises(BackupError):
            from_json(to_json(sealed(replace(MADE, encryption=facts), None)), KEY)


def test_a_manifest_counts_in_its_own_folder_only() -> None:
    with pytest.raises(BackupError, match="of another backup"):
        from_json(to_json(sealed(MADE, None)), KEY.replace("20260101", "20260102"))


def test_nobody_without_the_key_makes_a_keyed_seal() -> None:
    check_mac(sealed(MADE, None), None, KEY)
    forged = sealed(replace(MADE, database_size=1), bytes(31) + b"x")
    with pytest.raises(BackupError, match="without the key"):
        check_mac(forged, MAC, KEY)


def test_a_later_format_is_told() -> None:
    data = {**to_dict(sealed(MADE, None)), "format": "dbops.backup/2"}
    with pytest.raises(BackupError) as caught:
        from_json(json.dumps(data).encode(), KEY)
    assert "newer dbops" in (caught.value.fix or "")
