"""The registry's server on loopback, beside pypiserver: publish, search, pages and downloads; one table.

The folder has made-up skills whose words are as unequal as those of a language. One process asks over kept connections,
so a rate is also bounded by the client; the server has the other cores. "Per CPU second of it" counts what the server
alone uses, in itself and in the kernel. Times are milliseconds that a client waits.
pypiserver is installed by pip into a throw-away folder; without it, its column is empty.

Run: ``python benchmarks/registry.py [--skills 2000] [--asked 1000] [--folder DIR] [--signed] [--only PART ...]``. A
folder is kept and used again, with its index. The parts are ``peer``, ``search``, ``pages`` and ``publish``. With
``--signed`` each release is signed and logged. "Server time" is what the server's log says of the three requests.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "registry"), str(ROOT / "benchmarks/parts")]

from running import running  # noqa: E402

from skillpm.formats.light import json_form  # noqa: E402
from skillpm.index.folder_registry import FolderRegistry, make_registry  # noqa: E402
from skillpm.index.path import release_of  # noqa: E402
from skillpm.index.paths import archive_path, page_path  # noqa: E402
from skillpm.layout.tree import MappingTree  # noqa: E402
from skillpm.model.release import Release  # noqa: E402
from skillpm.storage.archive import build_archive  # noqa: E402

CHANCE = random.Random(3)
FIRST, LAST = "b c d f g k l m n p r s t v z tr pl st gr", "a e i o u an er in or"
PARTS = [a + b for a in FIRST.split() for b in LAST.split()]
WORDS = ["".join(CHANCE.choice(PARTS) for _ in range(CHANCE.randint(2, 4))) for _ in range(6000)]
WEIGHTS = list(accumulate(1 / (place + 1) for place in range(len(WORDS))))  # Zipf's law
API = "/api/v1"
PARTS_OF = ("peer", "search", "pages", "publish")
Row = tuple[str, str]


def words(count: int) -> list[str]:
    return CHANCE.choices(WORDS, cum_weights=WEIGHTS, k=count)


def made(name: str) -> tuple[Release, bytes]:
    """Return a release of about three kilobytes, and its archive."""
    files = {
        "SKILL.md": f"---\nname: {name}\ndescription: {' '.join(words(18))}\n---\n{' '.join(words(250))}\n",
        "skill.yaml": f"manifest: 1\nversion: 1.0.0\nkeywords: [{', '.join(words(3))}]\n",
        "README.md": " ".join(words(120)),
    }
    tree = MappingTree({path: text.encode() for path, text in files.items()})
    archive = build_archive(tree)
    return replace(release_of(tree, archive)[1], published="2026-11-01T00:00:00Z"), archive


def fill(root: Path, count: int) -> list[str]:
    """Write a registry's folder as its publisher would have; return the names."""
    if (root / "config.json").is_file():
        return FolderRegistry(root, "bench").names()
    make_registry(root, "bench")
    names: set[str] = set()
    while len(names) < count:
        names.add("-".join(CHANCE.choice(WORDS) for _ in range(CHANCE.choice((2, 2, 3))))[:60].rstrip("-"))
    for name in sorted(names):
        release, archive = made(name)
        page = json.dumps({"name": name, "releases": [json_form(release)]})
        for path, data in ((archive_path(release.archive), archive), (page_path(name), page.encode())):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return sorted(names)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    connection.request(method, path, body or None, {key.replace("_", "-"): value for key, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read()


def get(connection: http.client.HTTPConnection, path: str, number: int) -> tuple[int, bytes]:
    return ask(connection, "GET", path)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'registry'}"}


def times(work: Callable[[int], object], count: int) -> list[float]:
    """Return the sorted milliseconds of each of some calls, the first tenth left out."""
    found = []
    for number in range(count):
        begin = time.perf_counter()
        work(number)
        found.append((time.perf_counter() - begin) * 1000)
    return sorted(found[count // 10 :])


def of(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} / {found[int(len(found) * 0.99)]:.2f}"


def rate(found: list[float]) -> str:
    return f"{1000 / statistics.mean(found):,.0f}"


def slip(word: str) -> str:
    place = CHANCE.randrange(len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def searches(connection: http.client.HTTPConnection, names: list[str], asked: int) -> Iterator[Row]:
    kinds: dict[str, Callable[[], str]] = {
        "a name": lambda: CHANCE.choice(names),
        "a word": lambda: words(1)[0],
        "three letters": lambda: words(1)[0][:3],
        "two words": lambda: " ".join(words(2)),
        "a misspelt word": lambda: slip(CHANCE.choice(WORDS)),
    }
    every = list[float]()
    for kind, make in kinds.items():
        paths = [f"/search.json?q={quote(make())}" for _ in range(asked)]
        found = times(lambda number, paths=paths: ask(connection, "GET", paths[number]), asked)  # type: ignore[misc]
        every += found
        yield f"search for {kind}, p50 / p99 ms", of(found)
    yield "search, all kinds, p50 / p99 ms", of(sorted(every))


def publishing(connection: http.client.HTTPConnection, token: str, count: int, log: Path) -> Iterator[Row]:
    """Publish new skills, and search right after each."""
    ready = [(name, *made(name)) for name in (f"fresh-{uuid.uuid4().hex[:8]}" for _ in range(count))]
    headers = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
    searched = []

    def publish(number: int) -> None:
        name, release, archive = ready[number]
        wish = json.dumps({"name": name, "release": json_form(release)}).encode()
        _, body = ask(connection, "POST", f"{API}/uploads", wish, **headers)
        key = json.loads(body)["id"]
        ask(connection, "PUT", f"{API}/uploads/{key}/archive", archive, Authorization=headers["Authorization"])
        status, body = ask(connection, "POST", f"{API}/uploads/{key}/publish", b"{}", **headers)
        assert status == 201, body

    taken = times(publish, count)
    for number in range(count):
        ready[number] = (name := f"after-{uuid.uuid4().hex[:8]}", *made(name))
        publish(number)
        begin = time.perf_counter()
        found = json.loads(ask(connection, "GET", f"/search.json?q={name}")[1])
        searched.append((time.perf_counter() - begin) * 1000)
        assert [item["name"] for item in found["skills"]][:1] == [name], "what was published is found at once"
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"/api/v1/uploads' in line]
    asked = [line["ms"] for line in lines if line.get("message") == "request"]
    yield "publish, three requests, p50 / p99 ms", of(taken)
    yield "publish, server time, p50 / p99 ms", of(sorted(map(sum, zip(*[iter(asked)] * 3, strict=False))))
    yield "a search right after a publication, p50 / p99 ms", of(sorted(searched))


def processor_seconds(process: int) -> float:
    """Return what a process has used of the processor, in itself and in the kernel (Linux, proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pages(connection: http.client.HTTPConnection, names: list[str], asked: int, server: int) -> Iterator[Row]:
    document = page_path(names[0])
    release = json.loads(ask(connection, "GET", f"/{document}")[1])["releases"][0]
    paths = {
        "the first page": "/", "a skill's page": f"/skill/{names[0]}",
        "a document (skills/NAME.json)": f"/{document}", "a download": f"/{archive_path(release['archive'])}",
    }  # fmt: skip
    for what, path in paths.items():
        before = processor_seconds(server)
        yield f"{what}, one connection, a second", rate(times(partial(get, connection, path), asked))
        yield f"{what}, per CPU second of it", f"{asked / (processor_seconds(server) - before):,.0f}"
    spread = CHANCE.sample(names, min(len(names), asked))
    found = times(lambda number: ask(connection, "GET", f"/skill/{spread[number]}"), len(spread))
    yield "a skill's page, each asked once, p50 / p99 ms", of(found)


def ours(root: Path, names: list[str], asked: int, parts: set[str], options: list[str]) -> Iterator[Row]:
    log = root / "tmp" / f"{uuid.uuid4().hex}.log"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "skillpm_registry"]
    serve = [*command, "serve", "--data", str(root), "--rate", "1000000/minute", *options, "--port"]
    with running(serve, environment(), log) as server:
        yield f"start with {len(names):,} skills, s", f"{server.seconds:.1f}"
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        if "search" in parts:
            yield from searches(connection, names, asked)
        if "pages" in parts:
            yield from pages(connection, names, asked, server.pid)
        if "publish" in parts:
            said = subprocess.run(
                [*command, "account", "add", f"bench-{uuid.uuid4().hex[:6]}", "--data", str(root)],
                env=environment(), capture_output=True, text=True,
            )  # fmt: skip
            token = next((word for word in said.stdout.split() if word.startswith("skp_")), "")
            yield from publishing(connection, token, min(asked, 200), log)


def pypiserver(place: Path, asked: int) -> dict[str, str]:
    """Measure the peer where pip can install it."""
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    done = subprocess.run([place / "venv/bin/pip", "install", "-q", "pypiserver"], capture_output=True)
    if done.returncode:
        return {}
    (place / "packages").mkdir()
    data = os.urandom(3000)
    serve = [str(place / "venv/bin/pypi-server"), "run", "-P", ".", "-a", ".", str(place / "packages"), "-p"]
    with running(serve, environment()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)

        def upload(number: int) -> None:
            border, name = uuid.uuid4().hex, f"demo-1.0.{number}.tar.gz"
            digest = hashlib.sha256(data).hexdigest()
            fields = {":action": "file_upload", "name": "demo", "version": f"1.0.{number}", "sha256_digest": digest}
            form = f'--{border}\r\nContent-Disposition: form-data; name="'
            parts = "".join(f'{form}{key}"\r\n\r\n{value}\r\n' for key, value in fields.items())
            head = f'--{border}\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n\r\n'
            body = parts.encode() + head.encode() + data + f"\r\n--{border}--\r\n".encode()
            status, text = ask(connection, "POST", "/", body, Content_Type=f"multipart/form-data; boundary={border}")
            assert status == 200, text

        found = times(upload, min(asked, 200))
        pages = {"the first page": "/", "a skill's page": "/simple/demo/", "a download": "/packages/demo-1.0.0.tar.gz"}
        return {
            "publish, three requests, p50 / p99 ms": of(found),
            **{
                f"{what}, one connection, a second": rate(times(partial(get, connection, path), asked))
                for what, path in pages.items()
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skills", type=int, default=2000)
    parser.add_argument("--asked", type=int, default=1000, help="requests of each kind")
    parser.add_argument("--folder", type=Path, help="a registry's folder to make or to use again")
    parser.add_argument("--signed", action="store_true", help="sign the pages and log the releases")
    parser.add_argument("--only", nargs="+", choices=PARTS_OF, default=PARTS_OF, help="measure these parts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root, parts = options.folder or Path(scratch) / "shop", set(options.only)
        peer = pypiserver(Path(scratch), options.asked) if "peer" in parts else {}
        print(f"{'what':55} {'pypiserver':>16} {'ours':>16}")
        names, more = fill(root, options.skills), ["--signed"] * options.signed
        for what, value in ours(root, names, options.asked, parts, more) if parts - {"peer"} else peer.items():
            print(f"{what:55} {peer.get(what, '-'):>16} {value:>16}", flush=True)


if __name__ == "__main__":
    main()
