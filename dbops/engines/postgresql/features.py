"""What PostgreSQL can do, in every version dbops supports."""

from __future__ import annotations

from dbops.engines.base.features import Features

#: A message is one statement to `statement_timestamp` (PostgreSQL manual, 9.9.5 Current Date/Time).
_SINCE_SENT = "pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()"

FEATURES = Features(
    has_schemas=True,
    has_transactional_ddl=True,
    has_column_order=False,
    has_servers=True,
    has_grants=True,
    renames_parts=True,
    has_named_constraints=True,
    default_schema="public",
    body_checks="check_function_bodies",
    state_prefix="dbops.",
    comments="statement",
    booleans=("false", "true"),
    time_ahead=(
        f'pg_catalog.to_char(?::timestamp + ({_SINCE_SENT}), \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')',
        f"? + (pg_catalog.date_part('epoch', {_SINCE_SENT}) * 1000)::bigint",
    ),
)
