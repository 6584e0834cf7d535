"""The few names that random schemas of PostgreSQL speak of."""

from __future__ import annotations

TABLES = ["t", "u", 'app."x y"', '"Order"', "app.t"]
VIEWS = ["v0", "app.v1", "v2"]
