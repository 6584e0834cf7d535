"""What one server can do that another of its protocol cannot: asked of the server by a statement that needs it.

So a test says what it needs rather than which make or version, and runs wherever that is to be had.
"""

from __future__ import annotations

#: By name: statements that only a server with the feature takes, in an empty database.
FEATURES = {
    "sequences": "CREATE SEQUENCE s",
    "roles without hosts": "GRANT USAGE ON *.* TO PUBLIC",
    "generated series": "SELECT seq FROM seq_1_to_2",
    "system versioning": "CREATE TABLE t (a int) WITH SYSTEM VERSIONING",
    "packages": "SET sql_mode = ORACLE; CREATE PACKAGE p AS PROCEDURE q; END",
    "uuid type": "CREATE TABLE t (a uuid, b inet6)",
    "default partition": "CREATE TABLE t (a int) PARTITION BY LIST (a) (PARTITION p DEFAULT)",
    "ignored indexes": "CREATE TABLE t (a int, KEY k (a) IGNORED)",
    "invisible indexes": "CREATE TABLE t (a int, KEY k (a) INVISIBLE)",
    "hash unique keys": "CREATE TABLE t (a text, UNIQUE KEY k (a) USING HASH)",
    "functional keys": "CREATE TABLE t (a int, KEY k ((a + 1)))",
    "multi-valued keys": "CREATE TABLE t (a json, KEY k ((CAST(a AS UNSIGNED ARRAY))))",
    "page compression": "CREATE TABLE t (a int) PAGE_COMPRESSED=1",
    "page compression in the file system": "CREATE TABLE t (a int) COMPRESSION='zlib' AUTOEXTEND_SIZE=4M",
    "aria": "CREATE TABLE t (a int) ENGINE=Aria",
    "blackhole": "/*M! INSTALL SONAME IF NOT EXISTS 'ha_blackhole' */; CREATE TABLE t (a int) ENGINE=BLACKHOLE",
    "or replace": "CREATE OR REPLACE PROCEDURE p() SELECT 1",
    "srid": "CREATE TABLE t (a point NOT NULL SRID 4326)",
    "unenforced checks": "CREATE TABLE t (a int, CHECK (a > 1) NOT ENFORCED)",
    "foreign keys to any index": "CREATE TABLE p (a int, KEY (a)); CREATE TABLE c (a int, FOREIGN KEY (a) REFERENCES p (a))",
    "nocopy": "CREATE TABLE t (a int); ALTER TABLE t ADD KEY (a), ALGORITHM=NOCOPY",
    "instant longer text": "CREATE TABLE t (a varchar(1)) CHARSET=latin1; ALTER TABLE t MODIFY a varchar(2), ALGORITHM=INSTANT",
}
