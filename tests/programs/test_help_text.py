"""Help texts of many styles, as their programs print them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.programs.from_program import drafts, phrasings
from skillpm.programs.help_text import read_help
from skillpm.programs.phrases import clean, imperative
from skillpm.programs.program import Command, Option, Program
from skillpm.programs.values import kind_of
from tests.conftest import ROOT

HELP = ROOT / "tests" / "cases" / "help"
CASES: list[dict[str, Any]] = yaml.safe_load((HELP / "expected.yaml").read_text())


def form(option: Option) -> str:
    """Return an option in the words of expected.yaml."""
    if option.value == "none":
        return "none"
    bounds = "" if option.minimum is None else f"{option.minimum}..{option.maximum}"
    default = "" if option.default is None else f"={option.default}"
    parts = (option.value, option.kind, ",".join(option.choices), bounds, default, "many" if option.many else "")
    return " ".join(part for part in parts if part)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_a_help_text_says_options_operands_and_subcommands(case: dict[str, Any]) -> None:
    found = read_help((HELP / case["file"]).read_text())
    command = found.command(case["program"], tuple(case.get("words", ())))
    options = {option.flag: form(option) for option in command.options if option.names}
    operands = [f"{o.label}{'!' if o.required else ''}{'*' if o.many else ''}" for o in command.options if not o.names]
    assert command.description.startswith(case.get("says", ""))
    assert len(options) == case["count"]
    assert options == {**options, **case.get("options", {})}
    assert list(found.commands) == case.get("commands", [])
    assert len(command.examples) == case.get("examples", 0)
    if "commands" not in case:
        assert operands == case.get("operands", [])
    groups = {group.names: group.required for group in command.exclusions}
    for names in case.get("at_most", []):
        assert groups[tuple(names)] is False
    if "one_of" in case:
        assert groups[tuple(case["one_of"])] is True


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=" -=[]<>{}()|,.:abXY\n\t", max_size=400))
def test_no_text_is_too_strange_to_read(text: str) -> None:
    read_help("Usage: x [OPTIONS]\n" + text).command("x", ())


def test_a_line_says_what_its_option_takes() -> None:
    text = """Usage:
  x [flags] [PATH]

  --config:
    Path to the config.

Flags:
      --config string   path to config file
  -v, --v Level         number for the log level verbosity
  -lock=false           Don't hold a lock
  -hold=true            Hold the files
      --format=gzip     Compress files to gzip
      --format=zstd     Compress files to zstd
"""
    options = {option.flag: (option.value, option.choices) for option in read_help(text).command("x", ()).options}
    assert options == {
        "--config": ("required", ()),
        "--v": ("required", ()),
        "-lock=false": ("none", ()),
        "-hold": ("none", ()),
        "--format": ("required", ("gzip", "zstd")),
        "": ("required", ()),
    }


@pytest.mark.parametrize(
    ("name", "label", "text", "kind"),
    [
        ("output", "list", "the output columns to be shown", "word"),
        ("output", "FILE", "write to this file", "path"),
        ("host", "[USER@]HOST", "operate on remote host", "host"),
        ("uds", "", "Bind to a UNIX domain socket.", "path"),
        ("input-range", "LO-HI", "treat each number LO through HI as an input line", "range"),
        ("revision-range", "", "show these commits", "reference"),
        ("timezone", "", "all timestamps are returned as local time", "timezone"),
        ("longitude", "", "of the place", "coordinate"),
    ],
)
def test_a_place_holder_says_more_than_a_name(name: str, label: str, text: str, kind: str) -> None:
    assert kind_of(name, label, "text", text) == kind


def test_values_listed_below_an_option_are_its_choices() -> None:
    text = """Usage: x [OPTION...]
  -H, --format=FORMAT        write an archive of the format

 FORMAT is one of the following:
    gnu                      the GNU form
    v7                       the old form

      --strategy=STRATEGY    merge by this one
      --until=WHEN           stop there
"""
    options = {option.flag: option for option in read_help(text).options}
    assert {name: option.choices for name, option in options.items()} == {
        "--format": ("gnu", "v7"),
        "--strategy": (),
        "--until": (),
    }
    program = Program(name="x", source="help", commands=(Command(words=(), options=tuple(options.values())),))
    [draft] = drafts(program)
    assert set(draft.args) == {"format", "until"}
    assert draft.left_out == ("--strategy",)


def test_every_request_is_an_imperative_in_whole_words() -> None:
    assert clean("write to 'standard output' and don't delete the users' files") == (
        "write to standard output and don't delete the users files"
    )
    asked = imperative("Check if the command with a name has pending changes")
    requests = list(phrasings(asked, "tool check", [(asked, [])]))
    assert not [text for text in requests if text.startswith(("with ", "check if the command [*]"))], requests
    assert imperative("Indicate the current revision") == "indicate the current revision"
