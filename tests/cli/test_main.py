"""The entry: what is asked for wrongly is told as what it is, to people and to programs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import click
import pytest

from skillpm.cli import other_managers
from skillpm.cli.main import SECTIONS, main
from tests.cli.test_process import on_a_terminal
from tests.shop import MakeProject


@pytest.mark.parametrize("words", [(), ("cache",), ("trust",), ("registry",), ("model",)], ids=" ".join)
def test_a_group_alone_prints_its_help_and_no_error(project: MakeProject, words: tuple[str, ...]) -> None:
    outcome = project().call(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: skillpm")
    assert "error:" not in outcome.err


@pytest.mark.parametrize("words", [("instal",), ("rescore", "nowhere"), ("list", "--nothing")], ids=" ".join)
def test_a_wrong_command_line_is_one_json_document_too(project: MakeProject, words: tuple[str, ...]) -> None:
    outcome = project().call(*words, "--json")
    assert outcome.code == 2
    told = json.loads(outcome.out)
    assert (told["error"], told["exit_code"]) == ("usage", 2)
    assert told["message"] in outcome.err and told["hint"] in outcome.err


def test_a_narrow_terminal_folds_what_is_long_and_hides_nothing(project: MakeProject) -> None:
    code, shown = on_a_terminal(project(), "config", COLUMNS="80", TERM="dumb")
    assert code == 0
    assert "…" not in shown.decode()


def test_a_folder_that_bears_the_name_is_pointed_at(project: MakeProject) -> None:
    place = project({"mine": {"SKILL.md": "---\nname: mine\ndescription: Shows. Use when testing.\n---\nDo it.\n"}})
    place.call("selftest", "mine").fails(2, "no skill `mine` is installed", "write `./mine` for the folder here")


def test_no_skill_here_says_where(project: MakeProject) -> None:
    place = project({"bare": {"README.md": "x"}})
    place.call("version", "bare").fails(1, "no SKILL.md in bare")
    place.call("selftest", "./bare").fails(1, "no SKILL.md in bare")


def test_no_consent_is_no_empty_table(project: MakeProject) -> None:
    outcome = project().call("trust", "list").ok()
    assert (outcome.out, "there is no consent yet" in outcome.err) == ("", True)


WRONG = [
    ("instal", "there is no command `skillpm instal`", "did you mean `skillpm install`?"),
    ("unpublish x", "there is no command `skillpm unpublish`", "did you mean `skillpm yank`?"),
    ("self-update", "there is no command `skillpm self-update`", "upgrade skillpm-core: run `"),
    ("cache clean", "there is no command `skillpm cache clean`", "did you mean `skillpm cache prune`?"),
    ("registry list", "there is no command `skillpm registry list`", "did you mean `skillpm config`?"),
    ("runs rm x", "there is no command `skillpm runs rm`", "did you mean `skillpm runs prune`?"),
    ("model ls", "there is no command `skillpm model ls`", "did you mean `skillpm model list`?"),
    ("install --frozen", "`skillpm install` has no option `--frozen`", "run `skillpm sync --frozen`"),
    ("add x --ref main", "`skillpm install` has no option `--ref`", "write `OWNER/REPO@REF`"),
    ("list --outdated", "`skillpm list` has no option `--outdated`", "run `skillpm outdated`"),
    ("runs list --tree", "`skillpm runs list` has no option `--tree`", "see `skillpm runs list --help`"),
    ("zzz", "there is no command `skillpm zzz`", "see `skillpm --help`"),
    ("cache prun", "there is no command `skillpm cache prun`", "did you mean `skillpm cache prune`?"),
    ("sync --dryrun", "`skillpm sync` has no option `--dryrun`", "did you mean `--dry-run`?"),
    ("install --nope", "`skillpm install` has no option `--nope`", "see `skillpm install --help`"),
    ("install --debug", "`skillpm install` has no option `--debug`", "put it before the command"),
    ("--offline list", "`skillpm` has no option `--offline`", "put options after the command"),
    ("-C nowhere list", "`-C`: nowhere: No such file or directory", "see `skillpm --help`"),
    ("why", "`skillpm why` needs `NAME`", "such as `skillpm why shell-tools`"),
    ("yank a==1", "`skillpm yank` needs `--reason`", "such as `skillpm yank "),
    ("completion", "`skillpm completion` needs `SHELL`, one of bash, zsh, fish", "such as `skillpm completion "),
    ("completion basj", "`SHELL`: `basj` is not one of `bash`, `zsh`, `fish`", "such as `skillpm completion "),
    ("pack a b c", "got unexpected extra arguments (b c)", "such as `skillpm pack "),
    ("install --registry", "option `--registry` requires an argument", "add `--help` to the command"),
    ("list --user=3", "option `--user` does not take a value", "add `--help` to the command"),
    ("synth --rows 0", "`--rows` must be a whole number from 1 to 10,000,000", "such as `skillpm synth "),
    ("synth --seed x", "`--seed` must be a whole number", "such as `skillpm synth "),
    ("synth --rows 1.5", "`--rows` must be a whole number from 1 to 10,000,000", "such as `skillpm synth "),
    ("completion it's", '`SHELL`: "it\'s" is not one of `bash`, `zsh`, `fish`', "such as `skillpm completion "),
    ("version bump", "`skillpm version bump` needs `PART... [PATH]`", "such as `skillpm version bump "),
    ("install x --index /tmp", "`skillpm install` has no option `--index`", "did you mean `--registry`?"),
    ("why x --limit -1", "`--limit` must be a whole number, 0 or more", "such as `skillpm why "),
    ("rescore nowhere", "no run folder `nowhere`, here or in runs", "run `skillpm runs list` "),
    ("sync --locked --frozen", "`--locked` and `--frozen` exclude each other", "remove one of them"),
    ("validate", "`skillpm validate` needs PATH", "`skillpm validate .`"),
    ("publish", "`--registry` is missing", "`skillpm registry init FOLDER`"),
    ("yank a==1 --reason x", "`--registry` is missing", "add `--registry FOLDER`"),
    ("config get forge", "there is no setting `get`", "run `skillpm config` for all, `skillpm config NAME` for one"),
    ("config polcy.scan", "there is no setting `polcy.scan`", "did you mean `policy.scan`?"),
]


@pytest.mark.parametrize(("line", "message", "hint"), WRONG, ids=[line for line, _, _ in WRONG])
def test_a_wrong_command_line_says_what_is_wrong_and_what_to_do(
    project: MakeProject, line: str, message: str, hint: str
) -> None:
    told = project().call(*line.split()).fails(2)
    assert told.out == ""
    first, second = told.err.splitlines()
    assert first == f"error: {message}"
    assert second.startswith("hint: ") and hint in second


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


def test_the_example_of_every_command_is_one_of_its_command_lines() -> None:
    for path, command in commands():
        if command.epilog is None:
            continue
        words = shlex.split(command.epilog.removeprefix("Example: ").partition(" > ")[0])
        named = " ".join(path).split()  # `ci init` is one entry of the table
        assert words[1 : len(named) + 1] == named, command.epilog
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, command.epilog


def test_every_help_is_whole_sentences() -> None:
    for path, command in commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.help:
                text = parameter.help.partition("  [")[0]
                assert text[:1].isupper() or text.startswith(("[", "smollm2", "lenient")), (path, parameter.opts, text)
                assert text.endswith((".", "]")), (path, parameter.opts, text)


def test_what_other_package_managers_say_leads_to_what_there_is() -> None:
    ours = {name for section in SECTIONS.values() for name in section}
    groups = {"cache": {"prune"}, "version": {"bump"}}
    for typed, instead in other_managers.COMMANDS.items():
        command, _, below = instead.partition(" ")
        assert typed not in ours and command in ours and (not below or below in groups[command]), typed
    for command, options in other_managers.OPTIONS.items():
        assert command in ours and all(option.startswith("-") for option in options)
