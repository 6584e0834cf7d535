"""What accounts cannot see, as text, SQL and data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.unseen import not_asked, unseen_text
from dbops.usecases.doctor import Examined


def examined_text(found: Sequence[Examined]) -> str:
    """Return each connection with what is hidden from it, by reason."""
    return "\n\n".join(map(_examined, found)) if found else "This environment has no connections."


def _examined(one: Examined) -> str:
    if one.error is not None:
        return not_asked(one.connection, one.error)
    name = style(wording.on_one_line(one.connection), bold=True)
    account = f" as {wording.on_one_line(one.user)}" if one.user else ""
    title = f"{name} ({one.engine} {wording.on_one_line(one.server)}{account})"
    if not one.blind:
        return f"{title}: {style('everything can be seen', fg='green')}"
    return f"{title}\n" + unseen_text("unseen", ((blind.what, blind.why, blind.fix) for blind in one.blind))


def grants_sql(found: Sequence[Examined]) -> str:
    """Return the missing grants, each connection behind its name; those that could not be asked are named."""
    lines = []
    for one in found:
        if one.error is not None:
            lines += [f"-- {wording.on_one_line(f'{one.connection}: not asked: {one.error}')}", ""]
        if one.grants:
            lines += [f"-- {wording.on_one_line(f'{one.connection} ({one.engine})')}", *one.grants, ""]
    return "\n".join(lines) or "-- no grant is missing\n"


def examined_data(one: Examined) -> dict[str, Any]:
    """Return a connection as JSON has it."""
    return {
        "connection": one.connection,
        "engine": one.engine,
        "server": one.server,
        "user": one.user,
        "error": one.error,
        "unseen": [{"name": blind.what, "why": blind.why, "fix": blind.fix} for blind in one.blind],
        "grants": one.grants,
        "others": one.others,
    }
