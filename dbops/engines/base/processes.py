"""Pipelines of other programs: no shell, every exit code looked at, errors kept short, secrets never in arguments.

::

    with secret_text(f"localhost:5432:shop:ann:{password}\\n", name="pgpass") as passfile:
        stage = Stage(find_tool("pg_dump"), ("-Fc", "-Z0", "-d", "shop"), {"PGPASSFILE": passfile.path}, handles=passfile.handles)
        with running([stage]) as pipeline:
            while data := pipeline.read(1 << 20):
                writer.write(data)
        exits = pipeline.exits        # all ended with code 0, or `running` raised
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from time import monotonic
from typing import IO, Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit
from dbops.engines.base.passing import passing_folder
from dbops.errors import BackupError

_STDERR_LINES = 40
_LINE_BYTES = 2_000
_PIPE_BYTES = 1 << 16
_GRACE_S = 5.0
_ERROR = re.compile(r"\b(error|fatal):", re.IGNORECASE)

#: Environment variables that programs get from ours; nothing else of it reaches them.
_INHERITED = ("PATH", "HOME", "TMPDIR", "TMP", "TEMP", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "KRB5CCNAME", "SSL_CERT_FILE")

#: The Debian package of each program that backups use.
PACKAGES: Mapping[str, str] = {
    "pg_dump": "postgresql-client",
    "pg_dumpall": "postgresql-client",
    "pg_restore": "postgresql-client",
    "psql": "postgresql-client",
    "pg_basebackup": "postgresql-client",
    "pg_receivewal": "postgresql-client",
    "pg_combinebackup": "postgresql-17",
    "pg_verifybackup": "postgresql",
    "pg_amcheck": "postgresql",
    "pg_ctl": "postgresql",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "pgbackrest": "pgbackrest",
    "mariadb-dump": "mariadb-client",
    "mysqldump": "default-mysql-client",
    "mariadb": "mariadb-client",
    "mysql": "default-mysql-client",
    "mariadb-binlog": "mariadb-client",
    "mysqlbinlog": "mariadb-client",
    "mariabackup": "mariadb-backup",
    "mariadb-backup": "mariadb-backup",
    "mbstream": "mariadb-backup",
    "mariadbd": "mariadb-server",
    "mysqld": "default-mysql-server",
    "xtrabackup": "percona-xtrabackup-80",
    "mydumper": "mydumper",
    "myloader": "mydumper",
}


def find_tool(*names: str, folders: Sequence[Path] = ()) -> Path:
    """Return the first program of these names, looked for in `folders`, then on the path.

    Raises:
        BackupError: there is none; `fix` names the Debian package.
    """
    for name in names:
        for folder in folders:
            if os.access(folder / name, os.X_OK):
                return folder / name
        if found := shutil.which(name):
            return Path(found)
    raise BackupError(f"the program {names[0]} is not installed", fix=missing_tool(names[0]), error_code="MISSING_TOOL")


def missing_tool(name: str) -> str:
    """Say how a program is had."""
    return f"install it: apt install {PACKAGES[name]}" if name in PACKAGES else f"install {name}, or put its folder on the PATH"


@dataclass(frozen=True, slots=True)
class Stage:
    """One program of a pipeline. `env` is added to a small part of our environment, and is where secrets may be.

    `good` are exit codes that are no failure. `secrets` are cut out of what it says. `handles` are open files of ours that it
    inherits. `user` is the account that runs it, None for ours; only root may name another.
    """

    program: Path
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    good: frozenset[int] = frozenset((0,))
    folder: Path | None = None
    secrets: Collection[str] = field(default=(), repr=False)
    handles: tuple[int, ...] = ()
    user: str | None = None

    @property
    def tool(self) -> str:
        return self.program.name


class _Tail:
    """The last lines of a program's stderr, read in a thread so that the program never waits for us."""

    def __init__(self, stream: IO[bytes], secrets: Collection[str]) -> None:
        self._lines: deque[bytes] = deque(maxlen=_STDERR_LINES)
        self._stream, self._secrets = stream, secrets
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        with suppress(ValueError, OSError):
            while piece := self._stream.read(_PIPE_BYTES):  # unbuffered: what is there
                *lines, rest = (rest + piece).split(b"\n")
                self._keep(lines)
                rest = rest[:_LINE_BYTES]
        self._keep([rest])

    def _keep(self, lines: Sequence[bytes]) -> None:
        self._lines.extend(stripped[:_LINE_BYTES] for line in lines if (stripped := line.rstrip()))

    def text(self) -> str:
        self._thread.join(_GRACE_S)
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "***") if secret else text
        return text


def ended_with_us(number: signal.Signals) -> list[str]:
    """Return the beginning of a command that gets a signal when the thread that starts it ends, in whatever way.

    Where we end before that is arranged, the program does not begin. Empty where there is no setpriv(1).
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return []
    begin = ["/bin/sh", "-c", 'test "$PPID" = "$0" && exec "$@"', str(os.getpid())]
    return [setpriv, "--pdeathsig", number.name.removeprefix("SIG"), *begin]


@contextmanager
def heard(number: signal.Signals) -> Iterator[None]:
    """Let programs that are started in the block hear a signal that we were started deaf to, as shells start what is to run in
    the background: they inherit it, and a server that gets the signal before it handles it runs on. The main thread alone can.
    """
    is_deaf = signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread()
    if is_deaf:
        signal.signal(number, lambda *_: None)  # which is the default again in what is started (execve(2))
    try:
        yield
    finally:
        if is_deaf:
            signal.signal(number, signal.SIG_IGN)


def _must_be_there(program: Path) -> str:
    """Return the path of a program; who begins it for us would tell of a missing one by an exit code alone."""
    if shutil.which(program) is None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return str(program)


def _account(name: str | None) -> dict[str, Any]:
    """Return what starts a program as another account, with its groups and no others."""
    if name is None:
        return {}
    import pwd

    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(name, entry.pw_gid)}


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold 1 MiB instead of 64 KiB, where the system lets us, so that both sides wake up less often (pipe(7))."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def _socket_pair() -> tuple[socket.socket, IO[bytes]]:
    """Return what we write into, and what a program reads from as from a pipe.

    Who writes into a pipe that is full wakes up for every 4 KiB that is read, who writes into a socket when most of it was read
    (unix_write_space): loading a dump takes a third less of our CPU time so.
    """
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ours, os.fdopen(theirs.detach(), "rb", buffering=0)


class Pipeline:
    """Programs joined by pipes: write into the first (`stdin`), read from the last."""

    def __init__(self, stages: Sequence[Stage], *, stdin: bool, stdout: bool, timeout_s: float | None) -> None:
        self._stages = stages
        self._processes: list[subprocess.Popen[bytes]] = []
        self._input: socket.socket | None = None
        self._tails: list[_Tail] = []
        self._started = monotonic()
        self._ended: dict[int, float] = {}
        self._timer: threading.Timer | None = None
        self._timed_out = False
        self._timeout_s = timeout_s
        self.exits: tuple[Exit, ...] = ()
        try:
            self._start(stdin, stdout)
        except BaseException:
            self.kill()
            raise

    def _start(self, stdin: bool, stdout: bool) -> None:
        previous: IO[bytes] | None = None
        if stdin:
            self._input, previous = _socket_pair()
        for place, stage in enumerate(self._stages):
            is_last = place == len(self._stages) - 1
            source = previous if previous is not None else subprocess.DEVNULL
            try:
                process = subprocess.Popen(
                    [*ended_with_us(signal.SIGTERM), _must_be_there(stage.program), *stage.arguments],
                    stdin=source,
                    stdout=subprocess.PIPE if stdout or not is_last else subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={**{name: os.environ[name] for name in _INHERITED if name in os.environ}, "LC_ALL": "C", **stage.env},
                    cwd=stage.folder,
                    start_new_session=True,
                    bufsize=0,
                    pass_fds=stage.handles,
                    **_account(stage.user),
                )
            except OSError as error:
                raise BackupError(f"{stage.tool} cannot be run: {error.strerror}", fix=missing_tool(stage.tool)) from error
            finally:
                if previous is not None:
                    previous.close()  # so that the stage before hears of it when this one ends early
            self._processes.append(process)
            _widen(process.stdout)
            assert process.stderr is not None
            self._tails.append(_Tail(process.stderr, stage.secrets))
            previous = process.stdout
        if self._timeout_s:
            self._timer = threading.Timer(self._timeout_s, self._out_of_time)
            self._timer.daemon = True
            self._timer.start()

    def read(self, size: int = 1 << 20) -> bytes:
        """Return up to `size` bytes of what the last program writes, empty at its end."""
        stdout = self._processes[-1].stdout
        assert stdout is not None
        return stdout.read(size) or b""

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` from the front and return how many bytes were read, 0 at the end."""
        stdout = self._processes[-1].stdout
        assert stdout is not None
        return stdout.readinto(buffer) or 0  # type: ignore[attr-defined]

    def write(self, data: bytes | memoryview) -> None:
        """Give bytes to the first program.

        Raises:
            BackupError: it ended before it had read them; says how.
        """
        if not self.offer(data):
            self.finish()
            raise BackupError(f"{self._stages[0].tool} ended before it had read everything")

    def offer(self, data: bytes | memoryview) -> bool:
        """Give bytes to the first program; False where it has read enough and closed its input."""
        assert self._input is not None
        try:
            self._input.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def close_input(self) -> None:
        """Tell the first program that nothing more comes."""
        if self._input is not None:
            self._input.close()

    @property
    def is_running(self) -> bool:
        """Whether a program has not ended yet, for callers that look at files it writes."""
        return any(process.poll() is None for process in self._processes)

    def open_files(self) -> set[Path] | None:
        """Return the files that the programs and their children have open, None where the system does not tell."""
        found: set[Path] = set()
        for process in self._processes:
            place = Path(f"/proc/{process.pid}")
            try:
                children = (place / f"task/{process.pid}/children").read_text().split()
            except OSError:
                if process.poll() is None:
                    return None
                continue
            for pid in (str(process.pid), *children):
                with suppress(OSError):  # it has ended
                    for handle in Path(f"/proc/{pid}/fd").iterdir():
                        with suppress(OSError):
                            found.add(handle.readlink())
        return found

    def finish(self) -> tuple[Exit, ...]:
        """Wait for every program and look at every exit code.

        Raises:
            BackupError: one ended with a code that is not good, or the time was up; `context["exits"]` has them all.
        """
        self.close_input()
        for process in self._processes:
            process.wait()
            self._ended.setdefault(process.pid, monotonic() - self._started)
        self._stop_timer()
        self.exits = tuple(
            Exit(stage.tool, process.returncode, round(self._ended[process.pid], 3), tail.text())
            for stage, process, tail in zip(self._stages, self._processes, self._tails, strict=True)
        )
        self._close_pipes()
        self._judge()
        return self.exits

    def kill(self) -> None:
        """End every program and all that they started; nothing is judged."""
        self._stop_timer()
        for number in (signal.SIGTERM, signal.SIGKILL):
            alive = [process for process in self._processes if process.poll() is None]
            for process in alive:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
            for process in alive:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_S)
        self._close_pipes()

    def _judge(self) -> None:
        told = [{"tool": one.tool, "code": one.code, "stderr": one.stderr} for one in self.exits]
        if self._timed_out:
            names = " | ".join(stage.tool for stage in self._stages)
            raise BackupError(f"{names} did not end within {self._timeout_s:g} seconds", {"exits": told})
        bad = [one for one, stage in zip(self.exits, self._stages, strict=True) if one.code not in stage.good]
        if not bad:
            return
        # a program killed by a closed pipe is the victim of the one behind it
        cause = next((one for one in reversed(bad) if one.code != -signal.SIGPIPE), bad[-1])
        how = f"was ended by {signal.Signals(-cause.code).name}" if cause.code < 0 else f"ended with exit code {cause.code}"
        words = f": {_complaint(cause.stderr)}" if cause.stderr else ""
        raise BackupError(f"{cause.tool} {how}{words}", {"exits": told})

    def _out_of_time(self) -> None:
        self._timed_out = True
        for process in self._processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _close_pipes(self) -> None:
        self.close_input()
        for process in self._processes:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()


def _complaint(stderr: str) -> str:
    """Return the line that says what was wrong: the first that calls itself an error, for details come behind it, or the last."""
    lines = stderr.splitlines()
    return next((line for line in lines if _ERROR.search(line)), lines[-1])


@contextmanager
def running(
    stages: Sequence[Stage], *, stdin: bool = False, stdout: bool = True, timeout_s: float | None = None
) -> Iterator[Pipeline]:
    """Run programs joined by pipes; at the end of the block all must have ended well.

    An exception in the block, KeyboardInterrupt too, ends them and all that they started.

    Raises:
        BackupError: as `Pipeline.finish` says.
    """
    pipeline = Pipeline(stages, stdin=stdin, stdout=stdout, timeout_s=timeout_s)
    try:
        yield pipeline
        pipeline.finish()
    except BaseException:
        pipeline.kill()
        raise


def run(stage: Stage, *, timeout_s: float | None = None) -> tuple[bytes, Exit]:
    """Run one program and return what it wrote, for programs that write little."""
    with running([stage], timeout_s=timeout_s) as pipeline:
        written = []
        while data := pipeline.read():
            written.append(data)
    return b"".join(written), pipeline.exits[0]


@dataclass(frozen=True, slots=True)
class SecretText:
    """A text that programs read from `path`, if they inherit `handles`."""

    path: str
    handles: tuple[int, ...] = ()


@contextmanager
def secret_text(text: str, name: str = "secret") -> Iterator[SecretText]:
    """Give a text to programs as a file that lies in no folder, so that however we end, nothing of it is left.

    It is in memory and goes with the last program that has it open (memfd_create(2)); a system that has no such gets a file that
    only we can read, removed afterwards.
    """
    if not hasattr(os, "memfd_create"):
        with secret_file(text, name) as path:
            yield SecretText(str(path))
        return
    handle = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.fchmod(handle, 0o600)  # option files that anybody may write are passed over
        with os.fdopen(os.dup(handle), "w", encoding="utf-8") as file:
            file.write(text)
        yield SecretText(f"/dev/fd/{handle}", (handle,))
    finally:
        os.close(handle)


@contextmanager
def secret_file(text: str, name: str = "secret") -> Iterator[Path]:
    """Write a file that only we can read, in a folder of its own, and remove both afterwards."""
    with passing_folder() as folder:
        path = folder / name
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        yield path
