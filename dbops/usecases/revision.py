"""What git knows of files: what changed since a revision, folders at tags; git is asked as a program, and only read from."""

from __future__ import annotations

import io
import subprocess
import tarfile
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


def tags_of(folder: Path, pattern: str) -> list[tuple[str, str]]:
    """Return the tags that match a pattern, oldest first, each with the id of the tree that it has at this folder.

    Tags that do not have the folder are left out. Patterns are git's: `v*`.

    Raises:
        PlanError: no git, no repository around the folder, or no such tag.
    """
    root = _root(folder.resolve())
    place = "" if folder.resolve() == root else folder.resolve().relative_to(root).as_posix()
    names = (_git(root, "tag", "--list", "--sort=creatordate", "--end-of-options", pattern) or "").split("\n")
    tags = [name for name in names if name]
    if not tags:
        raise PlanError(
            f"git knows no tag {pattern!r} here",
            expected="a pattern of tags, such as v*",
            fix="fetch them first; a clone of a CI job may lack them (fetch-tags: true)",
        )
    trees = ((tag, _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{tag}:{place}")) for tag in tags)
    return [(tag, tree.strip()) for tag, tree in trees if tree is not None]


def unpack(folder: Path, tree: str, into: Path) -> None:
    """Write the files of a tree, of the repository around `folder`, into another folder."""
    archive = _answer(_root(folder.resolve()), "archive", "--format=tar", tree)
    assert archive is not None, "the tree was found before"
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(into, filter="data")


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def _root(folder: Path) -> Path:
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done is None:
        raise PlanError(f"{folder} is in no git repository", expected="files under git")
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
    answer = _answer(folder, *arguments)
    return None if answer is None else answer.decode("utf-8", "replace")


def _answer(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise PlanError("there is no program git on this machine", expected="git, which knows revisions and tags") from error
    return done.stdout if done.returncode == 0 else None
