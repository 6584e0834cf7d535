"""What could not be seen, by its reason."""

from __future__ import annotations

from collections.abc import Iterable

from click import style

from dbops.cli.views import wording


def unseen_text(word: str, unseen: Iterable[tuple[str, str, str]]) -> str:
    """Return names, why they could not be seen and what helps, of which there may be none; names of one reason stand together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, why, fix in unseen:
        reasons.setdefault((why, fix), []).append(name)
    return "\n".join(
        f"{style('?', fg='yellow')} {word}: {', '.join(names)}"
        + "".join(f"\n    {wording.printable(text)}" for text in reason if text)
        for reason, names in reasons.items()
    )


def not_asked(connection: str, error: str) -> str:
    """Return the line of a connection that could not be asked, with the reason."""
    return f"{style(wording.on_one_line(connection), bold=True)}: {style('not asked', fg='red')}: {wording.printable(error)}"
