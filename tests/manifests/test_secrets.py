"""Secrets: fetched from where manifests say, and shown nowhere."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from dbops.engines.base.secret import SecretValue
from dbops.errors import ManifestError, Mark
from dbops.manifests.secrets import parse_secret, resolve
from tests.manifests.kinds import connection, load

AT = Mark("shop.yaml", 5, 3)
PRINT = [
    sys.executable,
    "-c",
    "import os, sys; sys.stdout.write(os.environ.get('S', 'hunter2') + '\\n'); print('hunter2', file=sys.stderr)",
]


def fetch(written: Any, root: Path, **env: str) -> str:
    return resolve(parse_secret(written), root, env, AT).reveal()


def test_secrets_come_from_text_variable_file_and_command(tmp_path: Path) -> None:
    (tmp_path / "password.txt").write_text("from file \n", encoding="utf-8")
    assert fetch("plain", tmp_path) == "plain"
    assert fetch({"env": "S"}, tmp_path, S="from env") == "from env"
    assert fetch({"file": "password.txt"}, tmp_path) == "from file "
    assert fetch({"command": PRINT}, tmp_path, S="from command") == "from command"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"env": "S"}, "the secret's variable S is not set"),
        ({"env": "EMPTY"}, "the secret's variable EMPTY is empty"),
        ({"file": "nowhere.txt"}, "cannot be read: No such file or directory"),
        ({"file": "."}, "cannot be read: Is a directory"),
        ({"file": "empty.txt"}, "is empty"),
        ({"file": "latin.txt"}, "is not UTF-8"),
        ({"command": ["no-such-program"]}, "cannot be run: No such file or directory"),
        ({"command": [sys.executable, "-c", "print('hunter2'); raise SystemExit(3)"]}, "failed with exit status 3"),
        ({"command": [sys.executable, "-c", ""]}, "wrote nothing"),
        ({"command": [sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'hunter2\\xff')"]}, "is not UTF-8"),
    ],
)
def test_a_secret_that_cannot_be_had_is_placed_and_not_shown(written: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"hunter2\xff")
    with pytest.raises(ManifestError) as caught:
        fetch(written, tmp_path, EMPTY="")
    assert message in caught.value.message
    assert caught.value.at == AT
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r}{error}" or isinstance(written.get("command"), list)
        error = error.__cause__
    assert "hunter2" not in caught.value.explain().replace(str(written), "")


def test_nothing_shows_a_secret_value() -> None:
    value = SecretValue("hunter2")
    shown = [repr(value), str(value), f"{value}", f"{value:>20}", f"{value!r}", "%s" % value, repr([value]), repr({"a": value})]  # noqa: UP031
    assert not [text for text in shown if "hunter2" in text]
    with pytest.raises(TypeError):
        json.dumps(value)
    with pytest.raises(TypeError):
        pickle.dumps(value)
    assert copy.deepcopy(value) == value


def test_specs_show_no_secret(tmp_path: Path) -> None:
    text = connection("{url: 'postgresql://shop:hunter2@db/shop?sslpassword=hunter3', scratch: {url: 'postgresql://a:${P}@db'}}")
    environment = load(tmp_path, {"a.yaml": text}, {"P": "hunter4"})
    spec = environment.manifests[0].spec
    shown = f"{environment!r} {spec!r} {spec} {spec.model_dump()} {spec.model_dump_json()}"
    assert "hunter" not in shown
