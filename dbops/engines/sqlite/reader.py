"""Walking through the tokens of a statement."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.sqlite.tokens import Token

_END = Token("symbol", "", False, 0, 0)


class Unreadable(Exception):
    """A statement is not built as expected; the message says what was met."""


class Reader:
    """A place in a list of tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at: int = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    @property
    def following(self) -> Token:
        return self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else _END

    @property
    def is_done(self) -> bool:
        return self.at >= len(self.tokens)

    def take(self, *words: str) -> bool:
        """Move past `words` when they stand here."""
        place = self.at
        for word in words:
            if place >= len(self.tokens):
                return False
            token = self.tokens[place]
            if token.word != word and token.text != word:
                return False
            place += 1
        self.at = place
        return True

    def must(self, *words: str) -> None:
        if not self.take(*words):
            raise Unreadable(f"expected {' '.join(words)}, found {self.token.text!r}")

    def name(self) -> str:
        token = self.token
        if not token.is_name:
            raise Unreadable(f"expected a name, found {token.text!r}")
        self.at += 1
        return token.name

    def group(self) -> Sequence[Token]:
        """Move past a parenthesis and return what it holds."""
        self.must("(")
        start, depth = self.at, 1
        for at in range(start, len(self.tokens)):
            text = self.tokens[at].text
            if text == "(":
                depth += 1
            elif text == ")":
                depth -= 1
                if not depth:
                    self.at = at + 1
                    return self.tokens[start:at]
        raise Unreadable("a parenthesis is not closed")

    def rest(self) -> Sequence[Token]:
        """Return what is left, and go to the end."""
        start, self.at = self.at, len(self.tokens)
        return self.tokens[start:]


def split_commas(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """Divide at the commas outside parentheses."""
    parts: list[Sequence[Token]] = []
    depth = start = 0
    for at, token in enumerate(tokens):
        if token.kind != "symbol":
            continue
        text = token.text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
        elif text == "," and not depth:
            parts.append(tokens[start:at])
            start = at + 1
    return [*parts, tokens[start:]] if tokens else []


def created_name(tokens: Sequence[Token], kind: str) -> tuple[Token, Reader]:
    """Return the token with the name in `CREATE ... kind name`, and a reader behind it."""
    reader = Reader(tokens)
    reader.must("CREATE")
    for word in ("TEMP", "TEMPORARY", "UNIQUE", "VIRTUAL"):
        reader.take(word)
    reader.must(kind)
    reader.take("IF", "NOT", "EXISTS")
    if reader.following.text == ".":
        reader.at += 2
    token = reader.token
    reader.name()
    return token, reader
