"""``skillpm trust``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.complete import installed_names
from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.output import json_option, listing, note, print_json
from skillpm.errors import UnknownSkillError, UsageError

if TYPE_CHECKING:
    from skillpm.trust.consent import Grant

_LEAST_DIGITS = 6  # of a digest


@click.group("trust", cls=Group)
def command() -> None:
    """Show and revoke consent to skill code.

    A consent holds for one content of a skill and for the permissions that it asked for. You give it when a command
    asks, by `--yes`, or by `policy.consent`.
    """


@command.command("list", epilog="Example: skillpm trust list")
@json_option
def list_grants() -> None:
    """List the skills whose code may run, by content."""
    from skillpm.ops.learning.session import open_consents

    context = command_context()
    grants = open_consents(context).grants()
    documents = [_document(tree, grant) for tree, grant in grants.items()]
    if print_json({"record": str(context.settings.consents), "granted": documents}):
        return
    rows = [
        (
            grant.skill,
            f"{tree[:16]}…",
            ", ".join(grant.files),
            grant.access.sentence() or "nothing",
            grant.by,
            grant.when,
        )
        for tree, grant in grants.items()
    ]
    listing(("skill", "content", "runs", "is given", "agreed by", "when"), rows, "there is no consent yet")
    note(f"record: {context.settings.consents}; bundled skills need no consent")


@command.command("revoke", epilog="Example: skillpm trust revoke incident-triage")
@click.argument("words", metavar="[NAME|DIGEST]...", nargs=-1, shell_complete=installed_names)
@click.option("--all", "everything", is_flag=True, help="Revoke every consent.")
@json_option
def revoke(words: tuple[str, ...], everything: bool) -> None:
    """Revoke consent to skills.

    A NAME revokes all contents of that skill, the beginning of a DIGEST one content.
    The next command that runs this code asks again.
    """
    from skillpm.ops.learning.session import open_consents

    if bool(words) == everything:
        raise UsageError("name skills or digests, or add `--all`", hint="run `skillpm trust list` to see them")

    def meant(word: str, tree: str, grant: Grant) -> bool:
        digest = len(word) >= _LEAST_DIGITS and tree.startswith(word.rstrip("…"))
        return digest or word in (grant.skill, grant.skill.rpartition(" ")[0])

    consents = open_consents(command_context())
    known = consents.grants()
    for word in words:
        if not any(meant(word, tree, grant) for tree, grant in known.items()):
            raise UnknownSkillError(
                f"there is no consent for `{word[:80]}`", hint="run `skillpm trust list` to see them"
            )
    revoked = consents.revoke(lambda tree, grant: everything or any(meant(word, tree, grant) for word in words))
    if print_json({"revoked": [_document(tree, grant) for tree, grant in revoked.items()]}):
        return
    for tree, grant in revoked.items():
        note(f"revoked {grant.skill} ({tree[:16]}…)")
    if not revoked:
        note("nothing to revoke")


def _document(tree: str, grant: Grant) -> dict[str, Any]:
    return {"tree": tree, **grant.model_dump(mode="json", by_alias=True)}
