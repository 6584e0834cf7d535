"""TLS contexts of sessions: one for all that verify nothing, one of its own where somebody is to be trusted."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from dbops.engines.mysql.wire import WireConnection


def _context(**given: Any) -> ssl.SSLContext:
    return WireConnection(defer_connect=True, **given).ctx  # type: ignore[attr-defined,no-any-return]  # not in the stubs


@pytest.mark.parametrize("given", [{}, {"ssl": {"check_hostname": False, "verify_mode": "none"}}], ids=["prefer", "require"])
def test_sessions_that_verify_nothing_share_a_context_without_authorities(given: dict[str, Any]) -> None:
    context = _context(**given)
    assert context is _context() and context.verify_mode is ssl.CERT_NONE and not context.check_hostname
    assert context.cert_store_stats()["x509_ca"] == 0


def test_a_session_that_verifies_has_a_context_of_its_own() -> None:
    authorities = ssl.get_default_verify_paths().openssl_cafile
    context = _context(ssl={"check_hostname": True, "verify_mode": "required", "capath": authorities})
    assert context is not _context() and context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
