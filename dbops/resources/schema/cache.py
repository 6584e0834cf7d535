"""What was found out before, in files: canonical catalogs, and findings as texts. It can be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbops.catalog.catalog import Catalog


class CatalogCache:
    """Catalogs as files under a folder; `folder` None keeps them only for the life of this object."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._loaded: dict[str, Catalog] = {}
        self._texts: dict[str, str] = {}

    def get(self, key: str) -> Catalog | None:
        if key in self._loaded:
            return self._loaded[key]
        from dbops.catalog import codec

        text = self.get_text(key)
        try:
            if text is not None:
                self._loaded[key] = codec.from_json(text)
        except (ValueError, KeyError, TypeError):  # damaged: it is only a cache
            return None
        return self._loaded.get(key)

    def put(self, key: str, catalog: Catalog) -> None:
        self._loaded[key] = catalog
        if self._folder is not None:
            from dbops.catalog import codec

            self.put_text(key, codec.to_json(catalog))

    def get_text(self, key: str) -> str | None:
        """Return any text kept under `key`."""
        if self._folder is None:
            return self._texts.get(key)
        try:
            return (self._folder / f"{key}.json").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def put_text(self, key: str, text: str) -> None:
        if self._folder is None:
            self._texts[key] = text
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f"{key}.{os.getpid()}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(self._folder / f"{key}.json")
        except OSError:  # a read-only home must not keep anybody from planning
            return


def default_folder(environment: dict[str, str] | os._Environ[str] = os.environ) -> Path | None:
    """Return where catalogs are cached; `DBOPS_CACHE_DIR` says otherwise, and when empty turns the cache off."""
    chosen = environment.get("DBOPS_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) / "catalogs" if chosen else None
    from platformdirs import user_cache_path

    return user_cache_path("dbops") / "catalogs"
