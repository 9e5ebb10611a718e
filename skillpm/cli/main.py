"""The entry point. A command is imported when it is called. Only this module prints errors and exits."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from skillpm import __version__
from skillpm.cli.misuse import Group, misuse
from skillpm.errors import ResolutionError, SkillpmError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_GARBAGE = 50_000  # objects between two searches for cycles: a command keeps most objects until it ends
COMPLETION = "_SKILLPM_COMPLETE"  # the variable by which a shell asks click for completions

# command: (module[:attribute], one-line help); the help is here so that `--help` imports no command
COMMANDS = {
    "new": ("skillpm.cli.new", "Make a new skill from a template."),
    "validate": ("skillpm.cli.validate", "Check the layout and the documents of skills."),
    "scan": ("skillpm.cli.scan", "Scan skills for hidden content."),
    "init": ("skillpm.cli.init", "Write skillpm.yaml, the project file."),
    "install": ("skillpm.cli.install", "Install skills, lock them, link them into agents' folders."),
    "uninstall": ("skillpm.cli.install:uninstall", "Remove skills from this project."),
    "lock": ("skillpm.cli.lock", "Choose releases and write skillpm.lock; install nothing."),
    "sync": ("skillpm.cli.sync", "Install exactly what the project requires."),
    "update": ("skillpm.cli.sync:update", "Install the newest allowed releases."),
    "list": ("skillpm.cli.list", "List installed skills and runs."),
    "agents": ("skillpm.cli.agents", "List the agents used here, their skills and their budgets."),
    "show": ("skillpm.cli.show", "Show a skill and its contents."),
    "search": ("skillpm.cli.search", "Find skills by name and summary."),
    "tree": ("skillpm.cli.tree", "Show the dependency tree."),
    "why": ("skillpm.cli.tree:why", "Show why a skill is installed."),
    "outdated": ("skillpm.cli.outdated", "List installed skills that have newer releases."),
    "verify": ("skillpm.cli.verify", "Compare installed skills with the lock, file by file."),
    "import": ("skillpm.cli.import_lock", "Import the lock of another skill manager."),
    "version": ("skillpm.cli.version", "Show, set or raise the version of a skill."),
    "pack": ("skillpm.cli.pack", "Write the archive of a skill."),
    "publish": ("skillpm.cli.publish", "Add a skill to a registry."),
    "yank": ("skillpm.cli.yank", "Exclude a release from new resolutions."),
    "unyank": ("skillpm.cli.yank:unyank", "Allow a yanked release again."),
    "registry": ("skillpm.cli.registry", "Make a folder a registry."),
    "synth": ("skillpm.cli.synth", "Make training tasks from skills' seeds and rules."),
    "train": ("skillpm.cli.train", "Train a model on installed skills."),
    "eval": ("skillpm.cli.eval", "Evaluate a model or a run on skills' suites or your own tasks."),
    "score": ("skillpm.cli.score", "Judge your own answers with a skill's verifier."),
    "export": ("skillpm.cli.export", "Write skills in the form of another system, through a plugin."),
    "rescore": ("skillpm.cli.rescore", "Judge stored answers again, without a model."),
    "selftest": ("skillpm.cli.selftest", "Check that a skill's verifier keeps its promises."),
    "model": ("skillpm.cli.model", "Prepare and list base models."),
    "schema": ("skillpm.cli.schema", "Print the JSON Schema of a document."),
    "config": ("skillpm.cli.config", "Show every setting and its origin."),
    "cache": ("skillpm.cli.cache", "Show and clean the store and the cache."),
    "completion": ("skillpm.cli.completion", "Print the completion script of a shell."),
    "trust": ("skillpm.cli.trust", "Show and revoke consent to skill code."),
    "plugins": ("skillpm.cli.plugins", "List the loaded plugins and their origins."),
    "doctor": ("skillpm.cli.doctor", "Check what this machine can do."),
}


class LazyGroup(Group):
    """A group whose commands are in the modules that COMMANDS names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute or "command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Exit 0 if the reader of stdout is gone, where click would exit 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _quiet_exit()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands from the table without importing any, and options as click does."""
        from click.shell_completion import CompletionItem

        items = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="skillpm", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """Install, publish and train on agent skills."""
    ctx.obj = {"debug": debug}
    if os.environ.get("SKILLPM_TRACE_HOOKS"):
        from skillpm.cli.output import trace_hooks

        trace_hooks()


def _report_error(error: SkillpmError, arguments: list[str]) -> int:
    from skillpm.cli.paths import shortened
    from skillpm.formats.printable import printable

    error.message, error.hint = shortened(error.message), error.hint and shortened(error.hint)
    if "--json" in arguments:
        import json

        click.echo(json.dumps(error.document(), ensure_ascii=True, default=str))
    click.secho("error: ", err=True, nl=False, fg="red", bold=True)
    click.echo(printable(error.message, keep="\n" if isinstance(error, ResolutionError) else ""), err=True)
    if error.hint:
        click.secho("hint: ", err=True, nl=False, fg="cyan", bold=True)
        click.echo(printable(error.hint), err=True)
    return error.exit_code


def _quiet_exit() -> NoReturn:
    """Exit silently: the reader of stdout is gone (`| head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _leave(code: int) -> NoReturn:
    """Exit at once, even if threads still wait for a server. Their work is undone already."""
    import threading

    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit."""
    words = sys.argv[1:] if arguments is None else arguments
    gc.set_threshold(_GARBAGE)
    try:
        code = main.main(args=words, prog_name="skillpm", standalone_mode=False)
        sys.stdout.flush()
    except SkillpmError as error:
        if "--debug" in words:
            raise
        sys.exit(_report_error(error, words))
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a command prints its help
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        sys.exit(_report_error(misuse(error), words))
    except (click.Abort, KeyboardInterrupt):
        _leave(130)
    except BrokenPipeError:
        _quiet_exit()
    sys.exit(code if isinstance(code, int) else 0)
