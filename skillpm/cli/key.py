"""``skillpm key``."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.context import command_context
from skillpm.cli.misuse import Group
from skillpm.cli.output import json_option, listing, note, print_json, tell
from skillpm.cli.paths import TypedPath


@click.group("key", cls=Group)
def command() -> None:
    """Make and list the keys that sign releases, and trust the keys of others.

    A private key never leaves its folder unless you export it.
    """


@command.command("create", epilog="Example: skillpm key create work")
@click.argument("name", default="default")
@json_option
def create(name: str) -> None:
    """Make a key. The key `default` signs unless `publish --key` names another."""
    keys = command_context().keys
    public = str(keys.create(name).public)
    tell({"name": name, "public": public}, out=public)
    note(f"the private key is {keys.root / f'{name}.pem'}; keep a copy of it")


@command.command("list", epilog="Example: skillpm key list")
@json_option
def list_keys() -> None:
    """List your keys and the keys of others that you trust."""
    keys = command_context().keys
    known = keys.all()
    if print_json({"folder": str(keys.root), "keys": known}):
        return
    rows = [(key.name, "yours" if key.own else "trusted", key.public) for key in known]
    listing(("name", "whose", "key"), rows, "there is no key yet; `skillpm publish` makes one")


@command.command("export", epilog="Example: skillpm key export --private > key.pem")
@click.argument("name", default="default")
@click.option("--private", is_flag=True, help="Print the private key, for another machine.")
def export(name: str, private: bool) -> None:
    """Print a public key."""
    from skillpm.storage.keys import pem

    keys = command_context().keys
    public = None if private else next((key.public for key in keys.all() if key.name == name), None)
    click.echo(public or (pem(keys.private(name)).rstrip() if private else keys.private(name).public))


@command.command("import", epilog="Example: skillpm key import work key.pem")
@click.argument("name")
@click.argument("file", type=TypedPath(dir_okay=False))
@json_option
def import_key(name: str, file: Path) -> None:
    """Add a private key from another machine (PEM without a password)."""
    from skillpm.storage.files import named_text
    from skillpm.storage.keys import read_private

    private = read_private(named_text(file, "a PEM key"), str(file))
    public = str(command_context().keys.add(name, private).public)
    tell({"name": name, "public": public}, out=public)


@command.command("check", epilog="Example: skillpm key check skills/cudf --trust nv-agent-root-cert.pem")
@click.argument("folder", type=TypedPath(file_okay=False))
@click.option("--trust", "file", type=TypedPath(dir_okay=False), required=True, help="A certificate or a key in PEM.")
@json_option
def check(folder: Path, file: Path) -> None:
    """Check the OpenSSF model signature of FOLDER.

    It is the file skill.oms.sig. Exits 4 if a file differs or somebody else signed it.
    """
    from skillpm.layout.tree import FolderTree
    from skillpm.storage.files import named_text
    from skillpm.trust.oms import check_oms

    trusted = named_text(file, "a certificate or a key in PEM").encode()
    signer = check_oms(FolderTree(folder, whole=True), trusted)
    tell({"folder": folder, "signer": signer}, f"the signature covers every file of {folder}", out=signer)


@command.command("trust", epilog=f"Example: skillpm key trust alice ed25519:{'0' * 64}")
@click.argument("name")
@click.argument("key")
def trust(name: str, key: str) -> None:
    """Trust the public key of somebody else under a name. `policy.signatures: trusted` accepts its signatures."""
    from skillpm.storage.keys import read_public

    command_context().keys.trust(name, read_public(key))
    note(f"{name} is trusted")
