"""What a person at a terminal sees: colour, the question, and the answer that counts."""

from __future__ import annotations

import os
import pty
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/environments/01-first-table"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "shop"))


def at_a_terminal(*arguments: str, answer: str = "", after: str = "", **variables: str) -> tuple[str, int]:
    """Run dbops with a terminal of its own; return all that was shown, and the exit code.

    `answer` is typed once `after` is shown.
    """
    settings = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "DBOPS_ENV")}
    settings |= {"TERM": "xterm", "XDG_CACHE_HOME": str(Path(arguments[-1]).parent / "cache"), **variables}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "dbops", *arguments], settings)
    shown, typed = b"", False
    try:
        while True:
            if not typed and after.encode() in shown:
                os.write(terminal, answer.encode())
                typed = True
            shown += os.read(terminal, 4096)
    except OSError:  # Linux reports the end of a terminal as an error, pty(7)
        pass
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_yes_applies(environment: Path) -> None:
    shown, code = at_a_terminal("apply", str(environment), answer="yes\n")
    assert "Shall these changes be made? Only 'yes' is accepted:" in shown
    assert "Applied" in shown
    assert code == 0
    assert "No changes." in at_a_terminal("plan", str(environment))[0]


@pytest.mark.parametrize("answer", ["y\n", "YES\n", "\n", "\x04"])
def test_nothing_else_does(environment: Path, answer: str) -> None:
    shown, code = at_a_terminal("apply", str(environment), answer=answer)
    assert "Not approved: nothing was done." in shown
    assert code == 1
    assert not (environment / "shop.db").exists()


def test_ctrl_c_at_the_question_stops_with_nothing_done(environment: Path) -> None:
    shown, code = at_a_terminal("apply", str(environment), answer="\x03", after="accepted")
    assert "interrupted" in shown
    assert code == 130
    assert not (environment / "shop.db").exists()


def test_plans_are_coloured(environment: Path) -> None:
    assert "\x1b[" in at_a_terminal("plan", str(environment))[0]


def test_colour_is_left_out_where_it_is_not_wanted(environment: Path) -> None:
    assert "\x1b[" not in at_a_terminal("plan", str(environment), NO_COLOR="1")[0]
    assert "\x1b[" not in at_a_terminal("plan", "--no-color", str(environment))[0]
    assert "\x1b[" not in at_a_terminal("--no-color", "plan", str(environment))[0]


def test_the_machine_formats_are_never_coloured(environment: Path) -> None:
    assert "\x1b[" not in at_a_terminal("plan", "-o", "json", str(environment))[0]
