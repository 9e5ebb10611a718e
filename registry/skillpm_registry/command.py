"""``skillpm-registry``: the command of whoever operates a registry.

What works on the folder alone is `skillpm registry init`, `skillpm publish` and `skillpm yank`. Here is what needs the
server or its database.
"""

from __future__ import annotations

import errno
import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from skillpm.cli.misuse import SuggestingGroup
from skillpm.cli.process import exit_code, if_interrupted, leave, open_streams
from skillpm.errors import UsageError
from skillpm.formats.printable import printable
from skillpm_registry import __version__

if TYPE_CHECKING:
    import socket

    from skillpm_registry.configuration import Configuration
    from skillpm_registry.mirror import Copied
    from skillpm_registry.services import Services

_TIMESTAMP = 30  # days for which a signed registry may stand still


@click.group(
    cls=SuggestingGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SKILLPM_REGISTRY"},
)
@click.version_option(__version__, "-V", "--version", prog_name="skillpm-registry", message="%(prog)s %(version)s")
def group() -> None:
    """Operate a shared registry of skills."""


def main() -> NoReturn:
    """Run the command line and exit."""
    words = sys.argv[1:]
    open_streams()
    try:
        code = group.main(words, prog_name="skillpm-registry", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  the last net
        code = exit_code(error, words)
    leave(code if isinstance(code, int) else 0)


class _Folder(click.Path):
    """The path of a folder. An empty text, such as an unset variable, is not the present folder."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(path_type=Path, file_okay=False, exists=exists)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises click.BadParameter for an empty text and a file."""
        return super().convert(value, param, ctx) if value else self.fail("the path is empty", param, ctx)


def _proxies(ctx: click.Context, parameter: click.Parameter, text: str) -> str:
    """Return the addresses of proxies, if each is an address, a network or ``*``. Raises click.BadParameter."""
    for item in filter(None, text.split(",")):
        try:
            _ = item.strip() == "*" or ipaddress.ip_network(item.strip(), strict=False)
        except ValueError:
            raise click.BadParameter(f"'{item.strip()}' is not an address or a network", ctx, parameter) from None
    return text


_database = click.option("--database", default="", help="An SQLAlchemy URL.  [default: SQLite in the folder]")
_present = click.option("--data", type=_Folder(exists=True), required=True, help="The registry's folder.")


@group.command("serve", epilog="Example: skillpm-registry serve --data /srv/skills")
@click.option("--data", type=_Folder(), required=True, help="The registry's folder.")
@_database
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8700,
    metavar="N",
    show_default="8700",
    help="The port to listen on; 0 takes a free one.",
)
@click.option("--url", default="", help="The public address.  [default: that of host and port]")
@click.option("--owner", default="", help="The first owner's account.  [default: your user name]")
@click.option("--private", is_flag=True, help="Demand a token for reading, too.")
@click.option("--signed/--unsigned", default=None, help="Sign pages and log releases.  [default: in a new registry]")
@click.option("--rate", default="600/minute", show_default=True, help="How often one account may write.")
@click.option(
    "--gate",
    type=click.IntRange(10, 3600),
    is_flag=False,
    flag_value=300,
    metavar="[SECONDS]",
    help="Self-test verifiers in the sandbox for SECONDS, before they go live.  [default: 300]",
)
@click.option(
    "--largest-adapter",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="Size of the archive of a trained adapter.",
)
@click.option("--meaning", is_flag=True, help="Find skills by what they mean, too; needs the extra `meaning`.")
@click.option("--local-issuers", is_flag=True, help="Allow OIDC issuers in a private network.")
@click.option("--blobs", default="", metavar="URL", help="Keep new archives in s3://BUCKET/PREFIX, gs:, az: or file:.")
@click.option(
    "--behind-proxy", default="", metavar="ADDRESSES", callback=_proxies, help="Trust X-Forwarded-For of these proxies."
)
def serve(
    data: Path,
    database: str,
    host: str,
    port: int,
    url: str,
    owner: str,
    signed: bool | None,
    blobs: str,
    behind_proxy: str,
    largest_adapter: int,
    **more: Any,
) -> None:
    """Serve a registry's folder, and let people publish to it.

    A new folder becomes a registry, and a folder that is one gets a server without a change. At the first start, the
    first owner's token is printed, once. Stop it with Ctrl-C or SIGTERM: requests that run are finished.
    """
    from skillpm.index.folder_registry import make_registry
    from skillpm.model.name import is_name
    from skillpm_registry.app import create_app
    from skillpm_registry.blobs import record_blobs
    from skillpm_registry.configuration import Configuration
    from skillpm_registry.edge import log_lines
    from skillpm_registry.http_server import http_server

    if owner and not is_name(owner):
        raise click.BadParameter(f"'{owner}' is not a name", param_hint="'--owner'")
    with _bound(host, port) as listener:
        place = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        more["largest_adapter"] = largest_adapter << 20
        configuration = Configuration(
            data=data, name=data.resolve().name, database=database, url=(url or place).rstrip("/"), **more
        )
        make_registry(data, configuration.name)
        record_blobs(data, blobs)
        log_lines()
        is_signed_now = _sign_new(configuration, signed)
        app = create_app(configuration)
        _greet(app.state.services, owner, is_signed_now)
        http_server(app, behind_proxy).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket with this address, on which nobody listens yet."""
    import socket

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror}",
            hint="stop the other server, or add `--port 0`, which takes a free port"
            if error.errno == errno.EADDRINUSE
            else "check `--host` and `--port`",
        ) from None
    return listener


def _sign_new(configuration: Configuration, wanted: bool | None) -> bool:
    """Sign a registry that is not signed yet, if that is wanted or it is empty; return whether it was signed."""
    from skillpm.index.folder_registry import FolderRegistry

    registry = FolderRegistry(configuration.data, configuration.name)
    is_empty = not (configuration.data / "skills").exists()
    if registry.config.signed is not None or not (is_empty if wanted is None else wanted):
        return False
    from skillpm.index.registry_signer import NewRoot, sign_registry
    from skillpm.storage.keys import Keys

    configuration.state.mkdir(mode=0o700, exist_ok=True)
    sign_registry(registry, Keys(configuration.state / "keys"), NewRoot.of(configuration.name), _TIMESTAMP)
    return True


def _greet(services: Services, owner: str, is_signed_now: bool) -> None:
    """Print the address, and at the first start the fingerprint of the root and the first owner's token.

    A start that failed may have signed the registry, so the first account says which start is the first.
    """
    configuration = services.configuration
    click.echo(f"registry {configuration.name} at {configuration.url}")
    token = _first_token(services, owner)
    if is_signed_now or (token and services.registry.config.signed is not None):
        from skillpm.index.registry_signer import root_fingerprint

        click.echo(f"signed by the root {root_fingerprint(configuration.data)}; tell it to your users")
        if (configuration.state / "keys").is_dir():
            click.echo(f"move the root key from {configuration.state / 'keys'} to another place: only new keys need it")
    if token:
        click.echo(f"first owner's token, shown once: {token}")
        click.echo(f"next: `skillpm login {configuration.url}`, then paste the token")
    sys.stdout.flush()


def _first_token(services: Services, owner: str) -> str | None:
    """Make the first account, if there is none, and return its token."""
    import getpass

    from sqlalchemy import select

    from skillpm.model.name import is_name
    from skillpm.storage.process_lock import locked
    from skillpm_registry.identity import Right, new_token
    from skillpm_registry.membership import Role, new_account
    from skillpm_registry.tables import Account

    name = owner or getpass.getuser().lower()
    with locked(services.configuration.state / "lock"), services.database.writing() as session:
        if session.scalar(select(Account.id).limit(1)) is not None:
            return None
        account = new_account(session, "server", name if owner or is_name(name) else "owner", Role.OWNER)
        return new_token(session, account.id, "first", Right)[0]


@group.command("check", epilog="Example: skillpm-registry check --data /srv/skills")
@_present
def check(data: Path) -> None:
    """Read every page and every archive, and print what is lost or damaged. Exits 1 if there is anything."""
    from skillpm_registry.upkeep import damages

    found = 0
    for found, line in enumerate(damages(data), 1):  # noqa: B007  the count is used below
        click.echo(line)
    click.echo(f"{found or 'nothing'} lost or damaged", err=True)
    sys.exit(1 if found else 0)


@group.command("gc", epilog="Example: skillpm-registry gc --data /srv/skills --dry-run")
@_present
@click.option("--dry-run", is_flag=True, help="Print what would be removed.")
def collect(data: Path, dry_run: bool) -> None:
    """Remove archives that no release has and that are older than a day."""
    from skillpm_registry import upkeep

    paths = upkeep.collect(data, dry_run=dry_run)
    for path in paths:
        click.echo(path)
    click.echo(f"{'would remove' if dry_run else 'removed'} {len(paths)} archives", err=True)


@group.command("mirror", epilog="Example: skillpm-registry mirror https://skills.example.org --data /srv/copy")
@click.argument("source", required=False)
@click.argument("requirements", metavar="[REQUIREMENT]...", nargs=-1)
@click.option("--data", type=_Folder(), required=True, help="The folder of the copy.")
@click.option(
    "--approved",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of requirements, one a line: only these and what they require are accepted.",
)
@click.option(
    "--freeze",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Copy the releases of a skillpm.lock.",
)
def copy(
    source: str | None, requirements: tuple[str, ...], data: Path, approved: Path | None, freeze: Path | None
) -> None:
    """Copy releases of another registry, or those of a lock, into a folder, which any server can serve.

    SOURCE is a folder, a URL, a site's .well-known/agent-skills, or a name in the settings. Without a REQUIREMENT
    everything is copied; run it again for what is new. Exits 1 if something could not be copied.
    """
    from skillpm.model.requirement import Requirement
    from skillpm.ops.context import Context
    from skillpm.settings import load_settings
    from skillpm.storage.lockfile import read_lock
    from skillpm_registry.mirror import LOCKS, Copier, open_copy, read_approved, source_title

    if (source is None) == (freeze is None):
        raise UsageError("name either SOURCE or `--freeze LOCK`", hint="see `skillpm-registry mirror --help`")
    if freeze and approved:
        raise UsageError("a lock names its releases itself", hint="remove `--approved`, or name SOURCE instead")
    settings = load_settings(project=freeze.resolve().parent if freeze else None)
    context = Context(settings, tell=lambda sentence: click.echo(sentence, err=True))
    wanted = [*map(Requirement.parse, requirements), *(read_approved(approved) if approved else ())]
    source = settings.registries.get(source, source) if source else None
    index = context.registry(source) if source else None
    if index:
        index.page("skill")  # raises where there is no registry, before a folder is made
    lock = read_lock(freeze) if freeze else None  # raises, too
    registry = open_copy(data, source_title(index, source) if index and source else LOCKS, context.keys)
    copier = Copier(registry, lambda name, version: click.echo(f"{name} {version}"))
    with if_interrupted("finished work is stored; run the same command to continue"):
        if index:
            copier.mirror(index, wanted)
        elif lock:
            copier.freeze(context, lock)
    if lock and (others := copier.beside(lock)):
        click.echo(f"the folder has {len(others)} releases of other locks, too: {', '.join(others[:5])}", err=True)
    _report_copy(copier.copied)


def _report_copy(copied: Copied) -> None:
    """Print what a copy has and lacks; exit 1 if something failed."""
    click.echo(f"new releases: {copied.added}; there before: {copied.present}", err=True)
    if copied.logged:
        click.echo(f"proofs of the source's log that were checked, and are not copied: {copied.logged}", err=True)
    for sentence in copied.stopped:
        click.echo(f"as in the source, {printable(sentence)}", err=True)
    for name, reason in sorted(copied.failures.items()):
        click.echo(f"error: {name}: {printable(reason)}", err=True)
    sys.exit(1 if copied.failures else 0)


@group.group("account", cls=SuggestingGroup)
def accounts() -> None:
    """Make accounts, and tokens for people who lost theirs."""


@accounts.command("add", epilog="Example: skillpm-registry account add ana --data /srv/skills")
@click.argument("name")
@_present
@_database
@click.option(
    "--role",
    type=click.Choice(["reader", "publisher", "owner"]),
    default="publisher",
    show_default=True,
    help="Readers read, publishers take new names, owners manage the registry.",
)
def add_account(name: str, data: Path, database: str, role: str) -> None:
    """Add an account, and print its first token, once."""
    from skillpm_registry.identity import DAY, Right, new_token
    from skillpm_registry.membership import Role, new_account

    services = _opened(data, database)
    with services.database.writing() as session:
        account = new_account(session, "server", name, Role[role.upper()])
        click.echo(new_token(session, account.id, "first", Right, seconds=90 * DAY)[0])
    services.close()


@accounts.command("token", epilog="Example: skillpm-registry account token ana --data /srv/skills")
@click.argument("name")
@_present
@_database
def lost_token(name: str, data: Path, database: str) -> None:
    """Revoke all tokens of an account, and print a new one, once."""
    from sqlalchemy import delete

    from skillpm_registry.events import record
    from skillpm_registry.identity import DAY, Right, new_token
    from skillpm_registry.membership import account_named
    from skillpm_registry.tables import Token

    services = _opened(data, database)
    with services.database.writing() as session:
        account = account_named(session, name)
        session.execute(delete(Token).where(Token.account_id == account.id))
        record(session, "server", "token", name, rights="read,publish,manage", revoked="all others")
        click.echo(new_token(session, account.id, "renewed", Right, seconds=90 * DAY)[0])
    services.close()


def _opened(data: Path, database: str) -> Services:
    from skillpm_registry.configuration import Configuration
    from skillpm_registry.services import open_services

    return open_services(Configuration(data=data, name=data.resolve().name, database=database))
