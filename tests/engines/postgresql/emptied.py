"""Databases for many examples: emptied and taken again, which costs a tenth of making new ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.databases import PostgresDatabase
from tests.servers import PostgresServer

_FREE: dict[PostgresServer, list[str]] = {}

#: `public` keeps its oid, by which PostgreSQL and dbops know it, so its objects go one by one, found by their dependency on it.
_EMPTY = """
SET allow_system_table_mods = on;
DO $$
DECLARE item record;
BEGIN
  SET LOCAL client_min_messages = error;
  FOR item IN SELECT evtname AS name FROM pg_event_trigger LOOP EXECUTE format('DROP EVENT TRIGGER %I', item.name); END LOOP;
  FOR item IN SELECT pubname AS name FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', item.name); END LOOP;
  FOR item IN SELECT extname AS name FROM pg_extension WHERE extname <> 'plpgsql' LOOP
    EXECUTE format('DROP EXTENSION %I CASCADE', item.name);
  END LOOP;
  FOR item IN SELECT fdwname AS name FROM pg_foreign_data_wrapper LOOP
    EXECUTE format('DROP FOREIGN DATA WRAPPER %I CASCADE', item.name);
  END LOOP;
  FOR item IN SELECT nspname AS name FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', item.name);
  END LOOP;
  LOOP
    SELECT i.type, i.identity INTO item FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'public'::regnamespace AND d.deptype = 'n'
      AND NOT EXISTS (SELECT FROM pg_depend o WHERE (o.classid, o.objid) = (d.classid, d.objid) AND o.deptype IN ('i', 'a')
        AND o.refobjid <> o.objid) LIMIT 1;
    EXIT WHEN NOT FOUND;
    IF item.type = 'aggregate' THEN item.identity := replace(item.identity, '()', '(*)'); END IF;
    EXECUTE format('DROP %s %s CASCADE', item.type, item.identity);
  END LOOP;
  FOR item IN SELECT castsource::regtype AS source, casttarget::regtype AS target FROM pg_cast WHERE oid >= 16384 LOOP
    EXECUTE format('DROP CAST (%s AS %s)', item.source, item.target);
  END LOOP;
  DELETE FROM pg_shdepend WHERE classid = 'pg_default_acl'::regclass
    AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database());
  DELETE FROM pg_default_acl;
END $$
"""


@contextmanager
def emptied_postgres(server: PostgresServer) -> Iterator[PostgresDatabase]:
    """Give an empty database; it is emptied afterwards and given again, or dropped where something went wrong."""
    free = _FREE.setdefault(server, [])
    name = free.pop() if free else server.new_database("law")
    try:
        yield PostgresDatabase(server, name)
        with closing(server.connect(name)) as conn:
            conn.execute(_EMPTY)
    except BaseException:
        server.drop_database(name)
        raise
    free.append(name)
