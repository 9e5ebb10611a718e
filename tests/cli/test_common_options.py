"""Options that every command takes, and other names of commands."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from pathlib import Path

import click
import pytest

from skillpm.cli.common_options import ALIASES
from skillpm.cli.main import main
from skillpm.errors import SkillpmError
from tests.cli.test_main import commands
from tests.shop import MakeProject
from tests.terminal import at_terminal

COMMON = {"-C", "-q", "--quiet", "-v", "--verbose", "--no-color"}


def test_every_command_takes_the_common_options() -> None:
    for path, command in commands():
        options = {option for parameter in command.params for option in parameter.opts}
        assert options >= COMMON and {"-y", "--yes"} <= options, path
        assert ("--user" in options) == ("-g" in options) == ("--global" in options), path
        assert len(options) == len([option for parameter in command.params for option in parameter.opts]), path


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_command_with_its_arguments(project: MakeProject, alias: str) -> None:
    words, place = ALIASES[alias], project()
    told = place.call(alias, "--help").ok()
    assert told.out.startswith(f"Usage: skillpm {words[0]} ")
    assert place.call("help", words[0]).ok().out == place.call(words[0], "--help").ok().out


def test_help_alone_and_of_a_subcommand(project: MakeProject) -> None:
    place = project()
    assert place.call("help").ok().out == place.call("--help").ok().out
    assert place.call("help", "cache", "prune").ok().out.startswith("Usage: skillpm cache prune ")


def test_people_s_first_commands_work(project: MakeProject) -> None:
    place = project()
    assert "2 added" in place.call("add", "incident-triage", "-y").ok().err
    assert place.call("ls", "--json").ok().document == place.call("list", "--json").ok().document
    place.call("info", "incident-triage").ok()
    place.call("ci").ok()
    assert "2 removed" in place.call("rm", "incident-triage").ok().err
    place.call("i", "-g", "incident-triage").ok()
    assert "incident-triage" in place.call("ls", "--global").ok().out


@pytest.mark.parametrize("order", ["-C below ls", "ls -C below"])
def test_a_command_runs_in_another_folder(project: MakeProject, order: str) -> None:
    place = project({"below": {}})
    place.call("install", "shell-tools", "-C", "below").ok()
    assert (place.root / "below/skillpm.lock").is_file() and not (place.root / "skillpm.lock").exists()
    assert "shell-tools" in place.call(*order.split()).ok().out
    place.call("ls", "-C", "nowhere").fails(2, "nowhere: No such file or directory")


def test_quiet_prints_results_and_warnings_only_and_verbose_prints_all_rows(project: MakeProject) -> None:
    place = project()
    told = place.call("install", "shell-tools", "--quiet").ok()
    assert told.err == "" and "shell-tools" in told.out
    assert place.call("-q", "install", "shell-tools").ok().err == ""
    told = place.call("install", "langgraph-cli", "-v").ok()
    assert "shell-tools" in told.out and "project: " in told.err


def test_quiet_draws_no_bar_at_a_terminal(project: MakeProject) -> None:
    place = project()
    place.call("new", "demo").ok()
    for quiet in ((), ("-q",)):
        words = ["selftest", "./demo", "--yes", *quiet]
        code, shown = at_terminal(words, (), cwd=place.root, environment={**os.environ, **place.environment})
        assert code == 0 and "claims hold" in shown and ("answers judged" in shown) is not bool(quiet)


def test_no_color_holds_for_every_line(project: MakeProject) -> None:
    with click.Context(main) as context:
        assert context.color is None
    place = project({"bad": {"SKILL.md": "x"}})
    for words in (["validate", "bad", "--no-color"], ["--no-color", "validate", "bad"]):
        assert "\x1b" not in place.call(*words).fails(1).out


COMMAND = re.compile(r"`(skillpm [^`]*)`|Example: (skillpm .*?)(?<!\\)\"")
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def hints() -> list[tuple[str, str]]:
    """Return every `skillpm …` that a module of skillpm says, with the module."""
    root = Path(__file__).parents[2] / "skillpm"
    modules = (path for path in sorted(root.rglob("*.py")) if "_bundled" not in path.parts)
    return [
        (path.relative_to(root).as_posix(), re.sub(r" [<>] .*", "", (match[1] or match[2]).replace("\\", "")))
        for path in modules
        for match in COMMAND.finditer(path.read_text(encoding="utf-8"))
    ]


HINTS = sorted(set(hints()))


@pytest.mark.parametrize("room", sorted({module.partition("/")[0] for module, _ in HINTS}))
def test_every_command_that_skillpm_names_can_be_typed(room: str) -> None:
    """What stands in braces is filled in with a word; capitals are for the reader to fill in."""
    for module, line in HINTS:
        if module.partition("/")[0] == room:
            check(module, line)


def check(module: str, line: str) -> None:
    words = shlex.split(PLACEHOLDER.sub("demo", line).replace("…", "x"))[1:]
    if not words or words[0] in ("COMMAND", "demo") or "[" in line:
        return
    context, group = click.Context(main), main
    while words and isinstance(group, click.Group):
        if words[0].startswith("-") or words[0] == "help":
            return
        name, command, words = group.resolve_command(context, words)
        assert command is not None and name is not None
        context, group = click.Context(command, info_name=name, parent=context), command  # type: ignore[assignment]
    options = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    typed = {word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1 and word != "--"}
    assert typed <= options | {"-h", "--help"}, f"{module}: `{line}`"
    if words and not isinstance(group, click.Group) and not typed & {"-h", "--help"}:
        with contextlib.suppress(click.BadParameter):  # a file that is not here, a number that is only a word here
            try:
                group.make_context(group.name, list(words), parent=context.parent, resilient_parsing=False)
            except click.MissingParameter:  # a hint may name an option of a command that was typed already
                assert typed, f"{module}: `{line}` lacks an argument"
            except click.BadOptionUsage:  # or an option alone
                assert words[-1] in typed, f"{module}: `{line}` lacks a value"
            except SkillpmError:
                pass


def test_no_command_takes_an_empty_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, command in commands():
        for parameter in command.params:
            if getattr(parameter, "is_flag", False) or getattr(parameter, "flag_value", None) == "":
                continue
            words = ["--", ""] if isinstance(parameter, click.Argument) else [parameter.opts[0], ""]
            with pytest.raises(click.ClickException) as caught:
                command.make_context(path[-1], words)
            refused = caught.value.param if isinstance(caught.value, click.BadParameter) else None
            assert type(refused) is type(parameter), (path, words)
            assert not list(tmp_path.iterdir())


def test_an_unset_variable_names_nothing(project: MakeProject) -> None:
    place = project()
    for words in ("traces import", "install", "serve shop --model", "sync --registry", "registry init"):
        place.call(*words.split(), "").fails(2, "is empty", "--help`")
    assert not (place.root / "config.json").exists()


def test_no_number_is_too_large_to_be_refused(project: MakeProject) -> None:
    place = project()
    for words in ("eval shell-tools --model x --limit", "audit list --last", "audit show", "runs prune --keep"):
        place.call(*words.split(), "1" + "0" * 400).fails(2, "is larger than 2,147,483,647")
