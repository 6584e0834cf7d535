"""Text without passwords: what may be shown of SQL, URLs and messages that may hold them.

Where it is unclear how far a password reaches, more goes rather than less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

MASK = "***"

_GAP = r"(?:\s|/\*.*?\*/|--[^\n]*\n)*"
_NAME = r"(?:passwords?|passwd|passphrase|pwd)"
# A literal may stand inside another string, its quotes doubled; in a text cut short it may lack its end.
_NESTED = r"''(?:[^'\\]|\\''|\\.)+''|\\'(?:[^'\\]|\\[^'])*\\'"
_SINGLE = r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*(?:'|\\?\Z)"
_DOUBLE = r'"[^"\\]*+(?:(?:""|\\.)[^"\\]*+)*(?:"|\\?\Z)'
_DOLLAR = r"(?P<tag>\$\w*\$).*?(?:(?P=tag)|\Z)"
_LITERAL = rf"(?:(?:[eEnN]|[uU]&|_\w+\s*)?(?P<quoted>{_NESTED}|{_SINGLE}|{_DOUBLE})|{_DOLLAR})"
# Without quotes: up to a blank that no backslash protects, or a quote that ends the string around.
_BARE = rf"(?!{re.escape(MASK)})(?:\\.|'(?=\w)|[^\s'\"`\\])+"


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Return what finds passwords, in the order of masking; compiled when the first text may show one."""
    # scheme://user:password@host; the last @ ends the password, which may hold some itself.
    url = re.compile(r"(?P<keep>://[^\s:/?#@'\"`]*:)\S*(?=@)")
    query = re.compile(rf"(?P<keep>[?&]\w*(?:{_NAME}|secret|token)\w*=)(?:'(?=\w)|[^&\s'\"`#])+", re.IGNORECASE)
    # PASSWORD 'x', ('x'), "password": "x", OPTIONS (password 'x'), IDENTIFIED [WITH plugin] BY | AS | USING 'x'; PRAGMA key
    clause = re.compile(
        rf"(?P<keep>{_NAME}[\"'`]?{_GAP}[:(]?{_GAP}"
        rf"|\bIDENTIFIED\b{_GAP}(?:(?:WITH|VIA)\b{_GAP}[\w'\"`]+{_GAP})?(?:BY|AS|USING)\b{_GAP}"
        rf"|\bOR\b{_GAP}\w+{_GAP}(?:AS|USING)\b{_GAP}"
        rf"|\bPRAGMA{_GAP}(?:hex)?(?:re)?key{_GAP}[=(]{_GAP}){_LITERAL}",
        re.IGNORECASE | re.DOTALL,
    )
    # IDENTIFIED BY 'new' REPLACE 'old', once the first is masked; SET PASSWORD FOR user = 'x'
    second = re.compile(
        rf"(?P<keep>'{re.escape(MASK)}'{_GAP}REPLACE{_GAP}|\bSET{_GAP}PASSWORD{_GAP}FOR\b[^=;]*={_GAP}){_LITERAL}",
        re.IGNORECASE | re.DOTALL,
    )
    # password=x of libpq, --password=x, PGPASSWORD=x, MASTER_PASSWORD='x', SET PASSWORD = 'x'
    assignment = re.compile(rf"(?P<keep>{_NAME}[\"'`]?{_GAP}:?=>?{_GAP})(?:{_LITERAL}|{_BARE})", re.IGNORECASE | re.DOTALL)
    return url, query, clause, second, assignment


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with `***` in place of every password it shows, and of each of `secrets` however it is spelled."""
    if secrets:
        for secret in sorted(_spellings(secrets), key=len, reverse=True):
            text = text.replace(secret, MASK)
    if not _may_show(text):
        return text
    for pattern in _patterns():
        text = pattern.sub(_masked, text)
    return text


#: In lower case; every pattern needs one of them, or a bare `or`.
_WORDS = ("passw", "passphrase", "pwd", "identified", "://", "secret", "token", "pragma", MASK)
_OR = re.compile(r"\bor\b")


def _may_show(text: str) -> bool:
    if not text.isascii():
        return True  # the patterns take some letters for others: the long s, the Kelvin sign
    lower = text.lower()
    for word in _WORDS:  # every statement that is shown or kept comes by, and any() makes a generator for each
        if word in lower:
            return True
    return "or" in lower and _OR.search(lower) is not None


def shows_password(text: str) -> bool:
    """Tell whether a text holds something that `redact` would take out."""
    return redact(text) != text


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Return the secrets as they are, as URLs write them, and as strings of SQL, JSON and libpq do."""
    spellings: set[str] = set()
    for secret in secrets:
        from urllib.parse import quote, quote_plus

        escaped = secret.replace("\\", "\\\\")
        spellings |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), secret.replace("'", "''")}
        spellings |= {escaped, escaped.replace("'", "\\'"), escaped.replace("'", "''"), escaped.replace('"', '\\"')}
    return spellings - {""}


def _masked(found: re.Match[str]) -> str:
    """Return what precedes the password and the mask, in the password's own quotes."""
    opening = re.match(r"''|\\'|['\"]", found.groupdict().get("quoted") or "")
    quote = opening[0] if opening and found["quoted"] != "''" else "'" if opening else ""
    return f"{found['keep']}{quote}{MASK}{quote}"
