"""Alerts as text and data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.tables import table
from dbops.usecases.alerts import Alert, KnownRule, PolicyAlerts

_COLORS = {"firing": "red", "pending": "yellow", "unknown": "yellow"}


def policies_text(found: Sequence[PolicyAlerts]) -> str:
    """Return what is not well of each policy, firing first, and how much is."""
    return "\n\n".join(map(_policy_text, found))


def _policy_text(one: PolicyAlerts) -> str:
    states = [alert.state for alert in one.alerts]
    counted = [f"{states.count(state)} {state}" for state in ("firing", "pending", "unknown", "ok") if state in states]
    name = style(wording.on_one_line(one.policy), bold=True)
    lines = [f"{name} on {wording.on_one_line(one.connection)}: {', '.join(counted) or 'nothing to look at'}"]
    order = ("firing", "pending", "unknown")
    shown = sorted(
        (alert for alert in one.alerts if alert.state in order),
        key=lambda alert: (order.index(alert.state), alert.summary * (alert.state == "unknown"), alert.rule, alert.labels),
    )
    for alert, then in zip_longest(shown, shown[1:]):
        lines.append(_alert_text(alert, one))
        if alert.summary and not (then and alert.state == then.state == "unknown" and alert.summary == then.summary):
            lines.append(f"    {wording.printable(alert.summary)}")  # what hides many figures is told once, below them
    return "\n".join(lines)


def _alert_text(alert: Alert, of: PolicyAlerts) -> str:
    state = style(alert.state + (" (silenced)" if alert.is_silenced else ""), fg=_COLORS[alert.state])
    since = f", since {_iso(alert.since)}" if alert.since is not None else ""
    told = "; told now" if any(alert.key == other.key for other in of.told) else ""
    line = f"  {state} {alert.severity} {style(wording.on_one_line(alert.rule), bold=True)}: "
    return f"{line}{wording.on_one_line(alert.says)}{since}{told}"


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def policy_data(one: PolicyAlerts) -> dict[str, Any]:
    """Return what a policy's rules say, as JSON has it."""
    return {
        "policy": one.policy,
        "connection": one.connection,
        "alerts": [
            {
                "rule": alert.rule,
                "labels": list(alert.labels),
                "state": alert.state,
                "severity": alert.severity,
                "figure": alert.figure,
                "value": alert.value,
                "threshold": alert.threshold,
                "summary": alert.summary,
                "since": _iso(alert.since),
                "silenced": alert.is_silenced,
            }
            for alert in one.alerts
        ],
        "told": [alert.rule for alert in one.told],
        "failures": list(one.failures),
    }


def rules_text(found: Sequence[KnownRule]) -> str:
    """Return the rules as a table."""
    if not found:
        return "This environment has no AlertPolicy."
    rows = [("POLICY", "RULE", "SEVERITY", "FIGURE", "WRONG WHILE", "FOR")]
    rows += [
        (one.policy, one.name, one.severity, one.figure, one.wants, wording.duration(one.for_s) if one.for_s else "at once")
        for one in found
    ]
    return table(rows)
