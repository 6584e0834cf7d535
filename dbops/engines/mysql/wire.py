"""PyMySQL's connection, which does not read the certificates of all the world for a session that verifies none.

PyMySQL makes a TLS context for every session, over Unix sockets too, and `ssl.create_default_context` loads the system's
authorities into it: 20 to 80 ms of CPU, more than all that is sent and answered.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection

if TYPE_CHECKING:
    _Driver = Connection[Any]
else:
    _Driver = Connection  # which says nothing of its cursors when it runs

#: What says whom to trust, or who we are, of the settings of a context (`Connection._create_ssl_ctx`, PyMySQL 1.2).
_OWN = ("ca", "capath", "cert", "key", "cipher")


class WireConnection(_Driver):
    """A connection whose TLS context is shared with all others that verify nothing and show nothing of their own."""

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        if isinstance(sslp, Mapping) and _verifies_nothing(sslp):
            return _unverified()
        made: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # the stubs leave it out
        return made


def _verifies_nothing(settings: Mapping[str, Any]) -> bool:
    return settings.get("verify_mode") in (None, "none") and not any(settings.get(name) for name in _OWN)


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
