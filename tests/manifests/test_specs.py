"""Specs of connections and schemas: what may be written, and what it becomes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from dbops.engines.base.secret import SecretValue
from dbops.engines.base.url import DatabaseUrl
from dbops.errors import ManifestError
from dbops.manifests.spec import parse_duration, parse_size
from dbops.resources.connections.spec import ConnectionSpec
from dbops.resources.schema.spec import SchemaSpec
from dbops.resources.schema.table_spec import Expression, PortableType
from tests.manifests.kinds import connection, load, schema


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("7d", 604800),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("512B", 512), ("64KiB", 65536), ("10MB", 10**7), ("1GiB", 2**30), ("1.5 KiB", 1536)])
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "30", "s", "-5s", "5 parsecs", "1h 30m", 30, 30.0, True, None, [], "10kb", "1e3s"])
def test_what_has_no_unit_is_neither(value: Any) -> None:
    for parse in (parse_duration, parse_size):
        with pytest.raises(ValueError):
            parse(value)


# --- connections ---------------------------------------------------------------------------------------------------------


def address(tmp_path: Path, spec: str, **env: str) -> DatabaseUrl:
    manifest = load(tmp_path, {"a.yaml": connection(spec)}, env).manifests[0]
    return cast("ConnectionSpec", manifest.spec).address(manifest.root, env, manifest.mark)


def test_an_address_is_a_url_or_its_parts(tmp_path: Path) -> None:
    parts = "{engine: mariadb, host: db, port: 3307, database: shop, username: app, password: {env: P}}"
    expected = DatabaseUrl("mysql", "app", SecretValue("hunter2"), "db", 3307, "shop")
    assert address(tmp_path, parts, P="hunter2") == expected
    assert address(tmp_path, "{url: 'mysql://app:hunter2@db:3307/shop'}") == expected
    assert address(tmp_path, "{url: 'mysql://app@db:3307/shop', password: {env: P}}", P="hunter2") == expected
    assert address(tmp_path, "{url: {env: U}}", U="mysql://app:hunter2@db:3307/shop") == expected
    assert address(tmp_path, "{engine: sqlite, database: a.db}") == DatabaseUrl("sqlite", database="a.db")


def test_a_fetched_url_that_is_none_is_placed_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        address(tmp_path, "{url: {env: U}}", U="hunter2")
    assert caught.value.at is not None
    assert (caught.value.at.line, caught.value.at.column) == (4, 8)
    assert "hunter2" not in caught.value.explain()


def test_a_secret_missing_is_told_when_it_is_used_not_before(tmp_path: Path) -> None:
    manifest = load(tmp_path, {"a.yaml": connection("{engine: mysql, password: {env: P}}")}).manifests[0]
    with pytest.raises(ManifestError, match="variable P is not set"):
        cast("ConnectionSpec", manifest.spec).address(manifest.root, {}, manifest.mark)


def test_a_connection_says_how_to_speak_to_its_database(tmp_path: Path) -> None:
    text = """{url: 'sqlite:///a.db', pool: {size: 2, maxOverflow: 0, timeout: 5s, recycle: 1d}, retries: {attempts: 1},
      timeouts: {connect: 1s, lock: 500ms, statement: 1m}, scratch: {url: 'sqlite://'},
      sqlite: {journalMode: wal, synchronous: normal, cacheSize: -2000, foreignKeys: true, busyTimeout: 10s}}"""
    spec = cast("ConnectionSpec", load(tmp_path, {"a.yaml": connection(text)}).manifests[0].spec)
    assert (spec.pool.size, spec.pool.max_overflow, spec.pool.timeout, spec.pool.recycle) == (2, 0, 5, 86400)
    assert (spec.timeouts.connect, spec.timeouts.lock, spec.timeouts.statement) == (1, 0.5, 60)
    assert spec.sqlite is not None
    assert (spec.sqlite.cache_size, spec.sqlite.busy_timeout) == (-2000, 10)
    assert spec.engine_name == "sqlite"


def test_what_a_connection_does_not_say_has_a_default(tmp_path: Path) -> None:
    spec = cast("ConnectionSpec", load(tmp_path, {"a.yaml": connection("{url: 'mysql://db'}")}).manifests[0].spec)
    assert (spec.pool.size, spec.retries.attempts, spec.timeouts.lock, spec.tls, spec.sqlite) == (10, 3, 3.0, None, None)


# --- schemas -------------------------------------------------------------------------------------------------------------

TABLES = """{connection: shop, source: {tables: [
  {name: customers, comment: who buys, columns: [
    {name: id, type: bigint, primaryKey: true, autoIncrement: true},
    {name: email, type: string(320), nullable: false, unique: true},
    {name: name, type: text, default: unknown},
    {name: spent, type: 'decimal(12, 2)', nullable: false, default: 0},
    {name: active, type: boolean, default: false},
    {name: created, type: datetime, default: {expression: CURRENT_TIMESTAMP}},
    {name: shout, type: text, generated: {expression: upper(name), stored: false}}],
   checks: [{name: positive, expression: spent >= 0}],
   indexes: [{name: by_name, columns: [name, id]}, {name: by_lower, expressions: [lower(email)], unique: true, where: active}]},
  {name: orders, schema: sales, columns: [
    {name: customer, type: bigint, references: customers.id},
    {name: line, type: integer}, {name: first_customer, type: bigint}, {name: first_line, type: integer}],
   primaryKey: [customer, line], uniques: [{columns: [line, customer]}],
   foreignKeys: [
    {columns: [first_customer, first_line], references: {table: sales.orders, columns: [customer, line]}, onDelete: set null}]}
]}}"""


def test_portable_tables_are_read(tmp_path: Path) -> None:
    files = {"a.yaml": connection("{url: 'sqlite://'}"), "b.yaml": schema(TABLES)}
    spec = cast("SchemaSpec", load(tmp_path, files).find("Schema", "shop").spec)
    assert spec.source.tables is not None
    customers, orders = spec.source.tables
    columns = {column.name: column for column in customers.columns}
    assert columns["email"].type == PortableType("string", (320,))
    assert columns["name"].type == PortableType("text")
    assert str(columns["spent"].type) == "decimal(12,2)"
    assert [columns[name].default for name in ("name", "spent", "active", "created")] == [
        "unknown",
        0,
        False,
        Expression("CURRENT_TIMESTAMP"),
    ]
    assert columns["shout"].generated is not None
    assert columns["shout"].generated.stored is False
    assert (orders.qualified, orders.primary_key, orders.foreign_keys[0].on_delete) == (
        "sales.orders",
        ("customer", "line"),
        "set null",
    )
    assert [target for _, target, _ in orders.references()] == ["customers", "sales.orders"]


def test_the_rest_of_a_schema_is_read(tmp_path: Path) -> None:
    text = """{connection: shop, source: {models: {import: 'app.models:Base'}}, schemas: [public], exclude: [audit.*],
      renames: [{table: customer, to: customers}, {column: customers.mail, to: email}, {schema: old, to: new}],
      data: [{table: countries, key: [code], file: data/countries.csv}],
      ignoreDrift: [{object: public.jobs, field: comment, reason: set by the scheduler, until: 2027-01-01}],
      policy: {unmanaged: report, allow: [DELETES_DATA], online: no}}"""
    files = {"a.yaml": connection("{url: 'sqlite://'}"), "b.yaml": schema(text)}
    spec = cast("SchemaSpec", load(tmp_path, files).find("Schema", "shop").spec)
    assert spec.source.models is not None
    assert spec.source.models.import_ == "app.models:Base"
    renames = [(rename.kind, rename.old, rename.to) for rename in spec.renames]
    assert renames == [("table", "customer", "customers"), ("column", "customers.mail", "email"), ("schema", "old", "new")]
    assert spec.ignore_drift[0].until == date(2027, 1, 1)
    assert (spec.policy.unmanaged.default, spec.policy.allow, spec.policy.online) == ("report", ("DELETES_DATA",), False)


def test_an_empty_list_of_tables_is_a_source(tmp_path: Path) -> None:
    files = {"a.yaml": connection("{url: 'sqlite://'}"), "b.yaml": schema("{connection: shop, source: {tables: []}}")}
    assert cast("SchemaSpec", load(tmp_path, files).find("Schema", "shop").spec).source.tables == ()
