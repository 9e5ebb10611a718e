"""Signatures without a key of one's own: Sigstore certifies for some minutes whom an OIDC issuer named, and logs them.

A CI job shows its token to Sigstore's authority, which certifies a key that is thrown away after one signature; a
public log proves that the signature was made in those minutes. The library ``sigstore`` checks all of that without the
network, against the roots that it brings. ``SKILLPM_SIGSTORE_CONFIG`` names the file of another Sigstore (the trust
configuration that ``sigstore --trust-config`` takes). The library is an extra, and is imported where it is needed.

What is signed is the encoding of the same statement that a key would sign, so it is a DSSE signature too.
"""

from __future__ import annotations

import base64
import logging
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import IntegrityError, RegistryError, SkillpmError, UsageError
from skillpm.model.key import Identity
from skillpm.model.release import EnvelopeSignature

if TYPE_CHECKING:
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

CONFIG_VARIABLE = "SKILLPM_SIGSTORE_CONFIG"
_KEPT = 3600.0  # seconds that roots are in memory
_INSTALL = "run `pip install 'skillpm-core[sigstore]'`"


def problem(claimed: Identity, bundle: str, signature: bytes, data: bytes) -> str:
    """Return why a signature is not one of an identity over some data; an empty text if it is.

    ``bundle`` is Sigstore's, as JSON.

    Raises:
        IntegrityError: it cannot be checked here, because ``sigstore`` is not installed.
    """
    try:
        from sigstore.models import Bundle
        from sigstore.verify import policy
    except ImportError:
        raise IntegrityError(f"{claimed} signed it by Sigstore, which cannot be checked here", hint=_INSTALL) from None
    try:
        parsed = Bundle.from_json(bundle)
        expected: list[policy.VerificationPolicy] = [policy.Identity(identity=claimed.subject, issuer=claimed.issuer)]
        if claimed.repository:  # else a job of any other repository that calls this workflow would sign as it
            expected.append(policy.OIDCSourceRepositoryURI(claimed.repository))
        try:
            _verify(data, parsed, policy.AllOf(expected))
        except Exception:  # noqa: BLE001 - perhaps by keys that the roots on the disk have by now
            _verifier.cache_clear()
            _verify(data, parsed, policy.AllOf(expected))
    except Exception as error:  # noqa: BLE001 - hostile bundles raise more than the library tells, and none is checked
        return " ".join(str(error).split())[:300] or type(error).__name__
    return "" if parsed.signature == signature else "its bundle has another signature"


def _verify(data: bytes, bundle: Bundle, policy: VerificationPolicy) -> None:
    path, hour = os.environ.get(CONFIG_VARIABLE, ""), int(time.monotonic() // _KEPT)
    _verifier(path, hour).verify_artifact(data, bundle, policy)


def sign(data: bytes) -> EnvelopeSignature:
    """Return the signature of the CI job in which this runs.

    Raises:
        UsageError: ``sigstore`` is not installed, or this is no job to which its CI gives an identity.
        RegistryError: Sigstore cannot be reached, or refused.
    """
    try:
        from sigstore.oidc import IdentityToken, detect_credential
        from sigstore.sign import SigningContext
    except ImportError:
        raise UsageError("`--keyless` needs sigstore", hint=_INSTALL) from None
    try:
        raw = detect_credential()
        if raw is None:
            raise UsageError(
                "`--keyless` needs a CI job to which its CI gives an OIDC identity, and finds none",
                hint="give the job the permission `id-token: write`, or sign with a key",
            )
        token = IdentityToken(raw)
        context = SigningContext.from_trust_config(_config(os.environ.get(CONFIG_VARIABLE, ""), offline=False))
        with context.signer(token) as signer:
            bundle = signer.sign_artifact(data)
    except SkillpmError:
        raise
    except Exception as error:  # noqa: BLE001 - the library lets errors of its HTTP client and private ones through
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise RegistryError(f"Sigstore did not sign: {reason}", hint="run it again, or sign with a key") from None
    identity = Identity(token.federated_issuer, _subject(bundle))
    return EnvelopeSignature(
        keyid=str(identity), sig=base64.b64encode(bundle.signature).decode(), bundle=bundle.to_json()
    )


def _subject(bundle: Bundle) -> str:
    """Return whom a certificate names: an address of mail or a URL."""
    from cryptography.x509 import SubjectAlternativeName

    extension = bundle.signing_certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    return str(next(iter(extension.value)).value)


@lru_cache(maxsize=1)
def _verifier(path: str, hour: int) -> Verifier:
    """Return what checks by the roots on the disk, which are read again each hour: a server runs for months."""
    from sigstore.verify import Verifier

    return Verifier(trusted_root=_config(path, offline=True).trusted_root)


def _config(path: str, *, offline: bool) -> ClientTrustConfig:
    """Return the configuration in a file, or that of the public Sigstore: offline as it was seen last."""
    from sigstore.models import ClientTrustConfig

    if path:
        return ClientTrustConfig.from_json(Path(path).read_text())
    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns on stderr that it works offline
    return ClientTrustConfig.production(offline=offline)
