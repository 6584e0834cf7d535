"""What happens on the screen besides results: approval, progress and notices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from dbops.cli.views import wording
from dbops.reconcile.plan import Plan
from dbops.reconcile.step import Step

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

QUESTION = "Only 'yes' is accepted"


class Screen:
    """Shows a plan and asks for approval on the terminal, then shows steps as they run on stderr.

    Without a terminal nothing is asked: `auto_approve` decides, and steps become one line each.
    """

    def __init__(self, *, auto_approve: bool, show: Callable[[Plan], None]) -> None:
        self._auto_approve, self._show = auto_approve, show
        self._total = 0
        self._is_terminal = sys.stderr.isatty()
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def approve(self, plan: Plan) -> bool:
        """Show the plan and ask; True when it may run.

        Raises:
            ClickException: nobody can answer, and `--auto-approve` was not given.
        """
        self._total = len(plan.steps)
        self._show(plan)
        if self._auto_approve:
            return True
        if not sys.stdin.isatty():
            raise click.ClickException("stdin is no terminal, so nobody can approve this plan; after review: --auto-approve")
        click.echo(f"\nShall these changes be made? {QUESTION}: ", nl=False, err=True)
        return sys.stdin.readline().strip() == "yes"

    def announce(self, text: str) -> None:
        """Say what is being waited for."""
        click.echo(wording.on_one_line(text), err=True)

    def progress(self, step: Step, state: str) -> None:
        """Show that a step runs or is done, or what it waits for."""
        is_running = state.startswith("running")
        is_waiting = not is_running and state != "done"
        if is_running and not self._is_terminal:
            return
        title = wording.on_one_line(step.title)
        if not self._is_terminal:
            told = f"{title}: {wording.on_one_line(state)}" if is_waiting else title
            print(f"{step.on}: {told}", file=sys.stderr)  # click.echo asks the stream six things for each line
            return
        progress, task = self._started()
        if is_waiting:
            progress.console.print(f"{step.on}: {title}: {wording.on_one_line(state)}", markup=False, highlight=False)
        inside = f"{title}: {wording.on_one_line(state.removeprefix('running: '))}" if state.startswith("running: ") else title
        progress.update(task, description=inside, advance=1 if state == "done" else 0)

    def _started(self) -> tuple[Progress, TaskID]:
        """Return the progress bar, starting it at the first step."""
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
            progress = Progress(*columns, console=Console(stderr=True), transient=True)
            progress.start()
            self._bar = (progress, progress.add_task("", total=self._total))
        return self._bar
