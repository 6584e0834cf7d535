"""The server's own text of an EXCLUDE constraint, taken apart: what is compared, by which operators, and of which rows."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.dataclass import dataclass
from dbops.sql.dialect import POSTGRESQL
from dbops.sql.tokens import Token, tokens


@dataclass(frozen=True, slots=True)
class Parts:
    """`elements` are expressions with their operators; `predicate` is empty where all rows count."""

    elements: tuple[tuple[str, str], ...]
    predicate: str


def parsed(definition: str) -> Parts | None:
    """Return the parts of an exclusion; None for a text that is not as the server writes it (pg_get_constraintdef)."""
    groups = list(_groups(definition))
    place = next((place for place, (head, _) in enumerate(groups) if head[:2] == ["exclude", "using"]), None)
    if place is None:
        return None
    elements = [_element(part) for part in _split(groups[place][1])]
    found = tuple(element for element in elements if element is not None)
    predicate = next((inner for head, inner in groups[place + 1 :] if head[-1:] == ["where"]), "")
    return Parts(found, predicate) if found and len(found) == len(elements) else None


def _groups(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield what stands in parentheses, with the words in front."""
    head: list[str] = []
    depth, start = 0, 0
    for token in tokens(text, POSTGRESQL):
        if token.text == "(":
            depth += 1
            start = token.offset + 1 if depth == 1 else start
        elif token.text == ")":
            depth -= 1
            if depth == 0:
                yield head, text[start : token.offset]
                head = []
        elif depth == 0:
            head.append(token.text.lower())


def _split(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for token in tokens(text, POSTGRESQL):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            yield text[start : token.offset]
            start = token.offset + 1
    yield text[start:]


def _element(text: str) -> tuple[str, str] | None:
    """Return an expression and its operator; a class of operators between them says nothing that the operator does not."""
    found = list(tokens(text, POSTGRESQL))
    depths, depth = [], 0
    for token in found:
        depth -= token.text == ")"
        depths.append(depth)
        depth += token.text == "("
    last = max((at for at, token in enumerate(found) if depths[at] == 0 and token.text.upper() == "WITH"), default=0)
    if not 0 < last < len(found) - 1:
        return None
    end = _end_of_expression(found[:last], depths)
    expression, rest = text[: _after(found[end - 1])].strip(), found[end:last]
    if rest and rest[0].text.upper() == "COLLATE":
        named = 4 if [token.text for token in rest[2:3]] == ["."] else 2
        expression = f"{expression} {text[rest[0].offset : _after(rest[named - 1])]}"
    return expression, text[found[last + 1].offset :].strip()


def _end_of_expression(found: list[Token], depths: list[int]) -> int:
    """Return the place behind a name, a call, or what stands in parentheses."""
    end = 0
    while found[end].text != "(" and end + 1 < len(found) and found[end + 1].text == ".":
        end += 2
    if found[end].text != "(" and (end + 1 == len(found) or found[end + 1].text != "("):
        return end + 1
    opened = end if found[end].text == "(" else end + 1
    return next(at for at in range(opened, len(found)) if found[at].text == ")" and depths[at] == depths[opened]) + 1


def _after(token: Token) -> int:
    return token.offset + len(token.text)
