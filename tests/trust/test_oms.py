"""An OpenSSF model signature counts if the trusted certificate leads to it and it covers every file as it is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.errors import IntegrityError, SkillpmError, UsageError
from skillpm.layout.tree import MappingTree
from skillpm.trust.oms import FILE, check_oms
from tests.shop import MakeProject

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILES = {"SKILL.md": b"# Demo", "evals/evals.json": b"[]"}
KEYS = [ec.generate_private_key(ec.SECP384R1()) for _ in range(4)]


def certificate(number: int, issuer: int, *, ca: bool, days: int = 30) -> x509.Certificate:
    """Return a certificate of a key that another key issued."""
    name, above = (x509.Name.from_rfc4514_string(f"CN=key {item}") for item in (number, issuer))
    usage = {"content_commitment": False, "key_encipherment": False, "data_encipherment": False}
    usage |= {"key_agreement": False, "crl_sign": False, "encipher_only": False, "decipher_only": False}
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(above).serial_number(number + 1)
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=days))
    builder = builder.public_key(KEYS[number].public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    signs = x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, **usage)
    return builder.add_extension(signs, critical=True).sign(KEYS[issuer], hashes.SHA384())


ROOT, MIDDLE, LEAF = certificate(0, 0, ca=True), certificate(1, 0, ca=True), certificate(2, 1, ca=False)
TRUSTED = ROOT.public_bytes(Encoding.PEM)


@dataclass
class Signed:
    """A signature whose parts can be made wrong."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    chain: list[x509.Certificate] = field(default_factory=lambda: [LEAF, MIDDLE, ROOT])
    key: int = 2
    predicate: str = "https://model_signing/signature/v1.0"
    method: str = "files"

    def bundle(self) -> bytes:
        resources = [
            {"name": name, "digest": hashlib.sha256(data).hexdigest(), "algorithm": "sha256"}
            for name, data in sorted(self.files.items())
        ]
        serialization = {"method": self.method, "hash_type": "sha256", "ignore_paths": [".git", "cache"]}
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "demo", "digest": {"sha256": "0" * 64}}],
            "predicateType": self.predicate,
            "predicate": {"serialization": serialization, "resources": resources},
        }
        payload, kind = json.dumps(statement).encode(), b"application/vnd.in-toto+json"
        signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        signature = KEYS[self.key].sign(signed, ec.ECDSA(hashes.SHA384()))
        rows = [{"rawBytes": base64.b64encode(item.public_bytes(Encoding.DER)).decode()} for item in self.chain]
        document: dict[str, Any] = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"x509CertificateChain": {"certificates": rows}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": kind.decode(),
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }
        return json.dumps(document).encode()


def tree(bundle: bytes, **more: bytes) -> MappingTree:
    return MappingTree({**FILES, FILE: bundle, **more})


def test_a_chain_to_the_trusted_certificate_names_the_signer() -> None:
    assert check_oms(tree(Signed().bundle()), TRUSTED, NOW) == "CN=key 2"
    assert check_oms(tree(Signed(chain=[LEAF, MIDDLE]).bundle()), TRUSTED, NOW) == "CN=key 2"
    assert check_oms(tree(Signed().bundle(), **{"cache/x": b"", ".gitignore": b""}), TRUSTED, NOW) == "CN=key 2"


def test_a_public_key_can_be_trusted_itself() -> None:
    def pem(number: int) -> bytes:
        return KEYS[number].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    assert check_oms(tree(Signed(chain=[]).bundle()), pem(2)) == "the trusted key"
    with pytest.raises(IntegrityError, match="the trusted key did not sign it"):
        check_oms(tree(Signed().bundle()), pem(3))


WRONG: dict[str, tuple[Callable[[], MappingTree], str]] = {
    "a changed file": (lambda: tree(Signed().bundle(), **{"SKILL.md": b"# Evil"}), "SKILL.md was changed"),
    "a new file": (lambda: tree(Signed().bundle(), **{"run.sh": b""}), "run.sh is not covered"),
    "a file like an ignored one": (lambda: tree(Signed().bundle(), cachet=b""), "cachet is not covered"),
    "a missing file": (lambda: tree(Signed({**FILES, "more": b""}).bundle()), "more is missing"),
    "a link": (
        lambda: MappingTree({**FILES, FILE: Signed().bundle()}, irregular={"x": "symlink"}),
        "x is not a regular",
    ),
    "another key": (lambda: tree(Signed(key=3).bundle()), "CN=key 2 did not sign it"),
    "another chain": (lambda: tree(Signed(chain=[certificate(3, 3, ca=False)], key=3).bundle()), "do not lead"),
    "a leaf as issuer": (
        lambda: tree(Signed(chain=[certificate(3, 2, ca=False), LEAF, MIDDLE], key=3).bundle()),
        "CN=key 2 may not issue certificates",
    ),
    "an issuer as leaf": (lambda: tree(Signed(chain=[MIDDLE], key=1).bundle()), "the first certificate may not sign"),
    "an old certificate": (
        lambda: tree(Signed(chain=[certificate(2, 1, ca=False, days=0), MIDDLE]).bundle()),
        "is not valid today",
    ),
    "another statement": (lambda: tree(Signed(predicate="other").bundle()), "not supported"),
    "shards": (lambda: tree(Signed(method="file-shard-1000").bundle()), "not supported"),
    "no JSON": (lambda: tree(b"{"), "not a signature of OpenSSF"),
    "no bundle": (lambda: tree(b'{"dsseEnvelope": []}'), "not a signature of OpenSSF"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_signature_that_does_not_hold_is_refused(case: str) -> None:
    make, says = WRONG[case]
    with pytest.raises(IntegrityError, match=says):
        check_oms(make(), TRUSTED, NOW + timedelta(hours=1))


BUNDLE = Signed().bundle()


@settings(max_examples=60)
@given(st.integers(0, len(BUNDLE) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_signature_is_refused_or_harmless(place: int, change: int) -> None:
    bad = bytearray(BUNDLE)
    bad[place] ^= change
    try:
        assert check_oms(tree(bytes(bad)), TRUSTED, NOW) == "CN=key 2"
    except SkillpmError as error:
        assert error.exit_code == 4


def test_what_is_missing_is_said(project: MakeProject) -> None:
    with pytest.raises(UsageError, match=r"there is no skill\.oms\.sig"):
        check_oms(MappingTree(FILES), TRUSTED)
    with pytest.raises(UsageError, match="neither a certificate nor a public key"):
        check_oms(tree(BUNDLE), b"hello")
    place = project({"demo": {"SKILL.md": "# Demo"}, "root.pem": TRUSTED.decode()})
    place.call("key", "check", "demo", "--trust", "root.pem").fails(2, "there is no skill.oms.sig")


def test_the_command_prints_who_signed_and_exits_4_where_a_file_differs(project: MakeProject) -> None:
    root, middle = (certificate(number, 0, ca=True, days=36500) for number in (0, 1))
    leaf = certificate(2, 1, ca=False, days=36500)
    texts = {name: data.decode() for name, data in FILES.items()}
    bundle = Signed(chain=[leaf, middle]).bundle().decode()
    place = project({"demo": {**texts, FILE: bundle}, "root.pem": root.public_bytes(Encoding.PEM).decode()})
    words = ("key", "check", "demo", "--trust", "root.pem")
    assert place.call(*words, "--json").ok().document == {"folder": "demo", "signer": "CN=key 2"}
    told = place.call(*words).ok()
    assert told.out == "CN=key 2\n" and "the signature covers every file of demo" in told.err
    place.write({"demo/SKILL.md": "# Other"})
    assert place.call(*words, "--json").fails(4, "SKILL.md").document["exit_code"] == 4
