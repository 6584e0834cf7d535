"""Reading a whole database: queries about what is there and who may use it, then SHOW CREATE of everything, 200 a round trip.

Left out: tables named `dbops_*`. Whatever is there and has no place in the catalog comes back as unmanaged.
The definer of a view, trigger, routine or event is its `owner`; the session's character set when it was made is not compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    UNREADABLE_GRANTS,
    CatalogObject,
    ForeignKey,
    Grant,
    Options,
    Routine,
    SequenceOptions,
    Table,
    Trigger,
    Unmanaged,
    View,
)
from dbops.catalog.model import (
    Sequence as CatalogSequence,
)
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope, restrict
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row
from dbops.engines.mysql.connect import FOUR_BYTES, MysqlConnection, our_sql_mode, quoted
from dbops.engines.mysql.errors import NO_SUCH_TABLE, number_of
from dbops.engines.mysql.events import read_event
from dbops.engines.mysql.flavour import Flavour, flavour_of
from dbops.engines.mysql.grant_acts import database_object, place_of
from dbops.engines.mysql.grant_tables import TABLES, GrantRows, fetch_grants, granted
from dbops.engines.mysql.grants import DATABASE, Place
from dbops.engines.mysql.qualifiers import turned_back, without_qualifier
from dbops.engines.mysql.raw_text import is_marked, readable, unconverted
from dbops.engines.mysql.show_create import Reader, literal_text
from dbops.engines.mysql.tokens import tokens, unquoted, without_comments, words
from dbops.errors import QueryError

STATE_PREFIX = "dbops_"
_ONLY_READS = 1792
_GONE = frozenset({NO_SUCH_TABLE, 1305, 1360, 1539})  # also: no such routine, trigger, event

_TABLES = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
_VIEWS = """
SELECT table_name, view_definition, check_option, definer, security_type
FROM information_schema.views WHERE table_schema = DATABASE()"""
_TRIGGERS = """
SELECT trigger_name, event_object_table, action_timing, event_manipulation, action_order, definer, sql_mode
FROM information_schema.triggers WHERE trigger_schema = DATABASE()
ORDER BY event_object_table, action_timing, event_manipulation, action_order"""
_ROUTINES = """
SELECT routine_name, routine_type, definer, sql_mode, external_language
FROM information_schema.routines WHERE routine_schema = DATABASE() ORDER BY routine_type, routine_name"""
_EVENTS = """
SELECT event_name, definer, event_type, execute_at, interval_value, interval_field, starts, ends, status,
       on_completion, event_comment, created, sql_mode, time_zone
FROM information_schema.events WHERE event_schema = DATABASE() ORDER BY event_name"""
_COLLATIONS = "SELECT character_set_name, collation_name FROM information_schema.collations WHERE is_default = 'Yes'"
_DATABASE = "SELECT @@character_set_database, @@collation_database"


@dataclass(frozen=True, slots=True)
class Texts:
    """Everything the server says about a database, unread: what `fingerprint` hashes and `inspect` reads."""

    database: Row
    collations: tuple[Row, ...]
    tables: tuple[str, ...]
    sequences: tuple[str, ...]
    views: tuple[Row, ...]
    triggers: tuple[Row, ...]
    routines: tuple[tuple[Row, str | None], ...]
    events: tuple[Row, ...]
    strange: tuple[Row, ...]
    grants: GrantRows | None = None


def fetch(conn: MysqlConnection) -> Texts:
    """Ask for everything. A table dropped between the list and its SHOW CREATE makes it ask again, three times at most."""
    for attempt in range(3):
        try:
            return _fetch(conn)
        except QueryError as error:
            if conn.is_readonly and number_of(error) == _ONLY_READS:
                with conn.opening_views():
                    return _fetch(conn)
            if attempt == 2 or number_of(error) not in _GONE:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _fetch(conn: MysqlConnection) -> Texts:
    asked = conn.query_each([_DATABASE, _COLLATIONS, _TABLES, _VIEWS, _TRIGGERS, _ROUTINES, _EVENTS])
    database, collations, listed, view_rows, triggers, routines, events = asked
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, kind in listed:
        if not name.lower().startswith(STATE_PREFIX):
            names[kind].append(name)
    tables = sorted([*names.pop("BASE TABLE", []), *names.pop("SYSTEM VERSIONED", [])])
    sequences, view_names = sorted(names.pop("SEQUENCE", [])), sorted(names.pop("VIEW", []))
    questions = [f"SHOW CREATE TABLE {quoted(name)}" for name in tables]
    questions += [f"SHOW CREATE SEQUENCE {quoted(name)}" for name in sequences]
    questions += [f"SHOW CREATE {row[1]} {quoted(row[0])}" for row in routines if row[1] in ("FUNCTION", "PROCEDURE")]
    questions += [f"SHOW CREATE VIEW {quoted(name)}" for name in view_names]
    triggers = [row for row in triggers if not row[1].lower().startswith(STATE_PREFIX)]
    questions += [f"SHOW CREATE TRIGGER {quoted(row[0])}" for row in triggers]
    questions += [f"SHOW CREATE EVENT {quoted(row[0])}" for row in events]
    answers = iter(conn.query_each(questions))

    def text(column: int) -> str | None:
        found: str | None = next(answers)[0][column]
        return None if found is None else readable(found)

    table_texts = tuple(readable(next(answers)[0][1]) for _ in tables)
    sequence_texts = tuple(next(answers)[0][1] for _ in sequences)
    routine_texts = tuple((row, text(2) if row[1] in ("FUNCTION", "PROCEDURE") else None) for row in routines)
    view_answers = {name: next(answers)[0] for name in view_names}
    view_texts = {name: readable(answer[1]) for name, answer in view_answers.items()} | _unconverted_views(conn, view_answers)
    trigger_rows = tuple((*row, text(2)) for row in triggers)
    event_rows = tuple((*row, text(3)) for row in events)
    return Texts(
        database=database[0],
        collations=tuple(collations),
        tables=table_texts,
        sequences=sequence_texts,
        views=tuple((*row, view_texts[row[0]]) for row in sorted(view_rows) if row[0] in view_texts),
        triggers=trigger_rows,
        routines=routine_texts,
        events=event_rows,
        strange=tuple((kind, name) for kind, several in names.items() for name in several),
        grants=fetch_grants(conn) if conn.ledger is None else None,
    )


def _unconverted_views(conn: MysqlConnection, answers: Mapping[str, Row]) -> dict[str, str]:
    """Read views with literals of other character sets again in that of their authors, into which nothing is converted."""
    marked: defaultdict[str, list[str]] = defaultdict(list)
    for name, (_, text, charset, *_) in answers.items():
        if text is not None and is_marked(text):
            marked[charset].append(name)
    found: dict[str, str] = {}
    for charset, names in marked.items():
        conn.execute(f"SET SESSION character_set_results = {charset}")
        try:
            again = conn.query_each([f"SHOW CREATE VIEW {quoted(name)}" for name in names])
        finally:
            conn.execute(f"SET SESSION character_set_results = {FOUR_BYTES}")
        texts = {name: unconverted(rows[0][1], charset) for name, rows in zip(names, again, strict=True)}
        found |= {name: text for name, text in texts.items() if text is not None}
    return found


def inspect(conn: MysqlConnection, scope: Scope = Scope(), *, declared: bool = False) -> Catalog:  # noqa: B008  frozen
    """Read the whole managed catalog; see the port."""
    return restrict(_Reading(_unplaced(_at_home(fetch(conn), conn), conn), conn, declared).catalog(), scope)


def _at_home(texts: Texts, conn: MysqlConnection) -> Texts:
    """Let texts of a backup that is tried out name the database that it is of."""
    name = conn.came_from
    if name is None:
        return texts
    turned = {
        what: turned_back(getattr(texts, what), conn.database, name)
        for what in ("tables", "sequences", "views", "triggers", "routines", "events")
    }
    return replace(texts, **turned)


_PLACE = re.compile(r" (?P<kind>DATA|INDEX) DIRECTORY ?= ?'(?:[^'\\]|\\.|'')*'|'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`", re.DOTALL)


def _unplaced(texts: Texts, conn: MysqlConnection) -> Texts:
    """Leave out the folders that tables and partitions have of their own, where the session says so."""
    if conn.placed is None:
        return texts
    tables = tuple(_PLACE.sub(lambda found: "" if found["kind"] else found[0], text) for text in texts.tables)
    for before, text in zip(texts.tables, tables, strict=True):
        if text != before and (found := re.search(_NAME, before)):
            conn.placed.add(unquoted(found[0]))
    return replace(texts, tables=tables)


class _Reading:
    """Turns texts into a catalog."""

    def __init__(self, texts: Texts, conn: MysqlConnection, declared: bool) -> None:
        self.texts = texts
        self.database = conn.came_from or conn.database
        self.conn = conn
        self.parked = conn.parked_events or {}
        self.accounts = (conn.account, conn.server.user)
        self.declared = declared
        self.flavour: Flavour = flavour_of(conn.server)
        self.needs: dict[Ref, set[Ref]] = {}
        self.usual_mode = our_sql_mode(conn.server_sql_mode)

    def catalog(self) -> Catalog:
        texts = self.texts
        reader = Reader(self.flavour, self.database, {str(charset): str(name) for charset, name in texts.collations})
        objects: list[CatalogObject] = [item for text in texts.tables for item in reader.read(text)]
        objects += [self._sequence(text) for text in texts.sequences]
        objects += self._routines()
        objects += [self._view(row) for row in texts.views]
        objects += [self._trigger(row) for row in texts.triggers]
        objects += [
            read_event(
                row,
                self._mode(row[12]),
                owner=self._owner(row[1]),
                parked=self.parked.get(row[0]),
                database=self.database,
                begun=row[0] in self.conn.begun_events,
            )
            for row in texts.events
        ]
        objects = self._with_grants(objects)
        self._dependencies(objects)
        charset, collation = texts.database
        return Catalog.of(
            objects, self.needs, self._unmanaged(objects), (("character_set", str(charset)), ("collation", str(collation)))
        )

    def _with_grants(self, objects: list[CatalogObject]) -> list[CatalogObject]:
        """Add who may do what; of a scratch session, what it was told."""
        ledger, patterns = self.conn.ledger, {}
        if ledger is not None:
            by_place = {place: ledger.grants(place) for place in ledger.said}
        elif self.texts.grants is not None:
            found = granted(self.texts.grants, self.conn)
            by_place = dict(found.by_place)
            patterns = {who: pattern for who, pattern in found.patterns.items() if pattern != self.database}
        else:
            return objects
        if not by_place:
            return objects
        result = [self._granted(item, by_place) for item in objects]
        on_database = by_place.get(DATABASE)
        return [*result, database_object(on_database, patterns)] if on_database else result

    def _granted(self, item: CatalogObject, by_place: Mapping[Place, tuple[Grant, ...] | None]) -> CatalogObject:
        """A column that is gone may have left grants."""
        place = place_of(item)
        grants = by_place.get(place) if place else None
        if grants and isinstance(item, Table):
            grants = tuple(grant for grant in grants if not grant.column or item.column(grant.column))
        return replace(item, grants=grants) if grants else item

    def _owner(self, definer: str | None) -> str | None:
        return None if not definer or (self.declared and definer in self.accounts) else definer

    def _mode(self, mode: str | None) -> Options:
        """The sql_mode an object runs under, said where it is not the one our sessions have on this server."""
        return () if mode == self.usual_mode else (("sql_mode", mode or ""),)

    def _own(self, text: str) -> str:
        return without_qualifier(text, self.database)

    def _sequence(self, text: str) -> CatalogSequence:
        """`CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 9 increment by 1 cache 1000 nocycle ENGINE=InnoDB`."""
        match = re.match(r"CREATE SEQUENCE `((?:[^`]|``)+)`(?: as ([\w ]+?))? start with", text)
        if match is None:
            raise QueryError(f"cannot read a sequence: {text}")

        def number(words: str) -> int:
            found = re.search(rf" {words} (-?\d+)", text)
            return int(found[1]) if found else 0

        engine = re.search(r" ENGINE=(\w+)", text)
        comment = re.search(r" COMMENT=('(?:[^'\\]|\\.|'')*')", text)
        return CatalogSequence(
            name=match[1].replace("``", "`"),
            comment=literal_text(comment[1]) if comment else None,
            numbers=SequenceOptions(
                data_type=match[2] or "bigint",
                start=number("start with"),
                increment=number("increment by"),
                minimum=number("minvalue"),
                maximum=number("maxvalue"),
                cache=number("cache"),
                cycle=" nocycle" not in text,
            ),
            options=(("engine", engine[1]),) if engine else (),
        )

    def _view(self, row: Row) -> View:
        """SHOW CREATE VIEW has the text whole (information_schema leaves out character set introducers, MariaDB 10.11)."""
        name, qualified, check_option, definer, security, text = row
        head = _VIEW_HEAD.match(text)
        if head is None:
            raise QueryError(f"cannot read view {name!r}: {text}")
        definition = text[head.end() :]
        options: list[tuple[str, str]] = []
        if head["algorithm"] != "UNDEFINED":
            options.append(("algorithm", head["algorithm"]))
        if check_option not in ("NONE", "", None):
            options.append(("check_option", check_option))
            definition = definition.removesuffix(f" WITH {check_option} CHECK OPTION")
        if head["columns"]:
            options.append(("columns", head["columns"]))
        if security == "INVOKER":
            options.append(("security", security))
        view = View(name=name, definition=self._own(definition), owner=self._owner(definer), options=tuple(options))
        self._needs_of(view, qualified or "")
        return view

    def _needs_of(self, view: View, definition: str) -> None:
        """What a view needs: the server qualifies every table with its database, so the text names them exactly."""
        self.needs[view.ref] = {Ref("?", "", name) for name in _mentioned(definition, self.database)}

    def _trigger(self, row: Row) -> Trigger:
        """SHOW CREATE TRIGGER has the body as it was written: information_schema takes its strings apart, and loses characters
        beyond three bytes and introducers (MariaDB 10.11, MySQL 9.7). The same goes for events.
        """
        name, table, timing, event, order, definer, mode, text = row
        head, body = f"{timing} {event}", _trigger_body(text)
        return Trigger(
            parent=table,
            name=name,
            definition=f"{head} {self._own(without_comments(body).lstrip())}",
            spelling=f"{head} {self._own(body)}",
            order=int(order or 0),
            owner=self._owner(definer),
            options=(("event", event), *self._mode(mode), ("timing", timing)),
        )

    def _routines(self) -> Iterable[Routine]:
        """Functions and procedures have names of their own kinds: a procedure that shares its name says so in it."""
        functions = {row[0] for row, _ in self.texts.routines if row[1] == "FUNCTION"}
        for row, text in self.texts.routines:
            name, kind, definer, mode, language = row
            if text is None:
                continue
            head = _ROUTINE_HEAD.match(text)
            if head is None:
                raise QueryError(f"cannot read {kind.lower()} {name!r}: {text}")
            rest = self._own(text[head.end() :])
            aggregate = (("aggregate", ""),) if head["aggregate"] else ()
            clash = kind == "PROCEDURE" and name in functions
            yield Routine(
                name=f"{name}(procedure)" if clash else name,
                flavour=kind.lower(),
                signature=rest[: _signature_end(rest)],
                definition=without_comments(rest),
                spelling=rest,
                language=(language or "SQL").lower(),
                owner=self._owner(definer),
                options=(*aggregate, *self._mode(mode)),
            )

    def _dependencies(self, objects: Sequence[CatalogObject]) -> None:
        """Give the names views mention their kinds, and add what tables need."""
        kinds = {item.name: item.ref for item in objects if not item.parent and item.kind in ("table", "view", "sequence")}
        routines = {item.name: item.ref for item in objects if isinstance(item, Routine)}
        for ref, needed in self.needs.items():
            found = {kinds.get(name.name) or routines.get(name.name) for name in needed}
            self.needs[ref] = {need for need in found if need is not None and need != ref}
        for item in objects:
            if isinstance(item, ForeignKey) and not item.references.schema:
                self.needs[item.ref] = {item.references}
            elif isinstance(item, Table):
                sequences = {name for column in item.columns for name in _next_values(column.default)}
                if sequences:
                    self.needs[item.ref] = {Ref("sequence", "", name) for name in sequences}

    def _unmanaged(self, objects: Sequence[CatalogObject]) -> list[Unmanaged]:
        strange = [
            Unmanaged(str(kind).lower(), str(name), "dbops does not know this kind of table") for kind, name in self.texts.strange
        ]
        for row, text in self.texts.routines:
            if row[1] not in ("FUNCTION", "PROCEDURE"):
                strange.append(Unmanaged(str(row[1]).lower(), str(row[0]), "packages are not managed"))
            elif text is None:
                strange.append(Unmanaged(str(row[1]).lower(), str(row[0]), "the account may not read its body"))
        if self.conn.ledger is None and self.texts.grants is None:
            listed = ", ".join(f"mysql.{table}" for table in TABLES)
            strange.append(
                Unmanaged(UNREADABLE_GRANTS, self.database, f"the account may not read {listed}: grant it SELECT on each")
            )
        strange += [
            Unmanaged("view", item.name, "the account may not read its definition: grant it SHOW VIEW")
            for item in objects
            if isinstance(item, View) and not item.definition
        ]
        return strange


_ANY_NAME = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\")"  # written as the routine's own sql_mode quotes names
_ROUTINE_HEAD = re.compile(
    rf"CREATE (?:DEFINER={_ANY_NAME}(?:@{_ANY_NAME})? )?(?P<aggregate>AGGREGATE )?(?:FUNCTION|PROCEDURE) {_ANY_NAME}"
)
_NAME = r"`(?:[^`]|``)*`"
_VIEW_HEAD = re.compile(
    rf"CREATE ALGORITHM=(?P<algorithm>\w+) DEFINER={_NAME}(?:@{_NAME})? SQL SECURITY \w+ VIEW (?:{_NAME}\.)?{_NAME}"
    rf"(?: \((?P<columns>{_NAME}(?:,{_NAME})*)\))? AS "
)


def _trigger_body(text: str) -> str:
    """What stands behind FOR EACH ROW and the place among other triggers, which the server does not keep."""
    found = list(words(text))
    place = next(i for i, token in enumerate(found) if [t.upper for t in found[i : i + 3]] == ["FOR", "EACH", "ROW"])
    return text[found[place + 2].start + len("ROW") :].lstrip()


def _next_values(default: str | None) -> list[str]:
    if not default or ("nextval" not in default and "lastval" not in default):
        return []
    return [unquoted(name) for name in re.findall(r"(?:nextval|lastval)\((?:`[^`]+`\.)?(`[^`]+`)\)", default)]


def _mentioned(definition: str, database: str) -> set[str]:
    """Names that stand behind the database's own name, and names that are called."""
    found = [token for token in tokens(definition) if token.kind != "space"]
    names: set[str] = set()
    for place, token in enumerate(found):
        if token.kind != "name":
            continue
        before = found[place - 2 : place] if place >= 2 else []
        is_qualified = [part.text for part in before[1:]] == ["."] and before[0].identifier == database
        is_called = place + 1 < len(found) and found[place + 1].text == "("
        if is_qualified or is_called:
            names.add(unquoted(token.text))
    return names


def _signature_end(rest: str) -> int:
    """Where parameters and result type of a routine end: at the first line of its characteristics or body."""
    end = rest.find("\n")
    return len(rest) if end < 0 else end


def options_of(item: CatalogObject) -> dict[str, str]:
    """Return the options of an object that has some."""
    options: Options = getattr(item, "options", ())
    return dict(options)
