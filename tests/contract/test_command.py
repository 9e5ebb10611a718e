"""Command lines are judged as the programs judge them: by tables, by getopt itself, and by click's own parser."""

from __future__ import annotations

import contextlib
import getopt
import json
import random
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.command import CommandLineReader
from skillpm.contract.contract import Contract
from skillpm.contract.grammar import CommandError
from skillpm.errors import DocumentError
from skillpm.formats.document import read_model
from skillpm.model.contract import CommandLine
from tests.serving import compiled

SKILLS = Path(__file__).parents[2] / "skills"

GIT = """
command_line: line
allow:
  git:
    options: [--no-pager]
    values: [-C]
    options_first: true
    subcommands:
      add:
        options: ["-n, --dry-run", "-v, --verbose", "-A, --all"]
        operands: {most: 20, form: path, any_order: true}
      commit:
        options: ["-a, --all", --amend]
        values: [{names: "-m, --message"}]
        operands: 8
      log:
        options: [--oneline]
        values: [{names: "-n, --max-count", number: true, form: integer, repeat: last}]
        operands: 2
  tar:
    options: ["-c, --create", "-x, --extract, --get", "-z, --gzip, --gunzip, --ungzip", "-v, --verbose"]
    values: [{names: "-f, --file", form: path, repeat: last}, "-C, --directory", {names: --exclude, repeat: set}]
    bundle_first: true
    operands: {most: 8, form: path}
  find:
    values: [-name, -type, -maxdepth]
    order: kept
    operands: {most: 4, form: path}
  tool:
    values: [{names: --name, dash: true}, {names: --level, default: info, repeat: last}, --plain]
    options: ["-1"]
    operands: 2
"""


def reader(text: str) -> CommandLineReader:
    return CommandLineReader(read_model(CommandLine, text))


GIT_LINES = reader(GIT)


def bundled(skill: str) -> CommandLineReader:
    """The command lines that a first-party skill allows."""
    document = yaml.safe_load((SKILLS / skill / "contract.yaml").read_text())
    return reader(yaml.safe_dump(document["tools"][0]["argv"]))


TRIAGE, SHELL, REAL_GIT = map(bundled, ("incident-triage", "shell-tools", "git-cli"))


def same(lines: CommandLineReader, left: str, right: str) -> bool:
    return lines.normal(lines.argv(left)) == lines.normal(lines.argv(right))


EQUAL = [
    (GIT_LINES, "git add a b", "git add b ./a"),
    (GIT_LINES, "git add -nv a", "git add --verbose --dry-run a"),
    (GIT_LINES, "git -C /srv add a", "git -C/srv add a"),
    (GIT_LINES, "git commit -am fix", "git commit --all -m fix"),
    (GIT_LINES, "git commit -m 'two words'", 'git commit --message="two words"'),
    (GIT_LINES, "git log -5", "git log -n 5"),
    (GIT_LINES, "git log -n05 --oneline", "git log --oneline --max-count=5"),
    (REAL_GIT, "git branch -avv", "git branch -v --all --verbose"),
    (REAL_GIT, "git reset --soft --mixed a", "git reset a"),
    (REAL_GIT, "git merge --no-ff --ff a", "git merge a"),
    (REAL_GIT, "git pull --rebase --no-rebase", "git pull --no-rebase"),
    (TRIAGE, "vmstat 01 5", "vmstat 1 +5"),
    (GIT_LINES, "tar czf a.tgz src", "tar -c -z -f a.tgz src"),
    (GIT_LINES, "tar czf a b", "tar cfz a b"),
    (GIT_LINES, "tar -xf a.tgz -C /tmp", "tar --extract --file=a.tgz --directory /tmp"),
    (GIT_LINES, "tar --get --ungzip -f ./a.tgz", "tar -zxf a.tgz"),
    (GIT_LINES, "tar cf a.tar --exclude x --exclude y .", "tar cf a.tar --exclude=y --exclude=x ."),
    (GIT_LINES, "tool --name --odd", "tool --name=--odd"),
    (GIT_LINES, "tool --level info x", "tool x"),
    (GIT_LINES, "tool --level debug --level info x", "tool x"),
    (GIT_LINES, "tool --plain -5", "tool --plain=-5"),
    (SHELL, "ls -la /srv", "ls   -la   /srv"),
    (SHELL, "ls -tS /srv", "ls -S /srv"),
    (SHELL, "head -c 5 -n 10 f", "head f"),
    (SHELL, "tail -n 3 -c 5 f", "tail --bytes=5 f"),
    (SHELL, "ls -la /srv", "ls -al /srv"),
    (SHELL, "ls -la /srv", "ls /srv -a -l"),
    (SHELL, "head -n 20 F", "head -n20 F"),
    (SHELL, "head -n 20 F", "head -20 F"),
    (SHELL, "head F", "head --lines=10 F"),
    (SHELL, "wc -l F", "wc F --lines"),
    (SHELL, "du -sh /var", "du -hs '/var/'"),
    (SHELL, "tar -tf a.tar", "tar tf a.tar"),
    (SHELL, "tar -tzvf a.tar", "tar --list -z -v --file=./a.tar"),
    (TRIAGE, "journalctl -b", "journalctl --boot=0"),
    (TRIAGE, "journalctl -b -1", "journalctl -b-1"),
    (TRIAGE, "journalctl -b -1 -n 5", "journalctl -n5 --boot=-1"),
    (TRIAGE, "journalctl -n all -k", "journalctl -kn all"),
    (TRIAGE, "journalctl --since -2h", "journalctl -S '2 hours ago'"),
    (TRIAGE, "journalctl --since -90min", "journalctl --since='-1h 30min'"),
    (TRIAGE, "journalctl --since yesterday", "journalctl -S yesterday"),
    (TRIAGE, "top -bn1", "top --iterations=1 -b"),
    (TRIAGE, "top -b -w -n 1", "top -w -bn 1"),
    (TRIAGE, "systemctl --failed", "systemctl list-units --state failed"),
    (TRIAGE, "systemctl -a status nginx", "systemctl status nginx.service --all"),
    (TRIAGE, "ss -tn sport = :80", "ss -nt 'sport = :80'"),
    (TRIAGE, "du -hd1 /var", "du -h --max-depth 1 /var"),
    (TRIAGE, "du -sh /var", "du -h -d 0 /var"),
    (TRIAGE, "du -sh", "du -sh ./"),
    (TRIAGE, "journalctl -k", "journalctl --boot -k"),
    (TRIAGE, "journalctl -b -1 -k", "journalctl -k -b -1"),
    (TRIAGE, "journalctl -o short", "journalctl"),
    (TRIAGE, "systemctl show x -p A,B", "systemctl show -p B --property=A x.service"),
    (TRIAGE, "systemctl -t service,socket list-units", "systemctl --type socket --type service"),
    (TRIAGE, "dmesg -l err,warn", "dmesg --level warn -l err"),
    (TRIAGE, "ps -eo pid,cmd", "ps -A -o pid -o cmd"),
    (TRIAGE, "ps aux --sort -%cpu", "ps --sort=-%cpu aux"),
    (TRIAGE, "lsblk -o name,size", "lsblk --output NAME,SIZE"),
    (SHELL, "ls -l", "ls -1 . -l"),
    (SHELL, "head -c 1K f", "head --bytes=1024 f"),
    (SHELL, "head -c 2kB f", "head -c 2000 f"),
    (SHELL, "head -n +5 f", "head -5 f"),
    (SHELL, "tail -n -5 f", "tail -n5 f"),
    (SHELL, "tail --lines=-5 f", "tail -5 f"),
    (SHELL, "tail -c -1K f", "tail -c 1024 f"),
    (SHELL, "tail -n -10 f", "tail f"),
    (TRIAGE, "journalctl -p emerg..err", "journalctl --priority=3"),
    (TRIAGE, "journalctl -p 3..0", "journalctl -p err"),
    (TRIAGE, "journalctl -p warning..crit", "journalctl -p 2..4"),
    (TRIAGE, "journalctl -S 2026-01-01", "journalctl --since='2026-01-01 00:00'"),
    (TRIAGE, "journalctl -S 2026-01-01", "journalctl -S '26-1-1 0:00:00.000'"),
    (TRIAGE, "journalctl -S today", "journalctl -S 00:00"),
    (TRIAGE, "journalctl -U '10:05 UTC'", "journalctl -U '10:05:00 UTC'"),
    (TRIAGE, "ss -t dport = :22", "ss 'dport eq 22' -t"),
    (TRIAGE, "ss -t dport = :22", "ss -t dport :22"),
    (TRIAGE, "ss -t sport = :22", "ss -t src :22"),
    (TRIAGE, "ss -t state established dport = :22", "ss -t state ESTABLISHED dst :22"),
    (TRIAGE, "ss -t state closed state listening", "ss state listening state unconnected --tcp"),
    (TRIAGE, "ss -t dst 10.0.0.1 and not sport neq :22", "ss -t not sport ne 22 dst = 10.0.0.1"),
]
EQUAL += [
    (TRIAGE, "ps aux --sort=-%mem", "ps axu --sort -pmem"),
    (TRIAGE, "ps -eo pid,%cpu --sort=+rss", "ps -Ao pid -o pcpu --sort rss"),
    (TRIAGE, "top -bn1 -o %CPU", "top -b -n 1"),
    (TRIAGE, "top -bn1 -o %MEM", "top -bn1 -o +%MEM"),
    (TRIAGE, "ss -antpl", "ss -ntpl"),
    (TRIAGE, "dmesg -l ERR", "dmesg --level err"),
    (SHELL, "ls -la ./", "ls -la"),
    (SHELL, "ls -la .//src", "ls -la src"),
    (SHELL, "ls -la src/.", "ls -la src/"),
    (SHELL, "head -n 1m f", "head -n 1048576 f"),
    (REAL_GIT, "git log --since='2 weeks ago'", "git log --after=2.weeks"),
    (REAL_GIT, "git log --since=yesterday", "git log --since='One Day'"),
    (REAL_GIT, "git log --until='last year'", "git log --before='12 months ago'"),
    (REAL_GIT, "git log -5", "git log -n 5 HEAD"),
    (SHELL, "du -d1 -d2 /srv", "du -d 2 /srv"),
    (TRIAGE, "du -s -d0 -s /srv", "du -d 0 /srv"),
    (SHELL, "wc -lwc f", "wc f"),
    (SHELL, "wc -c -wl f", "wc ./f"),
    (SHELL, "grep -c x ./f", "grep -c x f"),
    (SHELL, r"wc -l my\ notes.md", "wc -l 'my notes.md'"),
    (SHELL, r"grep -c row\ 1 f", 'grep -c "row 1" f'),
    (REAL_GIT, r"git commit -m Fix\ it", "git commit -m 'Fix it'"),
    (TRIAGE, "systemctl -l -- status ssh", "systemctl status --full ssh.service"),
]
UNEQUAL = [
    (SHELL, r"ls -l a\ b", "ls -l a b"),
    (SHELL, "du -d1 -d2 /srv", "du -d 1 /srv"),
    (SHELL, "du -d1 -s /srv", "du -s /srv"),
    (SHELL, "wc -lw f", "wc f"),
    (SHELL, "grep ./x f", "grep x f"),
    (SHELL, "grep x ./-", "grep x -"),
    (TRIAGE, "ps 12", "ps 21"),
    (TRIAGE, "ps -e --sort=-rss", "ps -e --sort=rss"),
    (TRIAGE, "top -bn1 -o %CPU", "top -bn1 -o -%CPU"),
    (TRIAGE, "ss -tla", "ss -tal"),
    (TRIAGE, "systemctl status 1234", "systemctl status 1234.service"),
    (TRIAGE, "systemctl status /home", "systemctl status /home.service"),
    (SHELL, "ls -l src", "ls -l src/"),
    (SHELL, "ls -l src", "ls -l src/."),
    (REAL_GIT, "git log --since=lastweek", "git log --since='last week'"),
    (REAL_GIT, "git log --since='007 days'", "git log --since='7 days'"),
    (REAL_GIT, "git log --since='2 weeks ago'", "git log --since='2 months ago'"),
    (REAL_GIT, "git log --since=2026-01-01", "git log --since='2026-01-01 00:00'"),
    (REAL_GIT, "git log --since='a week ago'", "git log --since='1 week ago'"),
    (REAL_GIT, "git branch -v", "git branch -v -v"),
    (REAL_GIT, "git merge --no-ff --ff a", "git merge --ff --no-ff a"),
    (REAL_GIT, "git log --merges --no-merges", "git log --no-merges --merges"),
    (SHELL, "du -d 010", "du -d 10"),
    (SHELL, "ls -tS /srv", "ls -St /srv"),
    (SHELL, "head -n 5 -c 3 f", "head -c 3 -n 5 f"),
    (GIT_LINES, "git add -n a", "git add a"),
    (GIT_LINES, "git commit -m a -m b", "git commit -m b -m a"),
    (GIT_LINES, "git commit -m -m", "git commit -m"),
    (GIT_LINES, "git log -5", "git log -6"),
    (GIT_LINES, "git -C /a log", "git -C /b log"),
    (GIT_LINES, "find . -name x -type f", "find . -type f -name x"),
    (GIT_LINES, "tool a b", "tool b a"),
    (GIT_LINES, "tool --plain -1", "tool --plain=-1"),
    (SHELL, "ls /srv/link", "ls /srv/link/"),
    (SHELL, "head -n 20 F", "head -c 20 F"),
    (SHELL, "head -n -5 F", "head -n 5 F"),
    (SHELL, "tail -n +5 F", "tail -n 5 F"),
    (SHELL, "grep a b", "grep b a"),
    (TRIAGE, "journalctl -b -1", "journalctl -b"),
    (TRIAGE, "journalctl --since -2h", "journalctl --since 2h"),
    (TRIAGE, "journalctl --since -2h", "journalctl --since -2m"),
    (TRIAGE, "journalctl -p 3", "journalctl -p 4"),
    (TRIAGE, "journalctl -u a.socket", "journalctl -u a"),
    (TRIAGE, "du -hd1 /var", "du -hd2 /var"),
    (TRIAGE, "systemctl status a b", "systemctl status b a"),
    (TRIAGE, "du -d 1 /var", "du -s -d 1 /var"),
    (TRIAGE, "du -sh /", "du -sh"),
    (TRIAGE, "journalctl -k -b -1", "journalctl -k"),
    (TRIAGE, "journalctl -b", "journalctl -k"),
    (TRIAGE, "systemctl show x -p A,B", "systemctl show x -p A"),
    (TRIAGE, "dmesg -l err,warn", "dmesg -l err"),
    (TRIAGE, "ps -eo pid,cmd", "ps -eo cmd,pid"),
    (TRIAGE, "ps -o pid=A,B", "ps -o pid=A -o B"),
    (TRIAGE, "lsblk -o NAME,SIZE", "lsblk -o SIZE,NAME"),
    (SHELL, "ls -1", "ls -l"),
    (SHELL, "head -c 1K f", "head -c 1kB f"),
    (SHELL, "head -c -5 f", "head -c 5 f"),
    (SHELL, "tail -n +10 f", "tail f"),
    (TRIAGE, "journalctl -p crit..err", "journalctl -p err"),
    (TRIAGE, "journalctl -p err..err", "journalctl -p err"),
    (TRIAGE, "journalctl -p warn", "journalctl -p warning"),
    (TRIAGE, "journalctl -S 2026-01-01", "journalctl -S 2026-01-01T00:00:00"),
    (TRIAGE, "journalctl -S 2026-01-01", "journalctl -S '2026-01-01 UTC'"),
    (TRIAGE, "journalctl -S 2026-01-01", "journalctl -S '2026-01-01 12:00'"),
    (TRIAGE, "journalctl -S 2026-01-01", "journalctl -S ٢٠٢٦-01-01"),
    (TRIAGE, "journalctl -S today", "journalctl -S yesterday"),
    (TRIAGE, "ss -t dport = :22", "ss -t dport=:22"),
    (TRIAGE, "ss -t dport = :22", "ss -t dport = '*:22'"),
    (TRIAGE, "ss -t dport = :22", "ss -t sport = :22"),
    (TRIAGE, "ss -t dport = :22", "ss -t not dport = :22"),
    (TRIAGE, "ss -t dport = :22 or sport = :22", "ss -t dport = :22 and sport = :22"),
    (TRIAGE, "ss -t state established", "ss -t exclude established"),
    (TRIAGE, "ss -t state established", "ss -t"),
    (TRIAGE, "ss -t dev = eth0 cgroup = x", "ss -t dev = x cgroup = eth0"),
]
REFUSED = [
    (SHELL, r"ls 'a\ b'"),
    (SHELL, r"ls a\\ b"),
    (SHELL, r"ls a\b"),
    (REAL_GIT, "git -- status"),
    (GIT_LINES, "git"),
    (GIT_LINES, "git push"),
    (GIT_LINES, "git add --force a"),
    (GIT_LINES, "git add a -C /srv"),
    (GIT_LINES, "git log -n five"),
    (GIT_LINES, "git log -x5"),
    (GIT_LINES, "tool --plain --exec"),
    (GIT_LINES, "tool --plain"),
    (GIT_LINES, "tool --level"),
    (GIT_LINES, "tool -15"),
    (GIT_LINES, "tool a b c"),
    (SHELL, "ls --color=always"),
    (SHELL, "ls -lZ"),
    (SHELL, "head -n"),
    (SHELL, "head -x20"),
    (TRIAGE, "journalctl -f"),
    (TRIAGE, "ss -t 'state established'"),
    (TRIAGE, "ss -t dport = :22 state established"),
    (TRIAGE, "ss -t state"),
    (TRIAGE, "journalctl -bf"),
    (TRIAGE, "journalctl -kf"),
    (TRIAGE, "journalctl --unit"),
    (TRIAGE, "systemctl status --now x"),
    (TRIAGE, "systemctl is-active"),
    (TRIAGE, "top -n x"),
    (TRIAGE, "vmstat one"),
]


def test_what_runs_the_same_is_the_same() -> None:
    for lines, left, right in EQUAL:
        assert same(lines, left, right), (left, right)


def test_what_runs_otherwise_is_not_the_same() -> None:
    for lines, left, right in UNEQUAL:
        with contextlib.suppress(CommandError):  # one of the two may not run at all
            assert not same(lines, left, right), (left, right)


def test_what_the_contract_does_not_list_is_refused() -> None:
    for lines, line in REFUSED:
        with pytest.raises(CommandError):
            assert lines.argv(line) is None, line


# --- getopt as the judge: any words, options and values in any mixture

LETTERS = """
command_line: line
allow:
  prog:
    options: ["-a, --all", "-b, --brief", "-q"]
    values: [{names: "-n, --lines", dash: true}, {names: "-o, --output", dash: true}]
    operands: 4
"""
LONG = {"-a": "--all", "-b": "--brief", "-n": "--lines", "-o": "--output", "-q": "-q"}
ANY = reader(LETTERS)
WORDS = st.lists(
    st.sampled_from(
        [
            "-a",
            "-b",
            "-q",
            "-ab",
            "-ba",
            "-qn",
            "-n",
            "-n5",
            "-an5",
            "-o",
            "-oout",
            "--all",
            "--brief",
            "--lines",
            "--lines=5",
            "--output=out",
            "--output",
            "5",
            "out",
            "x",
            "-",
            "--",
            "-nab",
            "-z",
            "--zero",
            "--all=1",
            "-5",
            "--lines=",
        ]
    ),
    max_size=6,
)


def by_getopt(words: list[str]) -> Any:
    """What GNU getopt says: flags as a set, values in their order, operands; None where it refuses."""
    try:
        options, operands = getopt.gnu_getopt(words, "abqn:o:", ["all", "brief", "lines=", "output="])
    except getopt.GetoptError:
        return None
    if len(operands) > 4 or "" in operands:
        return None
    named = [(LONG.get(name, name), value) for name, value in options]
    flags = {name for name, value in named if name in ("--all", "--brief", "-q")}
    return flags, *([value for name, value in named if name == wanted] for wanted in ("--lines", "--output")), operands


@given(WORDS, WORDS)
def test_the_reader_agrees_with_getopt_on_what_runs_and_on_what_is_the_same(left: list[str], right: list[str]) -> None:
    found = [by_getopt(words) for words in (left, right)]
    normal: list[tuple[tuple[str, ...], ...] | None] = []
    for words, oracle in zip((left, right), found, strict=True):
        try:
            normal.append(ANY.normal(ANY.argv(shlex.join(["prog", *words]))))
        except CommandError:
            normal.append(None)
        assert (normal[-1] is None) == (oracle is None), words
    if None not in found:
        assert (normal[0] == normal[1]) == (found[0] == found[1])


# --- every sample that a contract makes is one that it runs, and its normal form is stable


@pytest.mark.parametrize("skill", ["incident-triage", "shell-tools"])
def test_samples_run_and_a_normal_form_is_its_own(skill: str) -> None:
    contract = compiled((SKILLS / skill / "contract.yaml").read_text())
    (tool,) = contract.tools
    lines = bundled(skill)
    for seed in range(300):
        value = contract.sample(tool, random.Random(seed))
        argv = contract.argv(value)
        assert argv
        written = " && ".join(shlex.join(words) for words in argv)
        assert lines.normal(lines.argv(written)) == lines.normal(argv)
        assert contract.judge(value, contract.render(value)).status == "passed"


# --- templates: lists, conditions on values, attached values

TEMPLATE = """
contract: 1
tools:
  - name: pack
    input_schema:
      type: object
      required: [files]
      properties:
        files: {type: array, items: {type: string}}
        compression: {enum: [gzip, xz]}
        skip: {type: array, items: {type: string}}
        since: {type: string}
        tags: {type: array, items: {type: string}}
        quiet: {type: boolean}
    argv:
      - tar
      - {flag: --gzip, when: {compression: gzip}}
      - {flag: --xz, when: {compression: xz}}
      - {flag: --exclude, value: skip}
      - {flag: --newer, value: since, attached: true}
      - {flag: --tags, value: tags, join: ","}
      - {flag: -q, if: quiet}
      - --
      - {value: files}
"""
FILLED = [
    ({"files": ["a", "b"]}, "tar -- a b"),
    ({"files": ["a"], "compression": "gzip"}, "tar --gzip -- a"),
    ({"files": ["a"], "compression": "xz", "quiet": True}, "tar --xz -q -- a"),
    ({"files": ["a"], "skip": ["x", "y"]}, "tar --exclude x --exclude y -- a"),
    ({"files": ["a"], "since": "-2h"}, "tar --newer=-2h -- a"),
    ({"files": ["a"], "tags": ["x", "y"]}, "tar --tags x,y -- a"),
    ({"files": ["-a"], "quiet": False}, "tar -- -a"),
]


@pytest.mark.parametrize(("arguments", "line"), FILLED, ids=[line for _, line in FILLED])
def test_a_template_says_lists_conditions_and_attached_values(arguments: dict[str, Any], line: str) -> None:
    contract = compiled(TEMPLATE)
    assert contract.argv(contract.complete({"tool": "pack", "args": arguments})) == (tuple(line.split()),)


def test_a_value_in_a_word_of_its_own_is_never_an_option() -> None:
    contract = compiled(TEMPLATE)
    with pytest.raises(DocumentError, match="must not start with `-`"):
        contract.complete({"tool": "pack", "args": {"files": ["a"], "skip": ["--checkpoint-action=exec"]}})


def test_the_same_argv_is_the_same_answer() -> None:
    """False and null of a flag, one list in two spellings: the program is told the same."""
    contract = compiled(TEMPLATE)
    gold = {"tool": "pack", "args": {"files": ["a"], "quiet": None}}
    answer = contract.render({"tool": "pack", "args": {"files": ["a"], "quiet": False}})
    assert contract.judge(gold, answer).status == "passed"
    assert contract.judge(gold, contract.render({"tool": "pack", "args": {"files": ["b"]}})).status == "failed"


BAD = {
    "a condition on text": "argv: [x, {flag: -a, if: name}]",
    "an unknown default": "argv: {command_line: name, allow: {p: {subcommands: [a], default_subcommand: b}}}",
    "a name that is no option": "argv: {command_line: name, allow: {p: {options: [lines]}}}",
    "one name for two options": "argv: {command_line: name, allow: {p: {options: ['-a', '-a, --all']}}}",
    "a meaning that is no option": "argv: {command_line: name, allow: {p: {options: [{names: -a, means: --all}]}}}",
    "a default without an option": "argv: {command_line: name, allow: {p: {values: [{names: -a, const: x}]}}}",
    "a pattern that is none": "argv: {command_line: name, allow: {p: {values: [{names: -a, optional: true, "
    "following: '('}]}}}",
    "an attached value of nothing": "argv: [x, {value: name, attached: true}]",
    "a name in a word of its own": "argv: [x, {flag: if=, value: name}]",
    "a flag that is a word": "argv: [x, {flag: rm, value: name, attached: true}]",
}


@pytest.mark.parametrize("case", BAD)
def test_a_grammar_that_cannot_be_is_refused_with_its_place(case: str) -> None:
    schema = "input_schema: {type: object, required: [name], properties: {name: {type: string}}}"
    with pytest.raises(DocumentError):
        compiled(f"contract: 1\ntools: [{{name: t, {BAD[case]}, {schema}}}]")


# --- values inside values

NESTED = """
contract: 1
tools:
  - name: order
    input_schema:
      type: object
      required: [customer]
      properties:
        customer: {$ref: "#/$defs/person"}
        items: {type: array, items: {$ref: "#/$defs/item"}}
        count: {anyOf: [{type: integer}, {type: "null"}]}
        level: {enum: [1, 2, 3]}
        ratio: {type: number}
        version: {const: 2}
      $defs:
        person:
          type: object
          required: [name]
          properties: {name: {type: string}, email: {type: string}}
          additionalProperties: false
        item:
          type: object
          required: [sku]
          properties: {sku: {type: string}, qty: {type: integer}, price: {type: number}}
"""
ORDER = compiled(NESTED)


def order(**arguments: Any) -> dict[str, Any]:
    return {"tool": "order", "args": {name: arguments.get(name) for name in ORDER.tools["order"].properties}}


def judged(contract: Contract, expected: dict[str, Any], given_: dict[str, Any]) -> str:
    return contract.judge(expected, json.dumps(given_)).status


def test_null_and_absent_are_one_at_every_depth() -> None:
    short = order(customer={"name": "Max"}, items=[{"sku": "a", "qty": 2}])
    long = order(customer={"name": "Max", "email": None}, items=[{"sku": "a", "qty": 2, "price": None}])
    assert judged(ORDER, short, long) == judged(ORDER, long, short) == "passed"
    assert ORDER.render(short) == ORDER.render(long)
    assert (
        judged(ORDER, short, order(customer={"name": "Max", "email": "m@x"}, items=short["args"]["items"])) == "failed"
    )


@pytest.mark.parametrize("name", ["count", "level", "version"])
def test_an_integer_is_not_written_with_a_fraction_in_any_form_of_schema(name: str) -> None:
    expected = order(customer={"name": "M"}, **{name: 2})
    assert judged(ORDER, expected, expected) == "passed"
    assert judged(ORDER, expected, order(customer={"name": "M"}, **{name: 2.0})) == "failed"


@pytest.mark.parametrize("number", [2.0**52, 1e16, -1e16, 1e22, 1e300])
def test_a_float_that_has_no_fractions_near_it_is_no_integer_either(number: float) -> None:
    whole = int(Decimal(str(number)))
    expected = order(customer={"name": "M"}, count=whole)
    assert judged(ORDER, expected, order(customer={"name": "M"}, count=number)) == "failed"
    ratio = order(customer={"name": "M"}, ratio=whole)
    assert judged(ORDER, ratio, order(customer={"name": "M"}, ratio=number)) == "passed"


def test_an_integer_inside_a_list_is_not_written_with_a_fraction() -> None:
    expected = order(customer={"name": "M"}, items=[{"sku": "a", "qty": 5}])
    assert judged(ORDER, expected, order(customer={"name": "M"}, items=[{"sku": "a", "qty": 5.0}])) == "failed"


def test_a_number_may_be_written_either_way() -> None:
    assert judged(ORDER, order(customer={"name": "M"}, ratio=2), order(customer={"name": "M"}, ratio=2.0)) == "passed"


THOUGHTS = [
    ("<think>a</think>{}", True),
    ("a, opened by the template</think>\n{}", True),
    ("<think>a</think><think>b</think>{}", True),
    ("a</think> b</think> {}", True),
    ("<Thinking>a</Thinking>{}", True),
    ("a</reasoning>{}", True),
    ("<thought>a</thought>\n{}", True),
    ("<think>a</think>\n<response>{}</response>", True),
    ("<Think>a</Think> <Response>{} </Response>\n", True),
    ("[THINK]a[/THINK]{}", True),
    ("<seed:think>a</seed:think>{}", True),
    ("◁think▷a◁/think▷{}", True),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>{}<|END_RESPONSE|>", True),
    ("<|channel|>thought\na<channel|>{}", True),
    (
        "<|channel|>analysis<|message|>a<|end|>"
        "<|start|>assistant<|channel|>final <|constrain|>json<|message|>{}<|return|>",
        True,
    ),
    ("<|channel|>analysis<|message|>{}<|end|>", False),
    ("[THINK]{}", False),
    ("{}</think>", False),
    ("<think>{}", False),
    ("a</think>{} and more", False),
    ("a</think>", False),
]


@pytest.mark.parametrize(("form", "passes"), THOUGHTS, ids=[form for form, _ in THOUGHTS])
def test_a_thought_ends_at_its_closing_tag_opened_or_not(form: str, passes: bool) -> None:
    expected = order(customer={"name": "a </think> tag"})
    completion = form.replace("{}", ORDER.render(expected))
    assert (ORDER.judge(expected, completion).status == "passed") is passes


def test_a_thought_does_not_smuggle_the_answer() -> None:
    expected, other = order(customer={"name": "a"}), order(customer={"name": "b"})
    assert ORDER.judge(expected, f"{ORDER.render(expected)}</think>{ORDER.render(other)}").status == "failed"
