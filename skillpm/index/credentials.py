"""The secret of each host: from the environment, from `skillpm login`, or from netrc.

A secret is sent to its own host only, and never unencrypted. ``SKILLPM_TOKEN_<HOST>`` has a bearer token, such as
``SKILLPM_TOKEN_SKILLS_EXAMPLE_ORG``: the host in capitals with ``_`` for a dot and ``__`` for a hyphen, then ``_`` and
the port unless it is the scheme's default. `skillpm login` writes tokens into ``credentials.json`` in the folder of the
configuration, which only its owner can read. Otherwise ``~/.netrc``, or the file in ``NETRC``, has a login and a
password. Sources: RFC 6750, RFC 7617, netrc(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from skillpm.errors import UsageError
from skillpm.formats.typed_path import typed_path

_PORTS = {"http": 80, "https": 443}
_FILE = "credentials.json"


def token_variable(url: str) -> str:
    """Return the name of the environment variable for the token of a URL's host."""
    parts = urlsplit(url)
    host = (parts.hostname or "").replace("-", "__").replace(".", "_").replace(":", "_").upper()
    port = parts.port if parts.port not in (None, _PORTS.get(parts.scheme)) else None
    return f"SKILLPM_TOKEN_{host}" + (f"_{port}" if port else "")


def host_of(url: str) -> str:
    """Return the scheme, the host and the port of a URL, by which a stored token is kept."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.port if parts.port not in (None, _PORTS.get(parts.scheme)) else None
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def is_local(host: str | None) -> bool:
    """Is this host this machine, or an address in a private network?"""
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


class Credentials:
    """The secrets of one invocation, as the variables of its environment give them."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def header(self, url: str) -> str | None:
        """Return the Authorization header for exactly this URL's host and port, or None.

        Raises:
            UsageError: a secret would be sent without encryption, or a file of secrets is damaged or open to others.
        """
        parts = urlsplit(url)
        value = self._token(url) or self._login(parts)
        if value and parts.scheme != "https" and not is_local(parts.hostname):
            raise UsageError(
                f"{parts.scheme} would send the token or password for {parts.netloc} unencrypted",
                hint="use the registry's https:// address",
            )
        return value

    def _token(self, url: str) -> str | None:
        token = self._environment.get(token_variable(url), "").strip() or self.stored.get(host_of(url))
        return f"Bearer {checked_token(token, token_variable(url))}" if token else None

    @cached_property
    def stored(self) -> dict[str, str]:
        """The token of each host that `skillpm login` wrote. Raises UsageError."""
        path = self._file
        try:
            if path is None or not path.is_file():
                return {}
            if path.stat().st_mode & 0o077:
                raise UsageError(f"{path} can be read by others", hint=f"run `chmod 600 {path}`")
            from skillpm.formats.strict import strict_json

            tokens = strict_json(path.read_text(encoding="utf-8")).get("tokens", {})
            return {str(host): str(token) for host, token in tokens.items()}
        except (OSError, ValueError, AttributeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not what `skillpm login` writes"
            raise UsageError(f"{path} cannot be read: {reason}", hint="remove it, and log in again") from None

    def store(self, url: str, token: str | None) -> Path | None:
        """Write the token of a URL's host, or remove it; return the file, or None if there was nothing to remove.

        Raises:
            UsageError: the file is damaged.
            StorageError: the disk refused.
        """
        tokens = {host: secret for host, secret in self.stored.items() if host != host_of(url)}
        path = self._file
        if path is None or (token is None and len(tokens) == len(self.stored)):
            return None
        import json

        from skillpm.storage.files import write_atomic

        if token is not None:
            tokens[host_of(url)] = token
        write_atomic(path, json.dumps({"tokens": tokens}, indent=2, sort_keys=True) + "\n", mode=0o600)
        return path

    @property
    def files(self) -> tuple[Path, ...]:
        """The files in which secrets lie, whether they are there or not."""
        return (self._netrc,) if self._file is None else (self._file, self._netrc)

    @property
    def _netrc(self) -> Path:
        file = self._environment.get("NETRC")
        return Path(file) if file else typed_path(self._environment.get("HOME", "~")) / ".netrc"

    @property
    def _file(self) -> Path | None:
        """The file of tokens; None if the environment was made for a test or a server and says no place."""
        from skillpm.settings.folders import HOME, user_folders

        if self._environment is not os.environ and HOME not in self._environment:
            return None
        return user_folders(self._environment)[2] / _FILE

    def _login(self, parts: SplitResult) -> str | None:
        entry = self._logins.get(parts.netloc) or self._logins.get(parts.hostname or "")
        if entry is None:
            return None
        import base64

        return "Basic " + base64.b64encode(f"{entry[0]}:{entry[2] or ''}".encode()).decode("ascii")

    @cached_property
    def _logins(self) -> dict[str, tuple[str, str, str]]:
        """The login, account and password of each host in netrc."""
        path = self._netrc
        if not path.is_file():
            return {}
        import netrc

        try:
            return netrc.netrc(str(path)).hosts
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {type(error).__name__}", hint="see netrc(5)") from None


def checked_token(token: str, place: str = "this") -> str:
    """Return a token. Raises UsageError if it has characters that a header cannot have; the token is not repeated."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{place} is not a token: it has characters that are not allowed")
    return token
