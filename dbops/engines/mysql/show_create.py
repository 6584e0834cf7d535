"""Reading SHOW CREATE TABLE: the text of one table into the objects of the catalog, every clause of it.

A clause this file does not know is kept word for word in an option called `other`, so that nothing is passed over.

* Unique indexes are `Index(unique=True)`: in MySQL the index is the constraint.
* An integer's display width is left out where it is the default one; collations where they are the table's.
* A CHECK written on a column (MariaDB) has no name of its own and stays the column's option `check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from dbops.catalog.model import (
    CatalogObject,
    Check,
    Column,
    ForeignKey,
    Generated,
    Identity,
    Index,
    IndexKey,
    Options,
    PartitionBy,
    PrimaryKey,
    Table,
)
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.partitions import parse_partitions
from dbops.engines.mysql.qualifiers import without_qualifier
from dbops.engines.mysql.raw_text import unescaped
from dbops.engines.mysql.tokens import closing, plain, split_list, unquoted
from dbops.engines.mysql.types import canonical_type, charset_of, is_textual
from dbops.errors import QueryError

_STRING = r"'(?:[^'\\]|\\.|'')*'"
_NAME = r"`(?:[^`]|``)+`"
_TYPE = rf"\w+(?:\((?:{_STRING}|[^()'])*\))?(?: unsigned)?(?: zerofill)?"

_COLUMN = re.compile(
    rf"(?P<name>{_NAME}) (?P<type>{_TYPE})(?: COMPRESSED)?(?: CHARACTER SET (?P<charset>\w+))?(?: COLLATE (?P<collation>\w+))?"
    rf"(?P<null> NOT NULL| NULL)?(?: DEFAULT (?P<default>{_STRING}|[-\w.]+(?:\(\d*\))?))?"
    rf"(?: ON UPDATE (?P<on_update>\w+(?:\(\d*\))?))?(?P<auto> AUTO_INCREMENT)?(?: COMMENT (?P<comment>{_STRING}))?",
    re.DOTALL,
)
_COLUMN_START = re.compile(rf"({_NAME}) ({_TYPE})", re.DOTALL)
_NUMERIC = re.compile(r"(?:tiny|small|medium|big)?int|decimal|float|double|year")
_NOW = re.compile(r"current_timestamp(\(\d*\))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reader:
    """What the texts of one database are read with; `default_collations` maps character sets to their default collation."""

    flavour: Flavour
    database: str
    default_collations: Mapping[str, str]

    def read(self, text: str) -> list[CatalogObject]:
        """Return the table and its primary key, indexes, foreign keys and checks."""
        text = plain(text)
        head = _HEAD.match(text)
        end = text.find("\n) ", head.end() - 1) if head else -1
        if head is None or end < 0:
            raise QueryError(f"cannot read a table: {text}")
        name = unquoted(head[1])
        tail, _, partitions = text[end + 3 :].partition("\n PARTITION BY ")
        if not partitions:
            tail, _, partitions = tail.partition("\nPARTITION BY ")
        options, comment = self._table_options(tail)
        collation = dict(options).get("collation", "")
        columns: list[Column] = []
        children: list[CatalogObject] = []
        periods: list[tuple[str, str]] = []
        for item in _items(text[head.end() : end]):
            if item[0] == "`":
                columns.append(read_column(item, collation, self))
            elif item.startswith("PERIOD FOR "):
                period, _, ends = item.removeprefix("PERIOD FOR ").partition(" (")
                periods.append((f"period:{period.strip('`')}", ends.rstrip(")").replace(", ", ",")))
            else:
                children.append(self._child(item, name))
        if "with system versioning" not in dict(options):
            columns = [_without_leftovers(column) for column in columns]
        table = Table(
            name=name,
            comment=comment,
            columns=tuple(columns),
            options=tuple(sorted((*options, *periods))),
            partition_by=parse_partitions(partitions) if partitions else None,
        )
        return [table, *children]

    def _table_options(self, tail: str) -> tuple[Options, str | None]:
        """`ENGINE=InnoDB DEFAULT CHARSET=... COMMENT='...'` as pairs; the counter of AUTO_INCREMENT is data and left out."""
        found: dict[str, str] = {}
        comment = None
        for match in _OPTION.finditer(tail):
            name = match["name"].lower().strip("`") if match["name"] else ""
            if name == "comment":
                comment = literal_text(match["value"])
            elif name == "default charset":
                found["charset"] = match["value"]
            elif name == "collate":
                found["collation"] = match["value"]
            elif match["flag"]:
                found[match["flag"].lower()] = ""
            elif match["tablespace"]:
                found["tablespace"] = match["tablespace"]
            elif name != "auto_increment":
                found[match["name"] if match["name"].startswith("`") else name] = match["value"]
        if unknown := " ".join(_OPTION.sub("", tail).split()):
            found["other"] = unknown
        charset = found.pop("charset", None)
        if charset and "collation" not in found:
            found["collation"] = self.default_collations[charset]
        return tuple(sorted(found.items())), comment

    def _child(self, item: str, table: str) -> CatalogObject:
        if match := _KEY.match(item):
            return self._key(match, item, table)
        if match := _FOREIGN_KEY.match(item):
            return self._foreign_key(match, item, table)
        match = _CHECK.match(item)
        if match is None:
            raise QueryError(f"cannot read a clause of table {table}: {item}")
        end = closing(item, match.end() - 1)
        rest = item[end:].strip()
        options = ((("not_enforced", ""),) if rest == "NOT ENFORCED" else (("other", rest),)) if rest else ()
        return Check(
            parent=table,
            name=unquoted(match[1]),
            expression=_folded(without_qualifier(item[match.end() : end - 1], self.database)),
            options=options,
        )

    def _key(self, match: re.Match[str], item: str, table: str) -> CatalogObject:
        end = closing(item, match.end() - 1)
        parts = split_list(item[match.end() : end - 1])
        options, comment, method = _index_options(item[end:])
        periods = [part for part in parts if part.endswith(" WITHOUT OVERLAPS")]
        if periods:
            options = (*options, ("without_overlaps", unquoted(periods[0].removesuffix(" WITHOUT OVERLAPS"))))
        keys = tuple(_index_key(part) for part in parts if part not in periods)
        if match["kind"] == "PRIMARY":
            extra = [(f"prefix:{key.column}", str(key.prefix)) for key in keys if key.prefix]
            extra += [(f"descending:{key.column}", "") for key in keys if key.descending]
            return PrimaryKey(
                parent=table,
                name="PRIMARY",
                columns=tuple(key.column or "" for key in keys),
                comment=comment,
                options=tuple(sorted((*options, *extra))),
            )
        kind = (match["kind"] or "").lower()
        return Index(
            parent=table,
            name=unquoted(match["name"]),
            keys=keys,
            method=kind if kind in ("fulltext", "spatial", "vector") else method,
            unique=kind == "unique",
            comment=comment,
            options=tuple(sorted(options)),
        )

    def _foreign_key(self, match: re.Match[str], item: str, table: str) -> ForeignKey:
        rest = item[match.end() :]
        actions = {found[1]: found[2] for found in re.finditer(r"ON (DELETE|UPDATE) (SET NULL|SET DEFAULT|NO ACTION|\w+)", rest)}
        schema = unquoted(match["schema"]) if match["schema"] else ""
        return ForeignKey(
            parent=table,
            name=unquoted(match["name"]),
            columns=_names(match["columns"]),
            references=Ref("table", "" if schema == self.database else schema, unquoted(match["table"])),
            referenced_columns=_names(match["referenced"]),
            on_delete=actions.get("DELETE", self.flavour.unwritten_action),
            on_update=actions.get("UPDATE", self.flavour.unwritten_action),
        )


_HEAD = re.compile(rf"CREATE (?:TEMPORARY )?TABLE ({_NAME}) \(\n  ")
_OPTION = re.compile(
    rf"(?P<flag>WITH SYSTEM VERSIONING|START TRANSACTION)"
    rf"|(?P<name>`[^`]+`|DEFAULT CHARSET|DATA DIRECTORY|INDEX DIRECTORY|\w+)\s*=\s*(?P<value>{_STRING}|\([^)]*\)|`[^`]*`|[-\w.]+)"
    r"|TABLESPACE (?P<tablespace>`[^`]*`)",
    re.DOTALL,
)
_KEY = re.compile(rf"(?:(?P<kind>PRIMARY|UNIQUE|FULLTEXT|SPATIAL|VECTOR) )?KEY (?:(?P<name>{_NAME}) )?\(")
_LIST = rf"{_NAME}(?:, ?{_NAME})*"
_FOREIGN_KEY = re.compile(
    rf"CONSTRAINT (?P<name>{_NAME}) FOREIGN KEY (?:{_NAME} )?\((?P<columns>{_LIST})\) "
    rf"REFERENCES (?:(?P<schema>{_NAME})\.)?(?P<table>{_NAME}) \((?P<referenced>{_LIST})\)"
)
_CHECK = re.compile(rf"CONSTRAINT ({_NAME}) CHECK \(")


_NEGATIVE = re.compile(rf"{_STRING}|{_NAME}|-\((\d+)\)", re.DOTALL)


def _folded(expression: str) -> str:
    """MySQL writes `-(1)` in a new check and `-1` after the next ALTER TABLE, which folds constants (9.7): take the latter."""
    return _NEGATIVE.sub(lambda match: f"-{match[1]}" if match[1] else match[0], expression)


def _items(body: str) -> list[str]:
    """Split the body at its line ends; a name or text that holds a line end of that very form costs the slow way."""
    items = body.split(",\n  ")
    if all(item[0] in "`PUKFSCV" and item.count("`") % 2 == 0 for item in items):
        return items
    return split_list(body)


def _names(text: str) -> tuple[str, ...]:
    return tuple(unquoted(name) for name in re.findall(_NAME, text))


_INDEX_KEY = re.compile(rf"({_NAME})(?:\((\d+)\))?( DESC| ASC)?$")


def _index_key(part: str) -> IndexKey:
    match = _INDEX_KEY.match(part)
    if match is not None:
        return IndexKey(column=unquoted(match[1]), prefix=int(match[2]) if match[2] else None, descending=match[3] == " DESC")
    descending = part.endswith(" DESC")
    expression = part.removesuffix(" DESC").removesuffix(" ASC")
    return IndexKey(expression=expression[1:-1], descending=descending)


_INDEX_OPTION = re.compile(
    rf" *(?:USING (?P<using>\w+)|KEY_BLOCK_SIZE=(?P<block>\d+)|COMMENT (?P<comment>{_STRING})|WITH PARSER (?P<parser>{_NAME})"
    rf"|(?P<hidden>IGNORED|INVISIBLE))",
    re.DOTALL,
)


def _index_options(text: str) -> tuple[Options, str | None, str]:
    """Return options, comment and method of what stands behind an index's columns."""
    options: list[tuple[str, str]] = []
    comment, method, at = None, "btree", 0
    while match := _INDEX_OPTION.match(text, at):
        at = match.end()
        if match["using"]:
            method = match["using"].lower()
            options.append(("using", match["using"]))
        elif match["block"]:
            options.append(("key_block_size", match["block"]))
        elif match["comment"]:
            comment = literal_text(match["comment"])
        elif match["parser"]:
            options.append(("parser", unquoted(match["parser"])))
        else:
            options.append(("hidden", ""))
    if rest := text[at:].strip():
        options.append(("other", rest))
    return tuple(sorted(options)), comment, method


# --- columns --------------------------------------------------------------------------------------------------------------


def read_column(item: str, table_collation: str, reader: Reader) -> Column:
    """Read one line of a table's body; equal lines of many tables are read once."""
    if "`.`" in item:
        item = without_qualifier(item, reader.database)
    return _column(item, table_collation, reader.flavour, _default_collation(item, reader.default_collations))


def _without_leftovers(column: Column) -> Column:
    """DROP SYSTEM VERSIONING leaves the mark of a column that was no part of it, which no other statement can make."""
    options = tuple(pair for pair in column.options if pair[0] != "without_versioning")
    return column if options == column.options else replace(column, options=options)


def _default_collation(item: str, defaults: Mapping[str, str]) -> str:
    """The collation meant by a CHARACTER SET without COLLATE, empty where both are said."""
    match = re.search(r" CHARACTER SET (\w+)(?! COLLATE)\b", item)
    return defaults.get(match[1], "") if match and f"{match[0]} COLLATE" not in item else ""


@lru_cache(maxsize=65536)
def _column(item: str, table_collation: str, flavour: Flavour, default_collation: str) -> Column:
    match = _COLUMN.fullmatch(item)
    found = _Found(item) if match is None or " COMPRESSED" in item else _Found.of(match)
    type_text = canonical_type(found.type)
    collation = found.collation or default_collation or None
    is_said = flavour.remembers_said_collations and found.has_charset
    if (collation == table_collation and not is_said) or not is_textual(type_text):
        collation = None
    default = _canonical_default(found.default, type_text)
    options = dict(found.options)
    if found.on_update:
        options["on_update"] = _now(found.on_update)
    if default is None and not found.not_null and not found.default and found.may_have_default(flavour, type_text):
        options["no_default"] = ""
    return Column(
        name=found.name,
        type=type_text,
        nullable=not found.not_null,
        default=default,
        identity=Identity("auto_increment") if found.auto_increment else None,
        generated=found.generated,
        collation=collation,
        comment=found.comment,
        options=tuple(sorted(options.items())),
    )


def _canonical_default(text: str | None, type_text: str) -> str | None:
    """MySQL quotes numbers, MariaDB does not; `current_timestamp` has several spellings."""
    if text is None or text == "NULL":
        return None
    if _NUMERIC.match(type_text) and text.startswith("'"):
        return text[1:-1]
    return _now(text)


def _now(text: str) -> str:
    if match := _NOW.fullmatch(text):
        return f"current_timestamp{match[1] or '()'}"
    return text


class _Found:
    """What stands in one column's line: filled from one match where the line is a plain one, else clause by clause."""

    __slots__ = (
        "auto_increment", "collation", "comment", "default", "generated", "has_charset", "name", "not_null", "on_update",
        "options", "type",
    )  # fmt: skip

    def __init__(self, item: str) -> None:
        start = _COLUMN_START.match(item)
        if start is None:
            raise QueryError(f"cannot read a column: {item}")
        self.name, self.type = unquoted(start[1]), start[2]
        self.collation: str | None = None
        self.comment: str | None = None
        self.default: str | None = None
        self.on_update: str | None = None
        self.generated: Generated | None = None
        self.not_null = self.auto_increment = self.has_charset = False
        self.options: dict[str, str] = {}
        at = start.end()
        while at < len(item):
            at = self._clause(item, at)

    @classmethod
    def of(cls, match: re.Match[str]) -> _Found:
        found = cls.__new__(cls)
        found.name, found.type = unquoted(match["name"]), match["type"]
        found.collation, found.default, found.on_update = match["collation"], match["default"], match["on_update"]
        found.comment = literal_text(match["comment"]) if match["comment"] else None
        found.not_null, found.auto_increment = match["null"] == " NOT NULL", bool(match["auto"])
        found.generated, found.options, found.has_charset = None, {}, bool(match["charset"])
        return found

    def may_have_default(self, flavour: Flavour, type_text: str) -> bool:
        """Whether a line without DEFAULT means that there is none at all, not even NULL.

        MySQL says so after ALTER COLUMN ... DROP DEFAULT; of these types it never writes a default (8.4 manual, 13.6).
        """
        if flavour.is_mariadb or self.generated or self.auto_increment:
            return False
        return not re.match(r"(tiny|medium|long)?(text|blob)|json|geom|point|line|poly|multi|vector", type_text)

    def _clause(self, item: str, at: int) -> int:
        """Read the clause at `at` and return where the next one begins."""
        for pattern, read in _CLAUSES:
            if match := pattern.match(item, at):
                return read(self, item, match)
        self.options["other"] = f"{self.options.get('other', '')}{item[at:]}".strip()
        return len(item)

    def _read_generated(self, item: str, match: re.Match[str]) -> int:
        if match["row"]:
            self.options["as_row"] = match["row"]
            return match.end()
        end = closing(item, match.end() - 1)
        how = re.compile(r" (VIRTUAL|STORED|PERSISTENT)").match(item, end)
        self.generated = Generated(item[match.end() : end - 1], is_stored=bool(how) and how[1] != "VIRTUAL")  # type: ignore[index]
        return how.end() if how else end

    def _read_default(self, item: str, match: re.Match[str]) -> int:
        end = _end_of_default(item, match.end())
        self.default = item[match.end() : end]
        return end

    def _read_check(self, item: str, match: re.Match[str]) -> int:
        end = closing(item, match.end() - 1)
        self.options["check"] = item[match.end() : end - 1]
        return end

    def _read_word(self, item: str, match: re.Match[str]) -> int:
        word = match[0].strip()
        if word == "NOT NULL":
            self.not_null = True
        elif word == "AUTO_INCREMENT":
            self.auto_increment = True
        elif word == "INVISIBLE":
            self.options["invisible"] = ""
        elif word == "COMPRESSED":
            self.options["compressed"] = ""
        elif word == "WITHOUT SYSTEM VERSIONING":
            self.options["without_versioning"] = ""
        elif word.startswith("CHARACTER SET "):
            self.has_charset = True
        elif word.startswith("COLLATE "):
            self.collation = word.removeprefix("COLLATE ")
        elif word.startswith("COMMENT "):
            self.comment = literal_text(word.removeprefix("COMMENT "))
        elif word.startswith("ON UPDATE "):
            self.on_update = word.removeprefix("ON UPDATE ")
        elif word.startswith(("SRID ", "REF_SYSTEM_ID=")):
            self.options["srid"] = re.sub(r"\D", "", word)
        return match.end()


_Read = Callable[["_Found", str, "re.Match[str]"], int]
_CLAUSES: tuple[tuple[re.Pattern[str], _Read], ...] = (
    (re.compile(r" GENERATED ALWAYS AS (?:ROW (?P<row>START|END)|\()"), _Found._read_generated),
    (re.compile(r" DEFAULT "), _Found._read_default),
    (re.compile(r" CHECK \("), _Found._read_check),
    (
        re.compile(
            rf" (?:NOT NULL|NULL|AUTO_INCREMENT|INVISIBLE|COMPRESSED|WITHOUT SYSTEM VERSIONING|CHARACTER SET \w+|COLLATE \w+"
            rf"|COMMENT {_STRING}|ON UPDATE \w+(?:\(\d*\))?|SRID \d+|REF_SYSTEM_ID=\d+)(?= |$)",
            re.DOTALL,
        ),
        _Found._read_word,
    ),
)
_DEFAULT_WORD = re.compile(rf"(?:_\w+ )?(?:[bxBX]|_\w+)?{_STRING}|(?:{_NAME}\.)?{_NAME}|[-+]?[\w.]+|[(]", re.DOTALL)


def _end_of_default(item: str, at: int) -> int:
    """A default is one literal, one call, or one expression in parentheses."""
    match = _DEFAULT_WORD.match(item, at)
    if match is None:
        return len(item)
    if match[0] == "(":
        return closing(item, at)
    return closing(item, match.end()) if item[match.end() : match.end() + 1] == "(" else match.end()


def literal_text(literal: str) -> str:
    """Return what a string literal of the server says."""
    body = literal[1:-1]
    if "\\" not in body and "''" not in body:
        return body
    return unescaped(body)


def collation_of(column: Column, table: Table) -> str | None:
    """Return the collation a column really has, None where its type has none."""
    if not is_textual(column.type):
        return None
    return column.collation or dict(table.options).get("collation")


def charset(column: Column, table: Table) -> str | None:
    """Return the character set a column really has, None where its type has none."""
    collation = collation_of(column, table)
    return charset_of(collation) if collation else None


def partitions_of(table: Table) -> PartitionBy | None:
    """Return how a table is divided."""
    return table.partition_by
