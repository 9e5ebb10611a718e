"""Checks ``skill.oms.sig``, the signature of OpenSSF Model Signing 1.0 that some catalogues put beside a SKILL.md.

It is a Sigstore bundle: a DSSE envelope with an in-toto statement that lists the SHA-256 of every file, and a chain of
certificates or none. The person names what is trusted: a certificate of the chain's root, or the public key itself.
Keyless signatures, which need the public log of Sigstore, are not read.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skillpm.errors import IntegrityError, UsageError
from skillpm.formats.strict import strict_json
from skillpm.layout.tree import Tree, file_digest
from skillpm.trust.signature import PAYLOAD, STATEMENT, encoding

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


FILE = "skill.oms.sig"
_PREDICATE = "https://model_signing/signature/v1.0"
_IGNORED = (".git", ".gitattributes", ".gitignore", ".github")  # at the root of the folder
_LONGEST_CHAIN = 8


def check_oms(tree: Tree, trusted: bytes, now: datetime | None = None) -> str:
    """Return the name of the signer whose signature covers every file of a tree.

    Args:
        tree: has ``skill.oms.sig``.
        trusted: PEM: the root's certificate, or the signer's public key.
        now: the time at which the certificates must be valid; the present by default.

    Raises:
        UsageError: the tree has no signature, or ``trusted`` is neither a certificate nor a public key.
        IntegrityError: the signature is not valid, is not of the trusted signer, or a file differs, is missing or is
            not covered.
    """
    if FILE not in tree.paths():
        raise UsageError(f"there is no {FILE}", hint="name the folder that has it beside SKILL.md")
    try:
        bundle = strict_json(tree.read(FILE).decode("utf-8"))
        envelope, material = bundle["dsseEnvelope"], bundle["verificationMaterial"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        statement = strict_json(payload.decode("utf-8"))
        signed = {str(item["name"]): str(item["digest"]) for item in statement["predicate"]["resources"]}
        method = statement["predicate"]["serialization"]
        kinds = (envelope["payloadType"], statement["_type"], statement["predicateType"])
        names = [str(item) for item in method.get("ignore_paths") or ()]
        is_plain = (method["method"], method["hash_type"]) == ("files", "sha256") and len(envelope["signatures"]) == 1
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _refused(f"it is not a signature of OpenSSF Model Signing: {error!r:.80}") from None
    if kinds != (PAYLOAD, STATEMENT, _PREDICATE) or not is_plain:
        raise _refused("it is of a kind that is not supported: only whole files and SHA-256 are")
    key, title = _signer(material, trusted, now or datetime.now(UTC))
    if not _verifies(key, signature, encoding(PAYLOAD, payload)):
        raise _refused(f"{title} did not sign it")
    _refuse_other_files(tree, signed, (*_IGNORED, *names))
    return title


def _signer(material: Any, trusted: bytes, now: datetime) -> tuple[Any, str]:
    """Return the public key that must have signed, and its name."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if b"BEGIN CERTIFICATE" not in trusted:
            return load_pem_public_key(trusted), "the trusted key"
        root = x509.load_pem_x509_certificate(trusted)
    except ValueError:
        raise UsageError("neither a certificate nor a public key in PEM", hint="name the catalogue's file") from None
    odd = (ValueError, LookupError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.DuplicateExtension,
           x509.UnsupportedGeneralNameType, x509.InvalidVersion)  # fmt: skip
    try:
        chain = [
            x509.load_der_x509_certificate(base64.b64decode(item["rawBytes"]))
            for item in material["x509CertificateChain"]["certificates"][:_LONGEST_CHAIN]
        ]
        _refuse_other_chain(chain, root, now)
        return chain[0].public_key(), chain[0].subject.rfc4514_string()
    except odd as error:
        raise _refused(f"its certificates do not lead to the trusted one: {error}") from None


def _refuse_other_chain(chain: Sequence[Certificate], root: Certificate, now: datetime) -> None:
    """Raise ValueError unless the first certificate may sign, and each is issued by the next, up to the root."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if not chain[0].extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
        raise ValueError("the first certificate may not sign")
    above = [item for item in chain[1:] if item != root]
    for certificate, issuer in zip([chain[0], *above], [*above, root], strict=True):
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise ValueError(
                f"{certificate.subject.rfc4514_string()} is not valid today; is this machine's clock right?"
            )
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError(f"{issuer.subject.rfc4514_string()} may not issue certificates")
        try:
            certificate.verify_directly_issued_by(issuer)
        except InvalidSignature:
            raise ValueError(f"{issuer.subject.rfc4514_string()} did not issue the one below it") from None


def _verifies(key: Any, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    sizes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size in sizes:
            key.verify(signature, data, ec.ECDSA(sizes[key.curve.key_size]))
        else:
            raise _refused("its key is neither Ed25519 nor one of P-256, P-384 and P-521")
    except InvalidSignature:
        return False
    return True


def _refuse_other_files(tree: Tree, signed: dict[str, str], ignored: Sequence[str]) -> None:
    paths = {path for path in tree.paths() if path != FILE and not _is_ignored(path, ignored)}
    for path in sorted(tree.irregular()):
        raise _refused(f"{path} is not a regular file")
    for path in sorted(paths ^ signed.keys()):
        raise _refused(f"{path} is missing" if path in signed else f"{path} is not covered by it")
    for path in sorted(paths):
        if file_digest(tree, path) != signed[path]:
            raise _refused(f"{path} was changed")


def _is_ignored(path: str, ignored: Sequence[str]) -> bool:
    return any(path == item or path.startswith(f"{item}/") for item in ignored)


def _refused(reason: str) -> IntegrityError:
    return IntegrityError(f"{FILE}: {reason}", hint="do not use the skill, and tell its publisher")
