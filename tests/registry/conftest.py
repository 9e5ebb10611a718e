"""A registry's server in this process, with an owner, and people who publish to it."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.types import ASGIApp

from skillpm.formats.light import json_form
from skillpm.index.folder_registry import make_registry
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree
from skillpm.storage.archive import build_archive, compressed
from skillpm_registry import pages, protocols
from skillpm_registry.app import create_app
from skillpm_registry.configuration import Configuration
from skillpm_registry.database import Database, sqlite_url
from skillpm_registry.http_server import http_server
from skillpm_registry.identity import Right, new_token
from skillpm_registry.membership import Role, new_account
from skillpm_registry.services import Services
from tests.shop import skill_files, tree

API = "/api/v1"
DEMO = skill_files("demo")


def parcel(files: Mapping[str, str], name: str = "", **release: Any) -> tuple[dict[str, Any], bytes]:
    """Return what a client announces for a skill's files, and the archive."""
    canonical = build_archive(tree(files))
    own, about = release_of(tree(files), canonical)
    archive = bytes(compressed(canonical))
    wish = {"name": name or own, "release": {**json_form(replace(about, size=len(archive))), **release}}
    return wish, archive


def skill_tree(name: str, version: str, requires: str = "{}") -> MappingTree:
    """Return a skill with a script, and with files and folders whose order differs between file systems and git."""
    files = {
        "SKILL.md": f"---\nname: {name}\ndescription: Does {name}.\n---\nText of {version}.\n",
        "skill.yaml": f"manifest: 1\nversion: {version}\nrequires: {requires}\n",
        "scripts/run.sh": "#!/bin/sh\n",
        "a-b/c": "x",
        "a/c": "y",
        "a.txt": "z",
    }
    return MappingTree({path: text.encode() for path, text in files.items()}, frozenset({"scripts/run.sh"}))


@contextmanager
def listening(folder: Path, **configuration: Any) -> Iterator[str]:
    """Yield the address of a server over a folder, which its documents name."""
    with free_socket() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with serving(create_app(Configuration(data=folder, url=url, **configuration)), listener):
            yield url


def free_socket() -> socket.socket:
    """Return a socket at a free port of this machine."""
    return uvicorn.Config(app="", port=0).bind_socket()


@contextmanager
def serving(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Answer the requests at a socket by an application."""
    server = http_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Person:
    """Somebody who asks the server; ``token`` may be empty."""

    client: TestClient
    token: str

    def ask(self, method: str, path: str, document: Any = None, **more: Any) -> Response:
        """Send one request to the API."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.client.request(method, f"{API}/{path}", json=document, headers=headers, **more)

    def send(self, number: str, archive: bytes) -> Response:
        """Send an archive."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.put(f"{API}/uploads/{number}/archive", content=archive, headers=headers)

    def publish(self, files: Mapping[str, str], name: str = "", **wish: Any) -> Response:
        """Publish in three steps; return the first answer that is not a success, or the last."""
        document, archive = parcel(files, name)
        announced = self.ask("POST", "uploads", {**document, **wish})
        if announced.status_code != 201:
            return announced
        number = announced.json()["id"]
        sent = self.send(number, archive)
        return self.ask("POST", f"uploads/{number}/publish") if sent.status_code == 200 else sent


@dataclass(frozen=True)
class Server:
    """A server over a folder, and its owner."""

    root: Path
    client: TestClient
    services: Services
    owner: Person

    def person(self, name: str, role: Role = Role.PUBLISHER) -> Person:
        """Add an account, and return whoever has its token."""
        with self.services.database.writing() as session:
            account = new_account(session, "owner", name, role)
            return Person(self.client, new_token(session, account.id, "first", Right)[0])

    def versions(self, name: str) -> list[str]:
        """Return what the page of a skill has."""
        answer = self.client.get(f"/skills/{name}.json")
        return [item["version"] for item in answer.json()["releases"]] if answer.status_code == 200 else []


def problem(answer: Response) -> tuple[int, str]:
    """Return the status and the kind of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    return answer.status_code, document["type"].removeprefix("urn:skillpm:problem:")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables and nothing in them: to make them takes longer than most tests."""
    folder = tmp_path_factory.mktemp("database")
    database = Database(sqlite_url(folder / "registry.sqlite3"))
    database.migrate(folder / "lock")
    database.close()
    return folder / "registry.sqlite3"


@pytest.fixture
def serve(
    tmp_path: Path, migrated: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Server]]:
    """Return ``serve(root=None, **configuration) -> Server``.

    A module with ``API_ONLY`` gets no pages and no protocols of other clients: their routes take most of the time.
    """
    if getattr(request.module, "API_ONLY", False):
        for part in (pages, protocols):
            monkeypatch.setattr(part, "routes", lambda *_: [])
    clients: list[TestClient] = []

    def start(root: Path | None = None, **configuration: Any) -> Server:
        root = root or tmp_path / "registry"
        if not (root / "config.json").exists():
            make_registry(root, "team")
        chosen = Configuration(data=root, name="team", **configuration)
        chosen.state.mkdir(exist_ok=True)
        if not (chosen.state / "registry.sqlite3").exists():
            shutil.copy(migrated, chosen.state / "registry.sqlite3")
        client = TestClient(create_app(chosen))
        client.__enter__()
        clients.append(client)
        server = Server(root, client, client.app.state.services, Person(client, ""))  # type: ignore[attr-defined]
        return replace(server, owner=server.person(f"owner{len(clients)}", Role.OWNER))

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The address of a real server over the ``folder`` of a module."""
    with listening(folder) as url:
        yield url


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    """A server over an empty registry."""
    return serve()


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], str]]:
    """Return what makes an empty database and returns its URL, on a PostgreSQL server that is not root's."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs or shutil.which("runuser") is None or os.getuid() != 0:
        pytest.skip("needs root and Debian's PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    shutil.chown(folder, "postgres", "postgres")
    programs_at, numbers = programs[-1].parent, itertools.count()

    def run(program: str, *arguments: str) -> None:
        command = ["runuser", "-u", "postgres", "--", str(programs_at / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    def make() -> str:
        name = f"registry{next(numbers)}"
        run("createdb", "-h", str(folder), name)
        return f"postgresql+psycopg://postgres@/{name}?host={folder}"

    data = ("-D", str(folder / "data"))
    run("initdb", *data, "-A", "trust", "--no-sync")
    run("pg_ctl", *data, "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -h '' -F", "start")
    try:
        yield make
    finally:
        run("pg_ctl", *data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def postgresql(new_database: Callable[[], str]) -> str:
    """The URL of an empty database of PostgreSQL."""
    return new_database()
