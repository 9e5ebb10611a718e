"""SK61: what the texts of a skill tell an agent to do. Each is a warning, since good skills say such things as well.

A person's trust policy can refuse them: ``policy: {scan: refuse}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from skillpm.layout.orders import Told
from skillpm.layout.rule import Rule, RuleSet, Scope
from skillpm.layout.signature import encrypted_archive
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem, Severity

# code, kind, title, hint, why, what it looks at
_TOLD: tuple[tuple[str, Told, str, str, str, str], ...] = (
    ("SK611", Told.RUN_DOWNLOAD, "runs what it downloads",
     "save it, read it, then run it", "What runs is chosen by a server, at the moment it runs, and nobody has read it.",
     "A download piped into a shell or an interpreter, substituted into a command, or run from its file."),
    ("SK612", Told.RUN_ENCODED, "runs what it decodes",
     "decode it and read it first", "An encoded command is written so that nobody reads it.",
     "Base64, hexadecimal, compressed or reversed text that a shell, `eval` or `exec` runs."),
    ("SK613", Told.COMMENT, "order in a hidden comment",
     "read the comment; make it visible, or remove it", "People see the rendered page; an agent reads the comment.",
     "Comments and invisible elements that speak to an agent and tell it to act, or to keep something from people."),
    ("SK614", Told.PASSWORD, "archive with a password",
     "do not open it", "A password hides what an archive holds from every scanner.",
     "A password beside an archive, and archives whose members are encrypted."),
    ("SK615", Told.READ_SECRETS, "reads keys or tokens",
     "check what is done with them", "What a skill reads, its agent can send.",
     "Private keys, credentials of clouds and registries, keychains, browsers' logins, the whole environment."),
    ("SK616", Told.SEND_SECRETS, "sends keys or tokens",
     "do not use it before you know why", "The keys of the person who uses the skill go to another machine.",
     "Files of keys, .env, or the whole environment, in a request or in a pipe to a network program."),
    ("SK617", Told.REMOTE_SHELL, "gives a shell to another machine",
     "do not use it before you know why", "Whoever listens there has this machine.",
     "Shells that are connected to a socket."),
)  # fmt: skip

RULES = RuleSet()


def _shown(kind: Told, title: str, hint: str, subject: Subject) -> Iterator[Problem]:
    yield from subject.contents.problems(kind, title, hint)
    for path, data in subject.contents.archives.items() if kind is Told.PASSWORD else ():
        if encrypted_archive(data):
            yield Problem("archive with encrypted members", path=path, hint=hint)


for _code, _kind, _title, _hint, _why, _what in _TOLD:
    _look = partial(_shown, _kind, _title, _hint)
    RULES.add(Rule(_code, _title, Severity.WARNING, Severity.WARNING, _why, _look, Scope.TREE, _what))
