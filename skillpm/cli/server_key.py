"""The key of a model's server, from stdin: a value on the command line would stand in logs and in the process list."""

from __future__ import annotations

import os
import sys

import click

from skillpm.errors import UsageError

_LENGTH = 4096
key_option = click.option("--key-stdin", is_flag=True, help="Read the key of the server from the first line of stdin.")


def read_key(model: str | None) -> None:
    """Take the key of a server from stdin, for this process alone.

    Raises:
        UsageError: the model is not behind a server, or stdin has no key.
    """
    from skillpm.index.credentials import token_variable

    if not str(model).startswith(("http://", "https://")):
        raise UsageError("`--key-stdin` is for a server", hint="add `--model https://HOST/v1#MODEL`")
    key = sys.stdin.readline(_LENGTH).strip()
    if not key:
        raise UsageError("stdin has no key in its first line", hint="such as `pass show key | skillpm … --key-stdin`")
    os.environ[token_variable(str(model))] = key
