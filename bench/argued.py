"""Why some differences are no failure: what is left as it is, by design, and how it looks in what the measurements compare."""

from __future__ import annotations

import re
from collections.abc import Mapping

SUBSCRIPTIONS = "subscriptions are observed; managing them is the business of replication"
SCHEMA_GRANTS = "the schema's grants were declared once and are no longer: what a source is silent about is left alone"
GRANTS = "grants were declared once and are no longer: what a source is silent about is left alone"
MOMENTS = "DEFAULT 'now' is a constant that every load of the file makes anew"

#: How the server writes such a default.
MOMENT = r"DEFAULT '[\d :.+-]*'::timestamp"


def reason(text: str, argued: Mapping[str, str]) -> str | None:
    """Return the reason whose pattern fits the beginning of a text, None for a failure."""
    return next((why for pattern, why in argued.items() if re.match(pattern, text)), None)
