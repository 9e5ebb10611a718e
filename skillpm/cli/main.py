"""The entry point. A command is imported when it is called. Only this module exits."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from skillpm import __version__
from skillpm.cli.common_options import ALIASES, OF_USER, add_options
from skillpm.cli.interrupt import raise_on_interrupt
from skillpm.cli.misuse import Group
from skillpm.cli.process import exit_code, leave, open_streams

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_GARBAGE = 50_000  # objects between two searches for cycles: a command keeps most objects until it ends
_SWITCHES = ("SKILLPM_OFFLINE", "SKILLPM_NO_PLUGINS", "SKILLPM_TRACE_HOOKS")  # read only where one of them is set
COMPLETION = "_SKILLPM_COMPLETE"  # the variable by which a shell asks click for completions

# section: command: (module[:attribute], one-line help); the help is here so that `--help` imports no command
SECTIONS = {
    "Write a skill": {
        "new": ("skillpm.cli.new", "Make a new skill from a template."),
        "draft": ("skillpm.cli.draft", "Draft training data from the commands in a skill's text."),
        "validate": ("skillpm.cli.validate", "Check the layout and the documents of skills."),
        "scan": ("skillpm.cli.scan", "Scan skills for hidden content."),
        "drift": ("skillpm.cli.drift", "Compare a skill with the program that it is for."),
        "selftest": ("skillpm.cli.selftest", "Check that a skill's verifier keeps its promises."),
        "version": ("skillpm.cli.version", "Show, set or raise the version of a skill."),
        "pack": ("skillpm.cli.pack", "Write the archive of a skill."),
    },
    "Use skills": {
        "init": ("skillpm.cli.init", "Write skillpm.yaml, the project file."),
        "install": ("skillpm.cli.install", "Install skills, lock them, link them into agents' folders."),
        "uninstall": ("skillpm.cli.install:uninstall", "Remove skills from this project."),
        "lock": ("skillpm.cli.lock", "Choose releases and write skillpm.lock; install nothing."),
        "sync": ("skillpm.cli.sync", "Install exactly what the project requires."),
        "update": ("skillpm.cli.sync:update", "Install the newest allowed releases."),
        "list": ("skillpm.cli.list", "List installed skills."),
        "show": ("skillpm.cli.show", "Show a skill and its contents."),
        "search": ("skillpm.cli.search", "Find skills by name and summary."),
        "tree": ("skillpm.cli.tree", "Show the dependency tree."),
        "why": ("skillpm.cli.tree:why", "Show why a skill is installed."),
        "outdated": ("skillpm.cli.outdated", "List installed skills that have newer releases."),
        "verify": ("skillpm.cli.verify", "Compare installed skills with the lock, file by file."),
        "agents": ("skillpm.cli.agents", "List the agents used here, their skills and their budgets."),
        "import": ("skillpm.cli.import_lock", "Import the lock of another skill manager."),
    },
    "Share skills": {
        "publish": ("skillpm.cli.publish", "Add a skill to a registry."),
        "yank": ("skillpm.cli.yank", "Exclude a release from new resolutions."),
        "unyank": ("skillpm.cli.yank:unyank", "Allow a yanked release again."),
        "deprecate": ("skillpm.cli.yank:deprecate", "Mark a skill as replaced or no longer maintained."),
        "key": ("skillpm.cli.key", "Make and list the keys that sign releases."),
        "registry": ("skillpm.cli.registry", "Make a folder a registry, or report a skill to one."),
        "login": ("skillpm.cli.login", "Store your token of a shared registry."),
        "logout": ("skillpm.cli.login:logout", "Remove your token of a shared registry."),
        "whoami": ("skillpm.cli.login:whoami", "Show your account in a shared registry."),
        "owner": ("skillpm.cli.owner", "Say who may publish a skill in a shared registry."),
        "token": ("skillpm.cli.token", "Make, list and revoke tokens of a shared registry."),
        "ci init": ("skillpm.cli.ci", "Write a CI workflow that checks and publishes skills."),
    },
    "Teach a model": {
        "synth": ("skillpm.cli.synth", "Make training tasks from skills' seeds and rules."),
        "train": ("skillpm.cli.train", "Train a model on installed skills."),
        "runs": ("skillpm.cli.runs", "List, show, compare and remove training runs."),
        "eval": ("skillpm.cli.eval", "Evaluate a model or a run on skills' suites."),
        "answer": ("skillpm.cli.answer", "Answer your own tasks with a model or a run."),
        "report": ("skillpm.cli.report", "Show a stored evaluation, and write its page again."),
        "compare": ("skillpm.cli.compare", "Pair two stored evaluations task by task."),
        "gate": ("skillpm.cli.compare:gate", "Decide whether an evaluated model is let through."),
        "calibrate": ("skillpm.cli.calibrate", "Derive how sure an answer must be to act."),
        "improve": ("skillpm.cli.improve", "Train a run further on what you approved; keep it if it is not worse."),
        "score": ("skillpm.cli.score", "Judge your own answers with a skill's verifier."),
        "rescore": ("skillpm.cli.rescore", "Judge stored answers again, without a model."),
        "adapter": ("skillpm.cli.adapter", "Pack and check what a run has trained."),
        "model": ("skillpm.cli.model", "Prepare, list and merge models."),
        "export": ("skillpm.cli.export", "Write skills in the form of another system, through a plugin."),
    },
    "Ask a model": {
        "run": ("skillpm.cli.run", "Ask a model for commands, and run those that you approve."),
        "audit": ("skillpm.cli.audit", "Show and check the log of what was proposed, decided and run."),
        "traces": ("skillpm.cli.traces", "List, show, export and remove stored episodes of `run`."),
        "serve": ("skillpm.cli.serve", "Serve a model with its skill's contract in front."),
        "mcp": ("skillpm.cli.mcp", "Serve skills to an MCP client over stdio."),
    },
    "This machine": {
        "config": ("skillpm.cli.config", "Show every setting and its origin."),
        "cache": ("skillpm.cli.cache", "Show and clean the store and the cache."),
        "trust": ("skillpm.cli.trust", "Show and revoke consent to skill code."),
        "plugins": ("skillpm.cli.plugins", "List the loaded plugins and their origins."),
        "doctor": ("skillpm.cli.doctor", "Check what this machine can do."),
        "schema": ("skillpm.cli.schema", "Print the JSON Schema of a document."),
        "man": ("skillpm.cli.man", "Write the manual pages."),
        "completion": ("skillpm.cli.completion", "Print the completion script of a shell."),
    },
}
COMMANDS = {name: entry for commands in SECTIONS.values() for name, entry in commands.items()}


class LazyGroup(Group):
    """A group whose commands are in the modules that COMMANDS names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, by its name or an alias."""
        cmd_name = ALIASES.get(cmd_name, (cmd_name,))[0]
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute or "command")
        raise_on_interrupt()
        return add_options(command, of_user=cmd_name in OF_USER)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with; ``help COMMAND`` is ``COMMAND --help``."""
        if args[0] == "help":
            if len(args) == 1:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [*args[1:], "--help"]
        if args[:2] == ["ci", "init"]:  # `ci` alone is an alias
            args = ["ci init", *args[2:]]
        return super().resolve_command(ctx, [*ALIASES.get(args[0], (args[0],)), *args[1:]])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the table without importing any command."""
        width = max(map(len, COMMANDS))
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands from the table without importing any, and options as click does."""
        from click.shell_completion import CompletionItem

        items = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="skillpm", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of an error.")
def main() -> None:
    """Install, publish and train on agent skills."""
    if any(name in os.environ for name in _SWITCHES):
        from skillpm.settings.switches import without_off

        if "SKILLPM_TRACE_HOOKS" in without_off(os.environ):
            from skillpm.cli.output import trace_hooks

            trace_hooks()


add_options(main)


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    words = sys.argv[1:] if arguments is None else arguments
    gc.set_threshold(_GARBAGE)
    os.umask(os.umask(0) | 0o002)  # nothing that is written can be changed by everybody
    open_streams()
    documents: list[bool] = []  # one for each that stdout has, see `printed`
    try:
        code = main.main(args=words, prog_name="skillpm", standalone_mode=False, obj=documents)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  the last net
        code = exit_code(error, words, as_json="--json" in words and not documents)
    leave(code if isinstance(code, int) else 0)
