"""`dbops backup`: backups that are known to restore."""

from __future__ import annotations

from importlib import import_module

import click

from dbops.cli.verb import global_flags

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Make a backup, or do what is due."),
    "list": ("look", "List the backups, and when the promise would break."),
    "show": ("look", "Show one backup."),
    "verify": ("verify", "Prove that backups restore."),
    "restore": ("restore", "Bring a database back."),
    "prune": ("prune", "Delete what retention lets go."),
    "delete": ("prune", "Delete one backup."),
    "hold": ("prune", "Keep a backup from being deleted."),
    "release": ("prune", "Take a hold back."),
}


class Commands(click.Group):
    """Imports a command when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = {"list": "list_"}.get(cmd_name, cmd_name)
        command = getattr(import_module(f"dbops.cli.backup.{COMMANDS[cmd_name][0]}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()], col_max=12)


@click.group(cls=Commands)
@global_flags
def backup() -> None:
    """Make, prove and restore backups.

    A BackupPolicy says where they go, when they are made and how long they are kept.

    \b
    Examples:
      dbops backup run environments/shop
      dbops backup list environments/shop
      dbops backup restore latest environments/shop --to sqlite:///restored.db
    """
