"""Pipelines of other programs: every exit code counts, errors are short and without secrets, nothing runs on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from dbops.engines.base.beside import beside
from dbops.engines.base.processes import Stage, find_tool, heard, run, running, secret_file, secret_text
from dbops.errors import BackupError
from tests.failures.trial import wait_until

PYTHON = Path(sys.executable)


def python(code: str, *arguments: str, **more: object) -> Stage:
    return Stage(PYTHON, ("-c", code, *arguments), **more)  # type: ignore[arg-type]


COPY = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_is_written_goes_through_all_programs() -> None:
    content = os.urandom(3_000_000)
    got = []
    with running([python(COPY), python(COPY)], stdin=True) as pipeline:

        def write() -> None:
            pipeline.write(content)
            pipeline.close_input()

        thread = threading.Thread(target=write)
        thread.start()
        while data := pipeline.read():
            got.append(data)
        thread.join()
    assert b"".join(got) == content
    assert [one.code for one in pipeline.exits] == [0, 0]


@pytest.mark.parametrize("place", [0, 1])
def test_any_failure_is_the_pipelines(place: int) -> None:
    stages = [python(COPY), python(COPY)]
    stages[place] = python("import sys; print('the disk is full', file=sys.stderr); sys.exit(3)")
    with pytest.raises(BackupError, match="exit code 3: the disk is full") as caught, running(stages) as pipeline:
        while pipeline.read():
            pass
    assert caught.value.context["exits"][place]["code"] == 3


def test_the_one_that_failed_is_blamed_not_its_victim() -> None:
    with (
        pytest.raises(BackupError, match="exit code 4"),
        running([Stage(Path("/bin/sh"), ("-c", "exec yes")), python("import sys; sys.exit(4)")]) as pipeline,
    ):
        while pipeline.read():
            pass


def test_an_exception_ends_all_that_runs() -> None:
    grandchild = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)"
    )
    with pytest.raises(KeyboardInterrupt), running([python(grandchild)]) as pipeline:
        pid = int(pipeline.read())
        assert is_alive(pid)
        raise KeyboardInterrupt
    for _ in range(500):
        if not is_alive(pid):
            break
        time.sleep(0.01)
    assert not is_alive(pid)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv here")
def test_a_program_ends_with_who_started_it(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    child = os.fork()
    if not child:
        with running(
            [python("import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)", str(started))]
        ):
            time.sleep(60)
    wait_until(lambda: started.exists() and bool(started.read_text()))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_until(lambda: not is_alive(int(started.read_text())))


def test_the_time_limit_ends_a_program() -> None:
    with pytest.raises(BackupError, match=r"did not end within 0\.2 seconds"):
        run(python("import time; time.sleep(600)"), timeout_s=0.2)


def test_errors_are_bounded_and_without_secrets() -> None:
    code = (
        "import sys\nfor n in range(5000): print('x' * 500, file=sys.stderr)\n"
        "print('password is hunter2', file=sys.stderr); sys.exit(1)"
    )
    with pytest.raises(BackupError) as caught:
        run(python(code, secrets=("hunter2",)))
    told = caught.value.context["exits"][0]["stderr"]
    assert len(told) < 100_000
    assert told.endswith("password is ***")
    assert "hunter2" not in caught.value.explain()


def test_a_secret_is_in_the_environment_and_nothing_else_of_ours_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_SECRET", "hunter2")
    code = "import os; print(os.environ.get('PGPASSWORD'), os.environ.get('OTHER_SECRET'))"
    stage = python(code, env={"PGPASSWORD": "x"})
    assert run(stage)[0] == b"x None\n"
    assert "'x'" not in repr(stage)


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(BackupError) as caught:
        find_tool("xtrabackup", folders=[Path("/nowhere")])
    assert caught.value.error_code == "MISSING_TOOL"
    assert "apt install percona-xtrabackup" in (caught.value.fix or "")


def test_a_secret_text_lies_in_no_folder_and_who_inherits_it_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with secret_text("hunter2\n", "pgpass") as text:
        assert not list(tmp_path.iterdir())
        assert Path(text.path).stat().st_mode & 0o777 == 0o600
        for _ in range(2):  # each reads it from its beginning
            assert run(Stage(find_tool("cat"), (text.path,), handles=text.handles))[0] == b"hunter2\n"
        with pytest.raises(BackupError):
            run(Stage(find_tool("cat"), (text.path,)))


def test_without_memory_files_it_is_a_file_that_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr("os.memfd_create")
    with secret_text("hunter2", "pgpass") as text:
        assert Path(text.path).read_text() == "hunter2"
        assert not text.handles
    assert not list(tmp_path.iterdir())


def test_a_secret_file_is_ours_alone_and_gone() -> None:
    with secret_file("hunter2", "pgpass") as path:
        assert path.read_text() == "hunter2"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()


def test_work_beside_ends_with_what_it_is_beside() -> None:
    asked = threading.Event()
    with pytest.raises(KeyboardInterrupt), beside(asked.wait, asked.set):
        raise KeyboardInterrupt
    assert asked.is_set(), "who waits is asked to stop"
    with beside(lambda: 7, pytest.fail) as result:
        pass
    assert result() == 7


@pytest.mark.skipif(sys.platform != "linux", reason="where /proc tells what a program ignores")
def test_a_program_hears_what_we_were_told_to_ignore() -> None:
    bit = 1 << (signal.SIGQUIT - 1)
    told = python("print([line.split()[1] for line in open('/proc/self/status') if line.startswith('SigIgn')][0])")
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        assert int(run(told)[0], 16) & bit, "programs inherit it"
        with heard(signal.SIGQUIT):
            assert not int(run(told)[0], 16) & bit
        assert signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGQUIT, before)
