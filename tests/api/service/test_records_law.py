"""The CRUD service against a dictionary: the same operations, the same answers, the same state."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dbops.api.service import CRUDService, Result
from dbops.errors import DbopsError
from tests.api.service.filtering import EXAMPLES, FILTERS, VALUES, meets, records, things
from tests.api.service.made import module_of, opened, write_module
from tests.databases import Database

_IDS = VALUES["id"]
_CHANGES = records().filter(bool)
_BULK = st.lists(records("id"), min_size=1, max_size=3)
_SINGLE = st.one_of(
    st.tuples(st.just("create_record"), records("id")),
    st.tuples(st.just("create"), records("id")),
    st.tuples(st.just("bulk_create"), _BULK),
    st.tuples(st.just("create_records"), _BULK),
    st.tuples(st.just("update_record"), st.tuples(_IDS, _CHANGES)),
    st.tuples(st.just("update"), st.tuples(_IDS, _CHANGES)),
    st.tuples(st.just("delete_record"), _IDS),
    st.tuples(st.just("delete"), _IDS),
    st.tuples(st.just("read"), _IDS),
    st.tuples(st.just("read_record"), _IDS),
    st.tuples(st.just("create_or_update"), records("id")),
    st.tuples(st.just("bulk_update"), st.tuples(FILTERS, _CHANGES.filter(lambda row: "code" not in row))),
    st.tuples(st.just("bulk_delete"), FILTERS),
    st.tuples(st.just("count"), FILTERS),
)
_OPERATIONS = st.lists(
    _SINGLE | st.tuples(st.just("transaction"), st.tuples(st.lists(_SINGLE, min_size=1, max_size=4), st.booleans())), max_size=6
)
Rows = dict[int, dict[str, Any]]


class Refused(Exception):
    """The dictionary refuses an operation."""


def expected(rows: Rows, name: str, given: Any) -> Any:
    """Carry an operation out on a dictionary. Raises: Refused: the operation fails, and nothing may have changed."""
    match name:
        case "create_record" | "create":
            return _add(rows, [given])[0]
        case "bulk_create" | "create_records":
            return len(_add(rows, given))
        case "update_record" | "update":
            return _change(rows, *given)
        case "delete_record" | "delete":
            if given not in rows:
                raise Refused
            del rows[given]
            return True
        case "read" | "read_record":
            if given not in rows:
                raise Refused
            return rows[given]
        case "create_or_update":
            if given["id"] not in rows:
                return _add(rows, [given])[0]
            changes = {name: value for name, value in given.items() if name != "id"}
            return _change(rows, given["id"], changes)
        case "bulk_update":
            found = [row for row in rows.values() if meets(row, given[0])]
            for row in found:
                row.update(given[1])
            return len(found)
        case "bulk_delete":
            doomed = [key for key, row in rows.items() if meets(row, given)]
            for key in doomed:
                del rows[key]
            return len(doomed)
        case "count":
            return sum(meets(row, given) for row in rows.values())
    raise AssertionError(name)


def _add(rows: Rows, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    added = [{name: row.get(name) for name in VALUES} for row in given]
    whole = [*rows.values(), *added]
    _check_unique(whole)
    rows.update({row["id"]: row for row in added})
    return added


def _change(rows: Rows, key: int, changes: dict[str, Any]) -> dict[str, Any]:
    if key not in rows:
        raise Refused
    _check_unique([{**row, **(changes if row["id"] == key else {})} for row in rows.values()])
    rows[key].update(changes)
    return rows[key]


def _check_unique(rows: list[dict[str, Any]]) -> None:
    codes = [row["code"] for row in rows if row["code"] is not None]
    if len({row["id"] for row in rows}) < len(rows) or len(set(codes)) < len(codes):
        raise Refused


def test_the_service_does_what_a_dictionary_does(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path, things(database))
    model = module_of(tmp_path).Thing

    with asyncio.Runner() as runner:
        service = opened(tmp_path, database)
        crud = CRUDService(runner.run(service.__aenter__()), model)

        @EXAMPLES
        @given(_OPERATIONS)
        def check(operations: list[Any]) -> None:
            runner.run(story(operations))

        async def story(operations: list[Any]) -> None:
            await crud.bulk_delete({"id": {"gte": 0}})
            rows: Rows = {}
            for name, given in operations:
                if name == "transaction":
                    await together(rows, *given)
                else:
                    await alone(rows, name, given)
            found = (await crud.read_records("things")).data
            assert found == [rows[key] for key in sorted(rows)]

        async def alone(rows: Rows, name: str, given: Any) -> bool:
            try:
                wanted = expected(rows, name, given)
            except Refused:
                assert not (await call(name, given)).success, (name, given)
                return False
            result = await call(name, given)
            assert result.success, (name, given, result.error)
            answer = result.data
            if isinstance(answer, model):
                answer = {field: getattr(answer, field) for field in VALUES}
            assert (len(answer) if isinstance(answer, list) else answer) == wanted, (name, given)
            return True

        async def together(rows: Rows, operations: list[Any], breaks: bool) -> None:
            before = {key: dict(row) for key, row in rows.items()}
            fine = True
            with suppress(DbopsError, ZeroDivisionError):
                async with crud.transaction():
                    for name, given in operations:
                        fine = await alone(rows, name, given) or name.startswith("read")
                        if not fine:
                            break
                    if breaks:
                        raise ZeroDivisionError
            if breaks or not fine:
                rows.clear()
                rows.update(before)

        async def call(name: str, given: Any) -> Result:
            operation = getattr(crud, name)
            table = ("things",) if "record" in name else ()
            arguments = given if isinstance(given, tuple) else (given,)
            return await operation(*table, *arguments)  # type: ignore[no-any-return]

        check()
        runner.run(service.__aexit__(None, None, None))
