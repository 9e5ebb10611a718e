"""The database's tables: who may do what, and what was done. Releases are not here, the folder has them.

Times are seconds since 1970, which every database compares alike.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAME = String(160)  # OWNER/NAME has 129 characters at most


class Base(DeclarativeBase):
    """What all tables belong to."""


class Account(Base):
    """A person or a program that acts here."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, unique=True)
    created: Mapped[float]


class Member(Base):
    """The role of an account in a scope: a skill, ``OWNER/`` for all skills of an owner, or ``*`` for the registry."""

    __tablename__ = "member"
    scope: Mapped[str] = mapped_column(_NAME, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(16))


class Token(Base):
    """A secret of an account, of which only the digest is here.

    Attributes:
        digest: hex SHA-256 of the secret.
        rights: of ``Right``, with commas.
        only: the scopes that it is limited to, with commas; empty for all.
        expires: when it ends; None for never.
        publisher: the verified claims of a trusted publisher, for which the token was made.
    """

    __tablename__ = "token"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    label: Mapped[str] = mapped_column(String(80))
    rights: Mapped[str] = mapped_column(String(80))
    only: Mapped[str] = mapped_column(String(2000), default="")
    created: Mapped[float]
    expires: Mapped[float | None]
    publisher: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class Upload(Base):
    """One publication on its way. Its archive lies in the state folder until the release is live.

    Attributes:
        wish: what the publisher announced.
        release: what the checks derived from the archive; None before.
        state: ``open``, ``staged`` (checked), ``waiting`` (for an approval), ``publishing`` (claimed by a
            request that makes it live, or behind the point of no return), ``live``, or ``refused``.
    """

    __tablename__ = "upload"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    name: Mapped[str] = mapped_column(_NAME)
    version: Mapped[str] = mapped_column(String(64))
    wish: Mapped[dict[str, Any]] = mapped_column(JSON)
    release: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    publisher: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    expires: Mapped[float] = mapped_column(index=True)


class Approval(Base):
    """A scope whose releases go live when an owner has approved them who did not announce them."""

    __tablename__ = "approval"
    scope: Mapped[str] = mapped_column(_NAME, primary_key=True)


class Download(Base):
    """How often an archive was sent on one day (UTC, ISO 8601). Nobody's address is here."""

    __tablename__ = "download"
    archive: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    count: Mapped[int]


class GateReport(Base):
    """What became of the self-test of a content on this server.

    Attributes:
        tree: the digest of the content.
        outcome: ``passed``, ``failed``, ``unjudged`` (not in time, or not at all) or ``skipped``.
        report: of the self-test, or the ``reason`` for which there is none.
    """

    __tablename__ = "gate_report"
    tree: Mapped[str] = mapped_column(String(80), primary_key=True)
    time: Mapped[float]
    outcome: Mapped[str] = mapped_column(String(16))
    report: Mapped[dict[str, Any]] = mapped_column(JSON)


class Event(Base):
    """One line of the log of what was done. The database refuses to change or remove it."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[float] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(_NAME)
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(240), index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class Report(Base):
    """A person's report of a skill, and what was answered."""

    __tablename__ = "report"
    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[float]
    reporter: Mapped[str] = mapped_column(_NAME)
    name: Mapped[str] = mapped_column(_NAME, index=True)
    version: Mapped[str] = mapped_column(String(64))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    answer: Mapped[str] = mapped_column(String(2000), default="")


class TrustedPublisher(Base):
    """An OIDC issuer whose statements with certain claims may publish in a scope.

    Attributes:
        claims: the pattern of each claim that must be there.
    """

    __tablename__ = "trusted_publisher"
    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(_NAME, index=True)
    issuer: Mapped[str] = mapped_column(String(400), index=True)
    claims: Mapped[dict[str, Any]] = mapped_column(JSON)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)


class UsedStatement(Base):
    """A statement of an issuer that was exchanged: it works once."""

    __tablename__ = "used_statement"
    issuer: Mapped[str] = mapped_column(String(400), primary_key=True)
    jti: Mapped[str] = mapped_column(String(400), primary_key=True)
    expires: Mapped[float] = mapped_column(index=True)
