"""The signature of a release: an in-toto statement in a DSSE envelope, which stands in the registry's page.

The statement names the archive's SHA-256, the tree's digest, the skill and the version, and its publisher. A registry
calls ``signer`` before it makes a release visible, and a client calls it before it chooses one: a statement about other
bytes is refused, however well it is signed. A key signs it, or the CI job that Sigstore certifies (``keyless.py``).

Sources: DSSE 1.0.2 (secure-systems-lab/dsse), in-toto Statement v1 (in-toto/attestation).
"""

from __future__ import annotations

import base64
import json
from typing import Any

from skillpm.errors import IntegrityError
from skillpm.formats.strict import strict_json
from skillpm.model.key import Identity, PrivateKey, Signer, read_signer
from skillpm.model.release import Envelope, EnvelopeSignature, Release
from skillpm.trust import keyless

PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PUBLISH = "urn:skillpm:publish:1"  # the type of the predicate
TREE = "skillpmTree1"  # the name of the tree's digest in a statement


def statement(name: str, release: Release, publisher: str = "") -> dict[str, Any]:
    """Return the in-toto statement about a release; nobody checks who the publisher claims to be."""
    subject = {"name": f"{name}@{release.version}", "digest": {"sha256": release.archive, TREE: release.tree}}
    predicate = {"name": name, "version": release.version, "publisher": {"name": publisher}}
    return {"_type": STATEMENT, "subject": [subject], "predicateType": PUBLISH, "predicate": predicate}


def sign(name: str, release: Release, key: PrivateKey | None, publisher: str = "") -> Envelope:
    """Return the signed statement about a release. The arguments are those of ``statement``.

    Without a key, the CI job in which this runs signs by its identity.

    Raises:
        UsageError, RegistryError: there is no such identity, or Sigstore failed; only without a key.
    """
    payload = json.dumps(statement(name, release, publisher), sort_keys=True, ensure_ascii=False).encode()
    data = encoding(PAYLOAD, payload)
    if key is None:
        signature = keyless.sign(data)
    else:
        signature = EnvelopeSignature(keyid=str(key.public), sig=_base64(key.sign(data)))
    return Envelope(payloadType=PAYLOAD, payload=_base64(payload), signatures=(signature,))


def signer(name: str, release: Release) -> Signer | None:
    """Return the key or the identity that signed a release, or None if the release has no signature.

    Raises:
        IntegrityError: the signature is not valid or cannot be checked here, or its statement is about another skill,
            version or content.
    """
    envelope = release.signature
    if envelope is None:
        return None
    label = f"{name} {release.version}"
    try:
        (only,) = envelope.signatures
        key = read_signer(only.keyid)
        payload = base64.b64decode(envelope.payload, validate=True)
        signature = base64.b64decode(only.sig, validate=True)
    except ValueError:
        raise _refused(f"the signature of {label} cannot be read") from None
    data = encoding(envelope.payloadType, payload)
    if isinstance(key, Identity):
        problem = keyless.problem(key, only.bundle or "", signature, data)
        key = key.at_any_ref
    else:
        problem = "" if key.verifies(signature, data) else "it does not fit that key"
    if problem:
        raise _refused(
            f"the signature of {label} is not one of {key.short}, which it names: {problem}", signer=str(key)
        )
    try:
        root = strict_json(payload.decode("utf-8"))
    except ValueError:
        root = None
    reason = _other_subject(root, name, release) if envelope.payloadType == PAYLOAD else "it is not a statement"
    if reason:
        raise _refused(f"{key.short} did not sign {label} with this content: {reason}", signer=str(key))
    return key


def _other_subject(root: Any, name: str, release: Release) -> str:
    """Return how a statement differs from the one about this release, or an empty text."""
    if not isinstance(root, dict) or root.get("_type") != STATEMENT or root.get("predicateType") != PUBLISH:
        return "it signed another kind of statement"
    expected = statement(name, release)
    predicate, subjects = root.get("predicate"), root.get("subject")
    for key in ("name", "version"):
        signed = predicate.get(key) if isinstance(predicate, dict) else None
        if signed != expected["predicate"][key]:
            return f"the {key} in its statement is {str(signed)[:80]}"
    subject = subjects[0] if isinstance(subjects, list) and len(subjects) == 1 else None
    digests = subject.get("digest") if isinstance(subject, dict) else None
    for algorithm, digest in expected["subject"][0]["digest"].items():
        signed = digests.get(algorithm) if isinstance(digests, dict) else None
        if signed != digest:
            return f"the {algorithm} in its statement is {str(signed)[:16]}…, expected {digest[:16]}…"
    return ""


def encoding(kind: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: what is signed."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _refused(message: str, **details: str) -> IntegrityError:
    return IntegrityError(
        message, hint="do not use it, and tell the publisher and the registry's maintainer", **details
    )
