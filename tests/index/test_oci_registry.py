"""Skills in OCI registries: what is published is whole and signed before it is seen, and no registry is believed."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import ConflictError, IntegrityError, PolicyError, RegistryError, SkillpmError, UsageError
from skillpm.index.credentials import Credentials
from skillpm.index.oci_reference import OciReference, oci_requirement
from skillpm.index.oci_registry import LAYER, RELEASE, SKILL, OciRegistry
from skillpm.index.page_cache import PageCache
from skillpm.index.pages import ReadPage
from skillpm.index.transport import Patience, Transport
from skillpm.model.key import PrivateKey
from skillpm.model.release import Release
from skillpm.trust.signature import sign, signer
from tests.conftest import Project
from tests.index.oci_server import LOGIN, Content, oci_registry
from tests.index.signed_shop import release as unsigned
from tests.servers import serving
from tests.shop import MakeProject, skill_files

KEY = PrivateKey(bytes(32))
Opened = Callable[..., OciRegistry]


def release(version: str = "1.0", body: str = "Do it.\n") -> tuple[str, Release, bytes]:
    """Return a signed release of ``demo``."""
    name, plain, archive = unsigned("demo", version, body)
    return name, replace(plain, signature=sign(name, plain, KEY)), archive


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Open a registry as a new client, with or without the login of docker."""

    def make(content: Content, *, path: str = "acme/skills", login: bool = True, offline: bool = False) -> OciRegistry:
        host = content.url.partition("://")[2]
        entry = {"auth": LOGIN.removeprefix("Basic ")} if login else {}
        (tmp_path / "docker").mkdir(exist_ok=True)
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {host: entry}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        patience = Patience(idle=2, whole=3, tries=1)
        transport = Transport(Credentials({"NETRC": "/nowhere"}), patience=patience, environment={}, offline=offline)
        return OciRegistry(f"oci://{host}/{path}", transport, PageCache(tmp_path / "pages"))

    return make


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
@pytest.mark.parametrize("referrers", [True, False], ids=["referrers", "tag schema"])
def test_a_release_comes_back_as_it_was_published(opened: Opened, auth: str, referrers: bool) -> None:
    with oci_registry(auth=auth, referrers=referrers) as content:
        assert opened(content).page("demo") is None
        for version in ("1.0", "1.1"):
            assert opened(content).publish(*release(version))
        assert not opened(content).publish(*release("1.1")), "the same content again changes nothing"
        client = opened(content, login=auth == "basic")
        page = client.page("demo")
        assert page is not None and [item.version for item in page.newest_first()] == ["1.1", "1.0"]
        for item in page.releases:
            assert (replace(item, signature=None), client.archive("demo", item)) == unsigned("demo", item.version)[1:]
            assert signer("demo", item) == KEY.public
        manifest = content.manifest("acme/skills/demo", "1.0")
        assert (manifest["artifactType"], [layer["mediaType"] for layer in manifest["layers"]]) == (SKILL, [LAYER])
        assert opened(content, offline=True).page("demo") == page, "offline, the pages come from the cache"


def test_a_release_is_signed_before_it_is_seen_and_its_version_never_changes(opened: Opened) -> None:
    with oci_registry() as content:
        opened(content).publish(*release())
        writes = [path for method, path, _ in content.seen if method == "PUT" and "/manifests/" in path]
        assert [path.rpartition("/")[2].partition(":")[0] for path in writes] == ["sha256", "sha256", "1.0"]
        with pytest.raises(ConflictError, match="with different content"):
            opened(content).publish(*release(body="Other.\n"))
        with pytest.raises(RegistryError, match="nothing can be yanked"):
            opened(content).yank("demo", "1.0", "wrong")
        content.tag("acme/skills/demo", "2.0", {"schemaVersion": 2})
        with pytest.raises(ConflictError):
            opened(content).publish(*release("2.0"))


def test_a_digest_is_one_release_for_ever(opened: Opened) -> None:
    with oci_registry() as content:
        opened(content).publish(*release("1.0"))
        digest = content.tags["acme/skills/demo"]["1.0"]
        opened(content).publish(*release("1.1"))
        content.tags["acme/skills/demo"].clear()
        pinned = opened(content, path=f"acme/skills/demo@{digest}")
        page = pinned.page("demo")
        assert page is not None and [item.version for item in page.releases] == ["1.0"]
        assert pinned.archive("demo", page.releases[0]) and pinned.page("other") is None


def test_a_skill_that_another_program_has_packed_is_installed_by_its_digest(
    opened: Opened, project: MakeProject
) -> None:
    """As ``oras push`` does: a layer with a gzipped tar of the folder, and none of our annotations."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for name, text in skill_files("demo").items():
            entry = tarfile.TarInfo(f"demo/{name}")
            entry.size = len(text)
            file.addfile(entry, io.BytesIO(text.encode()))
    with oci_registry() as content:
        digest = f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
        content.blobs[digest] = packed.getvalue()
        layer = {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest,
            "size": len(content.blobs[digest]),
        }
        manifest = {"schemaVersion": 2, "artifactType": "application/vnd.acme.skill", "layers": [layer]}
        for path in ("acme/demo", "acme/other"):
            pinned = content.tag(path, "1.0", manifest)
        odd_annotations: tuple[Any, ...] = (5, [1], "x")
        for annotations in odd_annotations:
            odd = content.tag("acme/odd/demo", "1.0", {**manifest, "annotations": annotations})
            assert opened(content, path=f"acme/odd/demo@{odd}").page("demo") is not None
        with pytest.raises(RegistryError, match=f"packed by another program.*@{pinned}"):
            opened(content, path="acme").page("demo")
        place, host = project(), content.url.partition("://")[2]
        place.call("install", f"oci://{host}/acme/demo@{pinned}").ok()
        place.call("sync", "--frozen", SKILLPM_HOME=str(place.root / "home")).ok()
        place.call("install", f"oci://{host}/acme/other@{pinned}").fails(5, "has the skill `demo`")
        content.lies[f"/blobs/{digest}"] = b"changed"
        place.call("sync", "--frozen", SKILLPM_HOME=str(place.root / "other")).fails(4, "is too short")


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("oci://ghcr.io/acme/demo:1.2.0", "demo==1.2.0 @ registry:oci://ghcr.io/acme"),
        ("oci://localhost:5000/demo", "demo @ registry:oci://localhost:5000"),
        ("oci://ghcr.io/acme/x/demo:latest", "demo @ registry:oci://ghcr.io/acme/x"),
        (f"oci://h.io/a/demo:1@sha256:{'0' * 64}", f"demo @ registry:oci://h.io/a/demo@sha256:{'0' * 64}"),
        ("oci://ghcr.io/acme/demo:stable", "is not a version"),
        ("oci://ghcr.io/Acme/demo", "not a place"),
        ("oci://ghcr.io/../demo", "not a place"),
        ("oci://user:secret@ghcr.io/a/demo", "not a place"),
        ("oci://ghcr.io/acme/demo@sha256:12", "no digest"),
        ("oci://ghcr.io/acme/demo:", "no tag"),
        ("oci://ghcr.io", "does not name a skill"),
    ],
)
def test_a_reference_is_a_requirement_of_a_registry(text: str, requirement: str) -> None:
    if " @ " in requirement:
        assert str(oci_requirement(text)) == requirement
        return
    with pytest.raises(UsageError, match=requirement):
        oci_requirement(text)


def test_only_this_machine_is_asked_without_encryption() -> None:
    texts = ("oci://localhost:5000/a", "oci://127.0.0.1/a", "oci://10.0.0.1:5000/a", "oci://docker.io/a")
    assert [OciReference.parse(text).api for text in texts] == [
        "http://localhost:5000/v2", "http://127.0.0.1/v2", "https://10.0.0.1:5000/v2", "https://registry-1.docker.io/v2",
    ]  # fmt: skip


def test_a_login_goes_to_no_other_host(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    with oci_registry(auth="bearer") as content, serving(tmp_path / "www") as other:
        opened(content).publish(*release())
        for digest, data in content.blobs.items():
            (tmp_path / "www" / digest.replace(":", "-")).write_bytes(data)
        content.redirect = f"{other.url}/sha256-"
        content.blobs.clear()
        client = opened(content)
        page = client.page("demo")
        assert page is not None
        with pytest.raises(RegistryError):  # the other host names its files otherwise
            client.archive("demo", page.releases[0])
        assert other.seen and all("Authorization" not in headers for _, headers in other.seen)
    logins = {path.partition("?")[0] for _, path, secret in content.seen if secret == LOGIN}
    assert logins == {"/token"}, "the login itself goes to the realm alone"


def test_a_missing_login_is_said_with_what_helps(opened: Opened) -> None:
    with oci_registry(auth="basic") as content:
        with pytest.raises(PolicyError, match="demands a login") as refused:
            opened(content, login=False).page("demo")
        assert "docker login 127.0.0.1" in (refused.value.hint or "")
    with oci_registry(auth="bearer") as content, pytest.raises(PolicyError, match="refuses this login to write"):
        opened(content, login=False).publish(*release())


@cache
def _published() -> Content:
    """Return a registry that has two releases."""
    transport = Transport(Credentials({"NETRC": "/nowhere"}), environment={})
    with oci_registry() as content, tempfile.TemporaryDirectory() as pages:
        place = f"oci://{content.url.partition('://')[2]}/acme/skills"
        for version in ("1.0", "1.1"):
            OciRegistry(place, transport, PageCache(Path(pages))).publish(*release(version))
    return content


def _annotated(content: Content, **changes: Any) -> None:
    manifest = content.manifest("acme/skills/demo", "1.0")
    stated = json.loads(manifest["annotations"][RELEASE]) | changes
    manifest["annotations"][RELEASE] = json.dumps(stated)
    content.tag("acme/skills/demo", "1.0", manifest)


def _changed(content: Content, **changes: Any) -> None:
    content.tag("acme/skills/demo", "1.0", content.manifest("acme/skills/demo", "1.0") | changes)


def _moved(content: Content) -> None:
    content.tags["acme/skills/demo"]["1.0"] = content.tags["acme/skills/demo"]["1.1"]


def _other_signature(content: Content) -> None:
    """Let the signature of 1.1 refer to 1.0."""
    tags = content.tags["acme/skills/demo"]
    for digest, (kind, data) in list(content.manifests.items()):
        root = json.loads(data)
        if root.get("subject", {}).get("digest") == tags["1.0"]:
            del content.manifests[digest]
        elif root.get("subject", {}).get("digest") == tags["1.1"]:
            changed = json.dumps(root | {"subject": root["subject"] | {"digest": tags["1.0"]}}).encode()
            content.manifests[f"sha256:{'0' * 64}"] = kind, changed


HOSTILE: list[tuple[Callable[[Content], Any], type[SkillpmError], str]] = [
    (lambda content: content.lies.update({"/tags/list": b'{"tags": 5}'}), RegistryError, "not a list of tags"),
    (lambda content: content.lies.update({"/tags/list": b"<html>"}), RegistryError, "not JSON"),
    (lambda content: content.lies.update({"/manifests/1.0": b"[" * 5000}), RegistryError, "not JSON"),
    (lambda content: content.lies.update({"/manifests/1.0": b" " * (1 << 21) + b"{}"}), RegistryError, "not an OCI"),
    (lambda content: content.lies.update({"/manifests/1.0": b'{"schemaVersion": 1}'}), RegistryError, "not an OCI"),
    (lambda content: _changed(content, artifactType="x/y"), RegistryError, "is not a skill"),
    (lambda content: _changed(content, annotations={}), RegistryError, "another program"),
    (lambda content: _changed(content, annotations={RELEASE: "{"}), RegistryError, "which release"),
    (lambda content: _changed(content, layers=[]), RegistryError, "one layer"),
    (lambda content: _changed(content, layers=[{"mediaType": LAYER, "digest": "0", "size": 9}]), RegistryError, "one"),
    (lambda content: _annotated(content, version="2.0"), RegistryError, "another version"),
    (lambda content: _annotated(content, size=10**12), RegistryError, "one layer"),
    (lambda content: _annotated(content, requires=[1], unsigned=True), RegistryError, "requires"),
    (lambda content: _annotated(content, tree="0" * 64), RegistryError, "lost its signature"),
    (_moved, RegistryError, "another version"),
    (_other_signature, IntegrityError, "0" * 8),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "kind", "says"), HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_a_lie_of_the_registry_is_no_release(
    opened: Opened, attack: Callable[[Content], Any], kind: type[SkillpmError], says: str
) -> None:
    published = copy.deepcopy(_published())
    with oci_registry(blobs=published.blobs, manifests=published.manifests, tags=published.tags) as content:
        attack(content)
        content.tags["acme/skills/demo"].pop("1.1")
        with pytest.raises(kind, match=says):
            opened(content).page("demo")


def test_a_damaged_release_is_left_out_of_a_page_and_named(opened: Opened) -> None:
    with oci_registry() as content:
        for version in ("1.0", "1.1"):
            opened(content).publish(*release(version))
        _changed(content, artifactType="x/y")
        page = opened(content).page("demo")
        assert isinstance(page, ReadPage) and page.skipped == (("1.0", "is not a skill"),)
        assert [item.version for item in page.releases] == ["1.1"]


@pytest.mark.parametrize("body", [b"", b"short", b"x" * 400], ids=["empty", "short", "long"])
def test_a_blob_of_other_bytes_is_refused(opened: Opened, body: bytes) -> None:
    with oci_registry() as content:
        _, item, archive = release()
        opened(content).publish("demo", item, archive)
        digest = content.manifest("acme/skills/demo", "1.0")["layers"][0]["digest"]
        content.lies[f"/blobs/{digest}"] = body
        with pytest.raises((RegistryError, IntegrityError)):
            opened(content).archive("demo", item)
        content.lies[f"/blobs/{digest}"] = bytes(len(archive))
        with pytest.raises(IntegrityError, match="has sha256"):
            opened(content).archive("demo", item)


def test_every_page_of_tags_is_read_and_no_more_than_are_allowed(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    with oci_registry(page=2) as content:
        for version in ("1.0", "1.1", "1.2", "1.3", "1.4"):
            opened(content).publish(*release(version))
        page = opened(content).page("demo")
        assert page is not None and len(page.releases) == 5
        monkeypatch.setattr("skillpm.index.oci_client._PAGES", 2)
        with pytest.raises(RegistryError, match="tags"):
            opened(content).page("demo")


def test_docker_configuration_that_is_damaged_is_named(opened: Opened, tmp_path: Path) -> None:
    with oci_registry(auth="basic") as content:
        client = opened(content)
        host = content.url.partition("://")[2]
        for text in ("{", json.dumps({"auths": {host: {"auth": "!"}}})):
            (tmp_path / "docker/config.json").write_text(text)
            with pytest.raises(UsageError, match=r"config\.json cannot be read"):
                client.page("demo")


def through_the_commands(place: Project, project: MakeProject, registry: str) -> None:
    """Publish, install a version, follow the range, and install the lock alone."""
    environment: dict[str, Any] = {"DOCKER_CONFIG": str(place.root / "docker")}
    for version in ("1.0", "1.1"):
        published = place.run("publish", f"v{version}", "--registry", registry, **environment).ok()
        assert "signed by ed25519:" in published.err
    user = project({"skillpm.yaml": "project: 1\n"})
    user.run("install", f"{registry}/mine:1.0", **environment).ok()
    assert 'mine: {version: "==1.0"' in (user.root / "skillpm.yaml").read_text()
    user.run("install", "mine>=1", **environment).ok()
    user.run("update", **environment).ok()
    entry = json.loads((user.root / "skillpm.lock").read_text())["skills"][0]
    assert (entry["version"], entry["source"]) == ("1.1", f"registry:{registry}") and entry["signer"]
    clean: dict[str, Any] = {"SKILLPM_HOME": str(user.root / "home"), **environment}
    user.run("sync", "--frozen", **clean).ok()
    place.run("publish", "other", "--registry", registry, **environment).fails(5, "with different content")


@pytest.fixture
def place(project: MakeProject) -> Project:
    skills = {f"v{version}": skill_files("mine", version) for version in ("1.0", "1.1")}
    return project({**skills, "other": skill_files("mine", "1.1", body="Other.\n")})


@pytest.mark.slow
def test_the_commands_work_with_a_registry_that_demands_a_token(place: Project, project: MakeProject) -> None:
    with oci_registry(auth="bearer") as content:
        host = content.url.partition("://")[2]
        auth = base64.b64encode(b"ana:secret").decode()
        place.write({"docker": {"config.json": json.dumps({"auths": {host: {"auth": auth}}})}})
        through_the_commands(place, project, f"oci://{host}/acme")


@contextlib.contextmanager
def distribution(folder: Path) -> Iterator[str]:
    """Run the registry of the CNCF, from the machine or out of Debian's package; skips the test without either."""
    program = shutil.which("docker-registry")
    if program is None:
        folder.chmod(0o755)
        apt = subprocess.run(["apt-get", "download", "docker-registry"], cwd=folder, capture_output=True)
        if apt.returncode or not [*folder.glob("*.deb")]:
            pytest.skip("there is no docker-registry")
        subprocess.run(["dpkg-deb", "-x", *folder.glob("*.deb"), folder / "root"], check=True)
        program = str(folder / "root/usr/bin/docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    configuration = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": storage,
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))
    with subprocess.Popen([program, "serve", folder / "config.yml"], stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.mark.slow
@pytest.mark.network
def test_the_commands_work_with_the_reference_implementation(
    place: Project, project: MakeProject, tmp_path: Path
) -> None:
    (tmp_path / "registry").mkdir()
    with distribution(tmp_path / "registry") as host:
        through_the_commands(place, project, f"oci://{host}/acme/skills")
