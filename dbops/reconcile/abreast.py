"""Work on several databases at a time, each in a thread of its own, told in the order in which one after the other would be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from dbops.errors import ApplyError

_AGAIN_S = 0.2
"""How long after being stopped a session is stopped once more: it may have been between two statements."""


def abreast(
    jobs: Mapping[str, Callable[[], int]],
    parallel: int,
    is_enough: Callable[[int], bool],
    stop: Callable[[str], None],
) -> dict[str, int | ApplyError]:
    """Run jobs, so many at a time, in their order; return what each gave that was begun, in that order.

    No further one is begun once `is_enough` of the number of failures. `stop` ends what a job is at, when the program is asked to
    end or an error comes that is no failure of a database; those that run are waited for.

    Raises:
        KeyboardInterrupt: the program was asked to end.
        and what a job raises that is no ApplyError.
    """
    waiting, running, outcomes = list(jobs), dict[Future[int], str](), dict[str, int | ApplyError]()
    with ThreadPoolExecutor(parallel) as pool:
        try:
            while waiting or running:
                failures = sum(isinstance(outcome, ApplyError) for outcome in outcomes.values())
                while waiting and len(running) < parallel and not is_enough(failures):
                    name = waiting.pop(0)
                    running[pool.submit(jobs[name])] = name
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcomes[running.pop(future)] = _outcome(future)
        except BaseException:
            while running:
                for name in running.values():
                    stop(name)
                for future in wait(running, timeout=_AGAIN_S).done:
                    del running[future]
            raise
    return {name: outcomes[name] for name in jobs if name in outcomes}


def _outcome(future: Future[int]) -> int | ApplyError:
    try:
        return future.result()
    except ApplyError as error:
        return error


class InOrder:
    """Lets what is told of several databases through in their order: of the first at once, of others when it is their turn."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._lock = list(names), threading.Lock()
        self._kept: dict[str, list[Callable[[], None]]] = {name: [] for name in names}
        self._over: set[str] = set()

    def tell(self, name: str, act: Callable[[], None]) -> None:
        """Tell something of a database, now or later."""
        with self._lock:
            if self._names and self._names[0] == name:
                act()
            else:
                self._kept[name].append(act)

    def finish(self, name: str) -> None:
        """Take note that nothing more is told of a database."""
        with self._lock:
            self._over.add(name)
            self._pass_on()

    def finish_all(self) -> None:
        """Tell what is kept of all."""
        with self._lock:
            self._over.update(self._names)
            self._pass_on()

    def _pass_on(self) -> None:
        while self._names and self._names[0] in self._over:
            self._tell_kept(self._names.pop(0))
            if self._names:
                self._tell_kept(self._names[0])

    def _tell_kept(self, name: str) -> None:
        kept, self._kept[name] = self._kept[name], []
        for act in kept:
            act()
