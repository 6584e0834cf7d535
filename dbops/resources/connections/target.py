"""A Connection manifest turned into what an engine needs: secrets fetched, paths made absolute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from dbops.engines.base.connect import Target, Timeouts, Tls
from dbops.engines.base.url import DatabaseUrl
from dbops.manifests.environment import Environment, Manifest
from dbops.resources.connections.spec import ConnectionSpec, SqliteSettings, TlsSettings


def target_of(manifest: Manifest, environment: Environment, process_env: Mapping[str, str]) -> Target:
    """Return the target of one Connection manifest; opens nothing.

    SQLite files are relative to the environment folder being planned, certificates to the folder the manifest is written in.

    Raises:
        ManifestError: a secret cannot be fetched.
    """
    spec = cast("ConnectionSpec", manifest.spec)
    url = spec.address(manifest.root, process_env, manifest.mark).under(environment.root)
    scratch = spec.scratch_address(manifest.root, process_env, manifest.mark)
    return Target(
        name=manifest.name,
        url=url,
        timeouts=Timeouts(spec.timeouts.connect, spec.timeouts.lock, spec.timeouts.statement),
        attempts=spec.retries.attempts,
        lock_attempts=spec.retries.locks,
        tls=_tls(spec.tls, manifest.root) if spec.tls else None,
        settings=_settings(spec.sqlite) if spec.sqlite else (),
        scratch=scratch.under(environment.root) if scratch else None,
        secrets=_secrets(url, scratch),
    )


def _secrets(*urls: DatabaseUrl | None) -> tuple[str, ...]:
    return tuple(url.password.reveal() for url in urls if url and url.password)


def _tls(tls: TlsSettings, root: Path) -> Tls:
    def absolute(path: str | None) -> str | None:
        return None if path is None else str((root / Path(path).expanduser()).absolute())

    return Tls(tls.mode, absolute(tls.root_cert), absolute(tls.cert), absolute(tls.key))


def _settings(sqlite: SqliteSettings) -> tuple[tuple[str, str], ...]:
    """Return the pragmas in the order in which SQLite wants them: journal_mode before synchronous."""
    values: list[tuple[str, str | int | None]] = [
        ("busy_timeout", None if sqlite.busy_timeout is None else round(sqlite.busy_timeout * 1000)),
        ("journal_mode", sqlite.journal_mode),
        ("synchronous", sqlite.synchronous),
        ("cache_size", sqlite.cache_size),
        ("foreign_keys", None if sqlite.foreign_keys is None else str(int(sqlite.foreign_keys))),
    ]
    return tuple((name, str(value)) for name, value in values if value is not None)
