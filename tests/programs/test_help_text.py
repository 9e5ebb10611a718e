"""Help texts of many styles, as their programs print them."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.model.nouns import nouns
from skillpm.programs.draft import Draft
from skillpm.programs.from_program import drafts, phrasings
from skillpm.programs.help_text import read_help
from skillpm.programs.phrases import clean, imperative, variants
from skillpm.programs.program import Command, Option, Program
from skillpm.programs.values import fresh, kind_of, pool
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


def test_an_option_takes_the_value_that_only_the_usage_line_shows() -> None:
    usage, rows = (
        "Usage: pack [-opts] file[.pk] [-x xlist] [-d dir]",
        "  -x  leave out\n  -d  write into it\n  -l  list",
    )
    options = read_help(f"{usage}\n\n{rows}\n").command("pack", ()).options
    assert {option.flag: form(option) for option in options if option.names} == {
        "-x": "required text",
        "-d": "required folder",
        "-l": "none",
    }


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
        ("output-delimiter", "STR", "use STR as the output delimiter", "word"),
        ("user-agent-provider", "", "where user agents come from", "word"),
        ("pid", "PID", "terminate after process ID, PID dies", "word"),
        ("branch-name", "", "name of the branch", "reference"),
        ("target", "BFDNAME", "specify the target object format", "word"),
        ("key", "KEYDEF", "sort via a key", "word"),
        ("exclude", "list", "exclude devices by major number", "word"),
        ("exclude", "PATTERN", "exclude files", "glob"),
        ("include", "GLOB", "search only files that match GLOB (a file pattern)", "glob"),
        ("exclude-dir", "GLOB", "skip directories that match GLOB", "glob"),
        ("hide", "PATTERN", "do not list implied entries matching shell PATTERN", "glob"),
        ("patterns", "", "search for PATTERNS in each FILE", "regexp"),
        ("regexp", "PATTERNS", "use PATTERNS for matching", "regexp"),
        ("exclude", "REGEX", "leave out files", "regexp"),
        ("exclude", "PATTERN", "leave out what the regular expression matches", "regexp"),
        ("grep", "<pattern>", "limit the commits to ones with a matching message", "regexp"),
        ("perl-regexp", "PATTERN", "use globs or not", "regexp"),
        ("match", "PATTERN", "a PCRE", "regexp"),
        ("match", "PATTERN", "as of fnmatch", "glob"),
        ("match", "<pattern>", "only consider tags that match <pattern>", "pattern"),
        ("iname", "PATTERN", "", "pattern"),
        ("pattern", "", "the search pattern (a regular expression, unless '--glob' is used)", "pattern"),
        ("select", "PATTERN", "re-run what matches PATTERN", "pattern"),
        ("exclude", "<thing>", "leave this thing out", "word"),
        ("ignore", "<list>", "error codes, separated by commas", "word"),
        ("exclude", "LIST", "packages to leave out", "word"),
        ("exclude", "list", "files to leave out", "glob"),
        ("user", "<user:password>", "Server user and password", "word"),
        ("repo", "[HOST/]OWNER/REPO", "Select another repository", "word"),
        ("remote-name", "", "The remote name to commit to", "name"),
        ("target", "type", "specify target file type", "word"),
        ("targets", "", "source file(s) or directory(s) to be tested", "path"),
        ("ignore-matching-lines", "RE", "ignore changes where all lines match RE", "regexp"),
    ],
)
def test_a_place_holder_says_more_than_a_name(name: str, label: str, text: str, kind: str) -> None:
    assert kind_of(name, label, "text", text) == kind


def test_no_glob_is_among_the_regular_expressions_nor_the_other_way_round() -> None:
    globs, regexps = ([*pool(kind)[kind]["choice"], *fresh(kind)] for kind in ("glob", "regexp"))
    assert not [text for text in globs if re.search(r"[$^+]|\.\*", text)]
    assert [re.compile(text) for text in regexps]
    assert not [text for text in regexps if re.search(r"(?<![.\])])\*", text)]
    assert all(text.isalnum() for text in [*pool("pattern")["pattern"]["choice"], *fresh("pattern")])  # right as both


def test_an_operand_takes_the_patterns_of_the_option_with_its_place_holder() -> None:
    grep = read_help((HELP / "grep.txt").read_text(encoding="utf-8")).command("grep", ())
    assert {option.label: option.kind for option in grep.options if not option.names}["PATTERNS"] == "regexp"


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("one of deck, cabin or suite, whichever is free", "deck cabin suite"),
        ("how to pay. Valid values are card, cash and invoice.", "card cash invoice"),
        ('the meal (choices: "fish", "meat")', "fish meat"),
        ("Supported formats: json, yaml, and toml", "json yaml toml"),
        ("Accepted values: 1, 2, or 3", "1 2 3"),
        ("can be red, green", "red green"),
        ("values: a, b, etc.", ""),
        ("one of a, b, ...", ""),
        ("sets values and choices, or types and modes", ""),
        ("choices are made by hand and stored", ""),
    ],
)
def test_choices_in_a_sentence_are_those_of_the_option(text: str, choices: str) -> None:
    (option,) = read_help(f"usage: x [--how HOW]\n\n  --how HOW   {text}\n").command("x", ()).options
    assert option.choices == tuple(choices.split())


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
    inferred = "show the packages inferred from plugins"
    assert not [text for text in phrasings(inferred, "x", [(inferred, [])]) if "inferred [*]" in text]
    assert clean("reformat file(s), and (de)compress links") == "reformat files, and decompress links"
    assert imperative("Indicate the current revision") == "indicate the current revision"


def test_every_manner_of_giving_a_value_has_wordings_to_hold_out_and_to_keep() -> None:
    draft = read_as("""x [OPTION]...
      -C, --directory=DIR   change to DIR
      -f, --file=ARCHIVE    use this archive
      --exclude=PATTERN     leave files out that match
      --exclude-dir=GLOB    leave folders out
""")
    clauses = {slot.name: slot.clauses for slot in draft.slots}
    for name, texts in clauses.items():
        manners = Counter(text.split()[0] for text in texts)
        assert min(manners[manner] for manner in ("with", "using", ",", "and")) >= 3, (name, manners)
    assert {"in {directory}", "inside {directory}", "with --directory {directory}"} <= set(clauses["directory"])
    assert "with the archive {file}" in clauses["file"], "a place holder names the value"
    assert "without {exclude}" in clauses["exclude"]
    assert not {"in {exclude_dir}", "without {exclude_dir}"} & set(clauses["exclude_dir"])


def test_a_request_says_one_thing_and_says_it_whole() -> None:
    """Each of these was said so that a reader sees another argument, a word of the help, or half a sentence."""
    draft = read_as("""x [OPTION]... [FILE]...
  -f, --file=FILE       take PATTERNS from FILE
      --ignore-unmatch  exit with a zero status even if nothing matched
      --keep            go on even unless it is asked for
      --level=NUMBER    dump at this level
      --skip=PATTERN    leave files out that match
      --time            show time of the last change
      --time=WORD       show time as WORD instead of that: atime, ctime
  -w, --write           write counts to standard output
""")
    clauses = {slot.name: " | ".join(slot.clauses) for slot in draft.slots}
    assert "the file" not in clauses["file"].replace("{file}", "") and "--file {file}" in clauses["file"]
    assert "with the files {files}" in clauses["files"]
    assert "even if nothing matched" in clauses["ignore_unmatch"]
    assert "and go on |" in clauses["keep"]
    assert "number" not in clauses["level"] and "pattern" not in clauses["skip"]
    assert "show time of the last change" in clauses["time"] and "WORD" not in clauses["time"]
    assert not imperative("stream editor for filtering text") and imperative("search files for matching lines")
    assert not imperative("Make the --player read the stream") and imperative("Sort by --key")
    assert not clean("do not ignore entries starting with .") and not clean("do not list implied . and ..")
    [script] = read_as(
        "x [OPTION]...\n  -f script-file, --file=script-file\n     add the contents of script-file\n"
    ).slots
    assert (script.name, script.source) == ("file", "path")
    [hue] = read_as("x [OPTION]...\n  --hue[=WHEN]   dye the names WHEN\n").slots
    assert "with --hue" in hue.clauses and "WHEN" not in str(hue.clauses)
    assert "save counts" not in clauses["write"]
    assert imperative("Unconditionally make all targets") == "unconditionally make all targets"
    assert variants("find out which account is used") == ["find out which account is used"]
    [colors] = read_as("x [OPTION]...\n  --[no-]colors   Enable or disable colors\n").slots
    assert "and enable colors" in colors.clauses
    block = next(slot for slot in read_as("dd [OPERAND]...\n\n  bs=BYTES   read BYTES bytes at a time\n").slots)
    assert (block.name, block.source) == ("bs", "size") and "with bs={bs}" in block.clauses


def test_what_two_commands_show_is_told_apart_by_more_than_the_verb() -> None:
    lines = {"freeze": "Output installed packages in a file format", "list": "List installed packages"}
    commands = tuple(Command(words=(word,), description=text) for word, text in lines.items())
    freeze, listed = drafts(Program(name="pip", source="help", commands=commands))
    assert "output installed packages [*]" not in freeze.requests
    assert "output installed packages in a file format [*]" in freeze.requests
    assert {"list installed packages [*]", "print installed packages [*]"} <= {*listed.requests}


def read_as(text: str) -> Draft:
    """Return the tool of the program `x` whose help this is."""
    command = read_help(f"Usage: {text}").command("x", ())
    [draft] = drafts(Program(name="x", source="help", commands=(command,)))
    return draft


def test_place_holders_get_the_values_that_the_help_defines() -> None:
    listed = read_as("""x [OPTION]...
      --from=UNIT      scale by this
      --from-unit=N    specify the input unit size

UNIT options:
  none       no scaling
  si         suffixes:
               1K = 1000,
  iec        others
""")
    assert {slot.name: slot.source for slot in listed.slots} == {"from": ("none", "si", "iec"), "from_unit": "count"}
    [grammar] = read_as("""x [ OPTIONS ] OBJECT { COMMAND | help }
where  OBJECT := { address | link |
                   route }""").slots
    assert (grammar.name, grammar.source) == ("object", ("address", "link", "route"))
    [bracket] = read_as("""x
[--omit <dev|peer> [--omit <dev|peer> ...]]

  --omit
    Leave packages out.
""").slots
    assert (bracket.name, bracket.source) == ("omit", ("dev", "peer"))


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ("  -z, --compress   force compression\n  -d, --decompress   force it\n  -t, --test   test it", [3]),
        ("  -t, --test   test it\n  -l, --list   list it", []),
        ("  -J, --json   use JSON output format\n  -P, --pairs   use key=value output format", [2]),
        ("  -I, --iso   output in ISO 8601 format\n  -R, --rfc   output date and time in RFC format", [2]),
        ("  -k, --kibi   show output in kibibytes\n  -m, --mebi   show output in mebibytes", [2]),
        ("  -a, --check-order   check it\n  -n, --nocheck-order   do not check it", [2]),
        ("  -b, --bytes=SIZE   put SIZE bytes per file\n  -l, --lines=N   put N lines per file", [2]),
        ("  -u, --unique   print unique lines\n  -c, --count   print their number", []),
    ],
)
def test_modes_and_forms_of_the_output_exclude_each_other(options: str, groups: list[int]) -> None:
    assert [len(names) for names, _ in read_as(f"x [OPTION]... [FILE]...\n{options}\n").exclusions] == groups


def test_what_a_help_leaves_open_is_left_out() -> None:
    """An undescribed letter may have a value, an unknown operand too, and the second operand is read as the first."""
    draft = read_as("""x [-b] [OPTION]... [FILE [PREFIX]]
  -b
  -k, --keep   keep it
  -one -two -three VALUE

Each FIELD is one of:
  -M     from first to M'th field
""")
    assert list(draft.args) == ["keep", "file"]
    assert not read_as("x [OPTION]... [GREETING]\n  -k, --keep   keep it\n").args.keys() - {"keep"}


def test_lines_below_a_usage_are_prose_and_options_may_stand_in_columns() -> None:
    draft = read_as("""x <option(s)> <file(s)>
 Display information from object <file(s)>.
  -d   delete entries         -m   move into it
""")
    assert draft.name == "x"
    assert {name: schema["type"] for name, schema in draft.schema["properties"].items()} == {
        "d": "boolean",
        "m": "boolean",
        "file": "array",
    }
    assert draft.schema["required"] == ["file"]


def test_operands_stand_where_the_usage_has_them() -> None:
    draft = read_as("x [path...] [expression]\n  -name PATTERN   base of the name\n")
    assert draft.argv == ("x", {"value": "path"}, {"flag": "-name", "value": "name"})
    for usage, required in (("{[file options] file}...", ["file"]), ("{file | url}", None), ("[{file}]", None)):
        assert read_as(f"x [options] {usage}\n  -k, --keep   keep it\n").schema.get("required") == required


def test_subcommands_may_be_listed_by_commas_and_values_below_the_name() -> None:
    found = read_help("x <command>\n\nAll commands:\n\n    access, adduser,\n    audit\n\nMore:\n    none, of, these\n")
    assert list(found.commands) == ["access", "adduser", "audit"]
    options = read_help("Usage: x\n  --sort spec\n      sort by it\n  --install   <.deb file>... | -R <dir>\n").options
    assert [(option.flag, option.value, option.label) for option in options] == [
        ("--sort", "required", "spec"),
        ("--install", "required", ".deb file"),
    ]


def test_suites_have_a_name_for_each_task_that_training_has_not() -> None:
    for kind in ("path", "folder", "name", "unit", "word"):
        named = fresh(kind)
        assert len({*named}) > 20
        assert {noun for text in named for noun in re.findall("[a-z]+", text)}.isdisjoint(nouns())
