"""The server as a process of its own: the whole way of a person, and what is left after it was killed."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skillpm.cli.main import main as skillpm_group
from skillpm.cli.other_managers import SERVER
from skillpm.errors import RegistryError, UsageError
from skillpm.index.credentials import Credentials, token_variable
from skillpm.index.directory import DirectoryIndex
from skillpm.index.http_registry import HttpRegistry
from skillpm.index.page_cache import PageCache
from skillpm.index.path import release_of
from skillpm.index.transport import Patience, Transport
from skillpm.model.ports import Index
from skillpm.ops.project.fetch import open_release
from skillpm.storage.archive import build_archive
from skillpm_registry.command import group, main
from skillpm_registry.configuration import Configuration
from skillpm_registry.membership import is_taken
from skillpm_registry.publishing import finish
from skillpm_registry.services import open_services
from skillpm_registry.settling import recover
from tests.conftest import ROOT
from tests.shop import MakeProject, skill_files, tree


@dataclass
class Running:
    """A server process."""

    process: subprocess.Popen[str]
    url: str
    said: str

    @property
    def token(self) -> str:
        """The first owner's token, which it printed."""
        (token,) = re.findall(r"skp_[\w-]+", self.said)
        return str(token)


def start(data: Path, *options: str) -> Running:
    """Start a server, and wait until it says its address."""
    command = [sys.executable, "-m", "skillpm_registry", "serve", "--data", str(data), "--owner", "ana", *options]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'registry'}"}
    is_first = not (data / ".server").exists()
    with (data.parent / "server.log").open("a") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    if " at " not in said:
        raise AssertionError((data.parent / "server.log").read_text())
    while is_first and "next:" not in said:
        said += process.stdout.readline()
    return Running(process, said.split()[3], said)


@contextmanager
def running(data: Path, *options: str) -> Iterator[Running]:
    """Run a server on a free port while the context lasts."""
    server = start(data, "--port", "0", *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_person_serves_logs_in_publishes_and_another_installs(project: MakeProject, tmp_path: Path) -> None:
    author = project({"demo": skill_files("demo")})
    user = project()
    with running(tmp_path / "team") as server:
        author.call("publish", "demo", "--registry", server.url).fails(6, "hint: run `skillpm login http://127.0.0.1:")
        author.run("login", server.url, "--token-stdin", stdin="skp_wrong\n").fails(6, "unknown or was revoked")
        assert author.run("login", server.url, stdin=server.token + "\n").ok().out == "ana\n"
        stored = Path(author.environment["SKILLPM_HOME"]) / "config/credentials.json"
        assert stored.stat().st_mode & 0o777 == 0o600
        author.call("publish", "demo", "--registry", server.url, "--no-sign").ok()
        again = author.call("publish", "demo", "--no-sign").ok()
        assert "nothing changed" in again.err
        author.write({"demo/README.md": "More.\n"})
        author.call("publish", "demo", "--registry", server.url, "--no-sign").fails(5, "version bump patch")
        installed = user.call("install", "demo", "--registry", server.url).ok()
        (fingerprint,) = re.findall("signed by the root ([0-9a-f]{64})", server.said)
        assert fingerprint in installed.err
        author.call("deprecate", "demo", "--reason", "use next").ok()
        assert "demo is deprecated: use next" in user.call("update").ok().err
        author.call("yank", "demo==1.0", "--reason", "loses data").ok()
        assert "loses data" in user.call("update").ok().err
        assert author.call("whoami", "--json").ok().document["scopes"]["demo"] == "owner"
        made = author.call("token", "create", "ci", "--only", "demo", "--json").ok().document
        slip = author.call("token", "create", "slip", "--only", "dmeo").ok()
        assert "called dmeo; did you mean `demo`?" in slip.err
        author.call("token", "revoke", str(made["id"] + 1)).ok()
        assert author.call("token", "list").ok().out.splitlines()[-1].split()[1] == "ci"
        author.call("token", "revoke", str(made["id"])).ok()
        author.call("owner", "add", "demo", "ben").fails(5, "there is no account `ben`")
        assert author.call("registry", "reports").ok().err == "no reports\n"
        author.call("registry", "report", "demo==9", "--reason", "bad").fails(5, "demo has no release 9", "it has 1.0")
        author.call("registry", "report", "dem", "--reason", "bad").fails(5, "there is no skill `dem`")
        author.call("registry", "report", "demo", "--reason", "bad", "--at", "SKILL.md:3").ok()
        assert "demo" in author.call("registry", "reports", "demo").ok().out.splitlines()[-1]
        author.call("registry", "answer", "1", "dismissed", "--reason", "it does not").ok()
        author.call("registry", "answer", "2", "dismissed", "--reason", "x").fails(5, "there is no report 2")
        for name in ("later", "demo"):  # one has no release yet
            demanded = author.call("owner", "approval", name, "--on").ok().err
            assert "ana is the only owner, so nobody" in demanded and f"`skillpm owner add {name} ACCOUNT`" in demanded
        assert author.call("registry", "approvals").ok().err == "no release waits for your approval\n"
        assert author.call("owner", "list", "demo", "--json").ok().document["approval"] is True
        assert "approval of a second owner" in author.call("owner", "list", "demo").ok().err
        author.write({"demo/skill.yaml": "manifest: 1\nversion: 2.0\n"})
        waits = author.call("publish", "demo", "--registry", server.url, "--no-sign").ok()
        assert "waits until another owner approves it" in waits.err
        (waiting,) = author.call("registry", "approvals", "--json").ok().document
        assert waiting["id"] in author.call("registry", "approvals").ok().out
        author.call("registry", "approve", waiting["id"]).fails(6, "ask another owner")
        author.call("registry", "approve", waiting["id"], "--refuse", "not yet").ok()
        author.call("owner", "approval", "demo", "--off").ok()
        place = ("demo==1.0", "--registry", server.url)
        author.call("registry", "quarantine", *place).fails(2, "--undo")
        author.call("registry", "quarantine", *place, "--reason", "bad").ok()
        user.call("install", *place).fails(6, "quarantine")
        author.call("registry", "quarantine", *place, "--undo").ok()
        trust = ("owner", "trust", "demo", "--issuer", "https://ci.example", "--claim")
        author.call(*trust, "sub").fails(2, "`sub` is not a claim with its value")
        author.call(*trust, "sub=x", "--claim", "sub=y").fails(2, "the claim `sub` has two values")
        author.call(*trust, "sub=x").ok()
        assert "https://ci.example with sub=x" in author.call("owner", "list", "demo").ok().err
        author.call("owner", "distrust", "1").ok()
        author.call("logout").ok()
        author.call("whoami").fails(2, "no registry is named")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) in (0, -signal.SIGTERM)
    assert (user.root / ".agents/skills/demo/SKILL.md").is_file()
    log = (tmp_path / "server.log").read_text()
    assert server.token not in log
    assert '"path": "/api/v1/releases/yank", "status": 200' in log


class Publisher(threading.Thread):
    """Publishes releases of one skill to any of some servers until all are acknowledged, whatever happens to them."""

    def __init__(self, urls: list[str], token: str, folder: Path, name: str) -> None:
        super().__init__()
        self._transport = Transport(
            Credentials({**{token_variable(url): token for url in urls}, "NETRC": os.devnull}),
            patience=Patience(connect=2, idle=10, tries=2, sleep=lambda _: time.sleep(0.05)),
        )
        self._urls, self._folder, self.skill = urls, folder, name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        for number in range(1, 4):
            content = tree(skill_files(self.skill, f"{number}.0"))
            archive = build_archive(content)
            _, release = release_of(content, archive)
            for url in itertools.cycle(self._urls):
                try:
                    HttpRegistry(url, self._transport, PageCache(self._folder)).publish(self.skill, release, archive)
                except RegistryError:
                    self._transport._silent.clear()  # a person starts the command again
                    time.sleep(0.1)
                else:
                    self.acknowledged.append(release.version)
                    break


def demand_whole(publishers: Sequence[Publisher], index: Index, logged: Any) -> None:
    """Demand that all which was acknowledged is there, whole and logged once."""
    for publisher in publishers:
        page = index.page(publisher.skill)
        assert page is not None
        assert publisher.acknowledged == ["1.0", "2.0", "3.0"] == sorted(item.version for item in page.releases)
        for release in page.releases:
            open_release(publisher.skill, release, index)  # raises: lost or damaged
    published = [event["subject"] for event in logged if event["action"] == "publish"]
    assert len(published) == len(set(published)) == 3 * len(publishers)


@pytest.mark.slow
@pytest.mark.parametrize(("store", "count"), [("sqlite", 1), ("sqlite", 2), ("postgresql", 2)])
def test_what_was_acknowledged_is_there_after_servers_were_killed_among_twenty_publishers(
    store: str, count: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Several servers have one folder and one database. One after the other is killed and started again."""
    database = request.getfixturevalue("postgresql") if store == "postgresql" else ""
    data, options = tmp_path / "team", ("--rate", "", "--database", database)
    servers = [start(data, "--port", "0", *options) for _ in range(count)]
    urls = [server.url for server in servers]
    publishers = [
        Publisher(urls[turn % count :] + urls, servers[0].token, tmp_path / f"cache{turn}", f"skill-{letter * 9}")
        for turn, letter in enumerate("abcdefghijkxmnopqrst")  # not l, which looks like i
    ]
    for publisher in publishers:
        publisher.start()
    for turn, pause in enumerate((1.0, 0.7, 0.4, 0.5)):
        time.sleep(pause)
        servers[turn % count].process.kill()
        servers[turn % count].process.communicate()
        servers[turn % count] = start(data, "--port", urls[turn % count].rpartition(":")[2], *options)
    for publisher in publishers:
        publisher.join(100)
    logged = HttpRegistry(urls[0], publishers[0]._transport, PageCache(tmp_path / "cache")).ask("GET", "events")
    for server in servers:
        server.process.kill()
        server.process.communicate()

    demand_whole(publishers, DirectoryIndex(data, "team"), logged)


@pytest.mark.slow
@pytest.mark.parametrize("step", [*range(1, 40, 3)])
def test_a_server_that_is_killed_at_any_write_leaves_all_or_nothing(step: int, tmp_path: Path) -> None:
    """The process ends at its n-th rename, link, fsync or unlink of one publication."""
    data = tmp_path / "team"
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, str(data), str(step)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'registry'}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 9), done.stderr
    index = DirectoryIndex(data, "team")
    page = index.page("demo")
    for release in page.releases if page else ():
        open_release("demo", release, index)
    assert done.returncode == 9 or page is not None
    services = open_services(Configuration(data=data))
    recover(services)
    finish(services)
    with services.database.reading() as session:
        assert is_taken(session, "demo") is (index.page("demo") is not None)
    services.close()


KILLED_AT = """
import os, sys
from pathlib import Path
from fastapi.testclient import TestClient
from skillpm.index.folder_registry import make_registry
from skillpm_registry.app import create_app
from skillpm_registry.configuration import Configuration
from tests.registry.conftest import Person, parcel
from skillpm_registry.identity import Right, new_token
from skillpm_registry.membership import Role, new_account

data, left = Path(sys.argv[1]), int(sys.argv[2])
make_registry(data, "team")
app = create_app(Configuration(data=data))
services = app.state.services
with services.database.writing() as session:
    token = new_token(session, new_account(session, "x", "ana", Role.OWNER).id, "t", Right)[0]

def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return function(*arguments, **options)
    return call

for name in ("rename", "replace", "fsync", "mkdir", "unlink", "link"):
    setattr(os, name, counted(getattr(os, name)))
files = {"SKILL.md": "---\\nname: demo\\ndescription: Shows it. Use when testing.\\n---\\nDo it.\\n",
         "skill.yaml": "manifest: 1\\nversion: '1.0'\\n"}
answer = Person(TestClient(app), token).publish(files)
assert answer.status_code == 201, answer.text
os._exit(0)
"""


NO_START = {
    "a port that is none": ("--port 99999", "--port"),
    "a database that is none": ("--database x", "names no database"),
    "a database that is away": ("--database postgresql://127.0.0.1:1/x", "cannot be used"),
    "a public address that is none": ("--url skills.example.org", "is not the address of a server"),
    "a rate that is none": ("--rate often", "is not a rate"),
    "a rate of nothing": ("--rate 0/minute", "is not a rate"),
    "a host that is none": ("--host 192.0.2.1", "cannot listen on 192.0.2.1"),
    "an option that is none": ("--prot 0", "has no option `--prot`"),
    "an owner that is none": ("--owner A!B", "is not a name"),
    "a proxy that is none": ("--behind-proxy 10.0.0.0/8,proxy", "is not an address or a network"),
    "an unset variable": ("--data=", "the path is empty"),
}


@pytest.mark.parametrize("case", NO_START)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    options, text = NO_START[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["skillpm-registry", "serve", "--data", "team", "--port", "0", *options.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code in (2, 6) and text in said
    assert re.fullmatch(r"error: .+\nhint: .+\n", said)
    assert "database" in case or not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["check", "gc", "account add ana", "account token ana"])
def test_a_folder_that_is_missing_is_told_by_the_option_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["skillpm-registry", *command.split(), "--data", "none"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "`--data`" in said and f"`skillpm-registry {command} --data" in said
    assert not list(tmp_path.iterdir())


def test_a_start_after_one_that_failed_prints_the_fingerprint_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "team"
    options = ("--port", "0", "--database", "sqlite:////none/x")
    monkeypatch.setattr("sys.argv", ["skillpm-registry", "serve", "--data", str(data), *options])
    with pytest.raises(SystemExit):
        main()
    with running(data, "--port", "0") as server:
        assert server.process.stdout is not None
        root = hashlib.sha256((data / "metadata" / "1.root.json").read_bytes()).hexdigest()
        assert f"signed by the root {root}" in server.process.stdout.readline()


def test_output_that_cannot_be_written_is_an_error_of_the_disk() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'registry'}"}
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "skillpm_registry", "--help"],
            env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 6 and ended.stderr.startswith("error: cannot write the output")


def test_commands_of_the_server_are_suggested_here_and_below_skillpm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(group.commands) >= SERVER
    for words, meant in (("skillpm-registry acount", "account"), ("skillpm-registry account tokn", "account token")):
        monkeypatch.setattr("sys.argv", words.split())
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert ended.value.code == 2 and f"hint: did you mean `skillpm-registry {meant}`?" in said
    for words in ("mirror", "registry serve"):
        with pytest.raises(UsageError) as refused:
            skillpm_group.main(words.split(), standalone_mode=False, prog_name="skillpm")
        assert refused.value.hint == f"did you mean `skillpm-registry {words.split()[-1]}`?"
