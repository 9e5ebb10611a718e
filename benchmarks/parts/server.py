"""A web server for a folder, from memory and with ETags, so that little of the time is the server's.

Run: ``python benchmarks/parts/server.py FOLDER``; it prints its port and serves until it is ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers from memory, 304 where the client has it already."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    known: dict[str, tuple[bytes, str]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        """Answer one request."""
        path = self.translate_path(self.path)
        if Path(path).is_dir():
            path = f"{path}/index.html"
        if path not in self.known:
            try:
                data = Path(path).read_bytes()
            except OSError:
                self.send_error(404)
                return
            self.known[path] = data, f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        data, etag = self.known[path]
        same = self.headers.get("If-None-Match") == etag
        self.send_response_only(304 if same else 200)
        self.send_header("ETag", etag)
        if not same:
            self.send_header("Content-Type", "text/html" if path.endswith("html") else "application/octet-stream")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not same:
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve a folder from a process of its own; give its URL."""
    server = subprocess.Popen([sys.executable, __file__, str(root)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.wait()


def main() -> None:
    os.chdir(sys.argv[1])
    http.server.ThreadingHTTPServer.request_queue_size = 128
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
