"""Values of composite types that are built again with other attributes: inside arrays, ranges, other composites and domains, too.

The text of a composite value names no attribute, so that one read by a type with others, or in another order, is another value.
It is taken apart and put together by name. USING may hold no subquery (manual, ALTER TABLE), so functions do what needs one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dbops.catalog.model import CatalogObject, CompositeType, Domain, RangeType
from dbops.engines.postgresql.render import types
from dbops.engines.postgresql.render.names import literal, named, quote
from dbops.sql.statement import Statement

Pair = tuple[CompositeType, CompositeType] | tuple[Domain, Domain] | tuple[RangeType, RangeType]


class Reassembly:
    """What becomes of values of types that were set aside; remembers the functions that were asked for, to be made before."""

    def __init__(self, rebuilt: Iterable[tuple[CatalogObject, CatalogObject]]) -> None:
        self._pairs: dict[str, Pair] = {}
        self._multiranges: dict[str, tuple[RangeType, RangeType]] = {}
        for old, new in rebuilt:
            match old, new:
                case CompositeType(), CompositeType():
                    self._pairs[named(new.ref)] = (old, new)
                case Domain(), Domain() if old.base_type == new.base_type:
                    self._pairs[named(new.ref)] = (old, new)
                case RangeType(), RangeType() if _subtype(old) == _subtype(new):
                    self._pairs[named(new.ref)] = (old, new)
                    self._multiranges[types.multirange(new)] = (old, new)
        self._functions: dict[str, str] = {}

    def value(self, expression: str, kind: str) -> str | None:
        """Return what converts a value to the new type of the same name; None where its text does."""
        one = kind.removesuffix("[]")
        if kind != one:
            return self._call(kind, expression, self._elements(one)) if self._is_other(one) else None
        match self._pairs.get(kind):
            case (CompositeType() as old, CompositeType() as new):
                if not any(self._is_other(column.type.removesuffix("[]")) for column in new.columns):
                    return self._row(expression, old, new)
                body = literal(f"SELECT {self._row('$1', old, new)}")
                return self._call(kind, expression, f"LANGUAGE sql AS {body}")
            case (Domain() as old, Domain()) if self._is_other(kind):
                return f"{self.value(f'({expression})::{self._aside(old.base_type)}', old.base_type)}::{kind}"
            case (RangeType(), RangeType() as range_type) if self._is_other(kind):
                return self._call(kind, expression, f"LANGUAGE sql AS {literal(f'SELECT {self._range(range_type)}')}")
            case None if (ranges := self._multiranges.get(kind)) and self._is_other(named(ranges[1].ref)):
                return self._call(kind, expression, f"LANGUAGE sql AS {literal(f'SELECT {self._several(ranges[1])}')}")
            case _:
                return None

    def functions(self) -> Iterator[Statement]:
        """Yield what makes the functions that values were given to, those they call first."""
        yield from (Statement(f"CREATE FUNCTION {text}") for text in self._functions.values())

    def functions_gone(self) -> Iterator[Statement]:
        yield from (Statement(f"DROP FUNCTION {name}") for name in reversed(self._functions))

    def _is_other(self, kind: str) -> bool:
        """Tell whether values of a type cannot be read from the text of the old ones."""
        match self._pairs.get(kind):
            case (CompositeType() as old, CompositeType() as new):
                if [column.name for column in old.columns] != [column.name for column in new.columns]:
                    return True
                return any(self._is_other(column.type.removesuffix("[]")) for column in new.columns)
            case (Domain() as old, Domain()):
                return self._is_other(old.base_type.removesuffix("[]"))
            case (RangeType() as old, RangeType()):
                return self._is_other(_subtype(old))
            case _:
                return kind in self._multiranges and self._is_other(named(self._multiranges[kind][1].ref))

    def _aside(self, kind: str) -> str:
        """Return how a type is spelled while its successor has its name."""
        one = kind.removesuffix("[]")
        if one in self._multiranges:
            return types.multirange_aside(self._multiranges[one][0]) + kind[len(one) :]
        return named(types.set_aside(self._pairs[one][0]).ref) + kind[len(one) :] if one in self._pairs else kind

    def _call(self, kind: str, expression: str, body: str) -> str:
        name, taken = self._aside(kind.removesuffix("[]")), self._aside(kind)
        self._functions.setdefault(f"{name}({taken})", f"{name}({taken}) RETURNS {kind} {body}")
        return f"{name}({expression})"

    def _row(self, expression: str, old: CompositeType, new: CompositeType) -> str:
        """One with a NULL inside is not `IS NOT NULL` (manual, comparison functions), and yet no NULL."""
        values = ", ".join(self._attributes(expression, old, new))
        return f"CASE WHEN {expression} IS DISTINCT FROM NULL THEN ROW({values})::{named(new.ref)} END"

    def _attributes(self, expression: str, old: CompositeType, new: CompositeType) -> Iterator[str]:
        had = {column.name: column.type for column in old.columns}
        for column in new.columns:
            part = f"({expression}).{quote(column.name)}"
            if column.name not in had:
                yield f"NULL::{column.type}"
                continue
            inner = self.value(part, column.type) if had[column.name] == column.type else None
            yield inner or f"{part}::text::{column.type}"

    def _range(self, item: RangeType) -> str:
        """A bound that is not there is NULL, and its constructor takes NULL for none."""
        bounds = ", ".join(f"{self.value(f'pg_catalog.{end}($1)', _subtype(item))}" for end in ("lower", "upper"))
        edges = (
            "CASE WHEN pg_catalog.lower_inc($1) THEN '[' ELSE '(' END || CASE WHEN pg_catalog.upper_inc($1) THEN ']' ELSE ')' END"
        )
        kind = named(item.ref)
        return f"CASE WHEN pg_catalog.isempty($1) THEN 'empty'::{kind} WHEN $1 IS NOT NULL THEN {kind}({bounds}, {edges}) END"

    def _several(self, item: RangeType) -> str:
        made = f"SELECT pg_catalog.range_agg({self.value('one', named(item.ref))}) FROM pg_catalog.unnest($1) AS one"
        return f"CASE WHEN $1 IS NOT NULL THEN COALESCE(({made}), '{{}}'::{types.multirange(item)}) END"

    def _elements(self, kind: str) -> str:
        element = self.value("$1[place]", kind)
        refusal = literal(f"an array of {kind} has several dimensions, which cannot be converted")
        lines: Sequence[str] = (
            "",
            "DECLARE",
            f"    made {kind}[] := CASE WHEN $1 IS NOT NULL THEN '{{}}'::{kind}[] END;",
            "    place int;",
            "BEGIN",
            f"    IF array_ndims($1) > 1 THEN RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = {refusal}; END IF;",
            f"    FOR place IN SELECT generate_subscripts($1, 1) LOOP made[place] := {element}; END LOOP;",
            "    RETURN made;",
            "END",
        )
        return f"LANGUAGE plpgsql AS {literal(chr(10).join(lines))}"


def _subtype(item: RangeType) -> str:
    return dict(item.options)["subtype"]
