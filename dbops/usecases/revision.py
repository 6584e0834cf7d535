"""What changed in files since a git revision; git is asked as a program, and only read from."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dbops.errors import PlanError


def changed_since(revision: str, files: Sequence[Path]) -> Mapping[Path, str]:
    """Return the files that differ from what they were, each with its text then, empty for a new one.

    A branch is compared with the place where it left `revision`, so that what others did there since does not count.

    Raises:
        PlanError: no git, no repository around the files, or no such revision.
    """
    changed: dict[Path, str] = {}
    bases: dict[Path, str] = {}
    for file in files:
        root = _root(file.resolve().parent)
        if root not in bases:
            bases[root] = _base(root, revision)
        before = _text_at(root, bases[root], file.resolve().relative_to(root))
        if before is None or before != _text(file):
            changed[file] = before or ""
    return changed


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def _root(folder: Path) -> Path:
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done is None:
        raise PlanError(f"{folder} is in no git repository", expected="files under git, for --since")
    return Path(done.rstrip("\n"))


def _base(root: Path, revision: str) -> str:
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        fix = "fetch it first; a shallow clone of a CI job may lack it (fetch-depth: 0)"
        raise PlanError(f"git knows no revision {revision!r} here", expected="a commit, branch or tag", fix=fix)
    return (_git(root, "merge-base", commit.strip(), "HEAD") or commit).strip()


def _text_at(root: Path, commit: str, path: Path) -> str | None:
    """Return the text of a file at a commit, under the name it had when it was renamed since; None when it is new."""
    found = _git(root, "show", f"{commit}:{path.as_posix()}")
    if found is not None:
        return found
    renames = _git(root, "diff", "--name-status", "--find-renames", "--diff-filter=R", "-z", commit) or ""
    parts = renames.split("\0")
    for place in range(0, len(parts) - 2, 3):
        if parts[place + 2] == path.as_posix():
            return _git(root, "show", f"{commit}:{parts[place + 1]}")
    return None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers, None when it refuses."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise PlanError("there is no program git on this machine", expected="git, for --since") from error
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
