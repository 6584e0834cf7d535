"""A server of S3's protocol: moto's, in a thread of the test program."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

S3 = {"region": "us-east-1", "access_key_id": "test", "secret_access_key": "hunter2secret", "allow_http": "true"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Give the URL of a server; the test is skipped where moto is not installed."""
    moto = pytest.importorskip("moto.server", reason="moto[s3,server] is not installed")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


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
