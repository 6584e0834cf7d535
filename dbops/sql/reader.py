"""A statement's tokens read from left to right: words, dotted names, groups in parentheses."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.sql.dialect import Dialect
from dbops.sql.segments import closing_of, segments
from dbops.sql.tokens import Token

_FILLERS = frozenset(["IF", "NOT", "EXISTS", "ONLY", "CONCURRENTLY"])


class Reader:
    """Tokens of one statement, comments left out, read from left to right; `at` is the index of the next."""

    def __init__(self, found: Sequence[Token], dialect: Dialect) -> None:
        self.tokens: Sequence[Token] = found
        self.at: int = 0
        self.dialect: Dialect = dialect

    @property
    def end(self) -> int:
        last = self.tokens[-1]
        return last.offset + len(last.text)

    def word(self) -> str:
        """Return the next token in upper case and move past it; empty at the end."""
        self.at += 1
        return self.tokens[self.at - 1].text.upper() if self.at <= len(self.tokens) else ""

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].text.upper() if place < len(self.tokens) else ""

    def skip_fillers(self) -> None:
        while self.peek() in _FILLERS:
            self.at += 1

    def seek(self, *words: str) -> bool:
        """Move past the next of `words` outside parentheses; stay and return False when there is none."""
        depth = 0
        for place in range(self.at, len(self.tokens)):
            text = self.tokens[place].text.upper()
            depth += (text == "(") - (text == ")")
            if not depth and text in words:
                self.at = place + 1
                return True
        return False

    def name(self) -> tuple[str, ...]:
        """Read a dotted name."""
        parts = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind in ("word", "name", "string"):
            parts.append(unquoted(self.tokens[self.at], self.dialect))
            self.at += 1
            if self.peek() != ".":
                break
            self.at += 1
        return tuple(parts)

    def qualified(self) -> tuple[str, str]:
        parts = self.name()
        return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")

    def parenthesised(self) -> tuple[Token, ...]:
        """Read a group in parentheses, which are left out; nothing when none stands here."""
        if self.peek() != "(":
            return ()
        closing = closing_of(self.tokens, self.at)
        inside = tuple(self.tokens[self.at + 1 : closing])
        self.at = closing + 1
        return inside

    def next_columns(self) -> tuple[str, ...]:
        """Read the next list of columns; what is no plain name is left out."""
        while self.at < len(self.tokens) and self.peek() != "(":
            self.at += 1
        return tuple(
            unquoted(part.tokens[0], self.dialect)
            for part in segments(self.parenthesised())
            if part.tokens[0].kind in ("word", "name")
        )


def unquoted(token: Token, dialect: Dialect) -> str:
    """Return the name that a token spells; bare names fold where the engine folds them."""
    if token.kind == "word":
        return token.text.lower() if dialect.caseless_words is None else token.text
    closing = "]" if token.text[0] == "[" else token.text[0]
    return token.text[1:-1].replace(closing * 2, closing)
