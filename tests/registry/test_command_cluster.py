"""Three servers over one PostgreSQL and one store behind nginx: two die, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from skillpm.errors import IntegrityError, RegistryError
from skillpm.index.credentials import Credentials
from skillpm.index.http import HttpIndex
from skillpm.index.http_registry import HttpRegistry
from skillpm.index.page_cache import PageCache
from skillpm.index.transport import Patience, Transport
from skillpm.ops.project.fetch import open_release
from tests.registry.test_command import Publisher, Running, demand_whole, start

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 512; }}
http {{
    access_log off; client_max_body_size 24m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream registry {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://registry; proxy_next_upstream error timeout; proxy_connect_timeout 2s; }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(folder: Path, port: int, behind: list[int]) -> Iterator[None]:
    """Run nginx in front of some ports, from the machine or out of Debian's package; skips the test without either."""
    program = shutil.which("nginx")
    if program is None:
        subprocess.run(["apt-get", "download", "nginx"], cwd=folder, capture_output=True)
        if not [*folder.glob("*.deb")]:
            pytest.skip("there is no nginx")
        subprocess.run(["dpkg-deb", "-x", *folder.glob("*.deb"), folder / "root"], check=True)
        program = str(folder / "root/usr/sbin/nginx")
    servers = " ".join(f"server 127.0.0.1:{own} fail_timeout=1s;" for own in behind)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, servers=servers))
    command = [program, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"), "-g", "user root;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def ended(server: Running) -> None:
    """Kill a server; it may have been killed before."""
    server.process.kill()
    server.process.wait()
    assert server.process.stdout is not None
    server.process.stdout.close()


class Reader(threading.Thread):
    """Reads the pages of skills and every archive in them until it is told to stop; nothing may be half there."""

    def __init__(self, url: str, names: list[str], folder: Path, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._url, self._names, self._folder, self._stopping = url, names, folder, stop
        self.read = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        patience = Patience(connect=2, idle=10, tries=2, sleep=lambda _: time.sleep(0.05))
        while not self._stopping.is_set():
            transport = Transport(Credentials({"NETRC": os.devnull}), patience=patience)
            index = HttpIndex(self._url, transport, PageCache(self._folder))
            for name in self._names:
                time.sleep(0.02)
                try:
                    page = index.page(name)
                except RegistryError:
                    continue  # a server died under the request
                for release in page.releases if page else ():
                    try:
                        open_release(name, release, index)
                        self.read += 1
                    except RegistryError as error:
                        if "is missing" in error.message:
                            self.wrong.append(error.message)
                    except IntegrityError as error:
                        self.wrong.append(error.message)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
def test_two_of_three_servers_die_and_nothing_is_lost_doubled_or_half(
    postgresql: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    port, data = free_port(), tmp_path / "team"
    url = f"http://127.0.0.1:{port}"
    options = ("--rate", "", "--database", postgresql, "--blobs", f"file:{tmp_path}/store", "--url", url)
    ports = [free_port() for _ in range(3)]
    servers = [start(data, "--port", str(own), *options) for own in ports]
    for server in servers:
        request.addfinalizer(partial(ended, server))
    for part in ("store", "nginx"):
        (tmp_path / part).mkdir(exist_ok=True)
    token, names, stop = servers[0].token, [f"skill-{letter * 9}" for letter in "abcd"], threading.Event()
    publishers = [Publisher([url], token, tmp_path / f"cache{name}", name) for name in names]
    readers = [Reader(url, names, tmp_path / f"read{turn}", stop) for turn in range(2)]
    with nginx(tmp_path / "nginx", port, ports):
        try:
            for thread in (*publishers, *readers):
                thread.start()
            for turn in (0, 2):
                end = time.monotonic() + 200
                while sum(len(publisher.acknowledged) for publisher in publishers) < 3 + 3 * turn:
                    assert time.monotonic() < end, "nothing is published"
                    time.sleep(0.02)
                ended(servers[turn])
            for publisher in publishers:
                publisher.join(300)
        finally:
            stop.set()
            for reader in readers:
                reader.join(60)
        transport = publishers[0]._transport
        index = HttpIndex(url, transport, PageCache(tmp_path / "last"))
        logged = HttpRegistry(url, transport, PageCache(tmp_path / "last")).ask("GET", "events")
        demand_whole(publishers, index, logged)
    assert not [wrong for reader in readers for wrong in reader.wrong]
    assert sum(reader.read for reader in readers) > 0
