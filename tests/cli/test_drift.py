"""A skill is compared with the program that is installed."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from skillpm.cli.main import main
from skillpm.errors import UsageError
from skillpm.ops.authoring import drift
from skillpm.programs.ask import Asker
from skillpm.programs.read import help_texts

HELP = """usage: ferry COMMAND

commands:
  book   book a seat
  list   list the crossings
"""
BOOK = """usage: ferry book [options] DATE

  --seats N      book N seats [default: 1]
  --class CLASS  one of: deck, cabin
  --insured      insure the trip
"""


def install(folder: Path, book: str = BOOK, root: str = HELP) -> None:
    (folder / "root.txt").write_text(root)
    (folder / "book.txt").write_text(book)
    program = folder / "ferry"
    script = (
        f"case \"$1\" in book) cat {folder}/book.txt;; list) echo 'usage: ferry list [--all]'; echo '  --all  all';; *)"
    )
    program.write_text(f"#!/bin/sh\n{script} cat {folder}/root.txt;; esac\n")
    program.chmod(0o755)


@pytest.fixture
def skill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    install(tmp_path)
    made = CliRunner().invoke(main, ["new", "ferry-cli", "--from-cli", "ferry", "--directory", str(tmp_path)])
    assert made.exit_code == 0, made.output
    return str(tmp_path / "ferry-cli")


def test_a_program_that_a_skill_only_records_is_compared(skill: str, tmp_path: Path) -> None:
    (Path(skill) / "contract.yaml").unlink()
    (Path(skill) / "SKILL.md").write_text("---\nname: ferry-cli\ndescription: Sails.\n---\nSail.\n")
    same = CliRunner().invoke(main, ["drift", skill])
    assert (same.exit_code, same.stdout) == (0, "ferry-cli: no difference from ferry\n"), same.output
    install(tmp_path, BOOK.replace("--insured ", "--covered "))
    assert "--covered" in CliRunner().invoke(main, ["drift", skill]).stdout


def test_the_helps_of_commands_are_asked_for_once_and_side_by_side(skill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (Path(skill) / "SKILL.md").open("a") as file:
        file.write("```\nferry book --seats 1\nferry book --insured\n```\n")
    asked: list[tuple[str, ...]] = []
    both = threading.Barrier(2)

    def noted(asker: Asker, words: tuple[str, ...]) -> str:
        asked.append(words)
        both.wait(60)  # breaks, unless both are asked for at the same time
        return help_texts(asker, words)

    monkeypatch.setattr(drift, "help_texts", noted)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert CliRunner().invoke(main, ["drift", skill]).exit_code == 0
    assert sorted(asked) == [("book",), ("list",)]


def test_drift_lists_what_changed_and_exits_1(skill: str, tmp_path: Path) -> None:
    same = CliRunner().invoke(main, ["drift", skill])
    assert (same.exit_code, same.stdout) == (0, "ferry-cli: no difference from ferry\n")
    install(tmp_path, BOOK.replace("--insured ", "--covered ").replace("deck, cabin", "deck, suite"))
    result = CliRunner().invoke(main, ["drift", skill, "--json"])
    assert result.exit_code == 1
    found = {(item["file"], item["what"], item["subject"]) for item in json.loads(result.stdout)["differences"]}
    assert found == {
        ("references/program.json", "removed option", "--insured"),
        ("references/program.json", "new option", "--covered"),
        ("references/program.json", "changed choices", "--class"),
        ("contract.yaml", "removed option", "--insured"),
        ("contract.yaml", "removed choices", "--class"),
    }
    install(tmp_path, root=HELP.replace("book   book", "hire   hire"))
    gone = CliRunner().invoke(main, ["drift", skill])
    assert gone.exit_code == 1
    assert "removed command" in gone.stdout
    assert "new command" in gone.stdout


def test_drift_without_a_program_says_what_is_missing(skill: str, tmp_path: Path) -> None:
    (tmp_path / "ferry").unlink()
    result = CliRunner().invoke(main, ["drift", skill])
    assert result.exit_code != 0
    assert "ferry is not installed" in str(result.exception)
    (tmp_path / "ferry-cli" / "references" / "program.json").write_text('{"program": 1}')
    assert "is not a program" in str(CliRunner().invoke(main, ["drift", skill]).exception)


def test_what_skill_md_says_of_an_option_is_compared(skill: str, tmp_path: Path) -> None:
    with (Path(skill) / "SKILL.md").open("a") as file:
        file.write("\nUse `--seats` for many. `--class` is one of deck, cabin or suite.\n")
    result = CliRunner().invoke(main, ["drift", skill, "--json"])
    (found,) = json.loads(result.stdout)["differences"]
    assert (found["what"], found["subject"], found["before"]) == ("removed choices", "--class", "suite")
    install(tmp_path, BOOK.replace("deck, cabin", "deck, cabin or suite."))
    found = json.loads(CliRunner().invoke(main, ["drift", skill, "--json"]).stdout)["differences"]
    assert [item["file"] for item in found] == ["references/program.json"]  # the skill lacks a choice


SILENT = {
    "prints nothing": "#!/bin/sh\n",
    "pages its help with a program that is not there": "#!/bin/sh\ncat $0 | /no/such/pager\n",
    "prints too much": "#!/bin/sh\nyes '  --seats N  book N seats'\n",
    "hangs": "#!/bin/sh\nsleep 60\n",
}


@pytest.mark.parametrize("way", SILENT)
def test_a_program_that_does_not_say_what_it_is_has_lost_no_option(
    skill: str, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillpm.programs.ask._SECONDS", 1.0)
    (tmp_path / "ferry").write_text(SILENT[way])
    result = CliRunner().invoke(main, ["drift", skill])
    assert isinstance(result.exception, UsageError)
    assert (result.exception.exit_code, result.stdout, "`ferry" in str(result.exception)) == (2, "", True)


PARSER = "import argparse\np = argparse.ArgumentParser(description='Book a seat.')\n"
OPTION = "p.add_argument('--seats', type=int, default=1, metavar='N', help='book N seats')\np.add_argument('date')\n"


def test_a_parser_that_cannot_be_read_this_time_is_not_compared_with_its_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program = tmp_path / "boat"
    for first in ("", "import sys\nif 'introspect' in str(sys.orig_argv):\n    sys.exit(3)\n"):
        program.write_text(f"#!{sys.executable}\n{first}{PARSER}{OPTION}p.parse_args()\n")
        program.chmod(0o755)
        words = ["drift", str(tmp_path / "boat-cli")]
        if not first:
            words = ["new", "boat-cli", "--from-cli", "boat", "--directory", str(tmp_path)]
        result = CliRunner().invoke(main, words)
    assert isinstance(result.exception, UsageError) and "cannot be read now" in str(result.exception)


def test_a_parser_that_takes_too_long_is_told_before_its_help_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("skillpm.programs.ask._SECONDS", 1.0)
    slow = "import sys, time\nif 'introspect' in str(sys.orig_argv):\n    time.sleep(60)\n"
    help_text = "print('usage: boat [--seats N] DATE\\n\\n  --seats N  book N seats')\n"
    (tmp_path / "boat").write_text(f"#!{sys.executable} -IS\n{slow}{help_text}")
    (tmp_path / "boat").chmod(0o755)
    made = CliRunner().invoke(main, ["new", "boat-cli", "--from-cli", "boat", "--directory", str(tmp_path)])
    assert "the parser of boat did not end within 1 seconds: what it says for `--help` is read instead" in made.output


def test_a_skill_of_text_alone_runs_no_program(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text("---\nname: words\ndescription: Says words.\n---\nSay them.\n")
    told = CliRunner().invoke(main, ["drift", f"{tmp_path}/"])
    assert isinstance(told.exception, UsageError) and told.exception.message == "words runs no program"
