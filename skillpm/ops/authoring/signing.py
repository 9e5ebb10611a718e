"""Signs a release before it is published, so that nobody who has only the registry can publish in an author's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import ConflictError, UsageError
from skillpm.model.key import Identity, PrivateKey
from skillpm.model.release import Release
from skillpm.ops.context import Context
from skillpm.storage.files import read_text
from skillpm.storage.keys import DEFAULT, read_private
from skillpm.trust.signature import sign, signer

if TYPE_CHECKING:
    from skillpm.ops.authoring.publish import PublishOptions

KEY_VARIABLE = "SKILLPM_SIGNING_KEY"  # a private key in PEM, or the path of its file
PUBLISHER_VARIABLE = "SKILLPM_PUBLISHER"  # who the statement names as its publisher


def signed(
    context: Context, name: str, release: Release, others: Sequence[Release], options: PublishOptions
) -> Release:
    """Return a release with its signature, or with the decision not to sign it.

    ``others`` are the published releases, newest first. The options say who signs.

    Raises:
        ConflictError: the published releases have another signer, so clients would refuse this one.
        UsageError: there is no such key, or no identity of a CI job, or the options contradict each other.
        IntegrityError: the newest signature in the registry is invalid.
        RegistryError: Sigstore failed.
    """
    ways = [f"`--{name}`" for name in ("key", "keyless", "no-sign") if getattr(options, name.replace("-", "_"))]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} contradict each other", hint="use one of them")
    newest = next((item for item in others if item.signature is not None and not options.allow_signer_change), None)
    if options.no_sign:
        now = replace(release, unsigned=True)
    else:
        # before a key is made, or a signature is in Sigstore's public log
        if newest is not None and (stranger := _stranger(context, options, newest)):
            raise _other_signer(context, name, newest, f"{release.version} would be signed by {stranger}")
        key = None if options.keyless else signing_key(context, options.key)
        publisher = context.settings.environment.get(PUBLISHER_VARIABLE, "")
        now = replace(release, signature=sign(name, release, key, publisher))
    if newest is not None:
        _refuse_change(context, name, newest, now)
    return now


def _refuse_change(context: Context, name: str, newest: Release, now: Release) -> None:
    """Refuse a release that clients would refuse, because the one before it is signed by somebody else."""
    after = signer(name, now)
    if signer(name, newest) != after:
        what = f"be signed by {context.keys.title(after)}" if after else "have no signature"
        raise _other_signer(context, name, newest, f"{now.version} would {what}")


def _other_signer(context: Context, name: str, newest: Release, what: str) -> ConflictError:
    before = signer(name, newest)
    assert before is not None  # it has a signature
    way = "from the same workflow (`--keyless`)" if isinstance(before, Identity) else "with the same key (`--key NAME`)"
    return ConflictError(
        f"{name} {newest.version} is signed by {context.keys.title(before)}; {what}, and clients refuse that",
        hint=f"sign {way}, or add `--allow-signer-change` and tell your users why",
    )


def _stranger(context: Context, options: PublishOptions, newest: Release) -> str:
    """Return who would sign now and cannot have signed before; empty if the signature alone tells."""
    if options.keyless:
        is_of_job = newest.signature is not None and any(item.bundle for item in newest.signature.signatures)
        return "" if is_of_job else "a CI job"
    return "a new key" if _is_default(context, options.key) and context.keys.lacks_default else ""


def _is_default(context: Context, name: str) -> bool:
    return name == DEFAULT or not (name or context.settings.environment.get(KEY_VARIABLE, ""))


def signing_key(context: Context, name: str = "") -> PrivateKey:
    """Return the key that signs: of this name, of the variable, or the default key, which is made if it is missing.

    Raises:
        UsageError: there is no such key, or the variable has none.
    """
    keys, variable = context.keys, context.settings.environment.get(KEY_VARIABLE, "")
    if _is_default(context, name):
        key, made = keys.default()
        if made:
            context.note(f"created your signing key {key.public} in {keys.root}; keep a copy: it is needed for updates")
        return key
    if name:
        return keys.private(name)
    return read_private(variable if "-----BEGIN" in variable else read_text(Path(variable)), KEY_VARIABLE)
