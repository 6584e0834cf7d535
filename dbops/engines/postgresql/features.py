"""What PostgreSQL can do, in every version dbops supports."""

from __future__ import annotations

from dbops.engines.base.features import Features

FEATURES = Features(
    has_schemas=True,
    has_transactional_ddl=True,
    has_column_order=False,
    has_servers=True,
    has_grants=True,
    renames_parts=True,
    has_named_constraints=True,
    default_schema="public",
    state_prefix="dbops.",
    comments="statement",
    booleans=("false", "true"),
)
