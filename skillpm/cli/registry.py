"""``skillpm registry``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import click

from skillpm.cli.common_options import is_typed
from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.options import number_option, place_option, server_option
from skillpm.cli.output import clipped, json_option, listing, note, print_json, tell
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.index.http_registry import HttpRegistry


@click.group("registry", cls=Group)
def command() -> None:
    """Make a folder a registry, to which many people can publish. Handle reports and approvals of a shared one."""


@command.command("init", epilog="Example: skillpm registry init /srv/skills --name team")
@click.argument("folder", type=TypedPath(file_okay=False))
@click.option("--name", help="The registry's name.  [default: the folder's name]")
@click.option("--signed", is_flag=True, help="Sign its pages and keep a log of its releases; also for an old registry.")
@number_option("--root-keys", click.IntRange(1, 9), 1, "How many root keys to make.")
@number_option("--threshold", click.IntRange(1, 9), 1, "How many root keys are needed.")
@number_option("--days", click.IntRange(1, 3650), 30, "Days for which a timestamp is valid.")
@json_option
@click.pass_context
def init(ctx: click.Context, /, folder: Path, name: str | None, signed: bool, **signing: int) -> None:
    """Make FOLDER a registry. `publish` never makes one, so a mistyped path is an error.

    To share it with a group, run `chgrp GROUP FOLDER` and `chmod g+ws FOLDER` before the first publish. Everything in
    the registry gets the folder's rights.
    """
    from skillpm.index.folder_registry import FolderRegistry, make_registry

    if not signed and is_typed(ctx, *signing):
        raise UsageError("`--root-keys`, `--threshold` and `--days` need `--signed`", hint="add `--signed`")
    name, fingerprint = name or folder.resolve().name, None
    if signed:
        from skillpm.index.registry_signer import NewRoot, sign_registry

        root = NewRoot.of(name, signing["root_keys"], signing["threshold"])
    is_new = make_registry(folder, name)
    if signed:
        keys = command_context().keys
        registry = FolderRegistry(folder, name)
        if registry.config.signed is not None:
            hint = f"`skillpm registry sign {shlex.quote(str(folder))}` signs it again"
            raise UsageError(f"{folder} is signed already", hint=hint)
        fingerprint = sign_registry(registry, keys, root, signing["days"])
    if print_json({"path": str(folder), "made": is_new, "root": fingerprint}):
        return
    click.echo(folder)
    note(f"created a registry in {folder}" if is_new else f"{folder} is already a registry")
    if fingerprint:
        note(f"signed by the root {fingerprint}; tell it to your users")
        note(f"move the root keys {', '.join(root.names)} from {keys.root} to another place: only new keys need them")
    note(f"next: `skillpm publish PATH --registry {shlex.quote(str(folder.resolve()))}`")


@command.command("sign", epilog="Example: skillpm registry sign /srv/skills")
@click.argument("folder", type=TypedPath(file_okay=False))
@click.option("--new-key", metavar="NAME", help="Replace the present online key with a new one of this name.")
def sign(folder: Path, new_key: str | None) -> None:
    """Renew the signatures of the registry in FOLDER. Removes old metadata.

    Run it from a timer before the timestamp expires, at least twice in the days for which one is valid. With --new-key
    the root keys are needed.
    """
    from skillpm.index.folder_registry import FolderRegistry

    keys = command_context().keys
    registry = FolderRegistry(folder, str(folder), keys)
    if registry.signer is None:
        hint = f"run `skillpm registry init {shlex.quote(str(folder))} --signed`"
        raise UsageError(f"{folder} is not signed", hint=hint)
    waiting = registry.signer.rotate(new_key) if new_key else registry.signer.refresh()
    registry.list_again()
    note(f"signed {folder}")
    for release, reason in waiting.items():
        note(f"warning: {release} waits for the witnesses of the log: {reason}")


@command.command(
    "report", epilog='Example: skillpm registry report demo==1.0 --reason "sends files away" --at run.sh:3'
)
@click.argument("release", metavar="NAME[==VERSION]")
@click.option("--reason", required=True, help="What is wrong.")
@click.option("--at", "places", multiple=True, metavar="FILE[:LINE]", help="Where to look.")
@server_option
@json_option
def report(release: str, reason: str, places: tuple[str, ...], registry: HttpRegistry) -> None:
    """Report a skill to the owners of a registry with a server. They can put it into quarantine."""
    from skillpm.ops.authoring.account import finding

    name, _, version = release.partition("==")  # without a version, the whole skill is meant
    document = {"name": name, "version": version, "reason": reason, "findings": [finding(text) for text in places]}
    entry = registry.ask("POST", "reports", document)
    sentence = f"reported {release}; the number of the report is {entry['id']}"
    tell(entry, sentence, out=entry["id"])


@command.command("reports", epilog="Example: skillpm registry reports demo")
@click.argument("name", required=False, default="")
@server_option
@json_option
def reports(name: str, registry: HttpRegistry) -> None:
    """List the reports of a skill, or all, newest first."""
    entries = registry.ask("GET", f"reports?{urlencode({'name': name})}")
    if print_json(entries):
        return
    rows = [
        (str(item["id"]), "==".join(filter(None, (item["name"], item["version"]))), item["state"], item["reason"])
        for item in entries
    ]
    columns = ("report", "release", "state", "reason")
    listing(columns, [(*row[:3], clipped(row[3], 80)) for row in rows], "no reports")


@command.command(
    "quarantine", epilog='Example: skillpm registry quarantine demo==1.0 --registry team --reason "sends files away"'
)
@click.argument("release", metavar="NAME==VERSION")
@place_option
@click.option("--reason", help="What is suspected; shown to everyone who requires this release.")
@click.option("--undo", is_flag=True, help="Allow its installation again.")
@json_option
def quarantine(release: str, registry: str, reason: str | None, undo: bool) -> None:
    """Stop the installation of a harmful release. It holds for locked releases too. For owners of the registry."""
    from skillpm.ops.authoring.publish import open_publishing, recall

    if undo == (reason is not None):
        raise UsageError("write either `--reason` or `--undo`", hint="add `--reason TEXT`, or `--undo` to end it")
    outcome = recall(open_publishing(registry, command_context()), "quarantined", release, reason)
    state = f"{'now' if outcome.changed else 'already'} {'in' if reason is not None else 'out of'} quarantine"
    tell(outcome, f"{outcome.name} {outcome.version} is {state}")


@command.command("answer", epilog='Example: skillpm registry answer 3 accepted --reason "it is in quarantine"')
@click.argument("number", type=click.IntRange(1))
@click.argument("state", type=click.Choice(["accepted", "dismissed", "appealed"]))
@click.option("--reason", required=True, help="What you did, why you did nothing, or why the report is wrong.")
@server_option
@json_option
def answer(number: int, state: str, reason: str, registry: HttpRegistry) -> None:
    """Answer the report NUMBER, or appeal. Owners of the registry answer, owners of the skill appeal."""
    entry = registry.ask("POST", f"reports/{number}/answer", {"state": state, "answer": reason})
    tell(entry, f"report {number} of {entry['name']} is {entry['state']}")


@command.command("approvals", epilog="Example: skillpm registry approvals")
@server_option
@json_option
def approvals(registry: HttpRegistry) -> None:
    """List the releases that wait for your approval. The registry's page `/approvals` shows what they change."""
    entries = registry.ask("GET", "approvals")
    if print_json(entries):
        return
    columns = ("id", "name", "version", "account", "summary")
    rows = [tuple(clipped(str(item[column]), 60) for column in columns) for item in entries]
    listing(columns, rows, "no release waits for your approval")


@command.command("approve", epilog="Example: skillpm registry approve 0f3c9b1e5d7a4826b0c4e1f29a8d6357")
@click.argument("number", metavar="ID")
@click.option("--refuse", "refusal", metavar="REASON", help="Refuse it, for this reason.")
@server_option
@json_option
def approve(number: str, refusal: str | None, registry: HttpRegistry) -> None:
    """Let the waiting release ID of another account go live. An owner who announced it can only refuse it."""
    if not number.isalnum():
        raise UsageError(f"`{number[:80]}` is not the ID of a release", hint="`skillpm registry approvals` lists them")
    document = {"approve": refusal is None, "reason": refusal or ""}
    entry = registry.ask("POST", f"approvals/{quote(number, safe='')}", document)
    tell(entry, f"{entry['name']} {entry['version']} is {entry['state']}")
