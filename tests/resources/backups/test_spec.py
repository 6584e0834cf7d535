"""What is wrong with a policy is told at its place, in words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import ManifestError, Problems
from dbops.manifests.environment import load_environment
from dbops.resources.backups.spec import BackupPolicySpec
from tests.manifests.kinds import KINDS, connection

GOOD = {
    "connection": "shop",
    "storage": "{url: 'file://./b'}",
    "schedule": "[{type: full, cron: '0 3 * * 0'}]",
}

CASES = {
    "no such storage": ({"storage": "{url: 'ftp://b'}"}, "no storage speaks ftp://", "one of file, s3"),
    "no url": ({"storage": "{url: backups}"}, "the storage is no URL", "file://./backups"),
    "a password in the url": ({"storage": "{url: 'sftp://u:hunter2@h/b'}"}, "holds a password", "it in options"),
    "a cron of six fields": ({"schedule": "[{type: full, cron: '0 0 3 * * 0'}]"}, "cron is '0 0 3 * * 0'", "five fields"),
    "a cron that is none": ({"schedule": "[{type: full, cron: '0 25 * * 0'}]"}, "cron is '0 25 * * 0'", "five fields"),
    "no full": ({"schedule": "[{type: log, cron: '0 3 * * 0'}]"}, "log backups need a full one", "an entry with type: full"),
    "twice": (
        {"schedule": "[{type: full, cron: '0 3 * * 0'}, {type: full, cron: '0 4 * * 0'}]"},
        "full is scheduled twice",
        "each type once",
    ),
    "no schedule": ({"schedule": "[]"}, "the schedule is empty", "at least one"),
    "a level that gzip has not": ({"compression": "{method: gzip, level: 12}"}, "gzip has no level 12", "1 to 9"),
    "a key in the clear": ({"encryption": "{key: hunter2}"}, "the key stands in the manifest", "{env: NAME}"),
    "nobody to encrypt for": ({"encryption": "{}"}, "neither recipients nor key is given", "at least one of"),
    "no recipient": ({"encryption": "{recipients: [me]}"}, "recipients[0] is 'me'", "an age public key"),
    "a field that is not there": ({"retention": "{dayly: 7}"}, "unknown field 'dayly'", "one of last"),
    "a duration without unit": ({"objectives": "{rpo: 60}"}, "rpo is '60'", "a duration with its unit"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_at_its_place(name: str, tmp_path: Path) -> None:
    changed, message, expected = CASES[name]
    fields = {**GOOD, **changed}
    text = "apiVersion: dbops/v1\nkind: BackupPolicy\nmetadata: {name: shop}\nspec:\n"
    text += "".join(f"  {field}: {value}\n" for field, value in fields.items())
    (tmp_path / "a.yaml").write_text(connection("{url: 'sqlite:///a.db'}") + "---\n" + text)
    with pytest.raises((ManifestError, Problems)) as caught:
        load_environment(tmp_path, {**KINDS, "BackupPolicy": BackupPolicySpec}, {})
    error = caught.value.problems[0] if isinstance(caught.value, Problems) else caught.value
    assert error.at is not None
    assert error.at.line == 10 + list(fields).index(next(iter(changed)))
    assert message in error.message
    assert expected in (error.expected or "")
    assert "hunter2" not in caught.value.explain()
