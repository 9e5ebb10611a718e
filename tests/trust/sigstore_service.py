"""A whole Sigstore on this machine: a CI that gives tokens, the authority, its log of certificates, and the log.

It answers as Fulcio and Rekor 1 do, so the library signs and checks as it does against the public one.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.servers import Replying, served

GITHUB = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/skills/.github/workflows/publish.yml"
_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_REPOSITORY = ObjectIdentifier("1.3.6.1.4.1.57264.1.12")
_TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_SIBLING = hashlib.sha256(b"another entry").digest()  # the first of the two entries of the log
_START = {"start": "2020-01-01T00:00:00Z"}

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def der(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def certificate(
    issuer: str, subject: x509.Name, public: ec.EllipticCurvePublicKey, start: dt.datetime, days: float
) -> Any:
    return (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
    )


def usage(**yes: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: yes.get(name, False) for name in (*names, *more)})


@dataclass
class Sigstore:
    """One Sigstore.

    Attributes:
        subject: whom it certifies.
        issuer: who gave the token.
        repository: whose job asked.
        delay: seconds from a certificate to the entry of the log.
        refuses: the status with which the authority answers instead.
    """

    url: str = ""
    subject: str = f"{WORKFLOW}@refs/tags/v1.0"
    issuer: str = GITHUB
    repository: str = "https://github.com/acme/skills"
    delay: int = 0
    refuses: int = 0
    root: Key = field(default_factory=new_key)
    certificates: Key = field(default_factory=new_key)  # of the log of certificates
    log: Key = field(default_factory=new_key)

    def __post_init__(self) -> None:
        now = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        public = self.root.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        self.authority: x509.Certificate = (
            certificate("authority", name, public, now, 36_500)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.root, hashes.SHA256())
        )

    def configuration(self, path: Path) -> Path:
        """Write the trust configuration that a client takes."""
        log = {"baseUrl": self.url, "hashAlgorithm": "SHA2_256"}
        chain = {"certificates": [{"rawBytes": text(self.authority.public_bytes(Encoding.DER))}]}
        subject = {"organization": "here", "commonName": "authority"}
        trusted = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{**log, **_public(self.log)}],
            "ctlogs": [{**log, **_public(self.certificates)}],
            "certificateAuthorities": [{"subject": subject, "uri": self.url, "certChain": chain, "validFor": _START}],
            "timestampAuthorities": [],
        }
        service = {"url": self.url, "majorApiVersion": 1, "validFor": _START, "operator": "here"}
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service],
            "oidcUrls": [service],
            "rekorTlogUrls": [service],
            "tsaUrls": [],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        }
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        path.write_text(json.dumps({"mediaType": kind, "trustedRoot": trusted, "signingConfig": signing}))
        return path

    def token(self) -> dict[str, Any]:
        """Return what GitHub answers to a job that asks for a token."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "sigstore", "sub": "repo:acme/skills", "iat": now, "exp": now + 300}
        return {"value": jwt.encode(claims, "k" * 32, "HS256")}

    def certified(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a certificate for ten minutes."""
        asked = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
        public = asked.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        plain = (
            certificate("authority", x509.Name([]), public, now, 10 / 1440)
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(self.subject)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, self.issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_REPOSITORY, _utf8(self.repository)), critical=False)
        )
        draft = plain.sign(self.root, hashes.SHA256())
        timestamp = x509.UnrecognizedExtension(_TIMESTAMPS, self._timestamp(draft, now))
        chain = [plain.add_extension(timestamp, critical=False).sign(self.root, hashes.SHA256()), self.authority]
        certificates = [item.public_bytes(Encoding.PEM).decode() for item in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}}

    def _timestamp(self, draft: x509.Certificate, now: dt.datetime) -> bytes:
        """Return the extension by which the log of certificates says that it has this one (RFC 6962, 3.2 and 3.3)."""
        content, time_ms = draft.tbs_certificate_bytes, int(now.timestamp() * 1000)
        entry = hashlib.sha256(der(self.root)).digest() + len(content).to_bytes(3) + content
        signed = struct.pack("!BBQH", 0, 0, time_ms, 1) + entry + b"\0\0"
        signature = self.certificates.sign(signed, ec.ECDSA(hashes.SHA256()))
        number = hashlib.sha256(der(self.certificates)).digest()
        one = struct.pack("!B32sQH", 0, number, time_ms, 0) + b"\4\3" + len(signature).to_bytes(2) + signature
        every = (len(one) + 2).to_bytes(2) + len(one).to_bytes(2) + one
        return b"\4" + (bytes([len(every)]) if len(every) < 128 else b"\x81" + bytes([len(every)])) + every

    def logged(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the log's second entry, with its promise, its proof and the signed head."""
        body, number = rfc8785.dumps(entry), hashlib.sha256(der(self.log)).digest()
        leaf = hashlib.sha256(b"\0" + body).digest()
        root = hashlib.sha256(b"\1" + _SIBLING + leaf).digest()
        answer: dict[str, Any] = {
            "body": text(body),
            "integratedTime": int(time.time()) + self.delay,
            "logID": number.hex(),
            "logIndex": 1,
        }
        head = f"here\n2\n{text(root)}\n"
        line = text(number[:4] + self.log.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
        proof = {"logIndex": 1, "treeSize": 2, "rootHash": root.hex(), "hashes": [_SIBLING.hex()]}
        promise = text(self.log.sign(rfc8785.dumps(answer), ec.ECDSA(hashes.SHA256())))
        proven = {**proof, "checkpoint": f"{head}\n\u2014 here {line}\n"}
        return {leaf.hex(): {**answer, "verification": {"signedEntryTimestamp": promise, "inclusionProof": proven}}}


def _public(key: Key) -> dict[str, Any]:
    public = {"rawBytes": text(der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": _START}
    return {"publicKey": public, "logId": {"keyId": text(hashlib.sha256(der(key)).digest())}}


def _utf8(text: str) -> bytes:
    """Return a short text as DER."""
    return b"\x0c" + bytes([len(text)]) + text.encode()


def _general_name(subject: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(subject) if "://" in subject else x509.RFC822Name(subject)


@contextmanager
def running() -> Iterator[Sigstore]:
    """Run one."""
    service = Sigstore()

    class Handler(Replying):
        def do_GET(self) -> None:
            self._answer(200, service.token())

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/api/v2/signingCert":
                self._answer(service.refuses or 200, service.certified(request))
            else:
                self._answer(201, service.logged(request))

        def _answer(self, status: int, document: dict[str, Any]) -> None:
            self.reply(status, json.dumps(document).encode())

    with served(Handler) as service.url:
        yield service
