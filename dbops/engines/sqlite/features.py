"""What SQLite can do."""

from __future__ import annotations

from dbops.engines.base.features import Features

FEATURES = Features(
    has_schemas=False,
    has_transactional_ddl=True,
    has_column_order=False,
    has_servers=False,
    has_grants=False,
    has_named_constraints=False,
    renames_constraints=True,
    fills_nulls=True,
    has_strict_types=False,
    casts_to_any_type=False,
    keeps_foreign_keys=False,
    identity_clause="PRIMARY KEY AUTOINCREMENT",
    identity_is_primary_key=True,
    respelled=frozenset({"virtual_table"}),  # other tables keep their rows when they are rebuilt under another spelling
    caseless=frozenset({"table", "virtual_table", "view", "index", "column"}),
    has_databases_alike=True,
    portion=400,
)

MINIMUM_VERSION = (3, 37, 0)
"""`PRAGMA table_list`, STRICT tables (https://www.sqlite.org/changes.html, 3.37.0)."""
