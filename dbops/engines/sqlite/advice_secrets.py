"""The rule about columns whose names say that they hold secrets, in a file that anybody who copies it can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dbops.engines.base.advice import Finding, Rule
from dbops.engines.sqlite.connect import SqliteConnection

SECRETS = Rule(
    "LT-SEC-003",
    "warning",
    "object",
    "a column that seems to hold secrets or personal numbers in a file without encryption",
    "",
    "keep a hash of passwords, encrypt the others in the program or the disk, or leave them out; rename what is none",
)
#: Names as words: `user_password`, `apiKey`, `CARD_NUMBER`.
_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|pwd|secret|client_secret|api_key|apikey|private_key|access_token|refresh_token|auth_token"
    r"|session_token|ssn|social_security(?:_number|_no)?|credit_card(?:_number|_no)?|card_number|cvv|cvc|iban|passport(?:_number|_no)?"
    r"|tax_id)$"
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s-]+")
_TEXT = ("CHAR", "CLOB", "TEXT", "BLOB")
_COLUMNS = """
SELECT l.name, c.name, c.type FROM pragma_table_list AS l, pragma_table_xinfo(l.name) AS c
WHERE l.schema = 'main' AND l.type = 'table' AND c.hidden <> 1 AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND l.name NOT LIKE 'dbops\\_%' ESCAPE '\\' ORDER BY 1, c.cid"""


def secrets(conn: SqliteConnection, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """Yield columns that take text and whose last words name a secret: `password_hash` and `token_count` are none."""
    for table, column, declared in conn.query(_COLUMNS):
        takes_text = not declared or any(word in str(declared).upper() for word in _TEXT)
        if takes_text and _SECRET.search(_WORDS.sub("_", str(column)).lower()):
            yield Finding(f"{table}.{column}", f"{declared or 'any type'}, readable in every copy of the file")
