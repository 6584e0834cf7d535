"""Walk the histories of a folder.

usage: python -m bench.chains FOLDER [--match TEXT] [--engine E] [--major N] [--only walk,roundtrip,mutations] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.chains.findings import Finding, Findings
from bench.chains.histories import History, Servers, histories
from bench.chains.mutations import mutations
from bench.chains.roundtrip import roundtrip
from bench.chains.walk import walk
from tests.servers import Lease


def main(arguments: list[str]) -> int:
    """Return 1 when something failed, 0 also when the folder holds no schemas."""
    parser = argparse.ArgumentParser(prog="bench.chains", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--match", default="", help="only histories whose name holds one of these texts, by comma")
    parser.add_argument("--engine", choices=("postgresql", "mysql", "sqlite"))
    parser.add_argument("--major", type=int, help="of PostgreSQL, where the machine's own will not do: 13 or 18")
    parser.add_argument("--only", default="walk,roundtrip,mutations", help="which questions, by comma")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--count", type=int, default=12, help="of mutations for each schema")
    parser.add_argument("--out", type=Path, help="append the findings as lines of JSON")
    options = parser.parse_args(arguments)
    chosen = [
        history
        for history in (histories(options.folder.resolve()) if options.folder.exists() else [])
        if any(text in history.name for text in options.match.split(",")) and options.engine in (None, history.engine)
    ]
    if not chosen:
        print(f"skipped: no schemas in {options.folder.resolve()}; name another folder: make chains ACCEPTANCE=...")
        return 0
    counts: Counter[str] = Counter()
    with Lease.take() as lease, TemporaryDirectory(prefix="chains-") as cache:
        os.environ["DBOPS_CACHE_DIR"] = cache
        for history in chosen:
            for finding in _about(history, Servers(lease, options.major), options):
                counts[finding.verdict] += 1
                _report(finding, options.out)
    print(
        f"{counts['invalid']} not loaded by the engine's own client, {counts['argued']} differ by design, {counts['noted']} notes"
    )
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


def _about(history: History, servers: Servers, options: argparse.Namespace) -> Iterator[Finding]:
    questions = options.only.split(",")
    findings = Findings(f"{history.engine} {history.name}")
    with TemporaryDirectory(prefix="chain-") as place:
        if "walk" in questions:
            walk(history, servers, Path(place) / "walk", findings)
        if "roundtrip" in questions:
            for version in history.versions:
                roundtrip(history, version, servers, Path(place) / version.stem, findings)
        if "mutations" in questions:
            mutations(history, servers, Path(place) / "mutations", findings, options.seed, options.count)
    yield from findings.found


def _report(finding: Finding, out: Path | None) -> None:
    if finding.verdict in ("failed", "invalid", "argued"):
        verdict = "by design" if finding.verdict == "argued" else finding.verdict
        print(
            f"{verdict}: {finding.history}: {finding.question}\n    {finding.detail[:1500]}".replace("\n", "\n    "),
            flush=True,
        )
    if out:
        with out.open("a") as file:
            file.write(json.dumps(asdict(finding)) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
