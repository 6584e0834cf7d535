"""Accounts that may do little: each can plan, and is told in the end what it lacks; no password is shown anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.commands import run
from tests.databases import MysqlDatabase, PostgresDatabase
from tests.failures.trial import BEFORE, Trial

SECRET = "s3cr:t/@pw%1"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def pg_account(pg_database: PostgresDatabase) -> Iterator[str]:
    name = f"little_{pg_database.name}"
    pg_database.load(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}' CREATEDB;")
    yield name
    pg_database.load(f"DROP OWNED BY {name}; DROP ROLE {name};")


@pytest.fixture
def my_account(my_database: MysqlDatabase) -> Iterator[str]:
    name = f"little_{my_database.name}"
    my_database.load(
        f"CREATE USER {name}@'%' IDENTIFIED BY '{SECRET}'; GRANT SELECT, SHOW VIEW ON {my_database.name}.* TO {name};"
    )
    yield name
    my_database.load(f"DROP USER {name}@'%';")


def told(trial: Trial, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb, and check that nothing it says or keeps shows the password."""
    done = run(*arguments, str(trial.folder))
    out, err = done.stdout, done.stderr
    for spelling in (SECRET, quote(SECRET, safe="")):
        assert spelling not in out + err
        for file in (trial.folder.parent / "cache").rglob("*"):
            assert not file.is_file() or spelling not in file.read_text(errors="replace")
    assert "Traceback" not in err or "--debug" in arguments
    return done


APPLY = ("apply", "--auto-approve", "--allow", "all")


def test_postgresql_says_what_an_account_lacks(pg_database: PostgresDatabase, pg_account: str, tmp_path: Path) -> None:
    url = pg_database.server.tcp_url(pg_database.name, pg_account, SECRET)
    trial = Trial.make(pg_database, tmp_path / "env", url=url)
    assert told(trial, "plan").returncode == 0
    refused = told(trial, *APPLY, "--debug")
    assert refused.returncode == 1 and "GRANT CREATE ON DATABASE" in refused.stderr
    pg_database.load(f"CREATE SCHEMA dbops AUTHORIZATION {pg_account};")
    refused = told(trial, *APPLY)
    assert refused.returncode == 1 and "permission denied for schema public" in refused.stderr
    pg_database.load(f"GRANT ALL ON SCHEMA public TO {pg_account};")
    assert told(trial, *APPLY).returncode == 0
    assert [one.record.state for one in trial.history()] == ["done", "failed"]
    assert SECRET not in str(pg_database.rows("SELECT s, a FROM dbops.steps s, dbops.applies a"))


def test_postgresql_says_which_function_forbids_the_journal(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    pg_database.load("""
        CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'not at daytime' USING ERRCODE = 'insufficient_privilege'; END $$;
        CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION forbid();""")
    refused = told(Trial.make(pg_database, tmp_path / "env"), *APPLY)
    assert refused.returncode == 1 and "GRANT" not in refused.stderr
    assert "not at daytime (PL/pgSQL function forbid() line 1 at RAISE)\n  let what an event trigger" in refused.stderr


def test_postgresql_says_who_may_not_read_the_journal(pg_database: PostgresDatabase, pg_account: str, tmp_path: Path) -> None:
    Trial.make(pg_database, tmp_path / "owner").apply()
    trial = Trial.make(pg_database, tmp_path / "env", url=pg_database.server.tcp_url(pg_database.name, pg_account, SECRET))
    refused = told(trial, "plan")
    assert refused.returncode == 1 and "GRANT USAGE ON SCHEMA dbops" in refused.stderr
    pg_database.load(f"GRANT USAGE ON SCHEMA dbops TO {pg_account}; GRANT SELECT ON ALL TABLES IN SCHEMA dbops TO {pg_account};")
    assert told(trial, "plan", "--detailed-exitcode").returncode == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((quote(SECRET, safe=""), "wr0ng"), "check username and password"),
        (("127.0.0.1:{port}", "127.0.0.1:1"), "is the server running"),
        (("127.0.0.1:{port}", "no-such-host.invalid"), "no-such-host.invalid"),
    ],
    ids=["password", "port", "host"],
)
def test_a_wrong_address_is_told(
    pg_database: PostgresDatabase, my_database: MysqlDatabase, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    for database in (pg_database, my_database):
        old, new = (part.format(port=database.server.port) for part in change)
        url = database.server.tcp_url(database.name, "somebody", SECRET).replace(old, new)
        assert new in url
        trial = Trial.make(database, tmp_path / database.engine, url=url)
        refused = told(trial, "plan", "--debug")
        assert refused.returncode == 1 and words in refused.stderr


@pytest.mark.parametrize("parameter", ["nosuch=1", "charset=nosuch"])
def test_mysql_names_a_parameter_it_does_not_know(my_database: MysqlDatabase, tmp_path: Path, parameter: str) -> None:
    trial = Trial.make(my_database, tmp_path / "env", BEFORE, url=f"{my_database.url}&{parameter}")
    refused = told(trial, "plan")
    assert refused.returncode == 1 and "unknown" in refused.stderr and "nosuch" in refused.stderr


@pytest.mark.campaign
def test_mysql_says_what_an_account_of_one_database_lacks(my_database: MysqlDatabase, my_account: str, tmp_path: Path) -> None:
    """Its scratch is a private server, since it may make no database beside its own."""
    trial = Trial.make(my_database, tmp_path / "env", url=my_database.server.tcp_url(my_database.name, my_account, SECRET))
    assert told(trial, "plan").returncode == 0
    refused = told(trial, *APPLY)
    assert refused.returncode == 1 and "CREATE command denied" in refused.stderr
    my_database.load(f"GRANT ALL ON {my_database.name}.* TO {my_account};")
    assert told(trial, *APPLY).returncode == 0
    assert told(trial, "plan", "--detailed-exitcode").returncode == 0
