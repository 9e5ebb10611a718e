"""Keyless signatures: the library signs with a Sigstore on this machine, and every part of what it checks can fail."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from skillpm.errors import IntegrityError
from skillpm.model.key import Identity
from skillpm.model.release import Envelope, Release
from skillpm.trust import keyless
from skillpm.trust.signature import sign, signer
from tests.conftest import ROOT, Outcome, Project
from tests.shop import MakeProject, skill_files

pytest.importorskip("sigstore")

from tests.trust.sigstore_service import GITHUB, WORKFLOW, Sigstore, running

JOB = Identity(GITHUB, WORKFLOW)
PLAIN = Release(version="1.0", archive="a" * 64, tree="b" * 64, size=1)
STORE = Path(__file__).parent / "sigstore"


@pytest.fixture
def sigstore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sigstore]:
    """A Sigstore that this process trusts, as a job of GitHub."""
    with running() as service:
        for name, value in job(service, tmp_path).items():
            monkeypatch.setenv(name, value)
        yield service


def job(service: Sigstore, folder: Path) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/token",
        keyless.CONFIG_VARIABLE: str(service.configuration(folder / "sigstore.json")),
    }


def signed(**changes: Any) -> Release:
    return replace(PLAIN, signature=sign("demo", PLAIN, None), **changes)


def changed(release: Release, change: Callable[[dict[str, Any]], object], **signature: str) -> Release:
    """Return a release whose bundle, or whose signature, was changed."""
    assert release.signature is not None
    (only,) = release.signature.signatures
    bundle = json.loads(only.bundle or "")
    change(bundle)
    edited = replace(only, **{"bundle": json.dumps(bundle), **signature})
    return replace(release, signature=replace(release.signature, signatures=(edited,)))


def test_a_job_signs_and_is_the_signer_whatever_it_ran_for(sigstore: Sigstore) -> None:
    assert signer("demo", signed()) == JOB
    sigstore.subject = f"{WORKFLOW}@refs/heads/main"
    assert signer("demo", signed()) == JOB
    sigstore.subject, sigstore.issuer = "ann@example.org", "https://accounts.example.org"
    assert str(signer("demo", signed())) == "sigstore:https://accounts.example.org#ann@example.org"


def test_a_bundle_about_something_else_is_refused(sigstore: Sigstore) -> None:
    with pytest.raises(IntegrityError, match="the version in its statement"):
        signer("demo", signed(version="1.1"))
    with pytest.raises(IntegrityError, match="the sha256 in its statement is a"):
        signer("demo", signed(archive="c" * 64))
    release = signed()
    assert isinstance(release.signature, Envelope)
    payload = base64.b64encode(base64.b64decode(release.signature.payload).replace(b"demo", b"mode")).decode()
    other = replace(release, signature=replace(release.signature, payload=payload))
    with pytest.raises(IntegrityError, match="Bundle message digest mismatch"):
        signer("demo", other)


def entry(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no proof": (lambda b: entry(b).pop("inclusionProof"), "inclusionProof"),
    "no signed head": (lambda b: entry(b)["inclusionProof"].pop("checkpoint"), "checkpoint"),
    "no time": (lambda b: entry(b).pop("inclusionPromise"), "inclusion promise or signed timestamp"),
    "no entry": (lambda b: b["verificationMaterial"].pop("tlogEntries"), ""),
    "another time": (lambda b: entry(b).update(integratedTime="1"), ""),
    "another proof": (lambda b: entry(b)["inclusionProof"].update(hashes=["QUJD" * 10 + "QUI="]), "root hash"),
    "a proof that is too long": (lambda b: entry(b)["inclusionProof"]["hashes"].append("QUJD"), "wrong size"),
    "another signature": (lambda b: b["messageSignature"].update(signature="QUJD"), "Signature is invalid"),
    "no signature": (lambda b: b.pop("messageSignature"), ""),
    "no certificate": (lambda b: b["verificationMaterial"].pop("certificate"), ""),
    "half a certificate": (lambda b: b["verificationMaterial"]["certificate"].update(rawBytes="MIIC"), ""),
    "a number": (lambda b: entry(b).update(logIndex=[]), ""),
    "another form": (lambda b: b.update(mediaType="application/json"), "mediaType"),
    "nothing": (lambda b: b.clear(), "failed to load bundle"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_damaged_bundle_is_refused(sigstore: Sigstore, name: str) -> None:
    change, says = FAULTS[name]
    release = signed()
    assert signer("demo", changed(release, lambda _: None)) == JOB
    with pytest.raises(IntegrityError, match=f"(?s)is not one of sigstore:.*{says}"):
        signer("demo", changed(release, change))


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        ({"keyid": f"sigstore:{GITHUB}#{WORKFLOW.replace('acme', 'evil')}@refs/tags/v1.0"}, "SANs do not match"),
        ({"keyid": f"sigstore:{GITHUB}#{WORKFLOW}@refs/tags/v9"}, "SANs do not match"),
        ({"keyid": f"sigstore:https://evil.example.org#{WORKFLOW}@refs/tags/v1.0"}, "OIDCIssuer does not match"),
        ({"keyid": "sigstore:nobody"}, "cannot be read"),
        ({"keyid": f"sigstore:{GITHUB}#@refs/tags/v1.0"}, "cannot be read"),
        ({"keyid": f"ed25519:{'0' * 64}"}, "does not fit that key"),
        ({"sig": "QUJD"}, "another signature"),
        ({"bundle": ""}, "failed to load bundle"),
        ({"bundle": "[" * 30_000}, "is not one of"),
    ],
)
def test_a_signature_that_claims_something_else_is_refused(
    sigstore: Sigstore, signature: dict[str, str], says: str
) -> None:
    with pytest.raises(IntegrityError, match=says):
        signer("demo", changed(signed(), lambda _: None, **signature))


def test_a_workflow_that_another_repository_calls_does_not_sign(sigstore: Sigstore) -> None:
    """GitHub names a called workflow as the subject, whoever calls it."""
    assert signer("demo", signed()) == JOB
    for sigstore.repository in ("https://github.com/evil/skills", "https://github.com/acme/skills2", ""):
        with pytest.raises(IntegrityError, match="SourceRepositoryURI does not match"):
            signer("demo", signed())


def test_a_certificate_counts_only_in_its_minutes(sigstore: Sigstore) -> None:
    for delay, counts in ((300, True), (900, False), (-300, False)):
        sigstore.delay = delay
        release = signed()
        if counts:
            assert signer("demo", release) == JOB
            continue
        with pytest.raises(IntegrityError, match=r"expired at time of signing|certificate chain"):
            signer("demo", release)


@pytest.mark.parametrize("part", ["root", "certificates", "log"])
def test_another_sigstore_is_not_trusted(
    sigstore: Sigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    release, other = signed(), Sigstore(sigstore.url)
    for name in {"root", "certificates", "log"} - {part}:
        setattr(other, name, getattr(sigstore, name))
    other.__post_init__()
    monkeypatch.setenv(keyless.CONFIG_VARIABLE, str(other.configuration(tmp_path / "other.json")))
    with pytest.raises(IntegrityError, match="is not one of"):
        signer("demo", release)


def test_roots_that_changed_on_the_disk_hold_without_a_restart(sigstore: Sigstore, tmp_path: Path) -> None:
    release, other = signed(), Sigstore(sigstore.url)
    file = tmp_path / "sigstore.json"
    old = file.read_bytes()
    other.configuration(file)
    keyless._verifier.cache_clear()
    with mock.patch("time.monotonic", return_value=7200.0) as clock:
        with pytest.raises(IntegrityError, match="is not one of"):
            signer("demo", release)
        file.write_bytes(old)
        assert signer("demo", release) == JOB, "a signature that fails has the roots read again"
        other.configuration(file)
        assert signer("demo", release) == JOB, "they are in memory"
        clock.return_value += 3600
        with pytest.raises(IntegrityError):
            signer("demo", release)


def test_a_bundle_of_the_real_one_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of sigstore-python's tests, by the certificates of Sigstore's own trial service in its wheel."""
    import sigstore._store

    brought = next(Path(sigstore._store.__file__).parent.glob("*sigstage.dev"))
    configuration = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": json.loads((brought / "trusted_root.json").read_text()),
        "signingConfig": json.loads((brought / "signing_config.v0.2.json").read_text()),
    }
    (tmp_path / "trial.json").write_text(json.dumps(configuration))
    text, data = (STORE / "bundle_v3.txt.sigstore").read_text(), (STORE / "bundle_v3.txt").read_bytes()
    signature = base64.b64decode(json.loads(text)["messageSignature"]["signature"])
    who = Identity("https://github.com/login/oauth", "william@yossarian.net")
    monkeypatch.setenv(keyless.CONFIG_VARIABLE, str(tmp_path / "trial.json"))
    assert keyless.problem(who, text, signature, data) == ""
    assert "digest mismatch" in keyless.problem(who, text, signature, data + b"!")
    assert "SANs" in keyless.problem(replace(who, subject="eve@example.org"), text, signature, data)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(keyless.CONFIG_VARIABLE, "")
    assert "certificate chain" in keyless.problem(who, text, signature, data), "the public one did not certify it"


MakeJob = Callable[..., Project]


@pytest.fixture
def at_work(project: MakeProject, sigstore: Sigstore, tmp_path: Path) -> MakeJob:
    """Return ``at_work(files) -> Project``, whose commands run in a job of GitHub."""

    def make(files: dict[str, Any] | None = None) -> Project:
        place = project(files or {})
        return Project(place.root, {**place.environment, **job(sigstore, tmp_path)})

    return make


@pytest.fixture
def place(at_work: MakeJob) -> Project:
    place = at_work({f"v{version}": skill_files("mine", version) for version in ("1.0", "1.1", "1.2")})
    place.call("registry", "init", "shop").ok()
    return place


def test_a_job_publishes_and_another_workflow_is_another_signer(
    place: Project, at_work: MakeJob, sigstore: Sigstore
) -> None:
    def publish(version: str, *more: str) -> Outcome:
        return place.call("publish", f"v{version}", "--registry", "shop", *more)

    done = publish("1.0", "--keyless").ok()
    assert f"signed by {JOB}" in done.err and "created your signing key" not in done.err
    sigstore.subject = f"{WORKFLOW}@refs/tags/v1.1"
    publish("1.1", "--keyless").ok()
    publish("1.2").fails(5, "mine 1.1 is signed by sigstore:", "1.2 would be signed by a new key")

    shop, other = place.root / "shop", at_work()
    other.call("install", "mine==1.0", "--registry", shop).ok()
    assert json.loads((other.root / "skillpm.lock").read_text())["skills"][0]["signer"] == str(JOB)
    other.call("install", "mine==1.1", "--registry", shop).ok()

    sigstore.repository = "https://github.com/evil/skills"
    sigstore.subject = f"{sigstore.repository}/.github/workflows/publish.yml@refs/tags/v1.2"
    publish("1.2", "--keyless").fails(5, "evil/skills", "clients refuse that", "from the same workflow")
    publish("1.2", "--keyless", "--allow-signer-change").ok()
    failed = other.call("install", "mine==1.2", "--registry", shop)
    failed.fails(4, "evil/skills", "acme/skills", "--allow-signer-change mine")
    other.call("sync", "--frozen").ok()


def test_an_identity_can_be_trusted_by_a_name(place: Project, at_work: MakeJob) -> None:
    place.call("publish", "v1.0", "--registry", "shop", "--keyless").ok()
    other = at_work({"skillpm.yaml": "project: 1\npolicy:\n  signatures: trusted\n"})
    install = ("install", "mine", "--registry", str(place.root / "shop"))
    failed = other.call(*install)
    failed.fails(6, f"signed by {JOB}, which is not one of your trusted keys", f"skillpm key trust NAME '{JOB}'")
    other.call("key", "trust", "acme", f"{JOB}@refs/heads/main").ok()
    other.call(*install).ok()
    assert f"acme  trusted  {JOB}" in other.call("key", "list").ok().out


def test_what_sigstore_does_not_do_is_told(place: Project, sigstore: Sigstore) -> None:
    publish = ("publish", "v1.0", "--registry", "shop", "--keyless")
    sigstore.refuses = 403
    place.call(*publish).fails(5, "Sigstore did not sign", "sign with a key")
    sigstore.refuses = 0
    place.call(*publish, ACTIONS_ID_TOKEN_REQUEST_TOKEN="").fails(5, "did not sign", "permissions")
    place.call(*publish, SKILLPM_SIGSTORE_CONFIG="/nowhere").fails(5, "did not sign", "/nowhere")
    place.call(*publish, GITHUB_ACTIONS="").fails(2, "finds none", "id-token: write")
    place.call(*publish, "--key", "work").fails(2, "`--key` and `--keyless` contradict")
    assert not (place.root / "shop/skills/mine.json").exists()


def test_without_the_library_nothing_is_taken_for_signed(
    place: Project, at_work: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.call("publish", "v1.0", "--registry", "shop", "--keyless").ok()
    for name in ("sigstore.models", "sigstore.oidc"):
        monkeypatch.setitem(sys.modules, name, None)
    failed = at_work().call("install", "mine", "--registry", place.root / "shop")
    failed.fails(4, "cannot be checked here", f"pip install '{ROOT}[sigstore]'")
    place.call("publish", "v1.1", "--registry", "shop", "--keyless").fails(2, "needs sigstore")
