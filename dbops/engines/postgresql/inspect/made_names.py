"""Names that the server chooses for constraints and indexes (ChooseRelationName and ChooseConstraintName)."""

from __future__ import annotations


def made_name(table: str, columns: str, label: str) -> str:
    """Join and shorten like makeObjectName (commands/indexcmds.c): the longer part loses bytes until all fit into 63."""
    one, two = table.encode(), columns.encode()
    room = 63 - len(label) - 1 - (1 if columns else 0)
    while len(one) + len(two) > room:
        if len(one) > len(two):
            one = one[:-1]
        else:
            two = two[:-1]
    return "_".join(part for part in (one.decode(errors="ignore"), two.decode(errors="ignore"), label) if part)


def is_made(name: str, table: str, columns: str, label: str) -> bool:
    """Tell whether the server would choose the name, with a number where the plain one is taken."""
    plain = name.rstrip("0123456789")
    number = name[len(plain) :]
    return name == made_name(table, columns, label) or name == made_name(table, columns, label + number)
