"""A server of S3's protocol: moto's, in a thread of the test program."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

S3 = {"region": "us-east-1", "access_key_id": "test", "secret_access_key": "hunter2secret", "allow_http": "true"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Give the URL of a server; the test is skipped where moto is not installed."""
    moto = pytest.importorskip("moto.server", reason="moto[s3,server] is not installed")
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, _serial(moto.DomainDispatcherApplication(moto.create_backend_app)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _serial(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Let one request in at a time: moto looks whether a key is there and writes it in two steps, which S3 does in one."""
    lock = threading.Lock()

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        with lock:
            return list(app(environ, start_response))

    return answer


def new_bucket(endpoint: str) -> str:
    import boto3

    name = f"b-{secrets.token_hex(8)}"
    client: Any = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="hunter2secret",
    )
    client.create_bucket(Bucket=name)
    return name
