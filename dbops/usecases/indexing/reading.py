"""What a statement asks of tables: the columns that it looks for, joins and sorts by, read from its text."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Table
from dbops.dataclass import dataclass
from dbops.errors import MonitoringError

if TYPE_CHECKING:
    from sqlglot import exp

#: What digests put in the place of lists of values (MySQL 8.4 manual, 29.10 Performance Schema Statement Digests).
_LISTS = re.compile(r"\(\s*\.\.\.\s*\)(?:\s*/\*\s*,\s*\.\.\.\s*\*/)?")

_NUMBERED = re.compile(r"\$(\d+)|\?\d+")
_MAY_BE_READ = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:SELECT|WITH|INSERT|REPLACE|UPDATE|DELETE)\b", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that has no parameters, as SQL, and the column that it is about."""

    sql: str
    column: str


@dataclass(frozen=True, slots=True)
class Use:
    """One table in one query: columns compared for equality with values, by ranges, with columns of others, and sorted by.

    `sorts` is empty where the order is not that of one index: other tables, expressions, both directions. `expressions` are SQL
    that is compared for equality with values. `filters` hold of all rows that are wanted, whatever the values of parameters.
    `reads` are all columns that the query speaks of, None where it wants every one.
    """

    table: Table
    equal: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    reads: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement asks; `writes` is the table that it changes rows of.

    `sql` finds the rows that it reads or changes: an account that may only read can have it explained. `parsed` is its tree.
    """

    uses: tuple[Use, ...]
    writes: Table | None
    sql: str
    parsed: Any = field(compare=False, repr=False)


def parser() -> Any:
    """Return sqlglot.

    Raises:
        MonitoringError: it is not installed.
    """
    try:
        import sqlglot
    except ImportError as error:
        raise MonitoringError(
            "sqlglot, which reads the statements, is not installed", fix="pip install 'dbops[advice]'"
        ) from error
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot read is nobody's news: such statements are passed over
    return sqlglot


def _readable(text: str) -> str:
    """Return a statement as sqlglot reads it: it takes `$1,$` for the mark of a string, and knows no numbers behind `?`."""
    return _LISTS.sub("(?)", _NUMBERED.sub(lambda found: f"${found[1]} " if found[1] else "?", text))


class Reader:
    """Reads statements of one database; `dialect` is sqlglot's name for its language."""

    def __init__(self, catalog: Catalog, dialect: str) -> None:
        self._dialect = dialect
        self._tables: dict[str, list[Table]] = {}
        for table in catalog.all(Table):
            self._tables.setdefault(table.name.lower(), []).append(table)

    def read(self, text: str) -> Reading | None:
        """Return what a statement asks; None where it is no query or change of rows, or cannot be read."""
        if not _MAY_BE_READ.match(text):
            return None
        sqlglot = parser()
        try:
            parsed = [one for one in sqlglot.parse(_readable(text), dialect=self._dialect) if one is not None]
        except (sqlglot.errors.SqlglotError, RecursionError):
            return None
        exp = sqlglot.exp
        if len(parsed) != 1 or not isinstance(parsed[0], exp.Query | exp.Update | exp.Delete | exp.Insert):
            return None
        statement = parsed[0]
        is_write = isinstance(statement, exp.Update | exp.Delete | exp.Insert)
        writes = self._table(statement.find(exp.Table)) if is_write else None
        nodes = [node for node in statement.walk() if isinstance(node, exp.Select | exp.Update | exp.Delete)]
        uses = [use for node in nodes for use in _Query(node, self._sources(node), exp, self._dialect).uses()]
        query = _query(statement, exp)
        sql = text if query is statement else str(query.sql(dialect=self._dialect))
        return Reading(tuple(uses), writes, sql, query)

    def tables(self, readings: Sequence[Reading]) -> list[Table]:
        """Return every table that statements speak of, each once."""
        exp = parser().exp
        found = (self._table(source) for reading in readings for source in reading.parsed.find_all(exp.Table))
        return list({table.ref: table for table in found if table is not None}.values())

    def _sources(self, node: exp.Expression) -> dict[str, Table]:
        """Return the tables of a query by the names it calls them; what is no table is left out."""
        found = {}
        for source in _sources_of(node):
            if (table := self._table(source)) is not None:
                found[source.alias_or_name.lower()] = table
        return found

    def _table(self, source: exp.Table | None) -> Table | None:
        if source is None:
            return None
        named = self._tables.get(source.name.lower(), [])
        exact = [table for table in named if table.name == source.name] or named
        here = [table for table in exact if not source.db or not table.schema or table.schema == source.db]
        usual = [table for table in here if table.schema in ("", "public")]
        return (usual or here)[0] if len(here) == 1 or usual else None

    def with_values(self, reading: Reading, value: Callable[[Table, str, float], Any]) -> str:
        """Return the statement with values in the place of its parameters.

        `value` is asked for one of a column, of the rank given as a share of its rows in order: the middle for equality; for a
        range so that it finds a tenth of them. Other parameters, such as limits, are 10.
        """
        exp = parser().exp
        tree = reading.parsed.copy()
        for mark in list(tree.find_all(exp.Placeholder, exp.Parameter)):
            query = mark.find_ancestor(exp.Select, exp.Update, exp.Delete)
            column, share = _compared_with(mark, exp)
            place = _Query(query, self._sources(query), exp).place(column) if query and column else None
            found = value(place[0], place[1], share) if place else 10
            mark.replace(exp.convert(found))
        return str(tree.sql(dialect=self._dialect))


def _query(statement: Any, exp: Any) -> Any:
    """Return a query for the rows that a statement changes, or that it inserts; a query itself."""
    if isinstance(statement, exp.Insert) and isinstance(statement.expression, exp.Query):
        return statement.expression
    if not isinstance(statement, exp.Update | exp.Delete):
        return statement
    from_ = statement.args.get("from_") or statement.args.get("from")
    tables = [statement.this, *([from_.this] if from_ is not None else []), *(statement.args.get("using") or [])]
    query = exp.select("*").from_(tables[0].copy())
    for table in tables[1:]:
        query = query.join(table.copy(), join_type="cross")
    where = statement.args.get("where")
    return query if where is None else query.where(where.this.copy())


def _sources_of(node: exp.Expression) -> Iterator[Any]:
    """Yield the tables of a query, not of queries inside it."""
    exp = parser().exp
    own = [node.this] if isinstance(node, exp.Update | exp.Delete) else []
    from_ = node.args.get("from_") or node.args.get("from")
    own += [from_.this] if from_ is not None else []
    own += node.args.get("using") or []
    for source in list(own):
        own += [join.this for join in source.args.get("joins") or ()] if source is not None else []
    own += [join.this for join in node.args.get("joins") or ()]
    yield from (source for source in own if isinstance(source, exp.Table))


def _is_not_null(condition: Any, exp: Any) -> bool:
    """Tell whether a condition is IS NOT NULL, which sqlglot writes in two ways."""
    inner = condition.this.unnest() if isinstance(condition, exp.Not) else condition
    is_negative = inner is not condition or bool(condition.args.get("negate"))
    return is_negative and isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null)


def _compared_with(mark: Any, exp: Any) -> tuple[Any, float]:
    """Return the column that a parameter is compared with, and which of its values stands for it."""
    around = mark.parent
    while isinstance(around, exp.Paren | exp.Cast | exp.Tuple | exp.Any):
        around = around.parent
    shares: Mapping[Any, float] = {exp.GT: 0.9, exp.GTE: 0.9, exp.LT: 0.1, exp.LTE: 0.1}
    if isinstance(around, exp.Between):
        return around.this, 0.45 if around.args.get("low") is mark else 0.55
    if isinstance(around, exp.Binary | exp.In):
        column = around.this if isinstance(around.this, exp.Column) else around.expression
        turned = {0.9: 0.1, 0.1: 0.9}
        share = shares.get(type(around), 0.5)
        return column, share if column is around.this else turned.get(share, share)
    return None, 0.5


class _Query:
    """One SELECT, UPDATE or DELETE, with the tables it speaks of by name."""

    def __init__(self, node: Any, sources: Mapping[str, Table], exp: Any, dialect: str = "") -> None:
        self._node, self._sources, self._exp, self._dialect = node, sources, exp, dialect
        self._filters: dict[str, list[Filter]] = {}
        self._found: dict[str, dict[str, list[str]]] = {}

    def uses(self) -> list[Use]:
        """Return what is asked of each table."""
        for condition in self._conditions():
            self._note(condition)
        sorts = self._sorts()
        uses = [self._use(name, sorts.get(name, ())) for name in self._sources]
        asks = [use for use in uses if use.equal or use.ranges or use.joins or use.sorts or use.expressions]
        return asks + list(self._branches())

    def place(self, column: Any) -> tuple[Table, str] | None:
        """Return the table and the name of a column, as the catalog spells it."""
        found = self._column(column)
        return (self._sources[found[0]], found[1]) if found else None

    def _use(self, name: str, sorts: tuple[str, ...]) -> Use:
        found = self._found.get(name, {})
        equal = tuple(dict.fromkeys(found.get("equal", ())))
        ranges = tuple(column for column in dict.fromkeys(found.get("ranges", ())) if column not in equal)
        joins = tuple(column for column in dict.fromkeys(found.get("joins", ())) if column not in equal)
        sorts = tuple(column for column in sorts if column not in equal)
        expressions = tuple(dict.fromkeys(found.get("expressions", ())))
        filters = tuple(dict.fromkeys(self._filters.get(name, ())))
        return Use(self._sources[name], equal, ranges, joins, sorts, expressions, filters, self._reads(name))

    def _reads(self, name: str) -> frozenset[str] | None:
        """Return the columns of a table that stand anywhere in the query, also in queries inside it."""
        if any(not isinstance(star.parent, self._exp.Count) for star in self._node.find_all(self._exp.Star)):
            return None
        if not isinstance(self._node, self._exp.Select):
            return None
        found = [self._column(column) for column in self._node.find_all(self._exp.Column)]
        return frozenset(column[1] for column in found if column and column[0] == name)

    def _conditions(self) -> Iterator[Any]:
        """Yield what must hold of every row, each for itself."""
        where = self._node.args.get("where")
        whole = [where.this] if where is not None else []
        for join in self._joins():
            whole += [join.args["on"]] if join.args.get("on") is not None else []
            for using in join.args.get("using") or ():
                for name, table in self._sources.items():
                    if table.column(using.name) is not None:
                        self._add(name, "joins", using.name)
        for condition in whole:
            yield from self._parts(condition, self._exp.And)

    def _joins(self) -> list[Any]:
        from_ = self._node.args.get("from_") or self._node.args.get("from")
        inner = [] if from_ is None else from_.this.args.get("joins") or []
        return [*inner, *(self._node.args.get("joins") or [])]

    def _parts(self, condition: Any, joined_by: Any) -> Iterator[Any]:
        inner = condition.unnest()
        if isinstance(inner, joined_by):
            yield from self._parts(inner.this, joined_by)
            yield from self._parts(inner.expression, joined_by)
        else:
            yield inner

    def _branches(self) -> Iterator[Use]:
        """Yield the columns of alternatives (OR), each of which an index of its own may serve."""
        exp = self._exp
        for condition in self._conditions():
            if isinstance(condition, exp.Or):
                for branch in self._parts(condition, exp.Or):
                    found = self._column(branch.this) if isinstance(branch, exp.EQ | exp.In) else None
                    if found:
                        yield Use(self._sources[found[0]], (found[1],))

    def _note(self, condition: Any) -> None:
        exp = self._exp
        if isinstance(condition, exp.EQ | exp.NullSafeEQ):
            self._note_sides(condition, "equal")
        elif isinstance(condition, exp.GT | exp.GTE | exp.LT | exp.LTE):
            self._note_sides(condition, "ranges")
        elif isinstance(condition, exp.Between):
            self._note_side(condition.this, (condition.args["low"], condition.args["high"]), "ranges")
        elif isinstance(condition, exp.In):
            self._note_side(condition.this, condition.expressions, "equal")
        elif isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null):
            self._note_side(condition.this, (), "ranges" if condition.args.get("negate") else "equal")
        elif _is_not_null(condition, exp):
            self._note_side(condition.this.unnest().this, (), "ranges")
        if isinstance(condition, exp.EQ):
            self._note_expression(condition.this, condition.expression)
            self._note_expression(condition.expression, condition.this)
        self._note_filter(condition)

    def _note_expression(self, side: Any, other: Any) -> None:
        """Note an expression over columns of one table that is the same for the same row at all times."""
        exp = self._exp
        columns = list(side.find_all(exp.Column))
        same = (exp.Column, exp.Identifier, exp.Literal, exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Abs, exp.Coalesce)
        if isinstance(side, exp.Column | exp.Literal) or not columns or not all(isinstance(node, same) for node in side.walk()):
            return
        found = {self._column(column) for column in columns}
        names = {column[0] for column in found if column}
        if None in found or len(names) != 1 or next(other.find_all(exp.Column), None) is not None:
            return
        self._add(names.pop(), "expressions", self._unqualified(side))

    def _note_filter(self, condition: Any) -> None:
        """Note a condition about one column and constants: IS NULL, a truth value, a literal that it is or is not."""
        exp = self._exp
        inner = condition.this if isinstance(condition, exp.Not) else condition
        inner = inner.unnest()
        is_constant = isinstance(inner, exp.Column) or (
            isinstance(inner, exp.Is | exp.EQ | exp.NEQ) and isinstance(inner.expression, exp.Null | exp.Literal | exp.Boolean)
        )
        column = inner if isinstance(inner, exp.Column) else inner.this if is_constant else None
        if is_constant and (found := self._column(column)) is not None:
            sql = self._unqualified(condition)
            if _is_not_null(condition, exp):
                sql = f"{self._unqualified(column)} IS NOT NULL"  # SQLite holds conditions of indexes against this by its words
            self._filters.setdefault(found[0], []).append(Filter(sql, found[1]))

    def _unqualified(self, node: Any) -> str:
        """Return SQL whose columns stand without the names of tables, as in the definition of an index."""
        copy = node.copy()
        for column in copy.find_all(self._exp.Column):
            column.set("table", None)
            column.set("db", None)
        return str(copy.sql(dialect=self._dialect))

    def _note_sides(self, condition: Any, how: str) -> None:
        self._note_side(condition.this, (condition.expression,), how)
        self._note_side(condition.expression, (condition.this,), how)

    def _note_side(self, side: Any, others: Iterable[Any], how: str) -> None:
        """Note a column that is compared, unless with something of its own row."""
        found = self._column(side)
        if found is None:
            return
        columns = [self._column(column) for other in others for column in other.find_all(self._exp.Column)]
        names = {column[0] for column in columns if column}
        if found[0] in names or (names and how == "ranges"):
            return
        self._add(found[0], "joins" if names else how, found[1])

    def _add(self, name: str, how: str, column: str) -> None:
        self._found.setdefault(name, {}).setdefault(how, []).append(column)

    def _column(self, node: Any) -> tuple[str, str] | None:
        """Return by which name its table is called, and the name of a column; None for anything else."""
        if not isinstance(node, self._exp.Column):
            return None
        wanted = node.name.lower()
        for name, table in self._sources.items():
            if not node.table or node.table.lower() == name:
                for column in table.columns:
                    if column.name.lower() == wanted:
                        return name, column.name
        return None

    def _sorts(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of one table that the rows are sorted or grouped by, all in one direction."""
        order, group = self._node.args.get("order"), self._node.args.get("group")
        keys: Sequence[Any] = order.expressions if order else group.expressions if group else ()
        if len({bool(key.args.get("desc")) for key in keys}) != 1:
            return {}
        found = [self._column(key.this if isinstance(key, self._exp.Ordered) else key) for key in keys]
        names = {column[0] for column in found if column}
        if None in found or len(names) != 1:
            return {}
        return {names.pop(): tuple(column[1] for column in found if column)}
