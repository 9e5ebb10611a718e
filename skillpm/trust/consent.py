"""Consents: a person agrees once to a content and to what its code is given, and the agreement is recorded.

Skills that ship with skillpm are trusted as skillpm is. A skill without code needs no consent. A consent holds for
exactly the content that was shown, for exactly the wheels of Python packages, and for no more permissions than were
shown with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import ConfigDict, Field, ValidationError

from skillpm.errors import ConsentError, DocumentError, PolicyError
from skillpm.formats.document import Document, model_errors
from skillpm.formats.light import json_form
from skillpm.formats.listed import listed
from skillpm.formats.strict import strict_json
from skillpm.model.manifest import Permissions
from skillpm.model.release import Digest
from skillpm.model.skill import Skill
from skillpm.model.trust_policy import Consent, TrustPolicy, permitted
from skillpm.model.wheel import Wheel, WheelSet
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.files import read_text, write_atomic
from skillpm.storage.process_lock import locked

LOCK_SECONDS = 10.0
MAX_MODULES = 12  # shown to a person by name
By = Literal["answer", "--yes", "policy"]


class Access(Document):
    """What a skill's code may use: permissions, and Python packages."""

    permissions: Permissions = Permissions()
    python: tuple[str, ...] = ()

    def beyond(self, other: Access) -> Access:
        """Return what this one has and the other does not have."""
        packages = tuple(text for text in self.python if text not in other.python)
        return Access(permissions=self.permissions.beyond(other.permissions), python=packages)

    def sentence(self) -> str:
        """Return it in words; empty if there is nothing."""
        network = ["the network"] if self.permissions.network else []
        return ", ".join([*network, *_named("command", self.permissions.run), *_named("package", self.python)])


def _named(kind: str, names: tuple[str, ...]) -> list[str]:
    return [f"the {kind}{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []


class Grant(Document):
    """One consent.

    Attributes:
        skill: name and version that the content had.
        access: what was agreed to; the file calls it ``wishes``.
        wheels: what its Python packages are; None if it asks for none.
        when: UTC, to the second.
    """

    model_config = ConfigDict(populate_by_name=True)

    skill: str
    access: Access = Field(default=Access(), validation_alias="wishes", serialization_alias="wishes")
    wheels: WheelSet | None = None
    files: tuple[str, ...] = ()
    by: By
    when: str


class ConsentRecord(Document):
    """consents.json: by the digest of each tree whose code may run."""

    consents: int = 1
    granted: dict[Digest, Grant] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What is shown to a person, and recorded if the person agrees.

    Attributes:
        skill: whose code would run; sealed.
        modules: other Python files of the skill, which those may import.
        access: what the code would be given.
        wheels: what its Python packages would be; None if it asks for none.
        added: the part of it that the last version with a consent did not have.
        previous: that version, or None.
    """

    skill: Skill
    files: tuple[str, ...]
    modules: tuple[str, ...]
    access: Access
    wheels: WheelSet | None
    added: Access
    previous: str | None

    @property
    def grows(self) -> bool:
        """Does it ask for more than its last version had?"""
        return self.previous is not None and self.added != Access()

    @property
    def _wheels(self) -> tuple[Wheel, ...]:
        return () if self.wheels is None else self.wheels.wheels

    def lines(self) -> list[str]:
        """Return it for a person, line by line."""
        modules = f", which may import {listed(self.modules, MAX_MODULES)}" if self.modules else ""
        lines = [
            f"{self.skill} has code that would run in a process of its own",
            f"  content  {self.skill.tree}",
            f"  runs     {', '.join(str(self.skill.root / name) for name in self.files)}{modules}",
            f"  is given {self.access.sentence() or 'no network, no programs'}",
        ]
        lines += [f"  installs {wheel}" for wheel in self._wheels]
        return [*lines, f"  new since {self.previous}: {self.added.sentence()}"] if self.grows else lines

    def sentence(self) -> str:
        """Return it as one sentence."""
        paths = " and ".join(str(self.skill.root / name) for name in self.files)
        access = f", and asks for {self.access.sentence()}" if self.access.sentence() else ""
        added = f" (new since {self.previous}: {self.added.sentence()})" if self.grows else ""
        wheels = f", installed as {', '.join(map(str, self._wheels))}" if self._wheels else ""
        return f"{self.skill} would run {paths} in a confined process{access}{wheels}{added}"

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "skill": self.skill.name,
            "version": self.skill.version,
            "tree": self.skill.tree,
            "files": list(self.files),
            "modules": list(self.modules),
            "wishes": self.access.model_dump(mode="json"),
            "wheels": json_form(self._wheels),
            "before": self.previous,
            "more": self.added.model_dump(mode="json"),
        }


class PackageResolver(Protocol):
    """Chooses the wheels that ``python:`` of a skill stands for on this machine."""

    def resolve(self, skill: Skill, requirements: Sequence[str]) -> WheelSet:
        """Return the wheels. Raises PluginError if something does not fit together, or is not a wheel."""

    def fits(self, wheels: WheelSet, requirements: Sequence[str]) -> bool:
        """Were these wheels chosen for this machine, and do they have what the requirements ask for?"""


class Consents:
    """The user's record.

    Args:
        path: consents.json; need not exist.
        rule: whose code may run without a question.
        locked: returns the contents that the project's lock names, each with its wheels, a set for each platform.
        packages: chooses wheels that neither the lock nor the record names; None if no Python package can be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        policies: Sequence[TrustPolicy] = (),
        rule: Consent = "ask",
        locked: Callable[[], Mapping[str, Sequence[WheelSet]]] = dict,
        packages: PackageResolver | None = None,
    ) -> None:
        self._path = path
        self._policies = policies
        self._rule = rule
        self._locked = locked
        self._packages = packages
        self._resolved: dict[str, WheelSet] = {}

    def granted(self, skill: Skill) -> bool:
        """May this skill's code run? Raises DocumentError if the record is damaged."""
        files = SkillFiles(skill)
        if skill.bundled or not files.code():
            return True
        grant = self._read().granted.get(skill.tree)
        if self._rule == "never" or grant is None:
            return False
        access = self._access(files)
        return access.beyond(grant.access) == Access() and self._known_wheels(skill, access, grant) == grant.wheels

    def wheels(self, skill: Skill) -> WheelSet | None:
        """Return the wheels that a skill's code is given; None if it asks for no Python package.

        Raises:
            PluginError: something does not fit together, or is not a wheel.
        """
        return self._wheels(skill, self._access(SkillFiles(skill)))

    def request(self, skill: Skill) -> ConsentRequest:
        """Return what a person is asked to agree to."""
        files = SkillFiles(skill)
        access = self._access(files)
        earlier = [grant for grant in self._read().granted.values() if grant.skill.rpartition(" ")[0] == skill.name]
        previous = max(earlier, key=lambda grant: grant.when, default=None)
        return ConsentRequest(
            skill,
            tuple(files.code()),
            tuple(files.modules()),
            access,
            self._wheels(skill, access),
            access.beyond(previous.access) if previous else access,
            previous.skill if previous else None,
        )

    def grant(self, *requests: ConsentRequest, by: By = "--yes") -> None:
        """Record exactly what was shown.

        Raises:
            PolicyError: a policy lets no code run.
            StorageError: the record cannot be written.
            BusyError: another skillpm holds the record.
        """
        if self._rule == "never":
            raise _forbidden(requests)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        fresh = {
            item.skill.tree: Grant(
                skill=str(item.skill), access=item.access, wheels=item.wheels, files=item.files, by=by, when=when
            )
            for item in requests
        }
        with locked(self._path.with_suffix(".lock"), LOCK_SECONDS):
            self._write({**self._read().granted, **fresh})

    def grant_by_policy(self, skills: Iterable[Skill]) -> list[ConsentRequest]:
        """Record what a policy agrees to, and return the rest. A policy never agrees to a request that grows."""
        missing = self.missing(skills)
        trees = self._locked() if self._rule == "locked" and missing else {}
        agreed = [item for item in missing if (self._rule == "always" or item.skill.tree in trees) and not item.grows]
        if agreed:
            self.grant(*agreed, by="policy")
        return [item for item in missing if item not in agreed]

    def grants(self) -> dict[str, Grant]:
        """Return every consent by the digest of its content, by name and time. Raises DocumentError."""
        granted = self._read().granted
        return dict(sorted(granted.items(), key=lambda item: (item[1].skill, item[1].when)))

    def revoke(self, chosen: Callable[[str, Grant], bool]) -> dict[str, Grant]:
        """Take back the consents that are chosen by digest and record, and return them.

        Raises:
            StorageError: the record cannot be written.
            BusyError: another skillpm holds the record.
        """
        with locked(self._path.with_suffix(".lock"), LOCK_SECONDS):
            granted = self._read().granted
            revoked = {tree: grant for tree, grant in granted.items() if chosen(tree, grant)}
            if revoked:
                self._write({tree: grant for tree, grant in granted.items() if tree not in revoked})
        return revoked

    def missing(self, skills: Iterable[Skill]) -> list[ConsentRequest]:
        """Return a request for each skill whose code may not run yet."""
        return [self.request(skill) for skill in dict.fromkeys(skills) if not self.granted(skill)]

    def demand(self, skills: Iterable[Skill]) -> None:
        """Raise an error if the code of a skill may not run.

        Raises:
            ConsentError: there is no consent; the hint says what would run.
            PolicyError: a policy lets no code run.
        """
        missing = self.missing(skills)
        if missing and self._rule == "never":
            raise _forbidden(missing)
        if missing:
            raise ConsentError(
                f"nobody has agreed to run the code of {', '.join(str(item.skill) for item in missing)}",
                hint=f"{'; '.join(item.sentence() for item in missing)}. Look at it, then run the command again with "
                "`--yes`",
                skills=[item.document() for item in missing],
            )

    def _access(self, files: SkillFiles) -> Access:
        manifest = files.manifest()
        python = () if manifest is None else manifest.python
        return Access(permissions=permitted(manifest, self._policies), python=python)

    def _known_wheels(self, skill: Skill, access: Access, grant: Grant | None) -> WheelSet | None:
        """Return the wheels that the project's lock names, else those of the consent, else those chosen before."""
        if not access.python or self._packages is None:
            return None
        consented = [] if grant is None or grant.wheels is None else [grant.wheels]
        chosen = [self._resolved[skill.tree]] if skill.tree in self._resolved else []
        candidates = [*self._locked().get(skill.tree, ()), *consented, *chosen]
        return next((item for item in candidates if self._packages.fits(item, access.python)), None)

    def _wheels(self, skill: Skill, access: Access) -> WheelSet | None:
        if not access.python or self._packages is None or self._rule == "never":
            return None
        wheels = self._known_wheels(skill, access, self._read().granted.get(skill.tree))
        if wheels is None:
            wheels = self._resolved[skill.tree] = self._packages.resolve(skill, access.python)
        return wheels

    def _write(self, granted: dict[str, Grant]) -> None:
        record = ConsentRecord(granted=dict(sorted(granted.items())))
        write_atomic(self._path, json.dumps(record.model_dump(mode="json", by_alias=True), indent=2) + "\n")

    def _read(self) -> ConsentRecord:
        if not self._path.exists():
            return ConsentRecord()
        place, hint = str(self._path), "remove the file to be asked again"
        try:
            root = strict_json(read_text(self._path))
            return ConsentRecord.model_validate(root)
        except ValidationError as error:
            raise DocumentError(model_errors(error, root)[0].rule, path=place, hint=hint) from None
        except ValueError as error:
            raise DocumentError(f"not JSON: {error}", path=place, hint=hint) from None


def _forbidden(requests: Sequence[ConsentRequest]) -> PolicyError:
    return PolicyError(
        f"a policy forbids the code of {', '.join(str(item.skill) for item in requests)}",
        hint="`skillpm config` says where `policy.consent` is `never`",
    )
