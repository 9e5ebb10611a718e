"""Programs of click and argparse are read by their parsers, others by their help."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from skillpm.errors import UsageError
from skillpm.programs.accepted import accepted
from skillpm.programs.ask import Asker
from skillpm.programs.from_program import drafts
from skillpm.programs.program import Program
from skillpm.programs.read import CommandChoice, parser_problems, read_program

CLICK = """
import click, pathlib
pathlib.Path("ran-at-import").touch()
@click.group(help="Sends parcels.")
def main(): open("ran", "w")
@main.command()
@click.argument("address")
@click.option("--weight", type=click.IntRange(1, 300), default=5, help="Weigh it as WEIGHT grams.")
@click.option("-s", "--service", type=click.Choice(["post", "drone"]), required=True)
@click.option("--insured/--no-insured", help="Insure the parcel.")
@click.option("--signed/--unsigned", default=True, help="Ask for a signature.")
@click.option("-h", "--host", default="post")
@click.option("--label", type=click.Path(exists=True), multiple=True)
@click.option("--pair", nargs=2)
def send(**options):
    "Send a parcel to an address."
    open("ran", "w")
@main.command(hidden=True)
def secret(): ...
@main.command()
def track(): "Track a parcel."
if __name__ == "__main__": main()
"""
ARGPARSE = """
import argparse
parser = argparse.ArgumentParser(description="Tells the tide. More text.")
commands = parser.add_subparsers(required=True)
show = commands.add_parser("show", help="show the high waters", aliases=["s"])
show.add_argument("station", nargs="+")
show.add_argument("--days", type=int, choices=[1, 3], default=3,help="show DAYS (default: %(default)s)", metavar="DAYS")
group = show.add_mutually_exclusive_group(required=True)
group.add_argument("--metres", action="store_true")
group.add_argument("--feet", action="store_true")
show.add_argument("-V", action="version", version="1")
show.add_argument("--moon", action=argparse.BooleanOptionalAction, help="show the moon")
show.add_argument("--sun", action=argparse.BooleanOptionalAction, default=True, help="show the sun")
show.add_argument("--box", nargs=4, help=argparse.SUPPRESS)
show.add_argument("--log", nargs="?", metavar="FILE", help="log to FILE")
show.add_argument("--station", help="the same as the operand")
print("noise on stdout")
parser.parse_args()
raise SystemExit("it went on")
"""


def script(folder: Path, text: str) -> str:
    path = folder / "tool"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


def options(program: Program, *words: str) -> dict[str, tuple[object, ...]]:
    command = next(command for command in program.commands if command.words == words)
    return {o.flag or o.label: (o.value, o.kind, o.choices, o.default, o.required, o.many) for o in command.options}


def test_a_click_program_is_read_by_its_parser(tmp_path: Path) -> None:
    read = read_program(Asker(script(tmp_path, CLICK)))
    assert (read.source, read.name, read.description, read.names) == (
        "click",
        "tool",
        "Sends parcels.",
        ("send", "track"),
    )
    assert options(read, "send") == {
        "address": ("required", "text", (), None, True, False),
        "--weight": ("required", "integer", (), 5, False, False),
        "--service": ("required", "text", ("post", "drone"), None, True, False),
        "--insured": ("none", "text", (), None, False, False),
        "--unsigned": ("none", "text", (), None, False, False),  # it changes something; `--signed` is the default
        "--host": ("required", "text", (), "post", False, False),
        "--label": ("required", "path", (), None, False, True),
    }
    said = {option.flag: option.description for command in read.commands for option in command.options}
    assert said["--unsigned"] == "do not ask for a signature"
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "ran-at-import").exists()  # it ran in a folder of its own


def test_an_argparse_program_is_read_by_its_parser(tmp_path: Path) -> None:
    read = read_program(Asker(script(tmp_path, ARGPARSE)))
    assert (read.source, read.names) == ("argparse", ("show",))
    assert options(read, "show") == {
        "station": ("required", "text", (), None, True, True),
        "--days": ("required", "integer", ("1", "3"), 3, False, False),
        "--metres": ("none", "text", (), None, False, False),
        "--feet": ("none", "text", (), None, False, False),
        "--moon": ("none", "text", (), None, False, False),
        "--no-sun": ("none", "text", (), None, False, False),
        "--log": ("required", "text", (), None, False, False),  # without a value it changes nothing
    }
    assert [(group.names, group.required) for group in read.commands[0].exclusions] == [(("metres", "feet"), True)]


def test_a_long_range_of_choices_is_read_as_its_bounds_and_an_empty_choice_is_left_out(tmp_path: Path) -> None:
    text = """
import argparse
parser = argparse.ArgumentParser(description="Serves parcels.")
parser.add_argument("--port", type=int, choices=range(1, 65536))
parser.add_argument("--mode", choices=["", "fast"])
parser.parse_args()
"""
    [command] = read_program(Asker(script(tmp_path, text))).commands
    port, mode = command.options
    assert (port.kind, port.choices, port.minimum, port.maximum) == ("integer", (), 1, 65535)
    assert mode.choices == ("fast",)


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        (CLICK, ["send", "x", "-s", "drone", "--label", "nowhere"], ["send", "x", "--service", "rail"]),
        (ARGPARSE, ["show", "Cuxhaven", "--feet"], ["show", "Cuxhaven", "--feet", "--metres"]),
    ],
    ids=["click", "argparse"],
)
def test_the_parser_judges_command_lines_and_runs_none(
    tmp_path: Path, text: str, right: list[str], wrong: list[str]
) -> None:
    first, second = parser_problems(script(tmp_path, text), [right, wrong]) or ["", ""]
    assert first == ""
    assert second != ""
    assert not (tmp_path / "ran").exists()


DISPATCHER = """
import argparse, sys
first = argparse.ArgumentParser(add_help=False)
first.add_argument("--quiet", action="store_true")
first.parse_known_args()
parser = argparse.ArgumentParser(prog="tool", description="Publishes parcels.")
parser.add_argument("command", choices=["send", "check"])
parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
known = parser.parse_args()
command = argparse.ArgumentParser(prog="tool " + known.command)
command.add_argument("--fast", action="store_true", help="hurry")
command.parse_args(known.rest)
raise SystemExit("it went on")
"""
SHARED = """#!/bin/sh
if [ "$1" = --help ]; then printf 'usage: tool COMMAND\\n\\nCommands:\\n  cache   manage the cache\\n'; exit; fi
printf 'Usage:\\ntool cache add <name>\\ntool cache list [<name>] [--long]\\ntool cache wipe\\n'
printf '\\nOptions:\\n  --long  say more\\n'
"""


def test_a_parser_that_leaves_its_commands_to_others_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    read = read_program(Asker(script(tmp_path, DISPATCHER)))
    assert (read.source, read.names) == ("help", ("send", "check"))
    assert options(read, "send") == {"--fast": ("none", "text", (), None, False, False)}


def test_commands_that_share_one_help_have_their_own_usage_lines(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_text(SHARED)
    path.chmod(0o755)
    read = read_program(Asker(str(path)))
    assert [command.words for command in read.commands] == [("cache", "add"), ("cache", "list"), ("cache", "wipe")]
    operands = [[(o.label, o.required) for o in command.options if not o.names] for command in read.commands]
    assert operands == [[("name", True)], [("name", False)], []]


TYPER = """
import enum, typer
from pathlib import Path
from typing import Annotated, Literal, Optional
app, inner = typer.Typer(help="Sends parcels."), typer.Typer()
app.add_typer(inner, name="user")
Size = enum.Enum("Size", {"small": "small", "large": "large"}, type=str)
@app.command()
def send(to: str, size: Size = Size.small, weight: Annotated[float, typer.Option(min=0.5, max=30.0)] = 1.0,
         by: Annotated[Literal["post", "drone"], typer.Option()] = "post", many: int = 1, insured: bool = False,
         label: Optional[list[str]] = None, box: Path = Path("box")):
    "Send a parcel."
@inner.callback()
def look_up(): raise AttributeError("no app is there")
@inner.command("add")
def add(name: str, role: Annotated[str, typer.Option(prompt=True)], force: bool = False): "Add a user."
app()
"""


def test_a_typer_program_is_read_by_its_parser_though_its_newest_versions_have_no_types_of_click(
    tmp_path: Path,
) -> None:
    tool = script(tmp_path, TYPER)
    read = read_program(Asker(tool))
    assert (read.source, read.names) == ("click", ("send", "user add"))
    assert options(read, "send") == {
        "to": ("required", "text", (), None, True, False),
        "--size": ("required", "text", ("small", "large"), "small", False, False),
        "--weight": ("required", "number", (), 1.0, False, False),
        "--by": ("required", "text", ("post", "drone"), "post", False, False),
        "--many": ("required", "integer", (), 1, False, False),
        "--insured": ("none", "text", (), None, False, False),
        "--label": ("required", "text", (), None, False, True),
        "--box": ("required", "path", (), None, False, False),
    }
    lines = [["send", "x", "--box", "no/file"], ["user", "add", "kim", "--force"], ["send", "x", "--size", "huge"]]
    first, second, third = parser_problems(tool, lines) or ["", "", ""]
    assert (first, second) == ("", "")  # nobody is asked for the role
    assert "huge" in third


def test_a_command_whose_parser_refuses_what_is_known_of_it_is_left_out(tmp_path: Path) -> None:
    text = """
import argparse
parser = argparse.ArgumentParser()
commands = parser.add_subparsers(required=True)
move = commands.add_parser("move", help="move a ship")
move.add_argument("place", nargs=2)
commands.add_parser("list", help="list ships")
parser.parse_args()
"""
    tool = script(tmp_path, text)
    notes: list[str] = []
    made = accepted(drafts(read_program(Asker(tool))), partial(parser_problems, tool), notes.append)
    assert [draft.name for draft in made] == ["list"]
    assert "`move` is left out" in notes[0] and "place" in notes[0]


def test_a_program_that_is_not_of_python_has_no_parser_to_ask(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    assert parser_problems(str(path), [["x"]]) is None


def test_subcommands_are_read_by_their_help_and_the_rest_is_said(tmp_path: Path) -> None:
    path = tmp_path / "many"
    lines = "\n".join(f"  echo '  job{number}   do the job {number}'" for number in range(20))
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = --help ]; then echo "usage: many COMMAND"; echo; echo "Commands:"\n{lines}\n'
        'elif [ "$2" = --help ] && [ "$1" != rest ]; then echo "usage: many $1 [--fast] FILE"; echo "  --fast  hurry"\n'
        "else touch ran; fi\n"
    )
    path.chmod(0o755)
    notes: list[str] = []
    read = read_program(Asker(str(path)), CommandChoice(most=3), notes.append)
    assert [command.words for command in read.commands] == [(f"job{number}",) for number in range(3)]
    assert len(read.names) == 20
    assert "20 commands; these 3 were read" in notes[0]
    chosen = read_program(Asker(str(path)), CommandChoice((("job17",),)))
    assert [(command.words, command.description) for command in chosen.commands] == [(("job17",), "do the job 17")]
    with pytest.raises(UsageError, match="has no command `rest`"):
        read_program(Asker(str(path)), CommandChoice((("rest",),)))
