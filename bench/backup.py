"""What backups and restores cost, beside the engine's own tools and other backup programs on the same data in the same run.

usage: python -m bench backup [--engines ENGINE ...] [--size BYTES] [--runs NUMBER] [--only TEXT ...]

    Goals, against the yardstick of each engine: PostgreSQL full, compressed, encrypted and hashed, 1.15x of
    `pg_dump -Fc -Z0 | zstd -3 -T2`; SQLite full, compressed, 2.0x of `cp` and `sync`; MariaDB 1.3x of `mariadb-dump | zstd`;
    an incremental of 1% changed pages a tenth of the full in bytes; restores 1.2x of the engine's own tool; 200 MB of
    memory at any size. CPU time is of the commands and their children; what the server took for them has a column of
    its own, and the ratio of both together another. Copies of a whole server's files are measured beside the tool that makes
    them, and pgBackRest. What is not installed is left out. `--only dbops` leaves out what
    has none of the texts in its name, but never the yardstick. `--size 0` shows what a run costs whatever there is to
    save. Data and backups lie in TMPDIR: how long copies take is another thing on a disk than in memory.
"""

from __future__ import annotations

import argparse
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.backup_data import MIB, fill_mysql, fill_postgresql, fill_sqlite, touch_sqlite
from bench.measure import Command, Cost, measure, server_cpu_s
from bench.startup import DBOPS
from tests.servers import Lease, MysqlServer, PostgresServer
from tests.servers.programs import mariadb_program

GOALS = {"sqlite": 2.0, "postgresql": 1.15, "mysql": 1.3}
"""Times the yardstick: what a full backup may take."""
RESTORE_GOAL, INCREMENTAL_GOAL, MEMORY_GOAL = 1.2, 10.0, 200
_KEY = "DBOPS_BENCH_KEY"
_ENCRYPTED = f"  encryption: {{key: {{env: {_KEY}}}}}\n"
_PLAIN = "  compression: {method: none}\n"
_QUICK = "  compression: {level: 1}\n"
_MANIFESTS = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}"}}
---
apiVersion: dbops/v1
kind: BackupPolicy
metadata: {{name: shop}}
spec:
  connection: shop
  storage: {{url: "file://./backups"}}
  schedule: {schedule}
"""
_FULL = '[{type: full, cron: "0 3 * * *"}]'
_FILES = '[{type: full, cron: "0 3 * * *", method: physical}]'
_PAGES = '[{type: full, cron: "0 3 * * *"}, {type: incremental, cron: "0 * * * *"}]'


@dataclass(slots=True)
class Bench:
    """What is measured of one engine. `stored` is what the last run of a command left, in bytes."""

    engine: str
    place: Path
    commands: dict[str, Command] = field(default_factory=dict)
    copies: dict[str, Command] = field(default_factory=dict)
    restores: dict[str, Command] = field(default_factory=dict)
    stored: dict[str, Callable[[], int]] = field(default_factory=dict)
    server: Callable[[], float] = lambda: 0.0


def report(options: Sequence[str] = ()) -> None:
    """Print CPU and wall time, size and memory of each command as ratios to the yardstick, which is the first."""
    parser = argparse.ArgumentParser(prog="python -m bench backup")
    engines = ("sqlite", "postgresql", "mysql")
    parser.add_argument("--engines", nargs="+", choices=engines, default=list(engines))
    parser.add_argument("--size", type=_size, default=100 * MIB, help="of the data in each database, such as 300MiB or 2GiB")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""], help="texts, of which the names of the measured commands have one")
    chosen = parser.parse_args(options)
    makers = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as name, Lease.take() as lease:
        Path(name).chmod(0o755)
        env = {_KEY: secrets.token_hex(32), "DBOPS_CACHE_DIR": f"{name}/cache", "RESTIC_PASSWORD": "bench", "HOME": name}
        for engine in chosen.engines:
            place = Path(name) / engine
            place.mkdir()
            bench = makers[engine](place, chosen.size, lease)
            title = f"{engine}, {chosen.size / MIB:.0f} MiB"
            costs = measure(_chosen(bench.commands, chosen.only), chosen.runs, env, bench.server)
            _show(f"{title}, backups; goal {GOALS[engine]}x", costs, {key: bench.stored[key]() for key in costs})
            if bench.copies:
                costs = measure(_chosen(bench.copies, chosen.only), chosen.runs, env, bench.server)
                _show(f"{title}, copies of the server's files", costs, {key: bench.stored[key]() for key in costs})
            costs = measure(_chosen(bench.restores, chosen.only), chosen.runs, env, bench.server)
            _show(f"{title}, restores; goal {RESTORE_GOAL}x", costs, {})
            shutil.rmtree(place)


def _chosen(commands: Mapping[str, Command], texts: Sequence[str]) -> dict[str, Command]:
    """Leave out what has none of the texts in its name; the first is the yardstick, and stays."""
    return {
        name: command
        for place, (name, command) in enumerate(commands.items())
        if not place or any(text in name for text in texts)
    }


def _size(text: str) -> int:
    for suffix, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if text.endswith(suffix):
            return int(float(text.removesuffix(suffix)) * factor)
    return int(text)


def _show(title: str, costs: Mapping[str, Cost], stored: Mapping[str, int]) -> None:
    print(f"\n{title}; ratios to the first line; at most {MEMORY_GOAL} MB of memory")
    print(f"  {'':<42}{'CPU':>9}{'':>8}{'server':>9}{'with it':>9}{'wall':>10}{'':>8}{'stored':>12}{'peak':>10}")
    floor = next(iter(costs.values()))
    for name, cost in costs.items():
        cpu = f"{cost.cpu_s:7.2f} s{cost.cpu_s / max(floor.cpu_s, 0.01):7.2f}x"
        wall = f"{cost.wall_s:8.2f} s{cost.wall_s / floor.wall_s:7.2f}x"
        both = f"{cost.total_s / max(floor.total_s, 0.01):8.2f}x"
        size = f"{stored[name] / 1e6:9.1f} MB" if name in stored else ""
        print(f"  {name:<42}{cpu}{cost.server_s:7.2f} s{both}{wall}{size:>12}{cost.peak_bytes / 1e6:7.0f} MB", flush=True)


# --- dbops ----------------------------------------------------------------------------------------------------------------


def _add_dbops(bench: Bench, url: str, fresh: Callable[[], str]) -> None:
    """Add full backups, plain, compressed and encrypted, and their restores into what `fresh` names."""
    variants = {"zstd": "", "zstd, AES": _ENCRYPTED, "zstd, age": _age()}
    variants |= {"zstd level 1": _QUICK, "no compression": _PLAIN} if bench.engine == "sqlite" else {}
    for title, more in variants.items():
        folder = _environment(bench.place / f"dbops {title}", url, more)
        bench.commands[f"dbops, {title}"] = Command(
            [DBOPS, "backup", "run", str(folder), "--type", "full"], before=_emptied(folder)
        )
        bench.stored[f"dbops, {title}"] = lambda folder=folder: _bytes_below(folder / "backups")  # type: ignore[misc]
        if title in ("zstd", "zstd, AES"):
            command = [DBOPS, "backup", "restore", "latest", str(folder), "--to"]
            bench.restores[f"dbops, {title}"] = _renewed(command, fresh)


def _add_dbops_copies(bench: Bench, url: str) -> None:
    """Add full backups of the server's files, compressed and encrypted."""
    for title, more in {"zstd": "", "zstd, AES": _ENCRYPTED}.items():
        folder, name = _environment(bench.place / f"files {title}", url, more, _FILES), f"dbops, files, {title}"
        bench.copies[name] = Command([DBOPS, "backup", "run", str(folder), "--type", "full"], before=_emptied(folder))
        bench.stored[name] = lambda folder=folder: _bytes_below(folder / "backups")  # type: ignore[misc]


def _environment(folder: Path, url: str, more: str, schedule: str = _FULL) -> Path:
    folder.mkdir()
    (folder / "env.yaml").write_text(_MANIFESTS.format(url=url, schedule=schedule) + more)
    return folder


def _age() -> str:
    from pyrage import x25519  # type: ignore[import-untyped]

    return f"  encryption: {{recipients: [{x25519.Identity.generate().to_public()}]}}\n"


def _renewed(arguments: Sequence[str], fresh: Callable[[], str]) -> Command:
    """Return a command whose last argument is new each time."""
    command = [*arguments, ""]

    def renew(turn: int) -> None:
        command[-1] = fresh()

    return Command(command, before=renew)


def _emptied(folder: Path) -> Callable[[int], None]:
    return lambda turn: shutil.rmtree(folder / "backups", ignore_errors=True)


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _shell(line: str) -> list[str]:
    return ["bash", "-c", f"set -o pipefail; {line}"]


def _add(bench: Bench, name: str, line: str, out: Path, *, copies: bool = False) -> None:
    """Add a backup that other programs make into the file or folder `out`; `copies` of a server's files stand by themselves."""

    def prepare(turn: int) -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)

    (bench.copies if copies else bench.commands)[name] = Command(_shell(line), before=prepare)
    bench.stored[name] = lambda: out.stat().st_size if out.is_file() else _bytes_below(out)


def _add_restic(bench: Bench, backup: str) -> None:
    if shutil.which("restic"):
        out = bench.place / "restic"
        restic = f"restic -q --no-cache -r '{out}'"
        _add(bench, "restic", f"{restic} init && {backup.format(restic=restic)}", out)


# --- engines --------------------------------------------------------------------------------------------------------------


def _sqlite(place: Path, size: int, lease: Lease) -> Bench:
    """Set up what is measured of SQLite; each result is brought to the disk, as that of a backup is."""
    bench, path, again, restored = Bench("sqlite", place), place / "shop.db", place / "again.db", place / "restored.db"
    fill_sqlite(path, size)
    _add(bench, "cp, sync", f"cp '{path}' '{place}/synced.db' && sync '{place}/synced.db'", place / "synced.db")
    _add(bench, "cp", f"cp '{path}' '{place}/copy.db'", place / "copy.db")
    _add(bench, "zstd -3 -T2", f"zstd -q -3 -T2 '{path}' -o '{place}/once.zst' && sync '{place}/once.zst'", place / "once.zst")
    if shutil.which("sqlite3"):
        out = place / "beside.zst"
        line = (
            f"sqlite3 '{path}' '.backup {place}/beside.db' && zstd -q -3 -T2 --rm '{place}/beside.db' -o '{out}' && sync '{out}'"
        )
        _add(bench, "sqlite3 .backup, zstd -3 -T2", line, out)
    _add_restic(bench, f"{{restic}} backup '{path}'")
    check = shlex.join(_integrity_check(again))
    bench.restores["zstd -d, sync, integrity_check"] = Command(
        _shell(f"zstd -dq '{place}/once.zst' -o '{again}' && sync '{again}' && {check}"),
        before=_kept(path, place / "once.zst", again),
    )
    bench.restores["cp"] = Command(_shell(f"cp '{path}' '{again}'"), before=lambda turn: _removed(str(again)))
    _add_dbops(bench, f"sqlite:///{path}", lambda: f"sqlite:///{_freed(restored)}")
    _add_verified(bench, path, restored)
    _add_pages(bench, path)
    return bench


def _add_verified(bench: Bench, path: Path, restored: Path) -> None:
    """Add the restore of a backup that a verification proved, whose file is not checked again."""
    folder = _environment(bench.place / "verified", f"sqlite:///{path}", "")

    def prepare(turn: int) -> None:
        _removed(str(restored))
        if turn == 0:
            for command in (["run", str(folder), "--type", "full"], ["verify", "--id", "latest", str(folder)]):
                subprocess.run([DBOPS, "backup", *command], check=True, capture_output=True)

    command = [DBOPS, "backup", "restore", "latest", str(folder), "--to", f"sqlite:///{restored}"]
    bench.restores["dbops, zstd, verified before"] = Command(command, before=prepare)


def _integrity_check(path: Path) -> list[str]:
    """Return a command that checks a file as a restore does: the shell of SQLite, or Python's module where there is none."""
    if shutil.which("sqlite3"):
        return ["sqlite3", str(path), "PRAGMA integrity_check"]
    return [sys.executable, "-Sc", f"import sqlite3; sqlite3.connect({str(path)!r}).execute('PRAGMA integrity_check').fetchall()"]


def _removed(path: str) -> None:
    """Remove a file, so that each run writes a new one in the memory and on the disk that the last one gave back."""
    Path(path).unlink(missing_ok=True)


def _kept(path: Path, packed: Path, target: Path) -> Callable[[int], None]:
    """Pack a file once, which a measurement of backups has done unless it left that out, and remove what was unpacked."""

    def pack(turn: int) -> None:
        _removed(str(target))
        if not packed.exists():
            subprocess.run(["zstd", "-q", "-3", str(path), "-o", str(packed)], check=True)

    return pack


def _add_pages(bench: Bench, path: Path) -> None:
    """Add incrementals of 1% of the pages, scattered over the file."""
    folder = _environment(bench.place / "pages", f"sqlite:///{path}", "", _PAGES)
    full = [DBOPS, "backup", "run", str(folder), "--type", "full"]
    shares: list[int] = []

    def change(turn: int) -> None:
        if turn == 0:
            subprocess.run(full, check=True, capture_output=True)
        touch_sqlite(path, turn, share=100)
        shares.append(_bytes_below(folder / "backups"))

    name = "dbops, incremental of 1% of the pages"
    bench.commands[name] = Command([DBOPS, "backup", "run", str(folder), "--type", "incremental"], before=change)
    bench.stored[name] = lambda: _bytes_below(folder / "backups") - shares[-1]


def _postgresql(place: Path, size: int, lease: Lease) -> Bench:
    server = lease.postgres()
    database = server.new_database("bench")
    fill_postgresql(server, database, size)
    process = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    bench = Bench("postgresql", place, server=lambda: server_cpu_s(process))
    dump = " ".join(server.client_command("pg_dump")) + f" -Fc {database}"
    _add(bench, "pg_dump -Fc -Z0 | zstd -3 -T2", f"{dump} -Z0 | zstd -q -3 -T2 > '{place}/dump.zst'", place / "dump.zst")
    _add(bench, "pg_dump -Fc", f"{dump} > '{place}/dump.fc'", place / "dump.fc")
    _add_restic(bench, f"{dump} -Z0 | {{restic}} backup --stdin")
    base = " ".join(server.client_command("pg_basebackup")) + " -c fast -X fetch -Ft -D -"
    _add(bench, "pg_basebackup | zstd -3 -T2", f"{base} | zstd -q -3 -T2 > '{place}/base.zst'", place / "base.zst", copies=True)
    _add_pgbackrest(bench, server)
    _add_dbops_copies(bench, server.url(database))
    restore = " ".join(server.client_command("pg_restore"))
    bench.restores["zstd -d | pg_restore"] = _renewed(
        ["bash", "-c", f"set -o pipefail; zstd -dqc '{place}/dump.zst' | {restore} -d \"$0\""],
        _new_database(server, "again"),
    )
    restored = _new_database(server, "restored", is_there=False)
    _add_dbops(bench, server.url(database), lambda: server.url(restored()))
    return bench


def _add_pgbackrest(bench: Bench, server: PostgresServer) -> None:
    """Add pgBackRest, with what it takes for a new repository; of a server that archives nothing it needs no log."""
    if not shutil.which("pgbackrest"):
        return
    place = bench.place / "pgbackrest"
    options = {
        "stanza": "bench",
        "pg1-path": server.home / "data",
        "pg1-socket-path": server.home,
        "pg1-port": server.port,
        "pg1-user": server.user,
        "repo1-path": place / "repository",
        "log-path": place,
        "lock-path": place,
        "log-level-console": "error",
    }
    program = " ".join(["pgbackrest", *(f"'--{name}={value}'" for name, value in options.items())])
    backup = f"{program} --no-archive-check --start-fast --compress-type=zst --compress-level=3 --process-max=2 backup"
    line = f"mkdir '{place}' && {program} --no-online stanza-create && {backup}"
    _add(bench, "pgBackRest, 2 processes, zstd -3", line, place, copies=True)


def _mysql(place: Path, size: int, lease: Lease) -> Bench:
    server = lease.mysql()
    database = server.new_database("bench")
    fill_mysql(server, database, size)
    process = int((server.home / "pid").read_text())
    bench = Bench("mysql", place, server=lambda: server_cpu_s(process))
    account = f"--socket={server.socket} --user={server.user}"
    options = "--single-transaction --quick --routines --events --triggers --hex-blob"
    dump = f"{mariadb_program('mariadb-dump')} --no-defaults {account} {options} {database}"
    _add(bench, "mariadb-dump | zstd -3 -T2", f"{dump} | zstd -q -3 -T2 > '{place}/dump.zst'", place / "dump.zst")
    if shutil.which("mydumper"):
        out = place / "mydumper"
        line = f"mydumper -S {server.socket} -u {server.user} -B {database} -o '{out}' -t 2 -c --trx-consistency-only"
        _add(bench, "mydumper, 2 threads, gzip", line, out)
    _add_restic(bench, f"{dump} | {{restic}} backup --stdin")
    if shutil.which("mariadb-backup"):
        line = f"mariadb-backup --no-defaults --backup --stream=xbstream --target-dir='{place}/spool' {account}"
        out = place / "files.zst"
        _add(bench, "mariadb-backup | zstd -3 -T2", f"{line} 2>'{place}/told' | zstd -q -3 -T2 > '{out}'", out, copies=True)
        _add_dbops_copies(bench, server.url(database))
    client = f"{server.make.client} --no-defaults {account}"
    bench.restores["zstd -d | mariadb"] = _renewed(
        ["bash", "-c", f"set -o pipefail; zstd -dqc '{place}/dump.zst' | {client} \"$0\""], _new_database(server, "again")
    )
    restored = _new_database(server, "restored", is_there=False)
    _add_dbops(bench, server.url(database), lambda: server.url(restored()))
    return bench


def _freed(path: Path) -> str:
    _removed(str(path))
    return str(path)


def _new_database(server: PostgresServer | MysqlServer, prefix: str, *, is_there: bool = True) -> Callable[[], str]:
    """Return what makes an empty database, or else a free name, each time, and drops the one of the time before."""
    made: list[str] = []

    def renew() -> str:
        for name in made:
            server.drop_database(name)
        made[:] = [server.new_database(prefix)]
        if not is_there:
            server.drop_database(made[0])
        return made[0]

    return renew


if __name__ == "__main__":
    report(sys.argv[1:])
