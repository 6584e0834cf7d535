"""SHOW CREATE TABLE as MySQL 8 writes it, read and written again: no server needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, ChangeSet, CreateObject, DropObject, diff
from dbops.catalog.model import Check, Column, ForeignKey, Generated, Identity, Index, IndexKey, PrimaryKey, Table, Trigger
from dbops.engines.base.connect import Server
from dbops.engines.base.render import RenderContext
from dbops.engines.mysql.flavour import Flavour, parse_version
from dbops.engines.mysql.qualifiers import without_qualifier
from dbops.engines.mysql.render import render
from dbops.engines.mysql.show_create import Reader

MYSQL = Flavour(False, (8, 4, 2))
SERVER = Server("mysql", (8, 4, 2), "8.4.2", "x", "root@localhost")
READER = Reader(MYSQL, "shop", {"utf8mb4": "utf8mb4_0900_ai_ci", "latin1": "latin1_swedish_ci", "ascii": "ascii_general_ci"})

TEXT = r"""CREATE TABLE `orders` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `state` enum('new','it''s') COLLATE utf8mb4_0900_ai_ci NOT NULL DEFAULT 'new' COMMENT 'a, b',
  `latin` varchar(20) CHARACTER SET latin1 DEFAULT NULL,
  `count` int DEFAULT '0',
  `total` decimal(10,2) GENERATED ALWAYS AS ((`count` * 2)) STORED,
  `twice` int GENERATED ALWAYS AS ((`count` + 1)) VIRTUAL,
  `made` datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `key` binary(16) DEFAULT (uuid_to_bin(uuid())),
  `body` json DEFAULT NULL,
  `note` text,
  `nothing` int,
  `secret` int DEFAULT NULL /*!80023 INVISIBLE */,
  `place` point NOT NULL /*!80003 SRID 4326 */,
  PRIMARY KEY (`id`),
  UNIQUE KEY `by_state` (`state`,`count` DESC),
  KEY `lowered` ((lower(`note`))) /*!80000 INVISIBLE */,
  KEY `by_parent` (`count`),
  FULLTEXT KEY `words` (`note`) /*!50100 WITH PARSER `ngram` */ ,
  SPATIAL KEY `by_place` (`place`),
  CONSTRAINT `parent` FOREIGN KEY (`count`) REFERENCES `counts` (`n`) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT `positive` CHECK ((`count` > 0)) /*!80016 NOT ENFORCED */
) /*!50100 TABLESPACE `inno` */ ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='x'
/*!50100 PARTITION BY RANGE (`id`)
(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB,
 PARTITION pm VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */"""


def test_columns_are_read_with_every_clause() -> None:
    table = READER.read(TEXT)[0]
    assert isinstance(table, Table)
    assert {column.name: column for column in table.columns} == {
        column.name: column
        for column in (
            Column(name="id", type="bigint unsigned", nullable=False, identity=Identity("auto_increment")),
            Column(name="state", type="enum('new','it''s')", nullable=False, default="'new'", comment="a, b"),
            Column(name="latin", type="varchar(20)", collation="latin1_swedish_ci"),
            Column(name="count", type="int", default="0"),
            Column(name="total", type="decimal(10,2)", generated=Generated("(`count` * 2)")),
            Column(name="twice", type="int", generated=Generated("(`count` + 1)", is_stored=False)),
            Column(
                name="made",
                type="datetime(3)",
                default="current_timestamp(3)",
                options=(("on_update", "current_timestamp(3)"),),
            ),
            Column(name="key", type="binary(16)", default="(uuid_to_bin(uuid()))"),
            Column(name="body", type="json"),
            Column(name="note", type="text"),
            Column(name="nothing", type="int", options=(("no_default", ""),)),
            Column(name="secret", type="int", options=(("invisible", ""),)),
            Column(name="place", type="point", nullable=False, options=(("srid", "4326"),)),
        )
    }


def test_keys_and_constraints_are_read_with_every_clause() -> None:
    children = {item.name: item for item in READER.read(TEXT)[1:]}
    assert isinstance(children["PRIMARY"], PrimaryKey)
    state = Index(
        parent="orders", name="by_state", unique=True, keys=(IndexKey(column="state"), IndexKey(column="count", descending=True))
    )
    assert children["by_state"] == state
    lowered = Index(parent="orders", name="lowered", keys=(IndexKey(expression="lower(`note`)"),), options=(("hidden", ""),))
    assert children["lowered"] == lowered
    words = Index(
        parent="orders", name="words", keys=(IndexKey(column="note"),), method="fulltext", options=(("parser", "ngram"),)
    )
    assert children["words"] == words
    parent = children["parent"]
    assert isinstance(parent, ForeignKey)
    assert (parent.on_delete, parent.on_update) == ("RESTRICT", "CASCADE")
    check = Check(parent="orders", name="positive", expression="(`count` > 0)", options=(("not_enforced", ""),))
    assert children["positive"] == check


def test_what_is_written_is_read_back_the_same() -> None:
    objects = READER.read(TEXT)
    catalog = Catalog.of(objects)
    acts = render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), RenderContext(SERVER))
    sql = acts[0].do[0].sql
    again = READER.read(sql.replace(") ENGINE", "\n) ENGINE").replace("\n\n)", "\n)").replace("PARTITION BY", " PARTITION BY", 1))
    read = {item.ref: item for item in again}
    table, original = read[objects[0].ref], objects[0]
    assert isinstance(table, Table) and isinstance(original, Table)
    assert [column.name for column in table.columns] == [column.name for column in original.columns]
    kept = [item for item in objects[1:] if not isinstance(item, ForeignKey)]
    assert [read.get(item.ref) for item in kept] == kept
    assert acts[0].do[1].sql == "ALTER TABLE `orders` ALTER COLUMN `nothing` DROP DEFAULT"


def test_mysql_8_has_words_of_its_own() -> None:
    table = Table(name="t", columns=(Column(name="a", type="int"),), options=(("engine", "InnoDB"),))
    index = Index(parent="t", name="i", keys=(IndexKey(column="a"),))
    hidden = replace(index, options=(("hidden", ""),))
    before, after = Catalog.of([table, index]), Catalog.of([table, hidden])
    [act] = render(ChangeSet(before, after, (AlterObject(index, hidden),)), RenderContext(SERVER))
    assert act.do[0].sql == "ALTER TABLE `t`\n  ALTER INDEX `i` INVISIBLE"


def test_mysql_8_drops_and_creates_what_mariadb_replaces() -> None:
    table = Table(name="t", columns=(Column(name="a", type="int"),))

    def trigger(body: str) -> Trigger:
        return Trigger(
            parent="t", name="x", definition=f"BEFORE INSERT {body}", options=(("event", "INSERT"), ("timing", "BEFORE"))
        )

    old, new = trigger("SET NEW.a = 1"), trigger("SET NEW.a = 2")
    change = ChangeSet(Catalog.of([table, old]), Catalog.of([table, new]), (AlterObject(old, new),))
    [act] = render(change, RenderContext(SERVER))
    assert [statement.sql for statement in act.do] == [
        "DROP TRIGGER `x`",
        "CREATE TRIGGER `x` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = 2",
    ]


def test_a_longer_text_is_in_place_on_mysql_8() -> None:
    before = Table(name="t", columns=(Column(name="a", type="varchar(10)"),), options=(("collation", "latin1_swedish_ci"),))
    after = replace(before, columns=(Column(name="a", type="varchar(20)"),))
    changes = (AlterColumn(before.ref, before.columns[0], after.columns[0]),)
    from dbops.engines.base.connect import TableSize

    context = RenderContext(SERVER, {before.ref: TableSize(5, 100)})
    [act] = render(ChangeSet(Catalog.of([before]), Catalog.of([after]), changes), context)
    assert act.do[0].sql.endswith("ALGORITHM=INPLACE, LOCK=NONE")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.11.6-MariaDB-0+deb12u1", ("mariadb", (10, 11, 6))),
        ("5.5.5-10.11.6-MariaDB-log", ("mariadb", (10, 11, 6))),
        ("8.0.36-0ubuntu0.22.04.1", ("mysql", (8, 0, 36))),
        ("8.4.2", ("mysql", (8, 4, 2))),
    ],
)
def test_versions_tell_the_flavour(text: str, expected: tuple[str, tuple[int, ...]]) -> None:
    assert parse_version(text) == expected


def test_dropping_and_creating_an_index_with_its_table_is_one_act() -> None:
    objects = READER.read(TEXT)
    catalog = Catalog.of(objects)
    changes = tuple(DropObject(item) for item in objects)
    acts = render(ChangeSet(catalog, EMPTY, changes), RenderContext(SERVER))
    assert [act.ref for act in acts] == [objects[0].ref]
    assert {item.ref for item in objects[1:]} == set(acts[0].covers)
    back = render(ChangeSet(EMPTY, catalog, tuple(CreateObject(item) for item in objects)), RenderContext(SERVER))
    assert back[0].creates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extract(year from `n`.`made`) from `n`.`n` join `n`.`items`", "extract(year from `n`.`made`) from `n` join `items`"),
        ("trim(both 'x' from (`n`.`c`)) from (`n`.`n`)", "trim(both 'x' from (`n`.`c`)) from (`n`)"),
        (
            "exists(select 1 from `n`.`n` where substring(`n`.`c` from 2))",
            "exists(select 1 from `n` where substring(`n`.`c` from 2))",
        ),
        (
            "1; for N in (values (1)) do replace n.items values (n.a); end for",
            "1; for N in (values (1)) do replace items values (n.a); end for",
        ),
    ],
)
def test_a_table_called_as_its_database_keeps_its_name_before_columns(text: str, expected: str) -> None:
    assert without_qualifier(f"select {text}", "n") == f"select {expected}"
