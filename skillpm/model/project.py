"""The two files that a person writes: a project's ``skillpm.yaml`` and the user's ``config.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from skillpm.errors import UsageError
from skillpm.formats.document import Document, Format, PlacedValueError
from skillpm.model.release import SkillNameText
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, git_place, in_folder
from skillpm.model.trust_policy import TrustPolicy

BUNDLED_REGISTRY = str(BUNDLED)  # the skills that ship with skillpm; asked last, and always there
PLACES = ("path", "git", "archive")

Place = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x1f\x7f]+$")]
RegistryName = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Wish(Document):
    """What may satisfy one name: versions, of any registry or of one; or a folder, a git repository, an archive."""

    version: Annotated[str, Field(max_length=512)] | None = None
    registry: RegistryName | None = None
    path: Place | None = None
    git: Place | None = None
    ref: Place | None = None
    subdirectory: Place | None = None
    archive: Place | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"version": value}
        if value is None:
            raise ValueError('write "*" for any version')
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = [key for key in PLACES if getattr(self, key) is not None]
        versions = [key for key in ("version", "registry") if getattr(self, key) is not None]
        if len(places) > 1:
            raise ValueError(f"`{places[0]}` and `{places[1]}` exclude each other")
        if places and versions:
            raise ValueError(f"`{versions[0]}` has no meaning beside `{places[0]}`")
        if not places and not versions:
            raise ValueError("needs one of `version`, `registry`, `path`, `git`, `archive`")
        if self.ref and self.git is None:
            raise ValueError("`ref` has no meaning without `git`")
        if self.subdirectory and self.git is None and self.archive is None:
            raise ValueError("`subdirectory` has no meaning without `git` or `archive`")
        try:
            Requirement.of("any", self.version or "")
        except UsageError as error:
            raise PlacedValueError(error.message, hint=error.hint) from None
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "description": "a PEP 440 specifier, * for any version"}, handler(core)]}

    @property
    def place(self) -> str | None:
        """The folder, repository or archive, as a person would type it; None for a requirement of a registry."""
        if self.git is not None:
            return git_place(self.git, self.ref, self.subdirectory)
        return in_folder(self.archive, self.subdirectory) if self.archive is not None else self.path


def _not_bundled(registries: dict[str, str]) -> dict[str, str]:
    if BUNDLED_REGISTRY in registries:
        raise ValueError(f"`{BUNDLED_REGISTRY}` is the name of the skills that ship with skillpm; choose another name")
    return registries


class UserDocument(Document):
    """config.yaml: what holds for a person in every project.

    Attributes:
        project: version of the format.
        registries: places by name, in the order in which they are asked.
        agents: whose folders are filled.
        link: how skills are put there.
        policy: what may be installed.
    """

    project: Format
    registries: Annotated[dict[RegistryName, Place], AfterValidator(_not_bundled)] | None = None
    agents: tuple[Annotated[str, Field(max_length=64)], ...] | None = None
    link: Literal["copy", "symlink"] | None = None
    policy: TrustPolicy | None = None


def _or_empty(value: Any) -> Any:
    """Read a key without a value as an empty mapping, as a person means it who has removed the last entry."""
    return {} if value is None else value


class ProjectDocument(UserDocument):
    """skillpm.yaml: what a project requires, and where it comes from."""

    requires: Annotated[dict[SkillNameText, Wish], BeforeValidator(_or_empty)] = Field(default_factory=dict)
