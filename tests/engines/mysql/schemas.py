"""Random schemas of MySQL and MariaDB as SQL: every kind of object over a few names, and pairs, the second the first, changed.

A schema is a list of pieces in an order in which they can be made. Names are few, so that pieces speak of each other. The words
are those of both servers: what a server does not know, or does not take beside the rest, is left out (`built`), a table's
columns and options one by one.
"""

# ruff: noqa: E501 (a statement reads best on one line)

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.engines.hand import Hand, Piece, TablePiece

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

TABLES = ["`t`", "`u`", "`x y`", "`Order`", "`o``dd`"]
VIEWS = ["`v0`", "`v1`", "`v 2`"]

# What a column of each name may be: its types, of one family mostly, so that a change of type can keep the values.
TYPES = {
    "id": ["int", "int", "bigint", "int unsigned", "int NOT NULL AUTO_INCREMENT UNIQUE", "bigint DEFAULT nextval(`counter`)"],
    "n": ["int", "smallint", "bigint", "int unsigned", "decimal(10,2)", "double", "float", "mediumint(5) unsigned zerofill",
          "tinyint unsigned", "int(6) zerofill", "decimal(8,3) unsigned", "float(7,3)"],
    "t": ["varchar(20)", "varchar(40)", "char(10)", "text", "mediumtext", "varchar(20) CHARACTER SET latin1",
          "varchar(20) COLLATE utf8mb4_bin", "text CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "varchar(30) COMPRESSED",
          "varchar(20) CHARACTER SET ascii", "char(10) CHARACTER SET utf8mb3", "varchar(300)", "varchar(20) COLLATE utf8mb4_0900_ai_ci"],
    "`select`": ["tinyint(1)", "boolean", "bit(1)"],
    "mood": ["enum('sad','ok')", "enum('sad','ok','it''s')", "enum('ok','happy','sad') CHARACTER SET latin1", "set('sad','ok')", "varchar(9)"],
    "`q z`": ["datetime", "datetime(3)", "timestamp NULL", "date", "time(2)", "year"],
    "j": ["json", "longtext", "text"],
    "b": ["blob", "varbinary(10)", "binary(4)", "bit(5)", "uuid", "inet6", "point", "geometry NULL", "tinyblob", "varbinary(300)",
          "vector(3)", "point SRID 4326"],
    "p": ["point NOT NULL", "geometry NOT NULL", "point NOT NULL SRID 4326", "linestring NOT NULL REF_SYSTEM_ID=4326"],
}  # fmt: skip
DEFAULTS = {
    "n": ["1", "0", "(7 + 1)", "NULL", "(id + 1)"],
    "t": ["'x'", "''", "'it''s'", "(concat('a', 'b'))", "NULL"],
    "`select`": ["1", "0"],
    "mood": ["'sad'", "'ok'"],
    "`q z`": ["NULL", "current_timestamp()", "'2020-01-01 00:00:00'", "current_timestamp(3) ON UPDATE current_timestamp(3)"],
    "j": ["'[]'", "(json_object())"],
    "b": ["x'61'", "(uuid())", "b'101'"],
}
GENERATED = [
    "`g` int GENERATED ALWAYS AS (id * 2) STORED",
    "`g` int AS (id + n) VIRTUAL",
    "`g` varchar(50) AS (concat(t, 'x')) PERSISTENT",
    "`g` varchar(50) AS (lower(t)) VIRTUAL INVISIBLE COMMENT 'g'",
    "`g` varchar(50) AS (lower(t)) VIRTUAL COMMENT 'g' INVISIBLE",
    "`g` bigint AS (id + 1) VIRTUAL NOT NULL",
    "`g` varchar(20) CHARACTER SET latin1 AS (concat(n, 'é')) STORED",
]
ACTIONS = ["", "", " ON DELETE CASCADE", " ON UPDATE SET NULL", " ON DELETE RESTRICT ON UPDATE CASCADE", " ON DELETE SET NULL"]
TAILS = ["", "", "", " COMMENT='it''s'", " ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8", " DEFAULT CHARSET=latin1", " COLLATE=utf8mb4_bin",
         " ENGINE=MyISAM", " ENGINE=Aria TRANSACTIONAL=1", " WITH SYSTEM VERSIONING", " WITH SYSTEM VERSIONING", " PAGE_COMPRESSED=1", " AUTO_INCREMENT=50",
         " ROW_FORMAT=REDUNDANT", " ROW_FORMAT=COMPACT COMMENT='x'", " STATS_PERSISTENT=0 STATS_AUTO_RECALC=1 STATS_SAMPLE_PAGES=7",
         " MIN_ROWS=3 MAX_ROWS=900 AVG_ROW_LENGTH=20 CHECKSUM=1", " ENGINE=MyISAM DELAY_KEY_WRITE=1 PACK_KEYS=1", " COMPRESSION='zlib'",
         " AUTOEXTEND_SIZE=4M", " COLLATE=utf8mb4_0900_ai_ci", " ENGINE=MEMORY"]  # fmt: skip
PARTITIONS = [
    " PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION m VALUES LESS THAN MAXVALUE)",
    " PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20), PARTITION m VALUES LESS THAN MAXVALUE)",
    " PARTITION BY LIST (id) (PARTITION a VALUES IN (1, 2), PARTITION b DEFAULT)",
    " PARTITION BY LIST COLUMNS (id) (PARTITION a VALUES IN (1, 2) COMMENT='it''s', PARTITION b VALUES IN (3, NULL))",
    " PARTITION BY RANGE COLUMNS (id, n) (PARTITION a VALUES LESS THAN (5, 5), PARTITION m VALUES LESS THAN (MAXVALUE, MAXVALUE))",
    " PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION a VALUES LESS THAN (9), PARTITION m VALUES LESS THAN MAXVALUE)",
    " PARTITION BY RANGE (id) SUBPARTITION BY KEY (id) (PARTITION m VALUES LESS THAN MAXVALUE (SUBPARTITION x, SUBPARTITION y))",
    " PARTITION BY HASH (id) PARTITIONS 3",
    " PARTITION BY LINEAR HASH (id) PARTITIONS 4",
    " PARTITION BY HASH (id) (PARTITION x, PARTITION y)",
    " PARTITION BY LINEAR KEY (id) PARTITIONS 3",
    " PARTITION BY KEY ALGORITHM=1 (id) PARTITIONS 2",
    " WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 1000 (PARTITION h HISTORY, PARTITION c CURRENT)",
    " PARTITION BY KEY (id) PARTITIONS 2",
]


Pieces = tuple[Piece | TablePiece, ...]


def _column(hand: Hand, name: str) -> str:
    if name == "g":
        return hand.one(GENERATED)
    default = "" if name not in DEFAULTS else hand.maybe(f" DEFAULT {hand.one(DEFAULTS[name])}")
    if name == "`q z`" and hand.happens(5):
        return "`q z` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
    nullable = "" if default == " DEFAULT NULL" else hand.maybe(" NOT NULL")
    rest = hand.maybe(" COMMENT 'it''s'") + (hand.maybe(" CHECK (n < 900)", " WITHOUT SYSTEM VERSIONING") if name == "n" else "")
    kind = hand.one(TYPES[name])
    nullable = "" if "NULL" in kind else nullable
    default = default if _fits(default, kind) else ""
    return f"{name} {kind}{nullable}{default}{' INVISIBLE' if default and hand.happens(5) else ''}{rest}"


def _fits(default: str, kind: str) -> bool:
    """Tell whether a default is a value of its type.

    MariaDB 10.11 makes a table with one that is none, and refuses to alter that table from then on (error 1416 for shapes).
    """
    if default == " DEFAULT (uuid())":
        return kind in ("blob", "tinyblob", "varbinary(300)", "uuid")
    return kind not in ("uuid", "inet6", "vector(3)") and not kind.startswith(("point", "geometry", "linestring"))


def _rule(hand: Hand, table: str, kind: str) -> str:
    name = f"{kind}{TABLES.index(table)}"
    if kind == "pk":
        return f"PRIMARY KEY ({hand.one(['id', 'id', 'id', 'id, n', 'n, id', 't(5)'])})"
    if kind.startswith("fk"):
        columns = hand.one(
            ["(n) REFERENCES {} (id)", "(n) REFERENCES {} (id)", "(id) REFERENCES {} (id)", "(id, n) REFERENCES {} (id, n)"]
        )
        return f"CONSTRAINT `{name}` FOREIGN KEY {columns.format(hand.table())}{hand.one(ACTIONS)}"
    if kind == "uk":
        return f"UNIQUE KEY `{name}` ({hand.one(['t(6)', 'id, n', 'n', 'n DESC, id', 'mood, id'])}){hand.maybe(' USING BTREE')}"
    if kind == "ck":
        return (
            f"CONSTRAINT `{name}` CHECK ({hand.one(['n > 0', 'id <> 7 OR t IS NULL', 'char_length(t) < 19', 'n in (1, 2, 3)'])})"
            f"{hand.maybe(' NOT ENFORCED')}"
        )
    if kind == "ft":
        words = hand.maybe(" COMMENT 'words'")
        return f"FULLTEXT KEY `{name}` ({hand.one(['t', 'j', 't, j'])}){words}"
    if kind == "sp":
        return f"SPATIAL KEY `{name}` (p){hand.maybe(' IGNORED', ' INVISIBLE')}"
    if kind == "fx":
        keys = hand.one(["(n + 1)", "(lower(t)), id", "(id * 2) DESC", "(CAST(j AS UNSIGNED ARRAY))", "(t IS NULL), n, (n * id)"])
        return f"{hand.maybe('UNIQUE ')}KEY `{name}` ({keys}){hand.maybe(' INVISIBLE')}"
    keys = hand.one(["n", "t(4), n", "n DESC, id", "id, mood", "g", "`q z`", "j(9)", "b(3)", "`select`, t(2) DESC"])
    rest = hand.maybe(" USING BTREE", " COMMENT 'it''s'", " IGNORED", " INVISIBLE")
    return f"KEY `{name} x` ({keys}){rest}"


RULES = ["fk", "uk", "ck", "ft", "ix", "sp", "fx"]


def _tail(hand: Hand) -> str:
    return hand.one(TAILS) + (hand.one(PARTITIONS) if hand.happens(5) else "")


def _table(hand: Hand, key: str) -> TablePiece:
    others = [name for name in [*TYPES, "g"] if name not in ("id", "n", "t", "mood")]
    names = ["id", *hand.one([("n", "t", "mood"), ("n", "t"), ("t", "n", "mood"), ("n",)]), *hand.some(others, 3)]
    rules = [*([] if hand.happens(4) else ["pk"]), *hand.some(RULES, 2)]
    columns = tuple((name, _column(hand, name)) for name in names)
    return TablePiece(key, columns, tuple((name, _rule(hand, key, name)) for name in rules), _tail(hand))


def _changed_table(hand: Hand, table: TablePiece) -> TablePiece:
    """Columns and rules are kept, made anew, moved, dropped and added."""
    columns = [(name, _column(hand, name) if hand.happens(4) else text) for name, text in table.columns if not hand.happens(6)]
    have = {name for name, _ in table.columns}
    added = [(name, _column(hand, name)) for name in hand.some([*TYPES, "g"], 2) if name not in have]
    columns = [*columns, *added] if hand.happens(2) else [*columns[:1], *added, *columns[1:]]
    if hand.happens(6):
        columns.reverse()
    rules = [
        (name, _rule(hand, table.key, name) if hand.happens(3) else text) for name, text in table.rules if not hand.happens(5)
    ]
    have = {name for name, _ in table.rules}
    rules += [(name, _rule(hand, table.key, name)) for name in hand.some(["pk", *RULES], 1) if name not in have]
    keep = replace(table, columns=tuple(columns or table.columns), rules=tuple(rules))
    return replace(keep, tail=_tail(hand)) if hand.happens(3) else keep


# --- other pieces -------------------------------------------------------------------------------------------------------------


def _sequence(hand: Hand, name: str) -> str:
    return f"CREATE SEQUENCE {name}{hand.maybe(' START WITH 5', ' INCREMENT BY 2', ' MAXVALUE 900', ' CACHE 5', ' CYCLE')}"


def _definer(hand: Hand) -> str:
    """Another account of the tests' servers, which has to exist: triggers run when undo brings rows back."""
    return "DEFINER=`admin`@`%` " if hand.happens(6) else ""


def _function(hand: Hand, _: str) -> str:
    argument, result = hand.one(["a int", "a int", "b bigint"]), hand.one(["int", "bigint", "varchar(20) CHARSET latin1"])
    body = hand.one(["RETURN 1", "BEGIN DECLARE x int; SET x = 2; RETURN x; END", "RETURN (SELECT max(id) FROM `t`)"])
    rest = hand.maybe(" DETERMINISTIC", " SQL SECURITY INVOKER", " COMMENT 'it''s'", " READS SQL DATA")
    return f"CREATE {_definer(hand)}FUNCTION `f`({argument}) RETURNS {result}{rest} {body}"


def _procedure(hand: Hand, _: str) -> str:
    body = hand.one(
        ["SELECT 1", "BEGIN END", f"BEGIN INSERT INTO {hand.table()} (id) VALUES (1); SELECT 'a;b'; END", "CALL `q`()"]
    )
    return f"CREATE {_definer(hand)}PROCEDURE `p`({hand.one(['', 'IN x int, OUT y varchar(9)', 'INOUT z decimal(5,2)'])}) {hand.maybe('MODIFIES SQL DATA ')}{body}"


def _view(hand: Hand, key: str) -> str:
    source, other = hand.relation(), hand.relation()
    query = hand.one(
        [
            f"SELECT * FROM {source}",
            f"SELECT id, n FROM {source}",
            f"SELECT id, n FROM {source} WHERE n > 0",
            f"SELECT x.id, count(*) AS n FROM {source} x JOIN {other} y ON x.id = y.id GROUP BY x.id",
            f"SELECT `f`(id) AS id, 'a' AS n FROM {source}",
            f"WITH q AS (SELECT id FROM {source}) SELECT id, 1 AS n FROM q UNION SELECT id, n FROM {other}",
        ]
    )
    head = (
        hand.maybe(hand.one(["ALGORITHM=MERGE ", "ALGORITHM=TEMPTABLE "])) + _definer(hand) + hand.maybe("SQL SECURITY INVOKER ")
    )
    columns = hand.one(["", "", "", " (id, n)"])
    check = (
        hand.one([" WITH LOCAL CHECK OPTION", " WITH CASCADED CHECK OPTION"])
        if query.endswith("n > 0") and hand.happens(2)
        else ""
    )
    return f"CREATE {head}VIEW {key.removeprefix('view ')}{columns} AS {query}{check}"


def _trigger(hand: Hand, key: str) -> str:
    head = hand.one(["BEFORE INSERT", "BEFORE INSERT", "AFTER UPDATE", "BEFORE DELETE"])
    order = hand.one(["", "", "", " PRECEDES `tr0`", " FOLLOWS `tr0`"]) if key != "trigger `tr0`" else ""
    body = hand.one(["SET @a = 1", "BEGIN IF 1 THEN SET @b = 'x;y'; END IF; END", f"DELETE FROM {hand.table()} WHERE 0"])
    return f"CREATE {_definer(hand)}TRIGGER {key.removeprefix('trigger ')} {head} ON {hand.table()} FOR EACH ROW{order} {body}"


def _event(hand: Hand, _: str) -> str:
    when = hand.one(
        [
            "EVERY 1 DAY STARTS '2030-01-01 00:00:00'",
            "EVERY 2 HOUR STARTS '2030-01-01 00:00:00' ENDS '2031-01-01 00:00:00'",
            "AT '2035-01-01 00:00:00'",
        ]
    )
    rest = hand.maybe(" ON COMPLETION PRESERVE", " DISABLE", " COMMENT 'it''s'")
    return f"CREATE {_definer(hand)}EVENT `e` ON SCHEDULE {when}{rest} DO {hand.one(['SELECT 1', 'BEGIN SELECT 1; SELECT 2; END', 'CALL `p`()'])}"


def _grant(hand: Hand, _: str) -> str:
    """To accounts of the tests' servers, which can do everything anyway."""
    what = hand.one(
        [
            f"SELECT, INSERT ON {hand.table()}",
            f"SELECT (id), UPDATE (id, n) ON {hand.table()}",
            f"SELECT, UPDATE (n) ON {hand.table()}",
            f"ALL ON {hand.relation()}",
            "EXECUTE ON FUNCTION `f`",
            "ALL ON PROCEDURE `p`",
            "CREATE, EVENT ON *",
        ]
    )
    return f"GRANT {what} TO {hand.one(['`admin`@`%`', '`root`@`localhost`'])}{hand.maybe(' WITH GRANT OPTION')}"


FIRST: dict[str, Callable[[Hand, str], str]] = {
    "sequence `counter`": lambda hand, _: _sequence(hand, "`counter`"),
    "sequence `S 2`": lambda hand, _: _sequence(hand, "`S 2`"),
}
SECOND: dict[str, Callable[[Hand, str], str]] = {
    "function `f`": _function,
    **{f"view {name}": _view for name in VIEWS},
    **{f"trigger `tr{number}`": _trigger for number in range(3)},
    "procedure `p`": _procedure,
    "procedure `q`": lambda hand, _: f"CREATE PROCEDURE `q`() SELECT {hand.one(['1', '2'])}",
    "event `e`": _event,
    **{f"grant {number}": _grant for number in range(4)},
    "later": lambda hand, _: (lambda table: f"ALTER TABLE {table} ADD {_rule(hand, table, 'fk_later_')}")(hand.table()),
    "index": lambda hand, _: (
        f"CREATE {hand.maybe('UNIQUE ')}INDEX `i n` ON {hand.table()} ({hand.one(['n', 'id DESC', 't(3)', 'n, t(7)'])})"
    ),
}


def _pieces(draw: DrawFn, few: bool = False) -> Pieces:
    """Some tables and some of what stands on them."""
    hand = Hand(draw)
    tables, chosen = hand.some(TABLES, 2 if few else 4, least=1), hand.some(list(SECOND), 4 if few else 9)
    hand = Hand(draw, tables, _views(chosen))
    first = [Piece(key, make(hand, key)) for key, make in FIRST.items() if not hand.happens(4)]
    second = [Piece(key, make(hand, key)) for key, make in SECOND.items() if key in chosen]
    return (*first, *(_table(hand, key) for key in tables), *second)


def _views(keys: Collection[str]) -> list[str]:
    return [view for view in VIEWS if f"view {view}" in keys]


def _changed(draw: DrawFn, pieces: Pieces) -> Pieces:
    """Derive a schema: pieces stay, go, change and come."""
    hand = Hand(draw)
    kept = {piece.key: piece for piece in pieces if not hand.happens(7)}
    added = {*hand.some(list(SECOND), 3), *hand.some(TABLES, 1, least=not any(table in kept for table in TABLES))}
    keys = [key for key in [*FIRST, *TABLES, *SECOND] if key in kept or key in added]
    hand = Hand(draw, [key for key in TABLES if key in keys], _views(keys))
    return tuple(_kept(hand, kept[key]) if key in kept else _made(hand, key) for key in keys)


def _kept(hand: Hand, piece: Piece | TablePiece) -> Piece | TablePiece:
    if isinstance(piece, TablePiece):
        return _changed_table(hand, piece) if hand.happens(2) else piece
    return _made(hand, piece.key) if hand.happens(4) else piece


def _made(hand: Hand, key: str) -> Piece | TablePiece:
    return _table(hand, key) if key in TABLES else Piece(key, {**FIRST, **SECOND}[key](hand, key))


@st.composite
def pairs(draw: DrawFn) -> tuple[Pieces, Pieces]:
    """Two schemas: the second is the first changed, seldom one of its own."""
    first = _pieces(draw)
    return first, _pieces(draw, few=True) if draw(st.integers(1, 6)) == 1 else _changed(draw, first)


def built(pieces: Pieces, cursor: Cursor) -> list[str]:
    """Make a schema in an empty database; return the statements that the server took. Foreign keys follow all tables."""
    tables = [piece for piece in pieces if isinstance(piece, TablePiece)]
    rules = [text for table in tables for text in table.rule_texts]
    made = _taken(["SET system_versioning_alter_history = KEEP"], cursor)
    made += _taken((piece.text for piece in pieces if piece.key in FIRST), cursor)
    for table in tables:
        made += _made_table(table, cursor)
    made += _taken(sorted(rules, key=lambda text: " FOREIGN KEY " in text), cursor)
    return made + _taken((piece.text for piece in pieces if piece.key in SECOND), cursor)


def _made_table(table: TablePiece, cursor: Cursor) -> list[str]:
    """Make a table whole, or else of those of its columns and options that the server takes."""
    if whole := _taken([table.text], cursor):
        return whole
    first, *others = table.column_texts or ["id int"]
    for column in (first, "id int"):
        for tail in (table.tail, ""):
            if start := _taken([f"CREATE TABLE {table.key} ({column}){tail}"], cursor):
                return start + _taken((f"ALTER TABLE {table.key} ADD {text}" for text in others), cursor)
    return []


def _taken(texts: Iterable[str], cursor: Cursor) -> list[str]:
    import pymysql

    taken = []
    for text in texts:
        try:
            cursor.execute(text)
        except pymysql.Error:
            continue
        taken.append(text)
    return taken
