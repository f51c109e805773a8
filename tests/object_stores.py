"""An S3 of this machine (moto), for tests that speak to a store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest

BUCKET = "scans"
_NUMBERS = count()


class Bucket:
    """A bucket of its own, and what stands in it."""

    def __init__(self, files) -> None:
        self.name = f"{BUCKET}{next(_NUMBERS)}"
        self.address = f"s3://{self.name}"
        self.files = files
        files.mkdir(self.name)

    def put(self, key: str, data: bytes | Path) -> None:
        self.files.pipe_file(f"{self.name}/{key}", _read(data))

    def put_raw(self, key: str, data: bytes = b"x") -> None:
        """Any key, also one that is no possible path."""
        self.files.call_s3("put_object", Bucket=self.name, Key=key, Body=data)

    def put_folder(self, folder: Path, key: str) -> None:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{key}/{file.relative_to(folder).as_posix()}", file)

    def get(self, key: str) -> bytes:
        return self.files.cat_file(f"{self.name}/{key}")

    def list_keys(self) -> list[str]:
        return sorted(name.partition("/")[2] for name in self.files.find(self.name))


def _read(data: bytes | Path) -> bytes:
    return data if isinstance(data, bytes) else data.read_bytes()


class Server:
    """Gives buckets."""

    def __init__(self, files, endpoint: str) -> None:
        self._files = files
        self._endpoint = endpoint

    def __call__(self) -> Bucket:
        return Bucket(self._files)

    @contextmanager
    def denied(self) -> Iterator[None]:
        """Nobody has any right inside the block (moto's own way)."""
        self._reset(b"0")
        try:
            yield
        finally:
            self._reset(b"inf")

    def _reset(self, count: bytes) -> None:
        address, plain = f"{self._endpoint}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urlopen(Request(address, data=count, headers=plain)).close()


@contextmanager
def open_store() -> Iterator[Server]:
    """A server that gives buckets; the surroundings name it, as they name that of a user."""
    pytest.importorskip("s3fs", reason="the extra remote is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs")
    running = server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running.start()
    host, port = running.get_host_and_port()
    surroundings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "NAMEOFKEY",
        "AWS_SECRET_ACCESS_KEY": "SECRETOFKEY",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "no_proxy": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.items():
            patch.setenv(name, value)
        files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        try:
            yield Server(files, surroundings["AWS_ENDPOINT_URL"])
        finally:
            running.stop()


@contextmanager
def serve_expired_credentials(bucket: str, keys: Sequence[str]) -> Iterator[str]:
    """An S3 that lists objects of 9 bytes, and says of each that the credentials have expired."""
    listed = "".join(f"<Contents><Key>{key}</Key><Size>9</Size></Contents>" for key in keys)

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path.partition(f"{bucket}/")[2] in keys else 404)
            self.send_header("Content-Length", "9")
            self.end_headers()

        def do_GET(self) -> None:
            if "list-type=2" in self.path:
                self._send(
                    200, f"<ListBucketResult><KeyCount>2</KeyCount>{listed}</ListBucketResult>"
                )
            else:
                self._send(400, "<Error><Code>ExpiredToken</Code></Error>")

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
