"""What MySQL and MariaDB can do, in every version dbops supports."""

from __future__ import annotations

from dbops.engines.base.features import Features

#: Every DDL statement commits what ran before it and cannot be rolled back (MySQL 8.4 manual, 15.3.3; MariaDB the same).
FEATURES = Features(
    has_schemas=False,
    has_transactional_ddl=False,
    has_column_order=True,
    has_servers=True,
    has_grants=True,
    grants_by_grantee=True,
    has_named_constraints=True,
    state_prefix="dbops_",
    long_text="longtext",
    state_table_options=" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    fills_new_columns=True,
    casts_to_any_type=False,
    deletes_self_references=False,  # error 1451 from InnoDB, which checks row by row (MySQL 8.4 manual, 15.1.20.5)
    text_cast="char character set utf8mb4",
    identity_clause="AUTO_INCREMENT",
    comments="inline",
    name_length=64,
    stand_in_view="select 1 AS `gone`",
    respelled=frozenset({"column"}),
    caseless=frozenset({"column", "index"}),
    has_indexes_per_table=True,
)
