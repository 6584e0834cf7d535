"""Where the revisions of an Alembic script directory lie: what its alembic.ini says of folders, read by Alembic itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.errors import Mark, MigrationError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

INI = "alembic.ini"


def ini_of(directory: Path) -> Path | None:
    """Return the alembic.ini of a script directory: in it, or in one of the folders above."""
    return next((folder / INI for folder in (directory, *directory.parents) if (folder / INI).is_file()), None)


def names_folders(ini: Path) -> bool:
    """Tell whether an alembic.ini may name folders of revisions; what it names, Alembic reads."""
    return "version_locations" in ini.read_text(encoding="utf-8", errors="replace")


def version_folders(directory: Path) -> list[Path]:
    """Return the folders that hold revisions, the one first that new ones are written to.

    Raises:
        MigrationError: a folder of `version_locations` is not there, or Alembic, which reads them, is not.
    """
    usual = directory / "versions"
    ini = ini_of(directory)
    if ini is None or not names_folders(ini):
        return [usual]
    scripts = script_directory(directory)
    found = [Path(location).absolute() for location in scripts.version_locations or ()] or [usual]
    for folder in found:
        if not folder.is_dir() and folder != usual:
            raise MigrationError(
                f"{INI} names a folder of revisions that is not there: {folder}",
                at=Mark(str(ini)),
                expected="version_locations that hold wherever Alembic is started",
                fix="%(here)s in front of a path stands for the folder of alembic.ini",
            )
    if scripts.recursive_version_locations:
        below = [path for folder in found for path in sorted(folder.rglob("*")) if path.is_dir()]
        found += [path for path in below if not path.name.startswith(("_", "."))]
    return list(dict.fromkeys(sorted(found, key=lambda folder: folder != usual)))


def script_directory(directory: Path) -> ScriptDirectory:
    """Load a script directory as Alembic does, with the options of its alembic.ini.

    Raises:
        MigrationError: Alembic is not installed, or finds no script directory there.
    """
    try:
        from alembic.script import ScriptDirectory as Directory
    except ImportError as error:
        raise MigrationError("the format alembic needs Alembic", fix="pip install 'dbops[alembic]'") from error
    before = len(sys.path)
    try:
        found = Directory.from_config(config_of(directory))
    except Exception as error:
        raise MigrationError(
            f"{directory} is no script directory of Alembic: {error}", expected="a folder with versions/"
        ) from error
    _prepend_from_ini(directory, sys.path[: max(0, len(sys.path) - before)])
    return found


def _prepend_from_ini(directory: Path, prepended: list[str]) -> None:
    """Let relative places of `prepend_sys_path`, usually `.`, count from the folder of alembic.ini too.

    Alembic takes them from where it is started, which is that folder as a rule; dbops is started elsewhere.
    """
    ini = ini_of(directory)
    if ini is not None:
        places = [str((ini.parent / place).resolve()) for place in prepended if not Path(place).is_absolute()]
        sys.path[:0] = [place for place in dict.fromkeys(places) if place not in sys.path]


def config_of(directory: Path, *, whole: bool = False) -> Config:
    """Return Alembic's configuration of a script directory.

    An alembic.ini further up counts where it is about this directory, and with `whole`, for an env.py, in any case.
    """
    from alembic.config import Config

    ini = ini_of(directory)
    config = Config(str(ini)) if ini else Config()
    if ini is not None and not whole and not _is_about(config, ini, directory):
        config = Config()
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    return config


def _is_about(config: Config, ini: Path, directory: Path) -> bool:
    """Tell whether a script location, relative to where Alembic is started, may be a directory: a package's may be any."""
    said = config.get_main_option("script_location")
    if said is None or (":" in said and not Path(said).is_absolute()):
        return said is not None
    return directory.resolve() in ((ini.parent / said).resolve(), Path(said).resolve())
