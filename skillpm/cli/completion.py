"""``skillpm completion``."""

from __future__ import annotations

import click

from skillpm.cli.output import json_option, print_json

_SHELLS = ("bash", "zsh", "fish")
_HELP = """Print the script that completes commands, options and names of skills in a shell.

\b
bash:  skillpm completion bash > ~/.local/share/bash-completion/completions/skillpm
zsh:   skillpm completion zsh > ~/.zfunc/_skillpm      (a folder of your fpath)
fish:  skillpm completion fish > ~/.config/fish/completions/skillpm.fish
"""


@click.command("completion", help=_HELP, epilog="Example: skillpm completion bash > skillpm.bash")
@click.argument("shell", type=click.Choice(_SHELLS))
@json_option
def command(shell: str) -> None:
    """Print the script of one shell."""
    from click.shell_completion import ShellComplete, get_completion_class

    from skillpm.cli.main import COMPLETION, main

    kind = get_completion_class(shell)
    assert kind is not None  # click knows all three
    script = ShellComplete.source(kind(main, {}, "skillpm", COMPLETION))  # without the check of bash's own version
    if not print_json({"shell": shell, "script": script}):
        click.echo(script)
