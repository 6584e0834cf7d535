"""A server of SFTP: OpenSSH's sshd, for keys of this run alone, on a free port, as an unprivileged account where we are root."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.programs import free_port, run, server_account

_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class SftpServer:
    """A server that runs: `folder` is where its account may write, `key` the file with the key that it lets in."""

    port: int
    user: str
    folder: Path
    key: Path
    known_hosts: Path

    def url(self, name: str) -> str:
        return f"sftp://{self.user}@127.0.0.1:{self.port}{self.folder}/{name}"

    @property
    def options(self) -> dict[str, str]:
        return {"key_filename": str(self.key), "known_hosts": str(self.known_hosts)}


@contextmanager
def sftp_server(place: Path) -> Iterator[SftpServer]:
    """Run a server in a folder that all may enter; the test is skipped where a program or a package is missing."""
    pytest.importorskip("paramiko", reason="paramiko is not installed")
    sshd = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    keygen = shutil.which("ssh-keygen")
    if sshd is None or keygen is None:
        pytest.skip("sshd is not installed: apt install openssh-server")
    account = server_account("postgres")  # one with a shell, which sshd wants
    user = pwd.getpwuid(account["user"] if account else os.getuid()).pw_name
    for name in ("host", "own"):
        run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)])
    shutil.copy(place / "own.pub", place / "authorized")
    port, data = free_port(), place / "data"
    data.mkdir()
    (place / "config").write_text(_CONFIG.format(port=port, folder=place))
    (place / "known").write_text(f"[127.0.0.1]:{port} {(place / 'host.pub').read_text()}")
    if account:
        for path in (place, data, place / "host", place / "authorized"):
            os.chown(path, account["user"], account["group"])
    log = (place / "log").open("wb")
    server = subprocess.Popen([sshd, "-D", "-e", "-f", str(place / "config")], stderr=log, **account)
    try:
        _wait(server, port, place / "log")
        yield SftpServer(port, user, data, place / "own", place / "known")
    finally:
        server.terminate()
        server.wait()
        log.close()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            pytest.skip(f"sshd does not run here: {log.read_text().strip()}")
        time.sleep(0.05)
    pytest.skip("sshd does not answer")
