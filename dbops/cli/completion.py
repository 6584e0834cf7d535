"""`dbops completion`."""

from __future__ import annotations

import click

from dbops.cli.verb import verb


@verb()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    Examples:
      source <(dbops completion bash)
      dbops completion zsh > ~/.zfunc/_dbops
      dbops completion fish > ~/.config/fish/completions/dbops.fish
    """
    from click.shell_completion import get_completion_class

    from dbops.cli.main import dbops

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(dbops, {}, "dbops", "_DBOPS_COMPLETE")
    click.echo(script.source_template % script.source_vars())
