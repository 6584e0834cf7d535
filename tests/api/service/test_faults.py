"""Faults that services of this kind have had, each with a test that would show it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.util import greenlet_spawn

from dbops.api.service import SQLITE_PRAGMAS, CRUDService, DatabaseService, Result
from dbops.errors import ConnectError, DbopsError, LockTimeoutError, LostConnectionError, QueryError, SchemaError
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from dbops.usecases.service.retries import pause_s, persistently
from tests.api.service.made import IMPORTS, MY_MODULE, module_of, opened, run, url_of, write_module
from tests.databases import Database, SqliteDatabase

EVIL = ["id; DROP TABLE parts", '"id"', "name' OR '1'='1", "(SELECT 1)", "-", ""]
INJECTION = EVIL[2]


def test_bulk_delete_with_a_misspelt_field_deletes_nothing(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path)
    model = module_of(tmp_path).ModuleData

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service, model)
        assert (await crud.bulk_create([{"name": f"n{i}"} for i in range(5)])).success
        wrong: list[tuple[Any, str]] = [
            ({"nmae": "n1"}, "FIELD_NOT_FOUND"),
            ({"name": "n1", "nmae": "n1"}, "FIELD_NOT_FOUND"),
            ({"name": {"equals": "n1"}}, "UNKNOWN_OPERATOR"),
            ({"OR": [{"name": "n1"}, {"nmae": "n1"}]}, "FIELD_NOT_FOUND"),
            ({}, "INVALID_FILTER"),
            (None, "INVALID_FILTER"),
            ({"AND": []}, "INVALID_FILTER"),
            ({"OR": [{}]}, "INVALID_FILTER"),
            ({"name": {}}, "INVALID_FILTER"),
            ({"name": {"in": "n1"}}, "INVALID_FILTER"),
            ({"name": 5}, "INVALID_VALUE"),
            ({"id": "x"}, "INVALID_VALUE"),
            ("name = 'n1'", "INVALID_FILTER"),
        ]
        for filters, code in wrong:
            for result in (await crud.bulk_delete(filters), await crud.bulk_update(filters, {"name": "x"})):
                assert result.error is not None and result.error["code"] == code, filters
        assert (await crud.count()).data == 5
        near = (await crud.bulk_delete({"nmae": "n1"})).error
        assert near is not None and near["details"]["fix"] == "did you mean 'name'?"
        assert (await crud.bulk_delete({"name": {"in": ["n1", "n2"]}})).data == 2

    run(tmp_path, database, story)


def test_sorting_and_filtering_cannot_inject_sql(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path)
    model = module_of(tmp_path).ModuleData

    async def story(service: DatabaseService) -> None:
        crud, objects = CRUDService(service), CRUDService(service, model)
        await crud.create_record("module_data", {"name": INJECTION})
        for evil in EVIL:
            for result in (
                await crud.read_records("module_data", {evil: 1}),
                await crud.read_records("module_data", order_by=evil),
                await crud.read_records(evil),
                await crud.create_record("module_data", {evil: 1}),
                await crud.update_record("module_data", 1, {evil: 1}),
                await crud.read_records("module_data", {"name": {evil: 1}}),
                await objects.read_many(order_by=[evil]),
                await objects.read_many({evil: {"eq": 1}}),
                await objects.get_by_field(evil, 1),
            ):
                assert result.error is not None
                assert result.error["code"] in ("FIELD_NOT_FOUND", "TABLE_NOT_FOUND", "UNKNOWN_OPERATOR"), evil
            for arguments in ({"sort_by": evil}, {"filter_column": evil, "filter_value": 1}):
                with pytest.raises(DbopsError, match="field"):
                    await service.get_table_data("module_data", **arguments)  # type: ignore[arg-type]
            assert (await crud.read_records("module_data", {"name": evil})).data == (
                [] if evil != INJECTION else (await crud.read_records("module_data")).data
            )
        assert await service.get_all_tables() == ["module_data", "parts"]

    run(tmp_path, database, story)


def test_asynchronous_sessions_enforce_foreign_keys(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path)
    part = module_of(tmp_path).Part

    async def story(service: DatabaseService) -> None:
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            async with service.get_database_session("my_module")() as session:
                session.add(part(data_id=99))
                await session.commit()
        with pytest.raises(QueryError, match=r"(?i)foreign key"):
            async with service.integrity_session("my_module", "a part of nothing") as session:
                await session.execute(text("INSERT INTO parts (id, data_id) VALUES (1, 99)"))
        assert (await CRUDService(service).create_record("parts", {"data_id": 99})).error is not None
        assert (await CRUDService(service).read_records("parts")).data == []

    run(tmp_path, database, story)


def test_what_is_not_committed_is_undone_however_the_connection_comes_back(tmp_path: Path, database: Database) -> None:
    """One session in the pool: what it left undone would be seen, or would lock out, who has it next."""
    write_module(tmp_path)
    insert = "INSERT INTO module_data (id, name) VALUES ({}, 'x')"

    def by_hand(raw: Any) -> None:
        if database.engine == "sqlite":  # elsewhere the driver begins by itself
            raw.cursor().execute("BEGIN IMMEDIATE")
        raw.cursor().execute(insert.format(4))
        raw.close()

    async def story(service: DatabaseService) -> None:
        for opening in (1, 2):
            info = service.get_database("my_module")
            async with info.session_factory() as session:
                await session.execute(text(insert.format(1)))
            async with info.session_factory() as session:
                await session.execute(text("SELECT * FROM module_data"))
                await session.rollback()
                await session.execute(text(insert.format(2)))
            async with info.engine.connect() as conn:
                await conn.rollback()
                await conn.execute(text(insert.format(3)))
            await greenlet_spawn(by_hand, await info.engine.raw_connection())
            assert (await CRUDService(service).read_records("module_data")).data == [], opening
            assert (await CRUDService(service).create_record("module_data", {"id": 9})).success
            assert (await CRUDService(service).delete_record("module_data", 9)).success
            await service.close()  # and a pool that is made anew does the same

    run(tmp_path, database, story, pool_size=1, max_overflow=0)


def test_every_connection_of_every_pool_has_the_pragmas(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    """SQLite Optimization."""
    shown = {"journal_mode=WAL", "synchronous=NORMAL", "cache_size=10000", "foreign_keys=ON", "busy_timeout=10000"}
    assert set(SQLITE_PRAGMAS) == {f"PRAGMA {pragma}" for pragma in shown}
    write_module(tmp_path)
    write_module(tmp_path, MY_MODULE.replace("my_module", "other"), "other")

    async def story(service: DatabaseService) -> None:
        for name in ("my_module", "other"):
            engine = service.get_database(name).engine
            connections = [await engine.connect() for _ in range(25)]  # more than the pool keeps
            for conn in connections:
                found = [
                    (await conn.exec_driver_sql(f"PRAGMA {pragma}")).scalar()
                    for pragma in ("journal_mode", "synchronous", "cache_size", "foreign_keys", "busy_timeout")
                ]
                assert found == ["wal", 1, 10000, 1, 10000]
            for conn in connections:
                await conn.close()

    run(tmp_path, sqlite_database, story)


def test_a_transaction_is_atomic(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path)
    model = module_of(tmp_path).ModuleData

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service, model)

        async def names() -> list[str]:
            return [item.name for item in (await crud.read_many(order_by="name")).data]

        async with crud.transaction() as tx:
            assert (await tx.create({"id": 100, "name": "a"})).success
            assert (await crud.create_record("module_data", {"name": "b"})).success, "other operations join"
            assert (await tx.count()).data == 2
        assert await names() == ["a", "b"]

        with pytest.raises(ZeroDivisionError):
            async with crud.transaction():
                await crud.update(100, {"name": "changed"})
                await crud.create({"name": "c"})
                raise ZeroDivisionError
        assert await names() == ["a", "b"]

        with pytest.raises(QueryError):  # a failure that nobody looked at
            async with crud.transaction():
                await crud.create({"name": "d"})
                await crud.create({"id": 100})
                last = await crud.create({"name": "e"})
                assert last.error is not None and last.error["code"] == "TRANSACTION_FAILED"
        assert await names() == ["a", "b"]

        async with crud.transaction():
            await crud.create({"name": "f"})
            with pytest.raises(DbopsError):
                async with crud.transaction():
                    await crud.create({"name": "g"})
                    await crud.create({"nmae": "h"})
            assert await names() == ["a", "b", "f"], "the inner one was a savepoint"
        assert await names() == ["a", "b", "f"]

    run(tmp_path, database, story)


def test_bulk_create_writes_all_or_nothing(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path)
    model = module_of(tmp_path).ModuleData

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service, model)
        for rows in ([{"id": 100}, {"id": 2}, {"id": 100}], [{"id": 100}, {"nmae": "x"}], [{"id": 100}, "x"]):
            assert not await crud.bulk_create(rows)  # type: ignore[arg-type]
            assert not await crud.create_records("module_data", rows)  # type: ignore[arg-type]
        assert (await crud.count()).data == 0
        assert (await crud.create_records("module_data", [{"id": 100, "name": "a"}, {"name": "b", "value": 1}, {}])).data == 3
        assert (await crud.bulk_update([{"id": 100, "name": "c"}, {"id": 99, "name": "d"}])).error is not None
        assert (await crud.read(100)).data.name == "a"
        assert (await crud.bulk_update([{"id": 100, "name": "c"}])).data == 1
        assert (await crud.bulk_update({"id": {"gte": 1}}, {"name": "z"})).data == 3

    run(tmp_path, database, story)


def test_retries_really_retry_what_may_pass_and_nothing_else() -> None:
    pauses: list[float] = []
    calls = 0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    def failing(error: BaseException, times: int) -> Any:
        async def operation() -> int:
            nonlocal calls
            calls += 1
            if calls <= times:
                raise error
            return calls

        return operation

    async def story() -> None:
        nonlocal calls
        same: Any = lambda error: error  # noqa: E731
        assert await persistently(failing(LockTimeoutError("locked"), 4), 5, same, sleep=sleep) == 5
        for n, pause in enumerate(pauses):
            assert 0.05 * 2**n <= pause <= 0.1 * 2**n
        for error in (LostConnectionError("gone"), QueryError("no such column"), ValueError("x")):
            calls = 0
            with pytest.raises(type(error)):
                await persistently(failing(error, 9), 5, same, sleep=sleep)
            assert calls == 1
        calls = 0
        with pytest.raises(ConnectError):
            await persistently(failing(ConnectError("refused"), 9), 3, same, sleep=sleep)
        assert calls == 3

    asyncio.run(story())
    assert len({pause_s(3) for _ in range(20)}) > 10, "drawn by chance"
    assert pause_s(1000) <= 5


def test_a_failed_result_is_tried_again_and_a_coroutine_refused(tmp_path: Path) -> None:
    async def story() -> None:
        service, calls = DatabaseService(tmp_path, environ={}), 0

        async def operation() -> Result:
            nonlocal calls
            calls += 1
            return Result.success(calls) if calls == 2 else Result.error("UPDATE_FAILED", "x", {"retryable": True})

        assert (await service.execute_with_retry(operation)).data == 2
        with pytest.raises(TypeError, match="function"):
            await service.execute_with_retry(operation())  # type: ignore[arg-type]

    asyncio.run(story())


def test_a_lock_of_another_program_is_waited_for(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    """The lock is longer than SQLite itself waits, so only trying again helps."""
    write_module(tmp_path)

    async def story(service: DatabaseService) -> None:
        path = service.operations.get_database_path("my_module")
        info = service.get_database("my_module")
        async with info.engine.connect() as conn:
            await conn.exec_driver_sql("PRAGMA busy_timeout = 1")
        holder = sqlite3.connect(str(path), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(CRUDService(service).create_record("module_data", {"name": "x"}))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        holder.execute("COMMIT")
        holder.close()
        assert (await waiting).success

    run(tmp_path, sqlite_database, story, pool_size=1, max_overflow=0)


def test_a_stale_reader_is_refused_and_never_overwrites(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    write_module(tmp_path)
    model = module_of(tmp_path).ModuleData

    async def story(service: DatabaseService) -> None:
        crud, factory = CRUDService(service, model), service.get_database_session("my_module")
        await crud.create({"id": 1, "value": 1})

        async def increment() -> None:
            async with factory() as session:
                found = await session.get(model, 1)
                assert found is not None
                await asyncio.sleep(0.01)
                found.value = found.value + 1
                await session.commit()

        await asyncio.gather(*(service.execute_with_retry(increment, max_retries=30) for _ in range(8)))
        assert (await crud.read(1)).data.value == 9

    run(tmp_path, sqlite_database, story)


def test_what_the_service_makes_is_what_a_manifest_wants(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One truth: models of a Schema manifest, and of the service."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    write_module(tmp_path)
    write_module(tmp_path, "from my_module.db_models import ModuleData, MyBase\n" + SHARING, "more")

    async def story(service: DatabaseService) -> str:
        assert await service.get_all_tables() == ["module_data", "notes", "parts"]
        return service.operations.get_database_url("my_module")

    url = run(tmp_path, database, story)
    (tmp_path / "env.yaml").write_text(
        f"""\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: main}}
spec: {{url: "{url}"}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: main}}
spec: {{connection: main, source: {{models: {{paths: ["**/db_models.py"], database: my_module}}}}}}
"""
    )
    with open_workspace(tmp_path) as workspace:
        assert [entry.change.address for entry in plan(workspace).entries] == []


SHARING = (
    IMPORTS
    + """
DATABASE_NAME = "my_module"

class Note(MyBase):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    data_id = Column(ForeignKey(ModuleData.id))
"""
)


def test_what_a_manifest_makes_serves_the_service(
    tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    write_module(tmp_path)
    (sqlite_database.path.parent / "databases").mkdir()
    (tmp_path / "env.yaml").write_text(
        f"""\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: main}}
spec: {{url: "{url_of(sqlite_database)}my_module.db"}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: main}}
spec: {{connection: main, source: {{models: {{paths: ["**/db_models.py"], database: my_module}}}}}}
"""
    )
    with open_workspace(tmp_path) as workspace:
        assert apply(workspace, Consent(lambda _: True)).state == "done"

    async def story() -> None:
        async with opened(tmp_path, sqlite_database) as service:
            assert service._initialization["tables_created"] == {"my_module": []}
            assert await service.get_all_tables() == ["module_data", "parts"], "without the tables of dbops itself"
            hidden = await CRUDService(service).read_records("dbops_journal")
            assert hidden.error is not None and hidden.error["code"] == "TABLE_NOT_FOUND"

    asyncio.run(story())


def test_names_share_a_place_only_with_different_tables(tmp_path: Path) -> None:
    write_module(tmp_path)
    write_module(tmp_path, MY_MODULE.replace("my_module", "other"), "other")
    service = DatabaseService(tmp_path, database_url=f"sqlite:///{tmp_path}/all.db", environ={})
    with pytest.raises(SchemaError, match="module_data"):
        asyncio.run(service.initialize())

    async def story(service: DatabaseService) -> None:
        await service.initialize()
        with pytest.raises(DbopsError, match=r"all have a table"):
            await service.get_table_data("module_data")
        assert (await service.get_table_data("module_data", database="other"))["total"] == 0
        await service.close()

    asyncio.run(story(DatabaseService(tmp_path, environ={})))


def test_a_password_is_parsed_right_and_shown_nowhere(tmp_path: Path) -> None:
    write_module(tmp_path)
    url = "postgresql://u:p@ss:w/rd@127.0.0.1:1/".replace("/rd", "%2Frd")

    async def story() -> None:
        service = DatabaseService(tmp_path, database_url=url, environ={}, max_retries=1, connection_timeout=2)
        assert service.operations.places.base.password is not None
        assert service.operations.places.base.password.reveal() == "p@ss:w/rd"
        with pytest.raises(ConnectError) as caught:
            await service.initialize()
        info = service.operations.places.target("my_module")
        for shown in (str(caught.value), caught.value.explain(), repr(info), str(service.operations.places)):
            assert "p@ss" not in shown and "%40ss" not in shown

    asyncio.run(story())


def test_values_that_do_not_fit_are_refused_alike(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path, TYPED)

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service)
        for field, value in [
            ("number", "x"),
            ("number", 1.5),
            ("number", True),
            ("number", 2**63),
            ("name", 5),
            ("name", "a" * 11),
            ("name", "\ud800"),
            ("name", "a\0b"),
            ("moment", "yesterday"),
            ("moment", 5),
            ("day", "2025-02-30"),
            ("ratio", float("nan")),
            ("flag", "perhaps"),
            ("price", "1,5"),
            ("note", {1, 2}),
            ("state", "unknown"),
        ]:
            result = await crud.create_record("things", {field: value})
            assert result.error is not None and result.error["code"] == "INVALID_VALUE", (field, value)
        given = {"number": "7", "moment": "2025-01-31T14:00:00+02:00", "day": "2025-01-31", "ratio": 1, "flag": "true"}
        made = (await crud.create_record("things", {**given, "price": "1.50", "note": [1], "state": "open"})).data
        assert (made["number"], made["flag"], made["moment"].hour, made["moment"].tzinfo) == (7, True, 12, None)
        assert str(made["price"]) == "1.50" and made["note"] == [1] and made["day"].isoformat() == "2025-01-31"
        assert (await crud.count_records("things")).data == 1

    run(tmp_path, database, story)


TYPED = (
    IMPORTS
    + """
from sqlalchemy import Boolean, Date, Enum, Float, Numeric
DATABASE_NAME = "my_module"
MyBase = get_database_base("my_module")

class Thing(MyBase):
    __tablename__ = "things"
    id = Column(Integer, primary_key=True)
    number = Column(Integer)
    name = Column(String(10))
    moment = Column(DateTime)
    day = Column(Date)
    ratio = Column(Float)
    flag = Column(Boolean)
    price = Column(Numeric(10, 2))
    note = Column(SQLiteJSON)
    state = Column(Enum("open", "done", name="thing_state"))
"""
)


def test_keys_of_several_columns_and_tables_without_models(tmp_path: Path, database: Database) -> None:
    """Tables that only the database knows; reserved words and quotes in names."""
    write_module(tmp_path)

    async def story(service: DatabaseService) -> None:
        quote = "`" if database.engine == "mysql" else '"'
        table = f"{quote}order{quote}"
        async with service.integrity_session("my_module") as session:
            await session.execute(
                text(f"CREATE TABLE {table} (a integer NOT NULL, {quote}select{quote} varchar(9) NOT NULL, n integer,"
                     f" PRIMARY KEY (a, {quote}select{quote}))")
            )  # fmt: skip
            await session.execute(text("CREATE TABLE keyless (n integer)"))
        crud = CRUDService(service)
        assert (await crud.create_record("order", {"a": 1, "select": "x", "n": 5})).data == {"a": 1, "select": "x", "n": 5}
        assert (await crud.update_record("order", (1, "x"), {"n": 6})).data["n"] == 6
        assert (await crud.update_record("order", {"a": 1, "select": "x"}, {"a": 2})).data["a"] == 2
        assert (await crud.read_record("order", (2, "x"))).data["n"] == 6
        for wrong in (2, (2,), {"a": 2}, (2, None)):
            error = (await crud.delete_record("order", wrong)).error
            assert error is not None and error["code"] == "INVALID_VALUE"
        assert (await crud.delete_record("order", (2, "x"))).success
        assert (await crud.create_record("keyless", {"n": 1})).data == {"n": 1}
        error = (await crud.delete_record("keyless", 1)).error
        assert error is not None and error["code"] == "NO_PRIMARY_KEY"
        async with service.integrity_session("my_module") as session:
            await session.execute(text("ALTER TABLE keyless ADD COLUMN m integer"))
        assert (await crud.create_record("keyless", {"m": 2})).data == {"n": None, "m": 2}, "looked up anew"
        async with service.integrity_session("my_module") as session:
            await session.execute(text("DROP TABLE keyless"))

    run(tmp_path, database, story)


def test_create_or_update_writes_one_object_however_many_do_it(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path, UNIQUE)
    model = module_of(tmp_path).Account

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service, model)
        results = await asyncio.gather(*(crud.create_or_update({"email": "a@x", "n": n}, by="email") for n in range(12)))
        assert all(results), [item.error for item in results if not item]
        assert (await crud.count()).data == 1
        first = (await crud.get_by_field("email", "a@x")).data
        assert (await crud.create_or_update({"id": first.id, "n": 99})).data.n == 99
        assert (await crud.exists({"n": 99})).data is True and (await crud.exists({"n": 98})).data is False
        missing = (await crud.create_or_update({"n": 1}, by="email")).error
        assert missing is not None and missing["code"] == "INVALID_DATA"

    run(tmp_path, database, story)


UNIQUE = (
    IMPORTS
    + """
DATABASE_NAME = "my_module"
MyBase = get_database_base("my_module")

class Account(MyBase):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    email = Column(String(100), unique=True)
    n = Column(Integer)
"""
)


def test_two_tasks_never_share_the_session_of_a_transaction(tmp_path: Path, pg_database: Database) -> None:
    write_module(tmp_path)
    model = module_of(tmp_path).ModuleData

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service, model)
        async with crud.transaction():
            await crud.create({"name": "inside"})
            assert (await crud.count()).data == 1
            assert (await asyncio.create_task(crud.count())).data == 0, "the other task has a connection of its own"
        async with service.get_database_session("my_module")() as session:
            assert len((await session.execute(select(model))).all()) == 1

    run(tmp_path, pg_database, story)


def test_a_cancelled_task_keeps_nothing_and_loses_no_connection(tmp_path: Path, database: Database) -> None:
    """At whatever moment it is cancelled, the answer is that it was, or that it was done before."""
    write_module(tmp_path)

    async def story(service: DatabaseService) -> None:
        crud = CRUDService(service)

        async def work(name: str, asked: asyncio.Event) -> None:
            async with crud.transaction():
                assert (await crud.create_record("module_data", {"name": name})).success
                asked.set()
                await crud.read_records("module_data")
                await asyncio.Event().wait()

        asked = asyncio.Event()
        task = asyncio.create_task(work("waits", asked))
        await asked.wait()  # by then it has asked the database, and waits for its answer
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        done = 0
        for turns in range(25):
            task = asyncio.create_task(crud.create_record("module_data", {"name": "races"}))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                done += (await task).success
        names = [row["name"] for row in (await crud.read_records("module_data")).data]
        assert "waits" not in names and len(names) >= done
        assert service.get_database("my_module").engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a QueuePool

    run(tmp_path, database, story, pool_size=2, max_overflow=0, connection_timeout=5)
