"""A dataset hub on this machine that speaks the endpoints of the real one."""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


class Hub:
    """Paths and what they answer: bytes, a value as JSON, or `Location: …`."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.bearers: dict[str, str] = {}  # what each path was asked with
        self.wants = ""  # the token without which it answers 401
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                hub.bearers[self.path] = self.headers.get("Authorization", "")
                page = hub.pages.get(self.path)
                if hub.wants and hub.bearers[self.path] != f"Bearer {hub.wants}":
                    page = None
                moved = isinstance(page, str)
                self.send_response(404 if page is None else 302 if moved else 200)
                if moved:
                    self.send_header("Location", page)
                body = page if isinstance(page, bytes) else b"" if moved else json.dumps(page).encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hold(self, repo: str, config: str, split: str, files: list[bytes]) -> None:
        """As the hub lists what it converted, with a redirect to where the bytes lie."""
        urls = []
        for number, data in enumerate(files):
            path = f"/api/datasets/{repo}/parquet/{config}/{split}/{number}.parquet"
            resolved = (
                f"/datasets/{repo}/resolve/refs%2Fconvert%2Fparquet/{config}/{split}/{number:04}.parquet"
            )
            self.pages[path], self.pages[resolved] = resolved, data
            urls.append(f"{self.url}{path}")
        self.pages[f"/api/datasets/{repo}/parquet"] = {config: {split: urls}}
        self.pages[f"/api/datasets/{repo}/revision/main"] = {"sha": "c0ffee"}

    def hold_revision(self, repo: str, revision: str, files: dict[str, bytes]) -> None:
        tree = [{"type": "file", "path": path} for path in files]
        self.pages[f"/api/datasets/{repo}/tree/{revision}?recursive=true"] = tree
        for path, data in files.items():
            self.pages[f"/datasets/{repo}/resolve/{revision}/{path}"] = data


@pytest.fixture
def elsewhere() -> Iterator[Hub]:
    """Another host, as far as tokens go: another port."""
    held = Hub()
    yield held
    held.server.shutdown()
    held.server.server_close()


@pytest.fixture
def hub(settings: Any) -> Iterator[Hub]:
    held = Hub()
    settings.HUB_URL = held.url
    settings.OUTBOUND_ALLOW = ["127.0.0.1/32"]
    yield held
    held.server.shutdown()
    held.server.server_close()
