"""Installs 100 generated skills from a registry behind HTTP, cold and warm: what, peer, ours, ratio.

The registry is a folder in skillpm's static layout; a web server on this machine serves it with ETags from a process of
its own. Cold: nothing is kept. Warm: store and cache are kept, the project is new, and every page is asked for again
by its ETag. Each figure is the median of several runs, wall clock with process start, on the fastest folder there is
(/dev/shm where it exists). pip and uv, where they are on this machine, install as many wheels of about the same size
from an index of theirs on the same server.

Run: ``python benchmarks/http_install.py [--runs 5] [--count 100]``
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from install import generate  # noqa: E402

from skillpm.layout.tree import FolderTree  # noqa: E402
from skillpm.ops.registry import write_registry  # noqa: E402

GOALS = {"cold": 0.35, "warm": 0.15}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files from memory with ETags, so that little of the time is the server's."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    known: dict[str, tuple[bytes, str]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        """Answer from memory, 304 where the client has it already."""
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


def serve(root: Path) -> None:
    """Serve a folder for ever, telling the port on stdout."""
    os.chdir(root)
    http.server.ThreadingHTTPServer.request_queue_size = 128
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def wheels(root: Path, count: int) -> None:
    """Write as many wheels, and the index of them that pip and uv read (PEP 503)."""
    for number in range(count):
        name = f"bench_wheel_{number:04d}"
        folder = root / "simple" / name.replace("_", "-")
        folder.mkdir(parents=True)
        info = f"{name}-1.0.dist-info"
        members = {
            f"{name}/__init__.py": "".join(f"value_{line} = {line * number}\n" for line in range(320)),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in members.items()]
        members[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
        file = folder / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
            for path, text in members.items():
                wheel.writestr(path, text)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{file.name}#sha256={digest}">{file.name}</a>')


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


Command = Callable[[Path, Path], tuple[list[str], dict[str, str]]]


def time_of(command: Command, scratch: Path, runs: int) -> dict[str, float]:
    """Return the median seconds, cold and warm, of a command given a home and a project."""
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(runs):
        home = Path(tempfile.mkdtemp(dir=scratch))
        for kind in times:
            project = Path(tempfile.mkdtemp(dir=scratch))
            words, environment = command(home, project)
            environment = {**environment, "PYTHONDONTWRITEBYTECODE": ""}  # as where it is installed
            start = time.perf_counter()
            done = subprocess.run(words, cwd=project, env={**os.environ, **environment}, capture_output=True, text=True)
            times[kind].append(time.perf_counter() - start)
            if done.returncode:
                raise SystemExit(f"{' '.join(words[:5])} … failed:\n{done.stderr[-2000:]}")
            shutil.rmtree(project)
        shutil.rmtree(home)
    return {kind: statistics.median(values) for kind, values in times.items()}


def commands(url: str, count: int) -> dict[str, Command]:
    """Return how each of the three is asked to install everything."""
    skills = [f"bench-skill-{number:04d}" for number in range(count)]
    packages = [f"bench-wheel-{number:04d}" for number in range(count)]

    def skillpm(home: Path, project: Path) -> tuple[list[str], dict[str, str]]:
        words = [sys.executable, "-m", "skillpm", "install", *skills, "--index", f"{url}/registry"]
        return words, {"SKILLPM_HOME": str(home), "PYTHONPATH": str(ROOT)}

    def pip(home: Path, project: Path) -> tuple[list[str], dict[str, str]]:
        words = ["pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(project / "site")]
        words += ["--cache-dir", str(home), "--index-url", f"{url}/simple", "--no-deps", *packages]
        return words, {"PIP_CONFIG_FILE": os.devnull}

    def uv(home: Path, project: Path) -> tuple[list[str], dict[str, str]]:
        words = ["uv", "pip", "install", "--quiet", "--no-config", "--target", str(project / "site"), "--no-deps"]
        return [*words, "--cache-dir", str(home), "--index-url", f"{url}/simple", *packages], {}

    return {"skillpm": skillpm, "pip": pip, "uv": uv}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        scratch = Path(folder)
        site = scratch / "site"
        generate(scratch / "skills", options.count)
        write_registry(site / "registry", (FolderTree(path) for path in sorted((scratch / "skills").iterdir())))
        wheels(site, options.count)
        server = subprocess.Popen([sys.executable, __file__, "--serve", str(site)], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            measure(f"http://127.0.0.1:{server.stdout.readline().strip()}", scratch, options.count, options.runs)
        finally:
            server.kill()
            server.wait()


def measure(url: str, scratch: Path, count: int, runs: int) -> None:
    known = commands(url, count)
    ours = time_of(known.pop("skillpm"), scratch, runs)
    print(f"{'what':<36} {'peer':<6} {'peer s':>8} {'ours s':>8} {'ratio':>7}  goal s")
    for name, command in known.items():
        if shutil.which(name) is None:
            print(f"{name} is not on this machine, so not measured")
            continue
        theirs = time_of(command, scratch, runs)
        for kind, goal in GOALS.items():
            what = f"install {count} from an HTTP index, {kind}"
            ratio = ours[kind] / theirs[kind]
            print(f"{what:<36} {name:<6} {theirs[kind]:>8.3f} {ours[kind]:>8.3f} {ratio:>6.1f}x  {goal}")
    for kind, goal in GOALS.items():
        print(
            f"{f'install {count} from an HTTP index, {kind}':<36} {'-':<6} {'-':>8} {ours[kind]:>8.3f} {'-':>7}  {goal}"
        )


if __name__ == "__main__":
    main()
