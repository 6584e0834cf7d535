"""The table of verbs, their help, and the exit codes of errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dbops.cli import main
from dbops.cli.main import VERBS, dbops, run

ALL = [verb for section in VERBS.values() for verb in section]


def command(verb: str) -> click.Command:
    found = dbops.get_command(click.Context(dbops), verb)
    assert found is not None
    return found


@pytest.mark.parametrize("verb", ALL)
def test_the_list_says_what_the_help_of_a_verb_says(verb: str) -> None:
    lines = {name: line for section in VERBS.values() for name, line in section.items()}
    assert command(verb).name == verb
    assert command(verb).get_short_help_str(limit=200) == lines[verb]


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_shows_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert f"dbops {verb}" in capsys.readouterr().out.partition("Examples:")[2]


@pytest.mark.parametrize("verb", ALL)
def test_global_flags_may_follow_any_verb(verb: str) -> None:
    names = {name for parameter in command(verb).params for name in parameter.opts}
    assert {"--debug", "--no-color"} <= names


def test_every_verb_module_is_in_the_list() -> None:
    shared = {"__init__", "main", "verb", "group", "terminal", "debug"}
    modules = {path.stem.rstrip("_") for path in Path(str(main.__file__)).parent.glob("*.py")} - {"__init"}
    groups = {path.parent.name for path in Path(str(main.__file__)).parent.glob("*/__init__.py")} - {"views"}
    assert (modules | groups) - shared == set(ALL)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_DBOPS_COMPLETE" in capsys.readouterr().out


def test_completion_completes_verbs_without_importing_them() -> None:
    code = "import sys; from dbops.cli.main import main, run\nrun([])\nassert 'dbops.cli.plan' not in sys.modules"
    environment = {**os.environ, "_DBOPS_COMPLETE": "bash_complete", "COMP_WORDS": "dbops pl", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "plain,plan\n"


@pytest.mark.parametrize(
    ("raises", "code"),
    [
        ("errors.DbopsError('x')", 1),
        ("errors.Problems([errors.ManifestError('x'), errors.ManifestError('y')])", 1),
        ("errors.HazardError('x')", 3),
        ("errors.StalePlanError('x')", 4),
        ("KeyboardInterrupt()", 130),
        ("click.Abort()", 130),
        ("click.ClickException('x')", 1),
        ("ValueError('secret')", 1),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_errors_become_messages_and_exit_codes(raises: str, code: int, debug: bool) -> None:
    done = _raise(raises, *(["--debug"] if debug else []))
    assert done.returncode == code
    assert done.stdout == ""
    if not debug:
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr
    if "Problems" in raises:
        assert done.stderr.count("error:") == 2 or debug
    if "ValueError" in raises:
        assert ("Traceback" in done.stderr) == debug


def test_a_fault_says_where_and_asks_for_a_report() -> None:
    assert _raise("ValueError('secret')").stderr == (
        "dbops stumbled over a fault of its own: ValueError at dbops.cli.completion:5\n"
        "  please report it with the traceback that DBOPS_DEBUG=1 or --debug shows\n"
    )


def test_a_traceback_shows_no_password() -> None:
    shown = _raise("ValueError('no route to postgresql://me:hunter2@db.example/shop')", "--debug").stderr
    assert "no route to postgresql://me:***@db.example/shop" in shown
    assert "hunter2" not in shown


def _raise(expression: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a verb that raises."""
    source = "\n".join(
        [
            "import click",
            "from dbops import errors",
            "from dbops.cli.verb import verb",
            "@verb()",
            f"def completion(): raise {expression}",
        ]
    )
    code = f"""
import sys, types
from dbops.cli.main import main
module = types.ModuleType("dbops.cli.completion")
exec({source!r}, module.__dict__)
sys.modules["dbops.cli.completion"] = module
sys.argv = ["dbops", "completion", *{list(flags)!r}]
main()
"""
    environment = {name: value for name, value in os.environ.items() if name != "DBOPS_DEBUG"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
