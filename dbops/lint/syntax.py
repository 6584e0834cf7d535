"""What can be called an error without a grammar: only what no version of the engine takes.

A statement that is read as nothing known is no error; one whose first words no statement of the engine begins with is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from difflib import get_close_matches

from dbops.lint.facts import Fact, Other
from dbops.lint.reading import MODIFIERS, kind_of
from dbops.lint.rule import Hit
from dbops.sql.dialect import Dialect
from dbops.sql.keywords import words
from dbops.sql.reader import Reader
from dbops.sql.tokens import Token

#: First words of statements: PostgreSQL 18 manual, SQL Commands; MySQL 9 manual, SQL Statements, with MariaDB's; SQLite's
#: lang.html.
_VERBS = {
    "postgresql": words("""
    ABORT ALTER ANALYZE ANALYSE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE
    DISCARD DO DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT LISTEN LOAD LOCK MERGE MOVE NOTIFY PREPARE REASSIGN
    REFRESH REINDEX RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW START TABLE TRUNCATE UNLISTEN UPDATE
    VACUUM VALUES WITH WAIT REPACK
"""),
    "mysql": words("""
    ALTER ANALYZE BACKUP BEGIN BINLOG CACHE CALL CASE CHANGE CHECK CHECKSUM CLONE CLOSE COMMIT CREATE DEALLOCATE DECLARE
    DELETE DESC DESCRIBE DO DROP EXECUTE EXPLAIN FETCH FLUSH FOR GET GRANT HANDLER HELP IF IMPORT INSERT INSTALL ITERATE
    KILL LEAVE LOAD LOCK LOOP OPEN OPTIMIZE PREPARE PURGE RELEASE RENAME REPAIR REPEAT REPLACE RESET RESIGNAL RESTART
    RETURN REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW SHUTDOWN SIGNAL START STOP TABLE TRUNCATE UNINSTALL UNLOCK UPDATE USE
    VALUES WHILE WITH XA DELIMITER END ELSE ELSEIF
"""),
    "sqlite": words("""
    ALTER ANALYZE ATTACH BEGIN COMMIT CREATE DELETE DETACH DROP END EXPLAIN INSERT PRAGMA REINDEX RELEASE REPLACE ROLLBACK
    SAVEPOINT SELECT UPDATE VACUUM VALUES WITH
"""),
}


def wrong(found: Sequence[Token], fact: Fact, dialect: Dialect) -> list[Hit]:
    """Return what is certainly wrong with the statement of these tokens, at most one place."""
    if not found or found[0].kind != "word" or is_template(found):
        return []
    for hit in (_first_word(found, dialect), _kind(fact, found, dialect), _parentheses(found), _commas(found)):
        if hit is not None:
            return [hit]
    return []


def is_template(found: Sequence[Token]) -> bool:
    """Return whether the text is filled in by another program first: `{{ name }}`, `${name}`, `<% name %>`."""
    pairs = itertools.pairwise(found)
    return any(
        (a.kind == b.kind == "symbol" and (a.text, b.text) in (("{", "{"), ("$", "{"), ("{", "%"), ("<", "%"), ("{", "$")))
        or a.text in ("<%", "%}")
        for a, b in pairs
    )


def _first_word(found: Sequence[Token], dialect: Dialect) -> Hit | None:
    word = found[0].text.upper()
    is_label = dialect.name == "mysql" and len(found) > 1 and found[1].text == ":"
    known = _VERBS[dialect.name]
    if word in known or is_label:
        return None
    near = get_close_matches(word, known, 1, 0.7)
    hint = f"; did you mean {near[0]}?" if near else ""
    return Hit(found[0].offset, f"no {_TITLES[dialect.name]} statement begins with {found[0].text}{hint}")


_TITLES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "sqlite": "SQLite"}
_NEAR = sorted(words("TABLE INDEX VIEW SEQUENCE TYPE DOMAIN FUNCTION PROCEDURE TRIGGER SCHEMA DATABASE EXTENSION POLICY"))


def _kind(fact: Fact, found: Sequence[Token], dialect: Dialect) -> Hit | None:
    """CREATE, ALTER or DROP of a kind that is a slip of the pen for one there is."""
    if not isinstance(fact, Other) or found[0].text.upper() not in ("CREATE", "ALTER", "DROP"):
        return None
    reader = Reader(found, dialect)
    reader.word()
    while reader.at < len(found) and reader.peek() in MODIFIERS:
        reader.word()
    if reader.at >= len(found) or found[reader.at].kind != "word" or kind_of(reader):
        return None
    token = found[reader.at]
    near = get_close_matches(token.text.upper(), _NEAR, 1, 0.75)
    return Hit(token.offset, f"{found[0].text.upper()} {token.text} is unknown; did you mean {near[0]}?") if near else None


def _parentheses(found: Sequence[Token]) -> Hit | None:
    opened: list[Token] = []
    for token in found:
        if token.text == "(":
            opened.append(token)
        elif token.text == ")":
            if not opened:
                return Hit(token.offset, "this parenthesis closes nothing")
            opened.pop()
    return Hit(opened[-1].offset, "this parenthesis is never closed") if opened else None


def _commas(found: Sequence[Token]) -> Hit | None:
    """A comma with nothing behind it, where a list of definitions ends."""
    if [token.text.upper() for token in found[:2]] not in (["CREATE", "TABLE"], ["ALTER", "TABLE"]):
        return None
    for token, following in zip(found, [*found[1:], None], strict=True):
        if token.text == "," and (following is None or following.text in (")", ",")):
            return Hit(token.offset, "nothing stands behind this comma")
    return None
