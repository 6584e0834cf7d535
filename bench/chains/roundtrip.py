"""Import a database, plan, build it anew from what was written, and compare; take its own dump, rows included, as a source."""

from __future__ import annotations

from pathlib import Path

from bench.chains.desk import Desk, imported, statements
from bench.chains.findings import Findings
from bench.chains.histories import History, Servers
from bench.chains.reading import difference, dumped, reading
from bench.chains.rows import fill, tables


def roundtrip(history: History, version: Path, servers: Servers, folder: Path, findings: Findings) -> None:
    """Ask of one version whether its import says all of it."""
    name = f"{version.stem}: import"
    with findings.asking(name), servers.loaded(history, version) as database:
        first = imported(database.url, folder / "first")
        desk = Desk(folder / "env", database.url)
        desk.want([first / "schema"])
        findings.say(f"{name} plans clean", "\n".join(statements(desk.plan())) or None)
        with servers.fresh(history.engine) as copy:
            desk = Desk(folder / "copy", copy.url)
            desk.want([first / "schema"])
            desk.apply()
            findings.say(f"{name} builds it anew", difference(reading(copy), reading(database)))
            again = imported(copy.url, folder / "again")
            findings.say(f"{name} of the copy is equal", _files(again, first))
        if (first / "schema").exists() and any((first / "schema").iterdir()):
            desk = Desk(folder / "single", database.url)
            desk.want([imported(database.url, folder / "one", "single") / "schema.sql"])
            findings.say(f"{name} as one file plans clean", "\n".join(statements(desk.plan())) or None)
    name = f"{version.stem}: dump"
    with findings.asking(name), servers.loaded(history, version) as database:
        fill(database, tables(database))
        dump = folder / "dump.sql"
        dump.write_text(dumped(database), encoding="utf-8")
        desk = Desk(folder / "dumped", database.url)
        desk.want([dump])
        findings.say(f"{name} as a source plans clean", "\n".join(statements(desk.plan())) or None)


def _files(have: Path, want: Path) -> str | None:
    a, b = (_texts(folder / "schema") for folder in (have, want))
    return (
        "\n".join(f"{name}: {a.get(name)!r} / {b.get(name)!r}" for name in sorted({*a, *b}) if a.get(name) != b.get(name)) or None
    )


def _texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.sql")}
