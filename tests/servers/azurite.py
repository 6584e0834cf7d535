"""A server of Azure's blobs: Azurite, Microsoft's own emulator from npm, where it is installed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers.programs import free_port

_ACCOUNT = "devstoreaccount1"
#: The key of the emulator's account, the same everywhere (Azurite, README, "Default Storage Account").
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"
_UNSET = "\n" * 12


@contextmanager
def azurite(place: Path) -> Iterator[str]:
    """Give the endpoint of a server; the test is skipped where the program is not on the PATH: it is 190 MB of packages."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite is not installed: npm install --global azurite")
    port = free_port()
    command = [program, "--silent", "--location", str(place), "--blobPort", str(port), "--skipApiVersionCheck"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/{_ACCOUNT}"
    finally:
        server.terminate()
        server.wait()


def options(endpoint: str) -> dict[str, str]:
    return {"account_name": _ACCOUNT, "account_key": _KEY, "endpoint": endpoint, "allow_http": "true"}


def new_container(endpoint: str) -> str:
    """Make a container; obstore makes none (Azure, "Authorize with Shared Key")."""
    name = f"c-{secrets.token_hex(8)}"
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    signed = f"PUT{_UNSET}x-ms-date:{date}\nx-ms-version:{_VERSION}\n/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
    mark = base64.b64encode(hmac.new(base64.b64decode(_KEY), signed.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": date, "x-ms-version": _VERSION, "Content-Length": "0"}
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{mark}"
    wanted = urllib.request.Request(f"{endpoint}/{name}?restype=container", method="PUT", headers=headers)
    with urllib.request.urlopen(wanted):
        return name
