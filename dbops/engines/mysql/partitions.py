"""Partitions of a table: reading them, writing them, and the gentlest statements from one division to another."""

from __future__ import annotations

import re

from dbops.catalog.model import Options, PartitionBy
from dbops.engines.mysql.tokens import closing, split_list, unquoted
from dbops.errors import QueryError

_STRATEGY = re.compile(
    r"(?P<strategy>(?:RANGE|LIST)(?: +COLUMNS)?|(?:LINEAR )?HASH|(?:LINEAR )?KEY(?: +ALGORITHM *= *\d)?|SYSTEM_TIME)\s*"
)
_COUNT = re.compile(r"\nPARTITIONS (\d+)\s*$")
_ONE = re.compile(r"PARTITION (?P<name>`(?:[^`]|``)+`|\w+)(?P<rest>.*)$", re.DOTALL)
_STRING = r"'(?:[^'\\]|\\.|'')*'"


def parse_partitions(text: str) -> PartitionBy:
    """Read what stands behind PARTITION BY in SHOW CREATE TABLE.

    Each partition is `(name, values, rest)` pairs. A table divided by number alone has one entry `(("count", n),)`, none where
    the number is the default one.
    """
    head = _STRATEGY.match(text)
    if head is None:
        raise QueryError(f"cannot read a partitioning: {text}")
    strategy = re.sub(r" +", " ", head["strategy"])
    key, _, listed = text[head.end() :].partition("\n(PARTITION ")
    if not listed:
        count = _COUNT.search(key)
        key = key[: count.start()] if count else key
        return PartitionBy(strategy, key.strip(), ((("count", count[1]),),) if count else ())
    listed = "(PARTITION " + listed
    inside = listed[1 : closing(listed, 0) - 1]
    return PartitionBy(strategy, key.strip(), tuple(_partition(part) for part in split_list(inside)))


def _partition(text: str) -> Options:
    match = _ONE.match(text)
    if match is None:
        raise QueryError(f"cannot read a partition: {text}")
    name = match["name"]
    rest = match["rest"].strip()
    values, rest = _values(rest)
    pairs = [("name", unquoted(name) if name[0] == "`" else name)]
    if values:
        pairs.append(("values", values))
    rest = re.sub(r"\s+", " ", rest) if "'" not in rest else rest
    if rest:
        pairs.append(("rest", rest))
    return tuple(pairs)


def _values(rest: str) -> tuple[str, str]:
    """Split `VALUES LESS THAN (10) ENGINE = InnoDB` into the bound and what follows."""
    if match := re.match(r"VALUES (?:LESS THAN|IN) *", rest):
        if rest[match.end() : match.end() + 1] == "(":
            end = closing(rest, match.end())
            return rest[:end], rest[end:].strip()
        word = re.compile(r"\w+").match(rest, match.end())
        end = word.end() if word else len(rest)
        return rest[:end], rest[end:].strip()
    if match := re.match(r"(HISTORY|CURRENT|DEFAULT)\b *", rest):
        return match[1], rest[match.end() :]
    return "", rest


def partition_clause(by: PartitionBy) -> str:
    """Write `PARTITION BY ...` whole."""
    head = f"PARTITION BY {by.strategy} {by.expression}".rstrip()
    if counted(by):
        return f"{head}\nPARTITIONS {counted(by)}"
    return f"{head}\n({listed(by.partitions)})" if by.partitions else head


def listed(partitions: tuple[Options, ...]) -> str:
    """Write partitions one below the other."""
    return ",\n ".join(_definition(dict(partition)) for partition in partitions)


def _definition(partition: dict[str, str]) -> str:
    name = "`" + partition["name"].replace("`", "``") + "`"
    return " ".join(part for part in ("PARTITION", name, partition.get("values", ""), partition.get("rest", "")) if part)


def counted(by: PartitionBy) -> str | None:
    """Return the number of partitions where they have no names of their own."""
    return dict(by.partitions[0]).get("count") if by.partitions else None


def name_of(partition: Options) -> str:
    """Return the name of a partition."""
    return dict(partition)["name"]


def changes(before: PartitionBy, after: PartitionBy) -> tuple[list[str], list[str]] | None:
    """Return ALTER TABLE clauses, each a statement of its own, and the names of partitions whose rows they delete.

    None where only dividing the whole table anew will do: another strategy or key, or bounds that move rows about.
    Rows of a removed partition go to a neighbour where the new division has room for them.
    """
    if (before.strategy, before.expression) != (after.strategy, after.expression):
        return None
    old_count, new_count = counted(before), counted(after)
    if old_count and new_count:
        difference = int(new_count) - int(old_count)
        return ([f"ADD PARTITION PARTITIONS {difference}"] if difference > 0 else [f"COALESCE PARTITION {-difference}"]), []
    if (
        not before.partitions
        or not after.partitions
        or old_count
        or new_count
        or not before.strategy.startswith(("RANGE", "LIST"))
    ):
        return None
    by_range = before.strategy.startswith("RANGE")
    return _range_changes(before.partitions, after.partitions) if by_range else _list_changes(before.partitions, after.partitions)


def _range_changes(old: tuple[Options, ...], new: tuple[Options, ...]) -> tuple[list[str], list[str]] | None:
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    leaving, coming = old[start : len(old) - end], new[start : len(new) - end]
    if end and not (leaving and coming):  # the right neighbour gives or takes the rows
        leaving, coming = (*leaving, old[len(old) - end]), (*coming, new[len(new) - end])
    if not leaving:
        return [f"ADD PARTITION ({listed(coming)})"], []
    if not coming:
        return [f"DROP PARTITION {_names(leaving)}"], [name_of(partition) for partition in leaving]
    if dict(leaving[-1]).get("values") == dict(coming[-1]).get("values"):
        return [f"REORGANIZE PARTITION {_names(leaving)} INTO ({listed(coming)})"], []
    return None


def _list_changes(old: tuple[Options, ...], new: tuple[Options, ...]) -> tuple[list[str], list[str]] | None:
    """Beside a DEFAULT partition, ADD and REORGANIZE leave rows where they are not found again (MariaDB 10.11, CHECK TABLE)."""
    if "DEFAULT" in _value_set([*old, *new]):
        return None
    leaving = [partition for partition in old if partition not in new]
    coming = [partition for partition in new if partition not in old]
    old_values, new_values = _value_set(leaving), _value_set(coming)
    if not leaving or old_values == new_values:
        return [_put_in_order(old, new)], []
    if old_values & new_values:
        return None
    if {name_of(partition) for partition in leaving} & {name_of(partition) for partition in coming}:
        return None
    lost, drop = [name_of(partition) for partition in leaving], f"DROP PARTITION {_names(tuple(leaving))}"
    staying = tuple(partition for partition in old if partition in new)
    if staying == new:
        return [drop], lost
    if (*staying, *coming) == new:
        return [f"ADD PARTITION ({listed(tuple(coming))})", drop], lost
    return ([drop, _put_in_order(staying, new)], lost) if staying else None


def _put_in_order(old: tuple[Options, ...], new: tuple[Options, ...]) -> str:
    """Lead from some partitions by list to others that take all their rows; new ones can be added at the end alone."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    if start == len(old):
        return f"ADD PARTITION ({listed(new[start:])})"
    end = 0
    while end < min(len(old), len(new)) - start - 1 and old[-1 - end] == new[-1 - end]:
        end += 1
    moved, there = old[start : len(old) - end], new[start : len(new) - end]
    return f"REORGANIZE PARTITION {_names(moved)} INTO ({listed(there)})"


def _value_set(partitions: list[Options]) -> set[str]:
    values: set[str] = set()
    for partition in partitions:
        text = dict(partition).get("values", "")
        inside = text[text.find("(") + 1 : -1] if "(" in text else text
        values |= set(split_list(inside))
    return values


def _names(partitions: tuple[Options, ...]) -> str:
    return ", ".join("`" + name_of(partition).replace("`", "``") + "`" for partition in partitions)
