"""Passwords do not survive `redact`, and little else is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from dbops.sql.redact import redact

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "redact.yaml").read_text())
PASSWORDS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=12).map("Qz7".__add__)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_passwords_are_masked(case: dict[str, Any]) -> None:
    assert redact(case["text"], case.get("secrets", ())) == case["shown"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_redacting_twice_changes_nothing_more(case: dict[str, Any]) -> None:
    assert redact(case["shown"], case.get("secrets", ())) == case["shown"]


@given(PASSWORDS)
def test_no_password_survives_where_passwords_stand(password: str) -> None:
    doubled = password.replace("'", "''")
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    for text in (
        f"postgresql://u:{password}@h/db",
        f"postgresql://u@h/db?password={quote(password, safe='')}&x=1",
        f"host=h password='{escaped}' port=1",
        f"ALTER ROLE a PASSWORD '{doubled}' LOGIN",
        f"ALTER ROLE a PASSWORD E'{escaped}' LOGIN",
        f"ALTER ROLE a PASSWORD $pw${password}$pw$ LOGIN",
        f"ALTER USER u IDENTIFIED BY '{escaped}' ACCOUNT LOCK",
        f"CREATE USER MAPPING FOR u SERVER s OPTIONS (password '{doubled}')",
        f"CREATE SUBSCRIPTION s CONNECTION 'host=h password=''{escaped.replace(chr(39), chr(39) * 2)}'' port=1'",
    ):
        assert "Qz7" not in redact(text)


@given(st.text(), PASSWORDS)
def test_given_secrets_never_survive(text: str, password: str) -> None:
    assume(password not in text)
    shown = redact(f"{text}{password}{text} {quote(password, safe='')}", [password])
    assert password not in shown
