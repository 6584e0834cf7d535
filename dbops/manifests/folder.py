"""Which files of a folder belong to an environment, and which of those look like manifests."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from dbops.errors import ManifestError, Mark

API_VERSION = "dbops/v1"
#: The kind that makes a folder an environment of its own.
ENVIRONMENT = "Environment"
ENVIRONMENT_FILES = ("environment.yaml", "environment.yml")

_FOREIGN_FOLDERS = frozenset({"node_modules", "venv", "__pycache__", "site-packages"})
_VERSION = re.compile(rb"""apiVersion["']?[ \t]*:[ \t]*["']?([^\s"',}#]*)""")
_KIND = re.compile(rb"""^kind[ \t]*:[ \t]*["']?([A-Za-z]+)""", re.MULTILINE)


def environment_file(folder: Path) -> Path | None:
    """Return the file that makes a folder an environment of its own, None when it has none; other programs use the name too."""
    return next((folder / name for name in ENVIRONMENT_FILES if _is_environment(folder / name)), None)


def _is_environment(file: Path) -> bool:
    try:
        return may_hold_manifests(file.read_bytes(), (ENVIRONMENT,))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def yaml_files(root: Path, leave_out: Collection[Path] = ()) -> list[Path]:
    """Return all YAML files below `root`, sorted by path.

    Hidden folders, virtual environments, folders with an environment file of their own and `leave_out` (resolved) are passed by.

    Raises:
        ManifestError: a folder cannot be read.
    """
    found = _walk(root, root.resolve(), frozenset(leave_out), frozenset())
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _walk(folder: Path, real: Path, leave_out: frozenset[Path], above: frozenset[Path]) -> Iterator[Path]:
    """Yield the files of a folder whose true path is `real`; `above` are the true paths on the way to it.

    One listing of each folder and nothing more: a folder of backups has thousands below it.
    """
    try:
        with os.scandir(folder) as listing:
            entries = {entry.name: entry for entry in listing}
    except OSError as error:
        raise ManifestError(f"the folder cannot be read: {error.strerror}", at=Mark(str(folder))) from error
    if above and (
        "pyvenv.cfg" in entries or any(name in entries and _is_environment(folder / name) for name in ENVIRONMENT_FILES)
    ):
        return
    for name, entry in entries.items():
        if name.startswith("."):
            continue
        if not _is_folder(entry):
            if name.endswith((".yaml", ".yml")):
                yield folder / name
        elif name not in _FOREIGN_FOLDERS:
            inner = (folder / name).resolve() if entry.is_symlink() else real / name
            if inner not in leave_out and inner not in above and inner != real:
                yield from _walk(folder / name, inner, leave_out, above | {real})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link that leads where nobody may look, or around in a circle
        raise ManifestError(f"the file cannot be read: {error.strerror}", at=Mark(entry.path)) from error


def may_hold_manifests(data: bytes, kinds: Collection[str]) -> bool:
    """Tell cheaply whether a file should be read as manifests, before its encoding and syntax are looked at."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.replace(b"\0", b"")  # what PowerShell 5 redirects; read, so that its encoding is an error and not a silence
    versions = _VERSION.findall(data)
    if versions:
        return any(resembles(version.decode("utf-8", "replace")) for version in versions)
    return any(kind.decode("ascii") in kinds for kind in _KIND.findall(data))


def is_manifest(document: dict[str, object], kinds: Collection[str]) -> bool:
    """Tell whether a document is meant for dbops; others may share its files."""
    if "apiVersion" in document:
        version = document["apiVersion"]
        return isinstance(version, str) and resembles(version)
    kind = document.get("kind")
    return isinstance(kind, str) and kind in kinds


def resembles(version: str) -> bool:
    """Tell whether an apiVersion is one of dbops, or one misspelled."""
    return version.lower().startswith("dbops") or bool(get_close_matches(version.lower(), [API_VERSION], cutoff=0.8))
