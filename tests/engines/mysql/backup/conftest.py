"""Backups are made by the programs of the server's make."""

from __future__ import annotations

import os

import pytest

from tests.servers.mysql_makes import MYSQL_FOLDER


@pytest.fixture(autouse=True)
def programs_of_the_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put MySQL's programs first where the tests run on MySQL."""
    if folder := os.environ.get(MYSQL_FOLDER):
        monkeypatch.setenv("PATH", os.pathsep.join((os.path.realpath(folder), os.environ["PATH"])))
