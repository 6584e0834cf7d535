"""Telling somebody of an alert: a JSON document to a webhook, or whatever Apprise speaks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from dbops.dataclass import dataclass
from dbops.errors import MonitoringError

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of an alert; `number` is `value` in words, `says` all of it; times are seconds since 1970."""

    policy: str
    connection: str
    rule: str
    state: Literal["firing", "resolved"]
    severity: str
    figure: str
    labels: Mapping[str, str]
    value: float | None
    number: str
    threshold: str
    says: str
    summary: str
    since: float | None
    at: float

    def title(self) -> str:
        return f"[{self.state} {self.severity}] {self.connection}: {self.rule}"

    def body(self) -> str:
        return "\n".join(part for part in (self.says, self.summary) if part)

    def document(self) -> dict[str, Any]:
        """Return what a webhook gets; times in ISO 8601."""
        data = asdict(self)
        data |= {name: _iso(data[name]) for name in ("since", "at")}
        return {"title": self.title(), **data}


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def tell(kind: Literal["webhook", "apprise"], url: str, telling: Telling) -> None:
    """Tell one channel.

    Raises:
        MonitoringError: it could not be told; the URL, which may hold a secret, is shown by its host alone.
    """
    if kind == "webhook":
        _post(url, telling)
    else:
        _apprise(url, telling)


def _post(url: str, telling: Telling) -> None:
    parts = urlsplit(url)
    shown = f"webhook at {parts.hostname or 'an unknown host'}"
    if parts.scheme not in ("http", "https"):
        raise MonitoringError(f"the {shown} is no http(s) URL")
    body = json.dumps(telling.document(), ensure_ascii=False).encode()
    request = Request(url, body, {"Content-Type": "application/json", "User-Agent": "dbops"}, method="POST")
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            answer.read(1)
    except URLError as error:  # HTTPError too, whose text is the status alone
        raise MonitoringError(f"the {shown} did not take it: {getattr(error, 'code', error.reason)}") from None
    except OSError as error:
        raise MonitoringError(f"the {shown} did not answer: {error}") from None


def _apprise(url: str, telling: Telling) -> None:
    try:
        from apprise import Apprise, NotifyType
    except ImportError:
        raise MonitoringError("this needs the package apprise", fix="install it: pip install 'dbops[monitor]'") from None
    teller = Apprise()
    scheme = url.partition("://")[0]
    if not teller.add(url):
        raise MonitoringError(f"Apprise does not understand a URL of {scheme}://")
    kinds = {"info": NotifyType.INFO, "warning": NotifyType.WARNING}
    kind = NotifyType.SUCCESS if telling.state == "resolved" else kinds.get(telling.severity, NotifyType.FAILURE)
    if not teller.notify(title=telling.title(), body=telling.body() or telling.title(), notify_type=kind):
        raise MonitoringError(f"{scheme}:// did not take it")
