"""The bodies of requests and answers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator

from skillpm_registry.identity import Right

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # of Unicode, without tabs and line ends
Name = Annotated[str, Field(min_length=1, max_length=129)]
VersionText = Annotated[str, Field(min_length=1, max_length=64)]
Scope = Annotated[str, Field(min_length=1, max_length=130)]
Reason = Annotated[str, Field(max_length=1024)]


class Form(BaseModel):
    """A body that refuses unknown keys. An answer may be read from a row of the database."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_controls(cls, document: Any) -> Any:
        """Refuse what would change somebody's terminal, or what a database cannot hold. A release is checked apart."""
        if isinstance(document, dict) and _has_controls([value for key, value in document.items() if key != "release"]):
            raise ValueError("a text has control characters")
        return document


def _has_controls(values: list[Any]) -> bool:
    while values:  # a document may be nested more deeply than Python calls
        value = values.pop()
        if isinstance(value, str) and _CONTROL.search(value):
            return True
        values += [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return False


class Wish(Form):
    """An announced publication: the release as a page of the registry has it, and what its publisher allows."""

    name: Name
    release: dict[str, Any]
    like: Annotated[str, Field(max_length=129)] = ""
    allow: Annotated[list[Annotated[str, Field(max_length=16)]], Field(max_length=50)] = []


class UploadState(Form):
    """An upload.

    It is ``open`` until its archive is there, ``staged`` until it goes live, ``waiting`` for another owner,
    ``publishing`` while it goes live, ``live`` or ``refused``.
    """

    id: str
    name: str
    version: str
    state: str
    expires: float


class WaitingState(UploadState):
    """A release that waits for another owner: who announced it, the digest of its tree, and what it was let pass."""

    account: str
    summary: str
    tree: str
    allow: list[str]
    like: str


class ApprovalForm(Form):
    """Whether the releases of a scope need an approval."""

    scope: Scope
    needed: StrictBool


class Decision(Form):
    """What an owner decides of a waiting release, and why."""

    approve: StrictBool
    reason: Reason = ""


class ReleaseChange(Form):
    """One release, and a reason; without one, an earlier change is undone."""

    name: Name
    version: VersionText
    reason: Reason | None = None


class StatusChange(Form):
    """The status of a skill, and why."""

    name: Name
    status: Literal["active", "deprecated", "archived"]
    reason: Reason = ""


class Changed(Form):
    """Whether a request changed something."""

    changed: bool


class FindingState(Form):
    """One place that a report is about."""

    rule: str = ""
    file: str = ""
    line: int | None = None


def _file_of_release(path: str) -> str:
    """Return a path as archives have it. Raises ValueError for one that leads elsewhere."""
    if path and (any(part in ("", ".", "..") for part in path.split("/")) or not path.isprintable() or "\\" in path):
        raise ValueError("this is not the path of a file in a release, such as `scripts/run.sh`")
    return path


class FindingForm(FindingState):
    """One place that a report is about, as somebody states it."""

    rule: Annotated[str, Field(max_length=64)] = ""
    file: Annotated[str, Field(max_length=240), AfterValidator(_file_of_release)] = ""
    line: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class ReportForm(Form):
    """A report of a skill."""

    name: Name
    version: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    findings: Annotated[list[FindingForm], Field(max_length=50)] = []


class ReportAnswer(Form):
    """What became of a report; an owner of the skill may appeal."""

    state: Literal["accepted", "dismissed", "appealed"]
    answer: Annotated[str, Field(min_length=1, max_length=2000)]


class ReportState(Form):
    """A report."""

    id: int
    time: float
    name: str
    version: str
    reporter: str
    reason: str
    findings: list[FindingState]
    state: str
    answer: str


class Whoami(Form):
    """The account and the token of a request."""

    account: str
    role: str
    rights: list[str]
    only: list[str]
    expires: float | None
    publisher: dict[str, Any] | None
    scopes: dict[str, str]


class AccountForm(Form):
    """A new account and its role in the registry."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: Literal["reader", "publisher", "owner"] = "publisher"


class TokenForm(Form):
    """A new token."""

    label: Annotated[str, Field(min_length=1, max_length=80)]
    rights: Annotated[list[Right], Field(min_length=1, max_length=3)] = [Right.READ, Right.PUBLISH]
    only: Annotated[list[Scope], Field(max_length=10)] = []
    days: Annotated[float, Field(gt=0, le=366)] = 90


class TokenState(Form):
    """A token without its secret."""

    id: int
    label: str
    rights: list[str]
    only: list[str]
    created: float
    expires: float | None


class NewToken(TokenState):
    """A token with its secret, which is shown once."""

    token: str


class MemberForm(Form):
    """The role of an account in a scope; ``none`` removes it."""

    scope: Scope
    account: Annotated[str, Field(min_length=1, max_length=64)]
    role: Literal["none", "reader", "publisher", "owner"]


class MemberState(Form):
    """One member of a scope."""

    account: str
    role: str


class EventState(Form):
    """One event of the log."""

    id: int
    time: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class PublisherForm(Form):
    """An OIDC issuer, and the patterns of the claims that identify a publisher."""

    scope: Scope
    issuer: Annotated[str, Field(min_length=8, max_length=400)]
    claims: Annotated[dict[str, Annotated[str, Field(max_length=400)]], Field(min_length=1, max_length=20)]


class PublisherState(PublisherForm):
    """A trusted publisher."""

    id: int


class Statement(Form):
    """A statement of an OIDC issuer, a JSON Web Token."""

    statement: Annotated[str, Field(min_length=10, max_length=16_384)]


class ExchangedToken(Form):
    """A short-lived token for some scopes."""

    token: str
    scopes: list[str]
    expires: float
