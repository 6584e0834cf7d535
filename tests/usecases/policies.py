"""Environments with a backup policy, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbops.archive.manifest import Manifest
from dbops.resources.backups.keeping import Keeper
from dbops.usecases.backup.policies import one_policy
from dbops.usecases.backup.restore import RestoreResult, RestoreWish, restore
from dbops.usecases.backup.run import Done, run_due
from dbops.usecases.backup.verify import Evidence, verify
from dbops.usecases.runtime import Workspace, open_workspace

SCHEDULE = (
    """[{type: full, cron: "0 3 * * 0"}, {type: incremental, cron: "0 * * * *"}, {type: differential, cron: "0 3 * * *"}]"""
)


class Shop:
    """An environment of one connection and one policy; `more` is further YAML of the policy's spec."""

    def __init__(self, folder: Path, url: str, more: str = "", schedule: str = SCHEDULE) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.told: list[str] = []
        (folder / "env.yaml").write_text(
            "apiVersion: dbops/v1\nkind: Connection\nmetadata: {name: shop}\n"
            f"spec: {{url: '{url}'}}\n---\n"
            "apiVersion: dbops/v1\nkind: BackupPolicy\nmetadata: {name: shop}\nspec:\n  connection: shop\n"
            f"  schedule: {schedule}\n" + ("" if "storage:" in more else "  storage: {url: 'file://./backups'}\n") + more,
            encoding="utf-8",
        )

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        with open_workspace(self.folder) as workspace:
            yield workspace

    def run(self, kind: str = "full") -> Manifest:
        with self.workspace() as workspace:
            return one_policy(workspace, told=self.told.append).back_up(kind)

    def restore(self, to: str, **wish: object) -> RestoreResult:
        with self.workspace() as workspace:
            return restore(workspace, RestoreWish(to, **wish), self.told.append)  # type: ignore[arg-type]

    def verify(self, level: int, word: str = "latest") -> Evidence:
        with self.workspace() as workspace:
            return verify(workspace, word, level, self.told.append)[0]

    def backups(self) -> tuple[Manifest, ...]:
        with self.workspace() as workspace:
            return one_policy(workspace).repository.contents().backups

    def parts(self, manifest: Manifest) -> list[Path]:
        place = self.folder / "backups" / manifest.target / manifest.timeline / "backups" / manifest.id
        return [place / part.key for stream in manifest.streams for part in stream.parts]

    def manifest(self, manifest: Manifest) -> Path:
        return self.folder / "backups" / manifest.target / manifest.timeline / "backups" / manifest.id / "manifest.json"

    def due(self) -> list[Done]:
        with self.workspace() as workspace:
            return run_due(workspace, None, self.told.append)

    @contextmanager
    def keeper(self) -> Iterator[Keeper]:
        with self.workspace() as workspace:
            yield one_policy(workspace, told=self.told.append)
