"""What concerns the author who publishes: secrets, the marks of an untouched template, a missing README.

What is published never changes. These rules look at level ``publish`` only, which ``skillpm pack`` and
``skillpm publish`` use.
"""

from __future__ import annotations

from collections.abc import Iterator

from skillpm.layout.rule import RuleSet
from skillpm.layout.subject import Subject
from skillpm.layout.tree import UnreadableFileError
from skillpm.model.finding import Problem

MAX_PLACES = 10  # of one rule in one file
TEMPLATE_MARK = "skillpm-template:"  # begins the comment of a template that says what to change

RULES = RuleSet()


@RULES.warning("SK504", "no README.md", why="SKILL.md speaks to a model; people look for a README.")
def no_readme(subject: Subject) -> Iterator[Problem]:
    """A package without README.md."""
    if subject.is_package and "README.md" not in subject.files:
        yield Problem(
            "the package has no README.md", path="README.md", hint="describe the skill, and how you tested it"
        )


@RULES.install_error("SK507", "unchanged template", why="Its text speaks of the template's example, not of this skill.")
def template_mark(subject: Subject) -> Iterator[Problem]:
    """The comment `skillpm-template:`, which `skillpm new` writes where the author has something to change."""
    for path, text in _texts(subject):
        place = text.find(TEMPLATE_MARK)
        if place >= 0:
            line = text.count("\n", 0, place) + 1
            hint = "change what the comment names, then remove the comment"
            yield Problem("the text of the template is still there", line, path, hint)


@RULES.install_error(
    "SK610", "secret", why="What is published never changes, so a key in it stays for everyone to read."
)
def secret_content(subject: Subject) -> Iterator[Problem]:
    """Private keys, tokens by their issuer's form, and random values under a secret's name."""
    from skillpm.layout.secrets import secrets  # its patterns take 10 ms, and an install asks for none

    for path, text in _texts(subject):
        for count, secret in enumerate(secrets(text)):
            if count == MAX_PLACES:
                break
            line = text.count("\n", 0, secret.position) + 1
            message = f"looks like {secret.what}: {secret.shown}"
            hint = "revoke it and remove it; if it is not a secret, add `--allow SK610`"
            yield Problem(message, line, path, hint)


def _texts(subject: Subject) -> Iterator[tuple[str, str]]:
    for path in subject.paths:
        try:
            data = subject.tree.read(path)
            if b"\0" not in data:
                yield path, data.decode("utf-8")
        except (UnreadableFileError, UnicodeDecodeError):
            continue
