"""The secret of each host, from the environment or from netrc. It is sent to that host only, and never unencrypted.

``SKILLPM_TOKEN_<HOST>`` has a bearer token, such as ``SKILLPM_TOKEN_SKILLS_EXAMPLE_ORG``: the host in capitals with
``_`` for a dot and ``__`` for a hyphen, then ``_`` and the port unless it is the scheme's default. Otherwise
``~/.netrc``, or the file in ``NETRC``, has a login and a password. Sources: RFC 6750, RFC 7617, netrc(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from skillpm.errors import UsageError

_PORTS = {"http": 80, "https": 443}


def token_variable(url: str) -> str:
    """Return the name of the environment variable for the token of a URL's host."""
    parts = urlsplit(url)
    host = (parts.hostname or "").replace("-", "__").replace(".", "_").replace(":", "_").upper()
    port = parts.port if parts.port not in (None, _PORTS.get(parts.scheme)) else None
    return f"SKILLPM_TOKEN_{host}" + (f"_{port}" if port else "")


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
    """The secrets of one invocation.

    Args:
        environment: has the tokens and ``NETRC``.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def header(self, url: str) -> str | None:
        """Return the Authorization header for exactly this URL's host and port, or None.

        Raises:
            UsageError: a secret would be sent without encryption, or netrc is damaged.
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
        token = self._environment.get(token_variable(url), "").strip()
        if not token:
            return None
        if not token.isascii() or not token.isprintable():
            raise UsageError(f"{token_variable(url)} is not a token: it has characters that are not allowed")
        return f"Bearer {token}"

    def _login(self, parts: SplitResult) -> str | None:
        entry = self._logins.get(parts.netloc) or self._logins.get(parts.hostname or "")
        if entry is None:
            return None
        import base64

        return "Basic " + base64.b64encode(f"{entry[0]}:{entry[2] or ''}".encode()).decode("ascii")

    @cached_property
    def _logins(self) -> dict[str, tuple[str, str, str]]:
        """The login, account and password of each host in netrc."""
        file = self._environment.get("NETRC")
        path = Path(file) if file else Path(self._environment.get("HOME", "~")).expanduser() / ".netrc"
        if not path.is_file():
            return {}
        import netrc

        try:
            return netrc.netrc(str(path)).hosts
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {type(error).__name__}", hint="see netrc(5)") from None
