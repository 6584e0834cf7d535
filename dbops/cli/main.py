"""The `dbops` command: finds the verb, runs it, and turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, NoReturn

import click

from dbops.cli.verb import EXIT_DONE, EXIT_ERROR, EXIT_HAZARD, EXIT_INTERRUPTED, EXIT_STALE, Flags, global_flags
from dbops.errors import DbopsError, HazardError, Problems, StalePlanError
from dbops.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Every verb by section, with the line that stands in the list; the verb's module is `dbops.cli.<verb>` (`import_` for `import`).
VERBS: dict[str, dict[str, str]] = {
    "Declare": {
        "init": "Make a new environment with commented manifests.",
        "import": "Write the manifests of a live database.",
        "validate": "Check manifests and sources, offline.",
        "lint": "Check SQL files against hazard and style rules, offline.",
        "schema": "Print or write the JSON Schemas of the manifest kinds.",
    },
    "Change": {
        "plan": "Show what apply would do; change nothing.",
        "apply": "Make the databases what the manifests say.",
        "undo": "Take an apply back.",
        "migrate": "Run and write versioned migrations.",
    },
    "Protect": {
        "backup": "Make, prove and restore backups.",
    },
    "Watch": {
        "monitor": "See what databases are doing, now and before.",
        "advise": "Say what is wrong with the databases, with evidence and the SQL that mends it.",
        "doctor": "Say what the accounts cannot see of their databases, and what would show it.",
        "alerts": "Hold AlertPolicy manifests against what the databases do.",
    },
    "Look": {
        "status": "Show every connection at a glance.",
        "drift": "Show who moved: the database or the manifests.",
        "history": "List what was applied, when and by whom.",
        "show": "Show a saved plan, or an apply with its statements.",
        "inspect": "Show what a database contains.",
        "diff": "Show the SQL that turns one schema into another.",
    },
    "Shell": {
        "completion": "Print the completion script for a shell.",
    },
}


class Verbs(click.Group):
    """Imports a verb when it is called for, and lists all of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for section in VERBS.values() for verb in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        name = "import_" if cmd_name == "import" else cmd_name
        command = getattr(import_module(f"dbops.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; for an unknown one name the nearest."""
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            ctx.fail(f"no verb {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else "; dbops --help lists them"))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        lines = {verb: line for section in VERBS.values() for verb, line in section.items()}
        return [CompletionItem(verb, help=line) for verb, line in lines.items() if verb.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, verbs in VERBS.items():
            with formatter.section(section):
                formatter.write_dl(list(verbs.items()), col_max=12)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="dbops", message="%(prog)s %(version)s")
@global_flags
@click.pass_context
def dbops(ctx: click.Context) -> None:
    """GitOps for databases: say in manifests what should be true, plan, apply, and see drift.

    \b
    Examples:
      dbops init shop && dbops plan shop
      dbops apply shop
      dbops drift shop
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(EXIT_ERROR)


_OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""Nearly all that a command makes it keeps, so looking for garbage as often as usual costs a fifth of a large plan."""


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.excepthook = _report_fault
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    _pass_over_plugins_of_pydantic()
    for name in ("SIGTERM", "SIGHUP"):  # Windows knows no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    code = run(sys.argv[1:])
    gc.freeze()  # the interpreter looks for garbage before it ends, among all there is: a sixth of what a small command costs
    sys.exit(code)


def _pass_over_plugins_of_pydantic() -> None:
    """To look for some reads the metadata of every package there is, unless the environment wants them.

    Before pydantic asks whether it shall look, the module that would do so imports what reads metadata, and with it parsers of
    mail, ZIP and CSV: a twentieth of what a small command costs.
    """
    if os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true") in _EVERY_PLUGIN:
        loader = ModuleType("pydantic.plugin._loader")
        loader.__dict__["get_plugins"] = lambda: ()
        sys.modules.setdefault(loader.__name__, loader)


_EVERY_PLUGIN = ("__all__", "1", "true")
"""What PYDANTIC_DISABLE_PLUGINS says for all of them (https://docs.pydantic.dev/latest/concepts/plugins/)."""


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; messages of errors go to stderr."""
    flags = Flags.of_environment(os.environ)
    try:
        code = dbops.main(arguments, prog_name="dbops", standalone_mode=False, obj=flags)
        return code if isinstance(code, int) else EXIT_DONE
    except click.ClickException as error:
        _complain(error.format_message(), flags)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"  {error.ctx.command_path} --help tells more", err=True)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: nothing is half done that the journal does not name; run it again to go on", err=True)
        return EXIT_INTERRUPTED
    except DbopsError as error:
        _explain(error, flags)
        return _exit_code(error)
    return EXIT_ERROR


def _exit_code(error: DbopsError) -> int:
    if isinstance(error, HazardError):
        return EXIT_HAZARD
    return EXIT_STALE if isinstance(error, StalePlanError) else EXIT_ERROR


def _explain(error: DbopsError, flags: Flags) -> None:
    from dbops.cli.views.wording import place

    if flags.debug:
        from dbops.cli.debug import show_traceback

        show_traceback(error)
    for problem in error.problems if isinstance(error, Problems) else [error]:
        text = problem.explain()
        _complain(text.replace(str(problem.at), place(problem.at), 1) if problem.at else text, flags)


def _complain(text: str, flags: Flags) -> None:
    from dbops.cli.views.wording import printable

    click.echo(f"{click.style('error:', fg='red', bold=True)} {printable(text)}", err=True, color=flags.color)


def _report_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell of an error that is none of ours, without showing its values unless asked."""
    flags = Flags.of_environment(os.environ)
    if flags.debug or "--debug" in sys.argv:
        from dbops.cli.debug import show_traceback

        show_traceback(error)
        return
    place = _innermost(trace)
    print(f"dbops stumbled over a fault of its own: {kind.__name__} at {place}", file=sys.stderr)
    print("  please report it with the traceback that DBOPS_DEBUG=1 or --debug shows", file=sys.stderr)


def _innermost(trace: TracebackType | None) -> str:
    if trace is None:
        return "an unknown place"
    while trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
