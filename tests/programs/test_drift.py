"""Planted changes of programs, each of which must be reported, and programs that have not changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from skillpm.formats.document import read_model
from skillpm.model.contract import ContractDocument
from skillpm.programs.drift import Difference, Use, anywhere, differences, missing, uses_of_text, uses_of_tools
from skillpm.programs.help_text import read_help
from skillpm.programs.program import Command, Exclusion, Option, Program
from tests.conftest import ROOT

HELP = ROOT / "tests" / "cases" / "help"


def programs() -> Iterator[Program]:
    """Yield a program for each recorded help text, with a second command."""
    for case in yaml.safe_load((HELP / "expected.yaml").read_text()):
        command = read_help((HELP / case["file"]).read_text()).command(case["program"], ("run",))
        other = Command(words=("stop",), options=(Option(names=("-f", "--force"), description="stop at once"),))
        if len(command.options) > 2:
            yield Program(name=case["program"], commands=(command, other), names=("run", "stop"))


def changed(program: Program, change: Callable[[list[Option]], str]) -> tuple[Program, str]:
    """Return the program with one change of the options of its first command, and what is changed."""
    options = list(program.commands[0].options)
    what = change(options)
    first = program.commands[0].model_copy(update={"options": tuple(options)})
    return program.model_copy(update={"commands": (first, *program.commands[1:])}), what


def plant(program: Program, kind: str, chance: random.Random) -> tuple[Program, str]:
    """Return the program with one change, and the name of what was changed."""

    def option_change(options: list[Option]) -> str:
        place = chance.choice([index for index, option in enumerate(options) if option.names])
        option = options[place]
        if kind == "removed option":
            del options[place]
            return option.flag
        updates: dict[str, dict[str, Any]] = {
            "changed names": {"names": (*option.names, "--also")},
            "changed value": {"value": "none" if option.value != "none" else "required"},
            "changed kind": {"kind": "number"},
            "changed choices": {"choices": (*option.choices, "planted")},
            "changed default": {"default": "planted"},
            "changed required": {"required": True},
            "changed many": {"many": not option.many},
            "changed maximum": {"maximum": 424242},
        }
        options[place] = option.model_copy(update=updates[kind])
        return option.flag

    def added(options: list[Option]) -> str:
        option = Option(names=("--planted",)) if kind == "new option" else Option(label="PLANTED", value="required")
        options.append(option)
        return option.flag or option.label

    if kind == "removed command":
        return program.model_copy(update={"commands": program.commands[:1], "names": ("run",)}), "stop"
    if kind == "new command":
        return program.model_copy(update={"names": (*program.names, "planted")}), "planted"
    if kind in ("new option", "new operand"):
        return changed(program, added)
    if kind == "new exclusion":
        first = program.commands[0]
        group = Exclusion(names=(first.options[0].name, first.options[1].name, "planted"))
        commands = (first.model_copy(update={"exclusions": (*first.exclusions, group)}), *program.commands[1:])
        return program.model_copy(update={"commands": commands}), " | ".join(sorted(group.names))
    return changed(program, option_change)


KINDS = ("removed option", "new option", "changed names", "changed value", "changed kind", "changed choices",
         "changed default", "changed required", "changed many", "changed maximum", "removed command", "new command",
         "new operand", "new exclusion")  # fmt: skip


def test_each_of_two_hundred_planted_changes_is_reported_and_nothing_else() -> None:
    chance = random.Random(0)
    planted = 0
    for program in programs():
        assert list(differences(program, program, "f")) == []
        for kind in KINDS:
            now, what = plant(program, kind, chance)
            found = {(item.what, item.subject) for item in differences(program, now, "f")}
            assert found == {(kind, what)}, (program.name, kind)
            planted += 1
    assert planted >= 200


def test_a_change_of_the_printed_help_is_reported() -> None:
    text = (HELP / "click.txt").read_text()
    changes = {
        ("--weight", "--mass"): {("removed option", "--weight"), ("new option", "--mass")},
        ("post|courier|drone", "post|drone"): {("changed choices", "--service")},
        ("[default: post]", "[default: drone]"): {("changed default", "--service")},
        ("x<=30000", "x<=20000"): {("changed maximum", "--weight")},
        ("ADDRESS [FILES]...", "ADDRESS"): {("removed operand", "FILE")},
        ("-n, --note TEXT ", "-n, --note      "): {("changed value", "--note"), ("changed many", "--note")},
    }

    def program(text: str) -> Program:
        return Program(name="parcel", commands=(read_help(text).command("parcel", ("send",)),))

    for (old, new), expected in changes.items():
        assert old in text
        found = list(differences(program(text), program(text.replace(old, new)), "f"))
        assert {(item.what, item.subject) for item in found} == expected, old


CONTRACT = """
contract: 1
tools:
  - name: send
    input_schema:
      type: object
      properties:
        weight: {type: integer}
        service: {enum: [post, rail, null]}
        insured: {type: boolean}
    argv: [parcel, send, {flag: --weight, value: weight}, {flag: --service, value: service},
           {flag: --insured, if: insured}]
  - name: line
    input_schema: {type: object, properties: {line: {type: string}}}
    argv: {command_line: line, allow: {parcel: {options: ["-f, --fast"], values: [--note], subcommands: [send]}}}
"""


def uses() -> list[Use]:
    return list(uses_of_tools(read_model(ContractDocument, CONTRACT).tools))


def found(use: Use, options: dict[str, Any], text: str = "") -> set[tuple[str, str]]:
    """Return what is missing of a use from a command with these options: flag=value."""
    listed = [Option(names=(f"--{name}",), value=form[0], choices=form[1:]) for name, form in options.items()]
    command = Command(options=tuple(listed)) if listed else None
    return {(item.what, item.subject) for item in missing(use, command, text)}


def test_a_contract_is_compared_with_what_the_program_has() -> None:
    words, line, inner = uses()
    right = {"weight": ("required",), "service": ("required", "post", "rail"), "insured": ("none",)}
    assert found(words, right) == set()
    assert found(words, {**right, "weight": ("none",)}) == {("changed value", "--weight")}
    assert found(words, {**right, "service": ("required", "post")}) == {("removed choices", "--service")}
    assert found(words, {"weight": ("required",)}) == {("removed option", "--service"), ("removed option", "--insured")}
    assert found(words, {}, "usage: [--service S] [--insured] --weight=N") == set()
    assert (line.program, line.flags) == ("parcel", {"-f, --fast": False, "--note": True})
    assert found(line, {}, "usage: [-f] [--note N]") == set()
    assert found(line, {}, "usage: [--note N]") == {("removed option", "-f, --fast")}
    assert inner.words == ("send",)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("Use `parcel send --weight 5 -f`.", ["--weight", "-f"]),
        ("`df -h && parcel --fast | head -n 3`", ["--fast"]),
        ("```sh\n$ parcel send --note=x\nother --not-ours\n```", ["--note"]),
        ("The flag `--fast` hurries; `--` ends options, and `-` is stdin.", ["--fast"]),
        ("Speak of --weight in prose, and of `other --not-ours`.", []),
    ],
)
def test_the_code_of_skill_md_is_searched_for_flags(text: str, flags: list[str]) -> None:
    assert [flag for use in uses_of_text(text, ["parcel"]) for flag in use.flags] == flags


SERVICE = Option(names=("--service",), label="service_name", value="required", choices=("post", "rail"))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("`parcel send --service post`", ""),
        ("`parcel send --service boat`", "boat"),
        ("`parcel send --service='boat' x`", "boat"),
        ("```\nparcel send --service post|boat | tee log\n```", "boat"),
        ("`parcel send --service {rail,boat}`, `parcel send --service SERVICE`", "boat"),
        ("`parcel send --service service`, `parcel send --service service_name`, `parcel send --service <one>`", ""),
        ("With `--service`, one of post, rail or boat, it goes.", "boat"),
        ("- `--service NAME`: one of `post`,\n  `rail` or `boat`\n- none of `x` or `y`", "boat"),
        ("| `--service` | `post`, `rail`, `boat` |\n| `--other` | `x`, `y` |", "boat"),
        ("`--service`: the carrier (`post`/`boat`)", "boat"),
        ("`--service post|boat` names the carrier", "boat"),
        ("`--service` can be used or combined with `--fast`, one of post or boat.", ""),
        ("`--service` goes with `this`, `that` and `other`.", ""),
        ("`--service` names the carrier.\n\nA parcel is one of post, rail or boat.", ""),
    ],
)
def test_values_that_skill_md_lists_are_choices_of_the_program(text: str, gone: str) -> None:
    command = Command(words=("send",), options=(SERVICE,))
    whole = anywhere([command, Command(words=("take",), options=(SERVICE,))])
    found = [
        item
        for use in uses_of_text(text, ["parcel"])
        for item in missing(use, whole if use.words is None else command, "--other --fast")
    ]
    expected = [("removed choices", gone, "post, rail")] if gone else []
    assert [(item.what, item.before, item.now) for item in found] == expected


def test_an_option_that_a_text_names_may_be_of_any_command() -> None:
    other = Option(names=("--service",), value="required", choices=("boat",))
    free = other.model_copy(update={"choices": ()})
    (use,) = uses_of_text("`--service` is one of post, boat or sled.", ["parcel"])
    for second, gone in ((other, ["sled"]), (free, [])):
        whole = anywhere([Command(words=("send",), options=(SERVICE,)), Command(words=("take",), options=(second,))])
        assert [item.before for item in missing(use, whole, "")] == gone
    assert [item.what for item in missing(use, anywhere([]), "usage: parcel [--fast]")] == ["removed option"]


def test_a_flag_stands_alone_in_a_bundle_or_as_one() -> None:
    use = Use("SKILL.md", "tar", (), {"-xzf": None, "-q": None, "--gz": None, "--no-gzip": None}, {})
    assert {item.subject for item in missing(use, None, "usage: tar [-abq] -x, -z --gzip, -f")} == {"--gz"}
    assert isinstance(next(missing(use, None, "")), Difference)


def test_a_flag_may_be_one_of_another_command_to_which_the_usage_leaves_them() -> None:
    use = Use("contract.yaml", "git", ("stash",), {"--stat": False}, {})
    assert not list(missing(use, None, "usage: git stash show [-u] [<diff-options>] [<stash>]"))
    assert list(missing(use, None, "usage: git log [<options>] [<revision-range>]"))
