"""Reference rows on each engine: hostile values, rows that refer to each other, and what cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import DbopsError
from dbops.usecases.drift import drift
from dbops.usecases.history import undo
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_main_job import ALL, Write, applied, environment, planned
from tests.databases import Database

__all__ = ["environment"]

#: NULL and empty text, quotes, backslashes, line breaks, emoji, trailing blanks, zeros, dates, JSON, 64 bits, reserved names.
TYPES = {
    "postgresql": {"binary": "bytea", "document": "jsonb", "moment": "timestamp", "truth": "boolean", "number": "identity"},
    "mysql": {"binary": "varbinary(20)", "document": "json", "moment": "datetime", "truth": "boolean", "number": "auto"},
    "sqlite": {"binary": "blob", "document": "text", "moment": "text", "truth": "boolean", "number": "plain"},
}
NUMBERS = {"identity": "bigint GENERATED ALWAYS AS IDENTITY", "auto": "bigint NOT NULL AUTO_INCREMENT UNIQUE", "plain": "integer"}


def hostile(database: Database) -> str:
    """Return a table with a reserved name, reserved columns, and one column of each kind."""
    types = TYPES[database.engine]
    quote = "`" if database.engine == "mysql" else '"'
    order, select, group = (f"{quote}{name}{quote}" for name in ("order", "select", "group"))
    options = " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if database.engine == "mysql" else ""
    return (
        f"CREATE TABLE {order} ({select} varchar(40) NOT NULL, {group} integer NOT NULL, note varchar(200), price decimal(20, 4),"
        f" large bigint, made date, at {types['moment']}, truth {types['truth']}, document {types['document']},"
        f" raw {types['binary']}, number {NUMBERS[types['number']]}, next bigint GENERATED ALWAYS AS ({group} + 1) STORED,"
        f" PRIMARY KEY ({select}, {group}))"
        f"{options};\n"
    )


HEADER = "select,group,note,price,large,made,at,truth,document,raw\n"
ROWS = (
    'a,1,,1.50,9223372036854775807,2024-02-29,2024-02-29 23:59:59,1,"{""a"": [1, null]}",plain\n'
    'a,2,"",0.0001,-9223372036854775808,1000-01-01,,0,[],\n'
    '"a\'b""c\\d",1,"line one\nline two\r\n\\n \\\\ \'; DROP TABLE x; --",100,0,,,,,\n'
    '"blank  ",1,"  ","0.0000",1,,,,"""text""",""\n'
    "🐘 ünï,1,表 👩‍👩‍👧 ✓,12345678901234.5,,,,,,\n"
    "NULL,1,NULL,,,,,,,\n"
    "%s :x ? {0},1,100% $1 @x,,,,,,,\n"
)
CHANGED = (
    'a,1,"",1.5000,9223372036854775806,2024-02-28,2024-02-29 00:00:00,0,"{""a"": 2}",other\n'
    "a,2,,,-9223372036854775808,,,0,[],\n"
    '"blank  ",1," ",0,1,,,,"""text""",\n'
    "new 🐘,7,x,1.10,2,,,,,\n"
)
HOSTILE = "  data: [{table: order, key: [select, group], file: rows.csv}]\n"


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8", newline="")


def test_hostile_values_are_inserted_changed_deleted_and_taken_back(environment: Write, database: Database) -> None:
    folder = environment(hostile(database), HOSTILE)
    write(folder, "rows.csv", HEADER + ROWS)
    applied(folder)
    assert planned(folder).is_empty
    quote = "`" if database.engine == "mysql" else '"'
    asked = f"SELECT * FROM {quote}order{quote} ORDER BY 1, 2"
    rows = database.rows(asked)
    assert {row[:3] for row in rows} == {
        ("a", 1, None),
        ("a", 2, ""),
        ("a'b\"c\\d", 1, "line one\nline two\r\n\\n \\\\ '; DROP TABLE x; --"),
        ("blank  ", 1, "  "),
        ("🐘 ünï", 1, "表 👩‍👩‍👧 ✓"),
        ("NULL", 1, "NULL"),
        ("%s :x ? {0}", 1, "100% $1 @x"),
    }
    assert {row[4] for row in rows} >= {9223372036854775807, -9223372036854775808}
    write(folder, "rows.csv", HEADER + CHANGED)
    apply_id = applied(folder) or ""
    assert apply_id and planned(folder).is_empty
    assert len(database.rows(asked)) == 4
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    write(folder, "rows.csv", HEADER + ROWS)
    assert planned(folder).is_empty
    assert [row[:10] for row in database.rows(asked)] == [row[:10] for row in rows]
    assert applied(folder) is None
    database.load(f"UPDATE {quote}order{quote} SET note = 'by hand' WHERE large = 1;")
    with open_workspace(folder) as workspace:
        assert drift(workspace).has_drift


TREE = """\
CREATE TABLE regions (
  id integer NOT NULL PRIMARY KEY,
  parent integer {null},
  name varchar(20) UNIQUE,
  CONSTRAINT regions_parent FOREIGN KEY (parent) REFERENCES regions (id)
);
CREATE TABLE cities (
  id integer NOT NULL PRIMARY KEY,
  region integer NOT NULL,
  CONSTRAINT cities_region FOREIGN KEY (region) REFERENCES regions (id)
);
"""
TREES = "  data: [{table: cities, key: [id], file: cities.csv}, {table: regions, key: [id], file: regions.csv}]\n"


def changes_and_returns(folder: Path, files: dict[str, tuple[str, str]]) -> None:
    """Apply the first text of each file, then the second, take that back, and go there again and to nothing."""
    empty = {name: first.splitlines()[0] + "\n" for name, (first, _) in files.items()}

    def put(texts: dict[str, str]) -> str:
        for name, text in texts.items():
            write(folder, name, text)
        apply_id = applied(folder) or ""
        assert apply_id and planned(folder).is_empty
        return apply_id

    first, second = ({name: texts[n] for name, texts in files.items()} for n in (0, 1))
    put(first)
    apply_id = put(second)
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    for name, text in first.items():
        write(folder, name, text)
    assert planned(folder).is_empty
    put(second)
    put(empty)
    put(second)


def test_rows_that_refer_to_rows_further_down_come_and_go(environment: Write) -> None:
    folder = environment(TREE.format(null=""), TREES)
    changes_and_returns(
        folder,
        {
            "regions.csv": (
                "id,parent,name\n1,3,a\n2,2,b\n3,4,c\n4,,d\n5,6,x\n6,5,y\n",  # down the file, itself, and a circle
                "id,parent,name\n1,7,c\n3,1,d\n7,9,a\n8,,b\n9,8,x\n",
            ),
            "cities.csv": ("id,region\n1,2\n2,4\n3,5\n", "id,region\n1,8\n2,7\n4,3\n"),
        },
    )


CIRCLE = """\
CREATE TABLE teams (id integer NOT NULL PRIMARY KEY, lead integer {null});
CREATE TABLE people (
  id integer NOT NULL PRIMARY KEY,
  team integer NOT NULL,
  CONSTRAINT people_team FOREIGN KEY (team) REFERENCES teams (id)
);
ALTER TABLE teams ADD CONSTRAINT teams_lead FOREIGN KEY (lead) REFERENCES people (id){when};
"""
CIRCLES = "  data: [{table: teams, key: [id], file: teams.csv}, {table: people, key: [id], file: people.csv}]\n"
TWO_TEAMS = {
    "teams.csv": ("id,lead\n1,10\n2,20\n", "id,lead\n1,11\n3,30\n"),
    "people.csv": ("id,team\n10,1\n11,2\n20,2\n", "id,team\n10,3\n11,1\n30,3\n"),
}


def circle(database: Database, null: str, when: str = "") -> str:
    """Return two tables that refer to each other, as the engine can say it."""
    text = CIRCLE.format(null=null, when=when)
    if database.engine == "sqlite":
        text = text.replace(f"lead integer {null}", f"lead integer {null} CONSTRAINT teams_lead REFERENCES people (id){when}")
        text = text.split("ALTER TABLE")[0]
    return text.replace("lead ", "boss ").replace("(lead)", "(boss)")


def with_boss(files: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {name: (texts[0].replace("lead", "boss"), texts[1].replace("lead", "boss")) for name, texts in files.items()}


def test_two_tables_that_refer_to_each_other_take_null_for_a_while(environment: Write, database: Database) -> None:
    changes_and_returns(environment(circle(database, ""), CIRCLES), with_boss(TWO_TEAMS))


def test_a_circle_that_is_checked_at_the_end_needs_no_null(environment: Write, database: Database) -> None:
    if database.engine == "mysql":
        pytest.skip("InnoDB checks foreign keys row by row")
    folder = environment(circle(database, "NOT NULL", " DEFERRABLE INITIALLY DEFERRED"), CIRCLES)
    changes_and_returns(folder, with_boss(TWO_TEAMS))


def test_a_circle_without_null_is_refused_with_the_reason(environment: Write, database: Database) -> None:
    folder = environment(circle(database, "NOT NULL"), CIRCLES)
    for name, (first, _) in with_boss(TWO_TEAMS).items():
        write(folder, name, first)
    with pytest.raises(DbopsError) as caught:
        planned(folder)
    said = caught.value.explain()
    assert "wait for each other in a circle" in said and "people (team)" in said and "teams (boss)" in said


def test_rows_exchange_unique_values(environment: Write, database: Database) -> None:
    folder = environment(
        "CREATE TABLE t (id integer NOT NULL PRIMARY KEY, a varchar(9) UNIQUE, b varchar(9) NOT NULL UNIQUE);\n", SWAP
    )
    write(folder, "t.csv", "id,a,b\n1,x,p\n2,y,q\n3,z,r\n")
    applied(folder)
    write(folder, "t.csv", "id,a,b\n1,y,s\n2,z,p\n3,x,q\n")
    applied(folder)
    assert planned(folder).is_empty
    assert sorted(database.rows("SELECT id, a, b FROM t")) == [(1, "y", "s"), (2, "z", "p"), (3, "x", "q")]
    write(folder, "t.csv", "id,a,b\n1,y,p\n2,z,s\n3,x,q\n")
    with pytest.raises(DbopsError) as caught:
        planned(folder)
    assert "there is no NULL for" in caught.value.explain()


SWAP = "  data: [{table: t, key: [id], file: t.csv}]\n"


def test_keys_that_are_one_to_the_database_are_refused(environment: Write, database: Database) -> None:
    collation = {"sqlite": " COLLATE NOCASE"}.get(database.engine, "")
    folder = environment(
        f"CREATE TABLE t (code varchar(9){collation} NOT NULL PRIMARY KEY, a integer);\n",
        "  data: [{table: t, key: [code], file: t.csv}]\n",
    )
    write(folder, "t.csv", "code,a\nde,1\nfr,2\n")
    applied(folder)
    told = []
    for text in ("code,a\nDE,1\nfr,2\n", "code,a\nde,1\nfr,2\nFR,3\n"):
        write(folder, "t.csv", text)
        try:
            applied(folder)
        except DbopsError as error:
            told.append(error.explain())
    if database.engine == "postgresql":  # compares letter by letter
        assert told == []
    else:
        assert ["DE and the live key de of t" in told[0], "fr and FR of t" in told[1]] == [True, True]
        assert sorted(database.rows("SELECT code, a FROM t")) == [("de", 1), ("fr", 2)]


ORDERS = "CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, status varchar(10), shop integer, site integer{keys});\n"
LOOKUPS = (
    "CREATE TABLE statuses (code varchar(10) NOT NULL PRIMARY KEY);\n"
    "CREATE TABLE sites (site integer NOT NULL, shop integer NOT NULL, PRIMARY KEY (shop, site));\n"
)
TO_LOOKUPS = (
    ",\n  CONSTRAINT orders_status FOREIGN KEY (status) REFERENCES statuses (code)"
    ",\n  CONSTRAINT orders_site FOREIGN KEY (shop, site) REFERENCES sites (shop, site)"
)
LOOKED_UP = "  data: [{table: statuses, key: [code], file: statuses.csv}, {table: sites, key: [shop, site], file: sites.csv}]\n"


def test_foreign_keys_come_behind_the_rows_that_they_lead_to(environment: Write, database: Database) -> None:
    applied(environment(ORDERS.format(keys="")))
    database.load("INSERT INTO orders VALUES (1, 'new', 1, 2), (2, 'it''s', 1, 10), (3, NULL, 7, NULL);")
    folder = environment(LOOKUPS + ORDERS.format(keys=TO_LOOKUPS), LOOKED_UP)
    write(folder, "statuses.csv", "code\nnew\npaid\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    found = planned(folder)
    told = [one.message.replace("public.", "") for one in found.observations if one.code == "DATA_REFUSES"]
    assert sorted(told) == [
        "1 row of orders: shop, site refers to no row of sites (id: 2)",
        "1 row of orders: status refers to no row of statuses (id: 2)",
    ]
    write(folder, "statuses.csv", "code\nnew\nit's\n")
    write(folder, "sites.csv", "shop,site\n1,2\n1,10\n")
    apply_id = applied(folder) or ""
    assert planned(folder).is_empty
    assert len(database.rows("SELECT * FROM orders")) == 3 and len(database.rows("SELECT * FROM sites")) == 2
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    assert planned(environment(ORDERS.format(keys=""))).is_empty


def test_foreign_keys_that_go_or_change_do_not_wait_for_rows(environment: Write, database: Database) -> None:
    """The old key is in the way of a row that goes, and MySQL changes no column that a key needs."""
    orders = ORDERS.replace("status varchar(10)", "status varchar(12)")
    keys = TO_LOOKUPS.replace("REFERENCES statuses (code)", "REFERENCES others (code)")
    others = "CREATE TABLE others (code varchar(12) NOT NULL PRIMARY KEY);\n"
    applied(environment(LOOKUPS + ORDERS.format(keys=TO_LOOKUPS) + others))
    database.load("INSERT INTO statuses VALUES ('new'), ('paid'); INSERT INTO sites VALUES (2, 1);")
    database.load("INSERT INTO orders VALUES (1, 'paid', 1, 2);")
    more = LOOKED_UP.replace("data: [", "data: [{table: others, key: [code], file: others.csv}, ")
    folder = environment(LOOKUPS + orders.format(keys=keys) + others, more)
    write(folder, "others.csv", "code\npaid\n")
    write(folder, "statuses.csv", "code\nnew\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    before = database.rows("SELECT code FROM statuses ORDER BY code"), database.dump()
    apply_id = applied(folder) or ""
    assert planned(folder).is_empty and database.rows("SELECT status FROM orders") == [("paid",)]
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    assert (database.rows("SELECT code FROM statuses ORDER BY code"), database.dump()) == before


def test_rows_that_others_refer_to_do_not_go(environment: Write, database: Database) -> None:
    folder = environment(LOOKUPS + ORDERS.format(keys=TO_LOOKUPS), LOOKED_UP)
    write(folder, "statuses.csv", "code\nnew\npaid\nold\n")
    write(folder, "sites.csv", "shop,site\n1,2\n1,3\n")
    applied(folder)
    database.load("INSERT INTO orders VALUES (1, 'paid', 1, 2), (2, NULL, 1, 3);")
    write(folder, "statuses.csv", "code\nnew\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    told = [one.message.replace("public.", "") for one in planned(folder).observations if one.code == "DATA_REFUSES"]
    assert sorted(told) == [
        "1 row of orders: shop, site refers to a row of sites that goes (id: 2)",
        "1 row of orders: status refers to a row of statuses that goes (id: 1)",
    ]


def test_rows_that_go_with_others_want_to_be_allowed(environment: Write, database: Database) -> None:
    """Undo brings back reference rows, and none that an ON DELETE took along."""
    key = ", CONSTRAINT orders_status FOREIGN KEY (status) REFERENCES statuses (code) ON DELETE CASCADE"
    folder = environment(LOOKUPS + ORDERS.format(keys=key), LOOKED_UP.split(", {table: sites")[0] + "]\n")
    write(folder, "statuses.csv", "code\nnew\npaid\n")
    applied(folder)
    database.load("INSERT INTO orders (id, status) VALUES (1, 'paid');")
    write(folder, "statuses.csv", "code\nnew\n")
    found = planned(folder)
    if database.engine == "sqlite":  # where sessions do not keep foreign keys unless they are told
        assert [one.code for one in found.observations] == ["DATA_REFUSES"]
        return
    hazards = {hazard.code: hazard.message for step in found.steps for hazard in step.hazards}
    assert not found.is_refused and "goes with it (ON DELETE CASCADE) (id: 1); undo does not bring" in hazards["IRREVERSIBLE"]


def test_what_a_file_of_rows_lacks_or_breaks_is_told_before_anything_changes(environment: Write, database: Database) -> None:
    keys = TO_LOOKUPS + ", CONSTRAINT orders_shop UNIQUE (shop), CONSTRAINT orders_id CHECK (id > 0)"
    more = LOOKED_UP.replace("data: [", "data: [{table: orders, key: [id], file: orders.csv}, ")
    folder = environment(LOOKUPS + ORDERS.format(keys=keys), more)
    write(folder, "statuses.csv", "code\nnew\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    write(folder, "orders.csv", "id,status,shop,site\n1,paid,1,2\n2,new,,\n")
    told = [one.message.replace("public.", "") for one in planned(folder).observations if one.code == "DATA_REFUSES"]
    assert told == ["1 row of orders.csv: status refers to no row of statuses (id: 1)"]
    for text, line in (("1,new,1,2\n2,new,1,2\n", 3), ("-1,new,1,2\n", 2)):
        write(folder, "orders.csv", f"id,status,shop,site\n{text}")
        with pytest.raises(DbopsError) as caught:
            planned(folder)
        assert f"orders.csv:{line}: " in caught.value.explain()


def test_references_between_files_go_by_what_the_database_takes_for_one(environment: Write, database: Database) -> None:
    """MySQL's collations pass over case and accents; the others refuse such a row themselves, before anything stands."""
    more = LOOKED_UP.replace("data: [", "data: [{table: orders, key: [id], file: orders.csv}, ")
    folder = environment(LOOKUPS + ORDERS.format(keys=TO_LOOKUPS), more)
    write(folder, "statuses.csv", "code\ncafé\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    write(folder, "orders.csv", "id,status,shop,site\n1,CAFE,1,2\n")
    if database.engine != "mysql":
        with pytest.raises(DbopsError):
            applied(folder)
        return
    applied(folder)
    assert planned(folder).is_empty and database.rows("SELECT status FROM orders") == [("CAFE",)]


SPELLED = {
    ("", "cafe", "CAFE"): False,
    ("", "cafe", "cafe "): False,
    ("COLLATE NOCASE", "cafe", "CAFE"): True,
    ("COLLATE NOCASE", "café", "CAFÉ"): False,
    ("COLLATE RTRIM", "cafe", "cafe  "): True,
    ("COLLATE RTRIM", "cafe", "Cafe"): False,
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("case", "when"),
    [(case, when) for case in SPELLED for when in ("from files", "from rows")]
    + [(case, "from nothing") for case in SPELLED if SPELLED[case] or not case[0]],
)
def test_references_go_by_the_collation_of_what_they_lead_to(
    case: tuple[str, str, str], when: str, environment: Write, database: Database
) -> None:
    """SQLite would keep rows that refer to nothing."""
    collation, there, here = case
    tables = LOOKUPS.replace("(10) NOT NULL", f"(10) {collation} NOT NULL") + ORDERS.format(keys=TO_LOOKUPS)
    more = LOOKED_UP.replace("data: [", "data: [{table: orders, key: [id], file: orders.csv}, ")
    if when != "from nothing":
        database.load(f"{tables}INSERT INTO statuses VALUES ('{there}'); INSERT INTO sites VALUES (2, 1);")
    if when == "from rows":
        more = "  data: [{table: orders, key: [id], file: orders.csv}]\n"
    folder = environment(tables, more)
    write(folder, "statuses.csv", f"code\n{there}\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    write(folder, "orders.csv", f'id,status,shop,site\n1,"{here}",1,2\n')
    assert planned(folder).is_refused is not SPELLED[case]
    if SPELLED[case]:
        applied(folder)
        assert database.rows("PRAGMA foreign_key_check") == [] and planned(folder).is_empty


@pytest.mark.parametrize("code", ["NaN", "inf", "1e9999999"])
def test_references_to_words_that_could_be_numbers_are_found(environment: Write, database: Database, code: str) -> None:
    more = LOOKED_UP.replace("data: [", "data: [{table: orders, key: [id], file: orders.csv}, ")
    folder = environment(LOOKUPS + ORDERS.format(keys=TO_LOOKUPS), more)
    write(folder, "statuses.csv", f"code\n{code}\n")
    write(folder, "sites.csv", "shop,site\n1,2\n")
    write(folder, "orders.csv", f"id,status,shop,site\n1,{code},1,2\n")
    applied(folder)
    assert planned(folder).is_empty and database.rows("SELECT status FROM orders") == [(code,)]


def test_rows_of_a_table_that_another_one_has_no_row_for_come_before_its_key(environment: Write, database: Database) -> None:
    """What the file mends is not in the way of the key; more rows than a condition counts are looked through, too."""
    applied(environment(LOOKUPS + ORDERS.format(keys="")))
    database.load("INSERT INTO statuses VALUES ('c7'); INSERT INTO orders (id, status) VALUES (1, 'gone');")
    folder = environment(LOOKUPS + ORDERS.format(keys=TO_LOOKUPS), "  data: [{table: orders, key: [id], file: orders.csv}]\n")
    write(folder, "orders.csv", "id,status\n1,c7\n")
    applied(folder)
    assert planned(folder).is_empty


def test_more_reference_rows_than_a_condition_has_room_for_are_looked_up(environment: Write, database: Database) -> None:
    applied(environment(ORDERS.format(keys="")))
    database.load("INSERT INTO orders (id, status) VALUES (1, 'c7'), (2, 'none');")
    key = ", CONSTRAINT orders_status FOREIGN KEY (status) REFERENCES statuses (code)"
    folder = environment(LOOKUPS + ORDERS.format(keys=key), LOOKED_UP.split(", {table: sites")[0] + "]\n")
    write(folder, "statuses.csv", "code\n" + "".join(f"c{number}\n" for number in range(1500)))
    [told] = [one.message for one in planned(folder).observations if one.code == "DATA_REFUSES"]
    assert told.endswith("statuses (id: 2)")


def test_a_column_that_came_with_its_rows_goes_with_them(environment: Write, database: Database) -> None:
    table = "CREATE TABLE t (id integer NOT NULL PRIMARY KEY{});\n"
    more = "  data: [{table: t, key: [id], file: t.csv}]\n"
    folder = environment(table.format(""), more)
    write(folder, "t.csv", "id\n1\n")
    applied(folder)
    environment(table.format(", n varchar(5) DEFAULT 'x' NOT NULL"), more)
    write(folder, "t.csv", "id,n\n1,a\n2,b\n")
    apply_id = applied(folder) or ""
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, ALL)
    assert database.rows("SELECT * FROM t") == [(1,)]


def test_rows_of_tables_that_are_stored_otherwise_are_kept(environment: Write, database: Database) -> None:
    tables = {
        "sqlite": "CREATE TABLE t (id integer NOT NULL PRIMARY KEY) WITHOUT ROWID;",
        "postgresql": "CREATE TABLE t (id integer NOT NULL PRIMARY KEY) PARTITION BY RANGE (id);"
        " CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);",
        "mysql": "CREATE TABLE t (id integer NOT NULL PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION t1 VALUES LESS THAN (10));",
    }
    folder = environment(tables[database.engine], "  data: [{table: t, key: [id], file: t.csv}]\n")
    write(folder, "t.csv", "id\n1\n")
    applied(folder)
    assert planned(folder).is_empty and database.rows("SELECT * FROM t") == [(1,)]
