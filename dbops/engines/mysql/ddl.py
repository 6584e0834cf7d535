"""Writing the DDL of single objects: columns, keys, tables, views, triggers, routines, events and sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.model import (
    CatalogObject,
    Check,
    Column,
    Event,
    ForeignKey,
    Index,
    IndexKey,
    PrimaryKey,
    Routine,
    Table,
    Trigger,
    View,
)
from dbops.catalog.model import (
    Sequence as CatalogSequence,
)
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.partitions import partition_clause
from dbops.engines.mysql.types import charset_of

_ESCAPED = str.maketrans({"\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def literal(text: str) -> str:
    """Write a string literal on one line."""
    return f"'{text.translate(_ESCAPED)}'"


def names(columns: Iterable[str]) -> str:
    """Write a list of names."""
    return ", ".join(quoted(column) for column in columns)


# --- tables ---------------------------------------------------------------------------------------------------------------


def column_clause(column: Column, flavour: Flavour, *, collation: str | None = None) -> str:
    """Write one column; `collation` is said where the column's own is None and must not be inherited."""
    options = dict(column.options)
    words = [quoted(column.name), column.type]
    if "compressed" in options:
        words.append("COMPRESSED")
    if said := column.collation or collation:
        words.append(f"CHARACTER SET {charset_of(said)} COLLATE {said}")
    if column.generated:
        words.append(
            f"GENERATED ALWAYS AS ({column.generated.expression}) {'STORED' if column.generated.is_stored else 'VIRTUAL'}"
        )
    elif "as_row" in options:
        words.append(f"GENERATED ALWAYS AS ROW {options['as_row']}")
    words += _null_and_default(column, options)
    if "on_update" in options:
        words.append(f"ON UPDATE {options['on_update']}")
    if column.identity:
        words.append("AUTO_INCREMENT")
    if "invisible" in options:
        words.append("INVISIBLE")
    if "without_versioning" in options:
        words.append("WITHOUT SYSTEM VERSIONING")
    if "srid" in options:
        words.append(f"REF_SYSTEM_ID={options['srid']}" if flavour.is_mariadb else f"SRID {options['srid']}")
    if column.comment:
        words.append(f"COMMENT {literal(column.comment)}")
    if "other" in options:
        words.append(options["other"])
    if "check" in options:
        words.append(f"CHECK ({options['check']})")
    return " ".join(words)


def _null_and_default(column: Column, options: dict[str, str]) -> list[str]:
    if not column.nullable:
        words = ["NOT NULL"]
    elif column.type.startswith("timestamp") and "as_row" not in options:  # NOT NULL is meant where explicit defaults are off
        words = ["NULL"]
    else:
        words = []
    return [*words, f"DEFAULT {column.default}"] if column.default is not None else words


def index_clause(index: Index, flavour: Flavour) -> str:
    """Write one index as it stands in CREATE TABLE and, behind ADD, in ALTER TABLE."""
    kind = index.method.upper() if index.method in ("fulltext", "spatial", "vector") else "UNIQUE" if index.unique else ""
    options = dict(index.options)
    keys = [_index_key(key) for key in index.keys]
    if "without_overlaps" in options:
        keys.append(f"{quoted(options['without_overlaps'])} WITHOUT OVERLAPS")
    words = [kind, "KEY", quoted(index.name), f"({', '.join(keys)})", *_index_options(options, index.comment, flavour)]
    return " ".join(word for word in words if word)


def _index_key(key: IndexKey) -> str:
    text = f"({key.expression})" if key.column is None else quoted(key.column) + (f"({key.prefix})" if key.prefix else "")
    return f"{text} DESC" if key.descending else text


def _index_options(options: dict[str, str], comment: str | None, flavour: Flavour) -> list[str]:
    words = []
    if "using" in options:
        words.append(f"USING {options['using']}")
    if "key_block_size" in options:
        words.append(f"KEY_BLOCK_SIZE={options['key_block_size']}")
    if "parser" in options:
        words.append(f"WITH PARSER {quoted(options['parser'])}")
    if comment:
        words.append(f"COMMENT {literal(comment)}")
    if "hidden" in options:
        words.append(flavour.hidden_index[0])
    if "other" in options:
        words.append(options["other"])
    return words


def primary_key_clause(key: PrimaryKey, flavour: Flavour) -> str:
    """Write the primary key."""
    options = dict(key.options)
    keys = []
    for column in key.columns:
        prefix = options.get(f"prefix:{column}")
        keys.append(quoted(column) + (f"({prefix})" if prefix else "") + (" DESC" if f"descending:{column}" in options else ""))
    if "without_overlaps" in options:
        keys.append(f"{quoted(options['without_overlaps'])} WITHOUT OVERLAPS")
    return " ".join([f"PRIMARY KEY ({', '.join(keys)})", *_index_options(options, key.comment, flavour)])


def foreign_key_clause(key: ForeignKey, flavour: Flavour) -> str:
    """Write a foreign key; actions the server does not show are not written."""
    target = f"{quoted(key.references.schema)}." if key.references.schema else ""
    text = (
        f"CONSTRAINT {quoted(key.name)} FOREIGN KEY ({names(key.columns)}) "
        f"REFERENCES {target}{quoted(key.references.name)} ({names(key.referenced_columns)})"
    )
    for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update)):
        if action != flavour.unwritten_action:
            text += f" ON {event} {action}"
    return text


def check_clause(check: Check) -> str:
    """Write a table's check."""
    options = dict(check.options)
    tail = " NOT ENFORCED" if "not_enforced" in options else f" {options['other']}" if "other" in options else ""
    return f"CONSTRAINT {quoted(check.name)} CHECK ({check.expression}){tail}"


def child_clause(item: CatalogObject, flavour: Flavour) -> str:
    """Write a key, index or constraint."""
    match item:
        case PrimaryKey():
            return primary_key_clause(item, flavour)
        case Index():
            return index_clause(item, flavour)
        case ForeignKey():
            return foreign_key_clause(item, flavour)
        case Check():
            return check_clause(item)
        case _:
            raise TypeError(f"{item.ref} does not stand inside a table")


def create_table(table: Table, children: Sequence[CatalogObject], flavour: Flavour) -> str:
    """Write a whole table with its keys, indexes and constraints, one line each."""
    options = dict(table.options)
    lines = [column_clause(column, flavour) for column in table.columns]
    lines += [
        f"PERIOD FOR {'SYSTEM_TIME' if name == 'period:SYSTEM_TIME' else quoted(name.removeprefix('period:'))} ({ends})"
        for name, ends in options.items()
        if name.startswith("period:")
    ]
    lines += [child_clause(item, flavour) for item in children]
    body = ",\n  ".join(lines)
    tail = " ".join(table_options(table))
    text = f"CREATE TABLE {quoted(table.name)} (\n  {body}\n) {tail}".rstrip()
    return f"{text}\n{partition_clause(table.partition_by)}" if table.partition_by else text


def table_options(table: Table) -> list[str]:
    """Write the options of a table, engine and collation first."""
    options = dict(table.options)
    words = []
    if engine := options.pop("engine", None):
        words.append(f"ENGINE={engine}")
    if collation := options.pop("collation", None):
        words.append(f"DEFAULT CHARSET={charset_of(collation)} COLLATE={collation}")
    versioned = options.pop("with system versioning", None)
    words += [option_word(name, value) for name, value in options.items() if not name.startswith("period:")]
    if table.comment:
        words.append(f"COMMENT={literal(table.comment)}")
    if versioned is not None:
        words.append("WITH SYSTEM VERSIONING")
    return words


def option_word(name: str, value: str) -> str:
    """Write one option; one without a value is a word of its own."""
    if name == "other":
        return value
    return f"{name if name.startswith('`') else name.upper()}={value}" if value else name.upper()


def without_defaults(table: Table) -> list[str]:
    """The clauses for nullable columns that have no default at all, which no column definition can say."""
    return [
        f"ALTER COLUMN {quoted(column.name)} DROP DEFAULT"
        for column in table.columns
        if any(n == "no_default" for n, _ in column.options)
    ]


# --- free-standing objects ------------------------------------------------------------------------------------------------


def definer_clause(owner: str | None, account: str) -> str:
    """`DEFINER=...` where it is somebody else than the account that runs the statement, followed by a space."""
    if owner is None or owner == account:
        return ""
    user, at, host = owner.rpartition("@")
    return f"DEFINER={quoted(user)}@{quoted(host)} " if at else f"DEFINER={quoted(owner)} "


def create_view(view: View, account: str, *, replace: bool = False) -> str:
    """Write a view."""
    options = dict(view.options)
    words = ["CREATE OR REPLACE" if replace else "CREATE"]
    if "algorithm" in options:
        words.append(f"ALGORITHM={options['algorithm']}")
    if definer := definer_clause(view.owner, account).strip():
        words.append(definer)
    if "security" in options:
        words.append(f"SQL SECURITY {options['security']}")
    columns = f" ({options['columns']})" if "columns" in options else ""
    text = f"{' '.join(words)} VIEW {quoted(view.name)}{columns} AS\n{view.definition}"
    return f"{text}\nWITH {options['check_option']} CHECK OPTION" if "check_option" in options else text


def create_trigger(trigger: Trigger, account: str, *, place: str = "", replace: bool = False) -> str:
    """Write a trigger; `place` is `FOLLOWS ...` or `PRECEDES ...`."""
    options = dict(trigger.options)
    event = f"{options['timing']} {options['event']}"
    body = (trigger.spelling or trigger.definition).removeprefix(f"{event} ")
    head = (
        f"{'CREATE OR REPLACE' if replace else 'CREATE'} {definer_clause(trigger.owner, account)}TRIGGER {quoted(trigger.name)}"
    )
    return f"{head} {event} ON {quoted(trigger.parent)} FOR EACH ROW {place}{' ' if place else ''}{body}"


def routine_name(routine: Routine) -> str:
    """The routine's own name: a procedure that shares a function's name carries a mark."""
    return routine.name.removesuffix("(procedure)") if routine.flavour == "procedure" else routine.name


def create_routine(routine: Routine, account: str, *, replace: bool = False) -> str:
    """Write a function or procedure."""
    head = "CREATE OR REPLACE" if replace else "CREATE"
    aggregate = "AGGREGATE " if "aggregate" in dict(routine.options) else ""
    kind = f"{definer_clause(routine.owner, account)}{aggregate}{routine.flavour.upper()}"
    return f"{head} {kind} {quoted(routine_name(routine))}{routine.spelling or routine.definition}"


def create_event(event: Event, account: str, *, replace: bool = False) -> str:
    """Write an event."""
    options = dict(event.options)
    head = "CREATE OR REPLACE" if replace else "CREATE"
    comment = f" COMMENT {literal(event.comment)}" if event.comment else ""
    return (
        f"{head} {definer_clause(event.owner, account)}EVENT {quoted(event.name)} ON SCHEDULE {options['schedule']} "
        f"ON COMPLETION {options['completion']} {options['state']}{comment} DO {event.spelling or event.definition}"
    )


def sequence_words(sequence: CatalogSequence) -> str:
    """Write the numbers of a sequence (MariaDB Knowledge Base, CREATE SEQUENCE)."""
    numbers = sequence.numbers
    words = [f"START WITH {numbers.start}", f"INCREMENT BY {numbers.increment}"]
    words.append(f"MINVALUE {numbers.minimum}" if numbers.minimum is not None else "NOMINVALUE")
    words.append(f"MAXVALUE {numbers.maximum}" if numbers.maximum is not None else "NOMAXVALUE")
    words.append(f"CACHE {numbers.cache}" if numbers.cache else "NOCACHE")
    words.append("CYCLE" if numbers.cycle else "NOCYCLE")
    return " ".join(words)


def create_sequence(sequence: CatalogSequence) -> str:
    """Write a sequence."""
    options = dict(sequence.options)
    kind = f" AS {sequence.numbers.data_type}" if sequence.numbers.data_type != "bigint" else ""
    engine = f" ENGINE={options['engine']}" if "engine" in options else ""
    comment = f" COMMENT={literal(sequence.comment)}" if sequence.comment else ""
    return f"CREATE SEQUENCE {quoted(sequence.name)}{kind} {sequence_words(sequence)}{engine}{comment}"
