"""``skillpm synth``: files that appear whole or not at all, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.chat import MakeChat
from tests.shop import MakeProject, skill_files

SKILL = """---
name: ports
description: Opens ports. Use when a port is to be opened.
---
Open ports.
"""
CONTRACT = """contract: 1
system_prompt: Answer with one JSON object.
tools:
  - name: open
    input_schema: {type: object, properties: {port: {type: integer, minimum: 1, maximum: 65535}}, required: [port]}
"""
SYNTHESIS = """synthesis: 1
frames: ["{request}", "Please {request}."]
values:
  port: {integers: [2000, 9000]}
tasks:
  - name: open
    tool: open
    draw: {port: {from: port}}
    args: {port: "{port}"}
    requests: ["open port {port}", "let traffic in on {port}", "make {port} reachable"]
"""
SEED = '{"id": "first", "request": "Open 80", "expected": {"tool": "open", "args": {"port": 80}}}\n'
SUITE = """name: held
tasks:
  - {id: t1, request: "Can you open 8080 for me?", expected: {tool: open, args: {port: 8080}}}
"""


def files(**more: str) -> dict[str, str]:
    """A skill in the folder ``ports``."""
    mine = {
        "SKILL.md": SKILL,
        "skill.yaml": "manifest: 1\nversion: 1.0.0\n",
        "contract.yaml": CONTRACT,
        "synthesis.yaml": SYNTHESIS,
        "seeds/seeds.jsonl": SEED,
        "suites/held.yaml": SUITE,
        **more,
    }
    return {f"ports/{name}": text for name, text in mine.items()}


def test_a_folder_with_both_sides_and_the_profile_is_written(project: MakeProject) -> None:
    here = project(files())
    done = here.call("synth", "./ports", "--rows", "30", "--held-out", "8", "--output", "made").ok()
    assert done.out.splitlines()[0].split()[:3] == ["skill", "split", "rows"]
    assert "ports train: 30" in done.err
    sides = {side: (here.root / f"made/{side}.jsonl").read_text() for side in ("train", "held_out")}
    assert {side: text.count("\n") for side, text in sides.items()} == {"train": 30, "held_out": 8}
    profile = json.loads((here.root / "made/profile.json").read_text())
    assert profile["digests"] == {side: hashlib.sha256(text.encode()).hexdigest() for side, text in sides.items()}
    assert profile["skills"]["ports"]["train"]["families"] == {"open": 29, "seed": 1}
    assert sorted(path.name for path in here.root.iterdir()) == ["made", "ports"]
    again = here.call("synth", "ports/", "--rows", "30", "--held-out", "8", "-o", "again", PYTHONHASHSEED="5").ok()
    assert again.out == done.out
    assert (here.root / "again/profile.json").read_bytes() == (here.root / "made/profile.json").read_bytes()


VERIFIER = """from skillpm.plugin import Verdict, hookimpl
class Verifier:
    def verify(self, attempts):
        return [verdict(attempt.task.expected["args"]["port"] % 3 > 0) for attempt in attempts]
def verdict(is_right):
    return Verdict(status="passed" if is_right else "failed", score=float(is_right), reasons=("by three",))
@hookimpl
def skillpm_verifier(skill):
    return Verifier()
"""


def test_the_bytes_do_not_depend_on_workers_or_hash_seeds(project: MakeProject) -> None:
    here = project(files(**{"plugin.py": VERIFIER, "seeds/seeds.jsonl": ""}))
    written = set()
    for workers, hash_seed in (("1", "0"), ("2", "1"), ("3", "random")):
        options = ("--rows", "700", "--held-out", "40", "--yes", "--workers", workers, "-o", workers)
        here.call("synth", "./ports", *options, PYTHONHASHSEED=hash_seed).ok()
        written.add(tuple(path.read_bytes() for path in sorted((here.root / workers).iterdir())))
    assert len(written) == 1
    assert b"verifier failed" in written.pop()[1]


def test_without_an_output_stdout_holds_the_training_tasks_alone(project: MakeProject) -> None:
    done = project(files()).call("synth", "./ports", "--rows", "5").ok()
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len(rows) == 5
    assert {row["split"] for row in rows} == {"train"}
    assert rows[0]["origin"] == "seed"


def test_episodes_that_add_no_row_are_told(project: MakeProject) -> None:
    done = project(files()).call("synth", "./ports", "--from-traces", "--rows", "5").ok()
    assert "note: ports: no stored episode adds a row; `skillpm traces list`" in done.err


def test_json_is_the_profile_and_needs_an_output(project: MakeProject) -> None:
    here = project(files())
    done = here.call("synth", "./ports", "--rows", "5", "--held-out", "2", "--output", "made", "--json").ok()
    assert done.document["output"] == "made"
    assert done.document["skills"]["ports"]["train"]["rows"] == 5
    assert done.document["skills"]["ports"]["pools"]["port"]["values"] == 7001
    refused = here.call("synth", "./ports", "--json").fails(2, "--output")
    assert refused.document["error"] == "usage"


def test_an_output_is_replaced_only_by_force_and_only_if_we_wrote_it(project: MakeProject) -> None:
    here = project(files()).write({"mine": {"thesis.txt": "text"}})
    for flags in ((), ("--force",)):
        here.call("synth", "./ports", "--rows", "3", "-o", "mine", *flags).fails(2, "mine")
    assert (here.root / "mine/thesis.txt").read_text() == "text"
    here.call("synth", "./ports", "--rows", "3", "--held-out", "1", "-o", "made").ok()
    here.call("synth", "./ports", "--rows", "4", "--held-out", "1", "-o", "made").fails(
        2, "made exists already", "--force"
    )
    here.call("synth", "./ports", "--rows", "4", "--held-out", "1", "-o", "made", "--force").ok()
    assert (here.root / "made/train.jsonl").read_text().count("\n") == 4
    here.write({"made/notes.txt": "text"})
    refused = here.call("synth", "./ports", "--rows", "3", "-o", "made", "--force")
    refused.fails(2, "made was not written by `skillpm synth` alone")
    assert "or add `--force`" not in refused.err and (here.root / "made/notes.txt").read_text() == "text"
    assert sorted(path.name for path in here.root.iterdir()) == ["made", "mine", "ports"]


def test_a_suite_that_overlaps_training_is_refused_and_nothing_is_written(project: MakeProject) -> None:
    suite = SUITE.replace("Can you open 8080 for me?", "open  80!").replace("8080", "80")
    here = project(files(**{"suites/held.yaml": suite}))
    refused = here.call("synth", "./ports", "-o", "made", "--json")
    refused.fails(1, "seed `first`", "task `t1`", "suite `held`")
    assert refused.document["details"]["overlaps"]
    assert not (here.root / "made").exists()


def test_the_coverage_of_each_argument_is_printed_and_stands_in_the_profile(project: MakeProject) -> None:
    contract = CONTRACT.replace("maximum: 65535}}", "maximum: 65535}, mode: {enum: [tcp, udp]}, name: {type: string}}")
    rules = SYNTHESIS.replace('args: {port: "{port}"}', 'args: {port: "{port}", mode: tcp}')
    here = project(files(**{"contract.yaml": contract, "synthesis.yaml": rules}))
    done = here.call("synth", "./ports", "--rows", "20", "--held-out", "5", "-o", "made").ok()
    lines = [line.split() for line in done.out.splitlines() if line.startswith("ports") and " open " in line]
    assert lines == [
        ["ports", "open", "port", "value", "20", "5"],
        ["ports", "open", "mode", "null", "1", "0"],
        ["ports", "open", "mode", '"tcp"', "19", "5"],
        ["ports", "open", "mode", '"udp"', "0", "0"],
        ["ports", "open", "name", "null", "20", "5"],
        ["ports", "open", "name", "value", "0", "0"],
    ]
    profile = json.loads((here.root / "made/profile.json").read_text())
    assert profile["skills"]["ports"]["train"]["coverage"]["open"]["mode"] == {"null": 1, '"tcp"': 19, '"udp"': 0}


def test_a_split_without_rows_is_an_error_with_the_reason_and_nothing_is_written(project: MakeProject) -> None:
    one = (
        SYNTHESIS.replace("{integers: [2000, 9000]}", "{choice: [2000]}")
        .replace('["open port {port}", "let traffic in on {port}", "make {port} reachable"]', '["open port {port}"]')
        .replace('["{request}", "Please {request}."]', '["{request}"]')
    )
    here = project(files(**{"synthesis.yaml": one}))
    here.call("synth", "./ports", "--rows", "2", "-o", "made").fails(1, "ports: held-out: 0 of 100 rows", "fewer rows")
    assert not (here.root / "made").exists()
    here.call("synth", "./ports", "--rows", "2", "--held-out", "0", "-o", "made").ok()


def test_a_skill_of_text_alone_is_pointed_to_its_draft(project: MakeProject) -> None:
    here = project({"plain": skill_files("plain")})
    here.call("synth", "./plain", "-o", "made").fails(1, "plain: train: 0 of 400 rows", "`skillpm draft`")
    shown = here.call("synth", "./plain", "--show", "3").ok()
    assert (shown.out, "plain: synthesis.yaml makes no rows" in shown.err) == ("", True)


def test_a_short_split_is_told_and_strict_refuses_it(project: MakeProject) -> None:
    few = SYNTHESIS.replace("[2000, 9000]", "[2000, 2009]")
    here = project(files(**{"synthesis.yaml": few}))
    assert "train: " in here.call("synth", "./ports", "--rows", "500", "-o", "made").ok().err
    here.call("synth", "./ports", "--rows", "500", "-o", "other", "--strict").fails(1, "of 500 rows")
    assert not (here.root / "other").exists()
    here.call("synth", "./ports", "--rows", "5", "--held-out", "1", "-o", "other", "--strict").ok()


def test_too_few_distinct_rows_are_told_with_the_reason(project: MakeProject) -> None:
    few = SYNTHESIS.replace("[2000, 9000]", "[2000, 2009]")
    done = project(files(**{"synthesis.yaml": few})).call("synth", "./ports", "--rows", "500", "-o", "made").ok()
    assert "of 500 rows: no more distinct ones were found" in done.err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("synthesis.yaml", SYNTHESIS.replace("tool: open", "tool: shut"), "has no tool `shut`"),
        ("synthesis.yaml", SYNTHESIS.replace("values:", "value:"), "synthesis.yaml:3"),
        ("seeds/seeds.jsonl", '{"request": "x"}\n', "seeds.jsonl:1"),
    ],
)
def test_a_wrong_document_is_named_and_nothing_is_written(
    project: MakeProject, name: str, text: str, message: str
) -> None:
    here = project(files(**{name: text}))
    here.call("synth", "./ports", "-o", "made").fails(2, message)
    assert not (here.root / "made").exists()


def test_a_plugin_s_rule_runs_in_the_worker_after_consent(project: MakeProject) -> None:
    plugin = """
from skillpm.plugin import Task, hookimpl

class Even:
    name = "even"

    def tasks(self, seeds, seed):
        for port in range(100, 200, 2):
            yield Task.of(
                skill="ports",
                system="",
                request=f"open the even port {port}",
                expected={"tool": "open", "args": {"port": port}},
                split="train",
                origin="rule",
            )

@hookimpl
def skillpm_synthesis_rules(skill):
    return [Even()]
"""
    here = project(files(**{"plugin.py": plugin}))
    here.call("synth", "./ports", "--rows", "20").fails(6, "--yes")
    done = here.call("synth", "./ports", "--rows", "20", "--yes").ok()
    tags = [tag for line in done.out.splitlines() for tag in json.loads(line)["tags"]]
    assert tags.count("rule:even") >= 9


def test_a_server_writes_requests_in_other_words_and_is_asked_once(project: MakeProject, chat: MakeChat) -> None:
    here = project(files())
    answer = json.dumps({"tool": "open", "args": {"port": 0}}).replace("0", r"\1")
    url = chat(
        {
            "~": [
                [r"The request was: \D*(\d+)\D*\nWrite", r'<think>hm</think>\n"somebody ought to unlock \1"'],
                [r"ought to unlock (\d+)", answer],
            ]
        }
    )
    words = ("synth", "./ports", "--rows", "30", "--held-out", "8", "--rephrase-with", f"{url}#tiny")
    done = here.call(*words, "--rephrase-share", "1", "--output", "made").ok()
    rows = (here.root / "made/train.jsonl").read_text().splitlines()
    requests = [json.loads(row)["prompt"][-1]["content"] for row in rows]
    kept = json.loads((here.root / "made/profile.json").read_text())["skills"]["ports"]["train"]["rephrased"]["kept"]
    assert sum(request.startswith("somebody ought to unlock ") for request in requests) == kept >= 25
    assert "in other words" in done.out and "kept" in done.out
    chat({"*": {"fault": "status", "status": 400}})  # what was written is not asked for again
    here.call(*words, "--rephrase-share", "1", "--output", "again").ok()
    assert (here.root / "again/train.jsonl").read_bytes() == (here.root / "made/train.jsonl").read_bytes()
    failed = here.call(*words, "--rephrase-share", "1", "--seed", "5", "--output", "other").fails(5)
    assert "answers 400" in failed.err and not (here.root / "other").exists()
    assert "the answers so far are stored: the same command continues" in failed.err


def test_rows_are_shown_in_other_words(project: MakeProject, chat: MakeChat) -> None:
    url = chat({"*": "not one line\nbut two"})
    done = project(files()).call("synth", "./ports", "--show", "3", "--rephrase-with", f"{url}#tiny").ok()
    assert done.out.count("open port=") == 3


def test_failures_give_their_rules_more_rows_and_none_of_the_failed_tasks(project: MakeProject, chat: MakeChat) -> None:
    shut = '  - {name: shut, tool: open, args: {port: 1}, requests: ["shut it", "close all", "no ports", "end them"]}\n'
    here = project(files(**{"synthesis.yaml": SYNTHESIS + shut}))
    wrong = chat({"*": '{"tool": "open", "args": {"port": 1}}'})
    here.call("synth", "./ports", "--rows", "30", "--held-out", "8", "--output", "plain").ok()
    held_out = ("--held-out", "plain/held_out.jsonl")
    here.call("eval", "./ports", "--model", f"{wrong}#tiny", *held_out, "--output", "found", "--no-gate").ok()
    done = here.call(
        "synth", "./ports", "--rows", "6", "--held-out", "0", "--from-failures", "found", "--output", "new"
    )
    assert "ports: more rows of open (" in done.ok().err
    asked, failed = (
        {json.loads(line)["prompt"][-1]["content"] for line in (here.root / path).read_text().splitlines()}
        for path in ("new/train.jsonl", "plain/held_out.jsonl")
    )
    assert asked and not asked & failed
    right = chat({"Can you open 8080 for me?": '{"tool": "open", "args": {"port": 8080}}'})
    here.call("eval", "./ports", "--model", f"{right}#tiny", "--output", "fine", "--no-gate").ok()
    here.call("synth", "./ports", "--from-failures", "fine").fails(2, "no wrong answer of a rule of ports")
    here.call("synth", "./ports", "--from-failures", "fine", "--show", "3").fails(2, "`--show` takes no")
