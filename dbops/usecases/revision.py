"""What git knows of files: what changed since a revision, folders at tags; git is asked as a program, and only read from."""

from __future__ import annotations

import io
import posixpath
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


def tags_of(paths: Sequence[Path], pattern: str) -> list[tuple[str, tuple[str | None, ...]]]:
    """Return the tags that match a pattern, oldest first, each with git's id of every path as it has it, None where it has none.

    Tags that do not have the first path are left out. Patterns are git's: `v*`.

    Raises:
        PlanError: no git, no repository around the paths, or no such tag.
    """
    root = _root(paths[0].resolve())
    names = (_git(root, "tag", "--list", "--sort=creatordate", "--end-of-options", pattern) or "").split("\n")
    tags = [name for name in names if name]
    if not tags:
        raise PlanError(
            f"git knows no tag {pattern!r} here",
            expected="a pattern of tags, such as v*",
            fix="fetch them first; a clone of a CI job may lack them (fetch-tags: true)",
        )
    places = [_place(path, root) for path in paths]
    found = [(tag, tuple(_id(root, f"{tag}:{place}") for place in places)) for tag in tags]
    return [(tag, ids) for tag, ids in found if ids[0] is not None]


def _place(path: Path, root: Path) -> str:
    if not path.resolve().is_relative_to(root):
        raise PlanError(f"{path} is in another repository than the migrations, or in none", expected=f"files below {root}")
    return "" if path.resolve() == root else path.resolve().relative_to(root).as_posix()


def _id(root: Path, name: str) -> str | None:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
    return None if found is None else found.strip()


def unpack(folder: Path, found: str, into: Path) -> None:
    """Write what git has under an id, in the repository around `folder`: the files of a tree into a folder, or one file."""
    root = _root(folder.resolve())
    if (_git(root, "cat-file", "-t", found) or "").strip() == "blob":
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_bytes(_answer(root, "cat-file", "blob", found) or b"")
        return
    archive = _answer(root, "archive", "--format=tar", found)
    assert archive is not None, "the tree was found before"
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extraction_filter = lambda member, folder: member  # Python before 3.11.4 has no argument for it
        files.extractall(into, [member for member in files if _lies_inside(member)])


def _lies_inside(member: tarfile.TarInfo) -> bool:
    """Whether it is a file, a folder, or a link to one, below the folder of the archive."""
    if member.isreg() or member.isdir():
        target = member.name
    elif member.issym():
        target = posixpath.join(posixpath.dirname(member.name), member.linkname)
    else:
        return False
    return all(not path.startswith(("/", "../")) and path != ".." for path in map(posixpath.normpath, (member.name, target)))


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
