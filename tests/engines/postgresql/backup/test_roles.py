"""Which statements of pg_dumpall make a role, and which are left out."""

from __future__ import annotations

from dbops.engines.postgresql.backup.roles import statements_for

GLOBALS = """
SET default_transaction_read_only = off;
CREATE ROLE ann;
ALTER ROLE ann WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5;
CREATE ROLE "Bob ""the"" builder";
ALTER ROLE "Bob ""the"" builder" WITH NOSUPERUSER INHERIT NOLOGIN VALID UNTIL '2030-01-01 00:00:00+00';
ALTER ROLE ann SET work_mem TO '1GB';
GRANT staff TO ann GRANTED BY postgres;
GRANT staff TO "Bob ""the"" builder" WITH ADMIN OPTION, INHERIT FALSE GRANTED BY postgres;
GRANT staff TO carl;
CREATE ROLE ann; DROP DATABASE shop;
"""


def test_only_what_makes_the_wanted_roles_is_taken() -> None:
    assert statements_for(GLOBALS, ["ann"]) == [
        "CREATE ROLE ann;",
        "ALTER ROLE ann WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5;",
        "GRANT staff TO ann;",
    ]


def test_quoted_names_are_read() -> None:
    assert statements_for(GLOBALS, ['Bob "the" builder']) == [
        'CREATE ROLE "Bob ""the"" builder";',
        """ALTER ROLE "Bob ""the"" builder" WITH NOSUPERUSER INHERIT NOLOGIN VALID UNTIL '2030-01-01 00:00:00+00';""",
        'GRANT staff TO "Bob ""the"" builder" WITH ADMIN OPTION, INHERIT FALSE;',
    ]
