"""Filters and orders mean on every engine what Python means."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dbops.api.service import CRUDService
from tests.api.service.filtering import EXAMPLES, FILTERS, ORDERS, THINGS, VALUES, meets, ordered, records, things
from tests.api.service.made import module_of, opened, write_module
from tests.databases import Database


def test_random_filters_find_what_python_finds(tmp_path: Path, database: Database) -> None:
    write_module(tmp_path, things(database))
    model = module_of(tmp_path).Thing
    rows = st.lists(records("id"), max_size=6, unique_by=(lambda row: row["id"], lambda row: row.get("code") or row["id"]))

    with asyncio.Runner() as runner:
        service = opened(tmp_path, database)
        opening = runner.run(service.__aenter__())
        crud, objects = CRUDService(opening), CRUDService(opening, model)

        @EXAMPLES
        @given(rows, st.lists(FILTERS, min_size=1, max_size=2), ORDERS)
        def check(drawn: list[dict[str, Any]], filters: list[Any], order: list[str]) -> None:
            runner.run(story(drawn, filters, order))

        async def story(drawn: list[dict[str, Any]], filters: list[Any], order: list[str]) -> None:
            await objects.bulk_delete({"id": {"gte": 0}})
            assert (await crud.create_records("things", drawn)).data == len(drawn)
            there = [{name: row.get(name) for name in VALUES} for row in drawn]
            for item in filters:
                expected = ordered([record for record in there if meets(record, item)], order)
                found = await crud.read_records("things", item, order_by=order)
                assert found.data == expected, found.error
                assert [thing.id for thing in (await objects.read_many(item, order_by=order)).data] == [
                    record["id"] for record in expected
                ]
                assert (await objects.count(item)).data == (await crud.count_records("things", item)).data == len(expected)
                assert (await objects.exists(item)).data is bool(expected)
            middle = (await objects.read_many(skip=1, limit=2, order_by=order)).data
            assert [thing.id for thing in middle] == [record["id"] for record in ordered(there, order)[1:3]]

        check()
        runner.run(service.__aexit__(None, None, None))


def test_text_is_compared_character_by_character(tmp_path: Path, database: Database) -> None:
    """Whatever the collation says: case, accents, and spaces at the end count."""
    write_module(tmp_path, THINGS)

    async def story() -> None:
        async with opened(tmp_path, database) as service:
            crud = CRUDService(service)
            names = ["a", "A", "á", "a ", "ab", "ß", "ss"]
            await crud.create_records("things", [{"id": n, "name": name} for n, name in enumerate(names)])

            async def found(filters: Any) -> list[str]:
                return [row["name"] for row in (await crud.read_records("things", filters)).data]

            for name in names:
                assert await found({"name": name}) == [name]
                assert await found({"name": {"in": [name]}}) == [name]
                assert len(await found({"name": {"ne": name}})) == 6
            assert await found({"name": {"gt": "a"}}) == ["á", "a ", "ab", "ß", "ss"]
            assert await found({"name": {"like": "A%"}}) == ["A"]
            assert await found({"name": {"ilike": "A%"}}) == ["a", "A", "a ", "ab"]

    asyncio.run(story())
