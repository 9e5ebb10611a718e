"""Who signed what is installed: checked by policy when a release is chosen, and written into the lock.

The first signer of a skill is trusted on first use. After that a release of another signer is refused, and so is one
without a signature where the lock or an earlier release has one: whoever took over a registry or an account has the
name, but not the key. An unsigned skill that a CI job published has to come from the same repository again. A person
who has asked the publisher accepts the change for one skill.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from skillpm.errors import IntegrityError, PolicyError
from skillpm.model.key import Signer
from skillpm.model.release import Page, Release
from skillpm.trust.signature import signer

if TYPE_CHECKING:
    from skillpm.model.lock import LockedSkill
    from skillpm.model.trust_policy import Signatures
    from skillpm.storage.keys import Keys


@dataclass(frozen=True, slots=True)
class SignerCheck:
    """The check of the signers of one command.

    Attributes:
        keys: of the person; they name the signers in messages, and ``trusted`` means them.
    """

    keys: Keys
    allowed: Collection[str] = ()

    def signer(
        self, name: str, release: Release, need: Signatures, *, locked: Sequence[LockedSkill], page: Page | None
    ) -> Signer | None:
        """Return the checked signer of a release that is to be chosen; None if it is unsigned or nothing is checked.

        ``locked`` has the lock's entries of this name, in a conflict those of both sides. ``page`` is None if it was
        not read.

        Raises:
            IntegrityError: the signature is invalid, or the signer changed.
            PolicyError: there is no signature, or nobody trusted signed, and a policy needs it.
        """
        if need == "off":
            return None
        key = signer(name, release)
        same = next((item for item in locked if (item.version, item.tree) == (release.version, release.tree)), None)
        if same is not None and key is None:
            key = same.signer  # the lock vouches for these bytes
        elif name not in self.allowed:
            for entry in locked:
                self._refuse_change(name, release, key, entry)
            if key is None:
                _refuse_downgrade(name, release, page)
        self.demand(f"{name} {release.version}", key, need)
        return key

    def demand(self, label: str, key: Signer | None, need: Signatures) -> None:
        """Raise PolicyError if a release lacks the signature that the policies need."""
        if need in ("required", "trusted") and key is None:
            raise PolicyError(
                f"{label} has no signature, and `policy.signatures` requires one",
                hint="ask the publisher to sign it, or run `skillpm config` to see where the policy is set",
            )
        if need == "trusted" and key is not None and all(item.public != key for item in self.keys.all()):
            raise PolicyError(
                f"{label} is signed by {key}, which is not one of your trusted keys",
                hint=f"ask its publisher; if that is right, run `skillpm key trust NAME {shlex.quote(str(key))}`",
            )

    def _refuse_change(self, name: str, release: Release, key: Signer | None, before: LockedSkill) -> None:
        if before.signer is None:
            _refuse_other_publisher(name, release, before)
            return
        if before.signer == key:
            return
        now = f"is signed by {self.keys.title(key)}" if key else "has no signature"
        raise IntegrityError(
            f"{name} {release.version} {now}; {before.version}, which is locked, is signed by "
            f"{self.keys.title(before.signer)}",
            hint=f"ask the publisher, not the registry; to accept it, add `--allow-signer-change {name}`",
            locked=str(before.signer),
            found=str(key) if key else None,
        )


def _refuse_other_publisher(name: str, release: Release, before: LockedSkill) -> None:
    """Refuse an unsigned skill's release from another repository; who has the locked key may publish from anywhere."""
    locked, now = before.publisher, release.publisher
    if locked is None or (now and (now.issuer, now.repository) == (locked.issuer, locked.repository)):
        return
    raise IntegrityError(
        f"{name} {release.version} was published by {now or 'nobody that its registry names'}; {before.version}, which "
        f"is locked, was published by {locked}",
        hint=f"ask the publisher, not the registry; to accept it, add `--allow-signer-change {name}`",
        locked=str(locked),
        found=str(now) if now else None,
    )


def _refuse_downgrade(name: str, release: Release, page: Page | None) -> None:
    version = Version(release.version)
    earlier = [item for item in page.newest_first() if Version(item.version) < version] if page else []
    signed = next((item for item in earlier if item.signature is not None), None)
    if signed is not None:
        raise IntegrityError(
            f"{name} {release.version} has no signature; {signed.version}, which is older, has one",
            hint=f"install `{name}=={signed.version}`; if the publisher says why, add `--allow-signer-change {name}`",
        )
