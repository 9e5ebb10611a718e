"""What each kind of answer is worth; the table is the specification of the built-in verifier."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.contract.answer import MAX_ANSWER, read_answer
from skillpm.contract.contract import Contract
from skillpm.contract.rewards import BUILTIN, verify_tool_call
from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.verdict import Verdict
from skillpm.synth.answers import Answers
from tests.present import present
from tests.serving import compiled

CONTRACT = """
contract: 1
system_prompt: Answer with one of {% for tool in tools %}{{ tool.name }} {% endfor %}
tools:
  - name: up
    input_schema:
      type: object
      properties:
        port: {type: integer, minimum: 1, maximum: 65535, default: 8123}
        watch: {type: boolean}
        wait: {type: boolean}
    argv: [langgraph, up, {flag: --port, value: port}, {flag: --watch, if: watch}, {flag: --wait, if: wait}]
  - name: build
    input_schema: {type: object, properties: {tag: {type: string, pattern: "^[a-z][a-z0-9:.-]*$"}}, required: [tag]}
    argv: [langgraph, build, -t, {value: tag}]
  - name: run_command
    input_schema:
      type: object
      properties: {command: {type: string}, timeout_seconds: {type: integer, minimum: 1}}
      required: [command, timeout_seconds]
    argv:
      command_line: command
      allow:
        df: {options: [-h, -T], operands: 1}
        journalctl: {values: [-n, --lines, -u], options: [-k]}
        systemctl: {subcommands: [status, is-failed], operands: 1}
"""


@pytest.fixture(scope="module")
def contract() -> Contract:
    return compiled(CONTRACT)


def answer(tool: str, **arguments: Any) -> str:
    return json.dumps({"tool": tool, "args": arguments})


EXPECTED = {"tool": "up", "args": {"port": 8124, "watch": None, "wait": True}}
GOLD = answer("up", port=8124, watch=None, wait=True)


@dataclass(frozen=True)
class Row:
    """A completion and what is true of it."""

    name: str
    completion: str
    status: str
    runs: bool
    reason: str = ""


ROWS = [
    Row("exact", GOLD, "passed", True),
    Row(
        "exact, other order and spacing",
        '{"args":{"wait":true,"watch":null,"port":8124},\n"tool":"up"}',
        "passed",
        True,
    ),
    Row("exact after thinking", "<think>which port? {8124}</think>\n" + GOLD, "passed", True),
    Row("thinking that never ends", "<think>" + GOLD, "failed", False, "text around"),
    Row("JSON followed by prose", GOLD + " and also rm -rf /", "failed", False, "text around"),
    Row("prose around JSON", "Sure! " + GOLD + " Done.", "failed", False, "text around"),
    Row("fenced JSON", f"```json\n{GOLD}\n```", "failed", False, "fenced"),
    Row("two objects", GOLD + GOLD, "failed", False, "more than one"),
    Row("duplicate keys", GOLD[:-2] + ', "port": 8124}}', "failed", False, "duplicate key"),
    Row("NaN", GOLD.replace("8124", "NaN"), "failed", False, "NaN"),
    Row("1e999", GOLD.replace("8124", "1e999"), "failed", False, "out of range"),
    Row("four hundred digits", GOLD.replace("8124", "1" * 400), "failed", False, "out of range"),
    Row("-Infinity", GOLD.replace("8124", "-Infinity"), "failed", False, "not JSON"),
    Row("5,000 digits", GOLD.replace("8124", "9" * 5000), "failed", False),
    Row("true where an integer belongs", GOLD.replace("8124", "true"), "failed", False, "integer"),
    Row("port as text", GOLD.replace("8124", '"8124"'), "failed", False, "integer"),
    Row("port as 8124.0", GOLD.replace("8124", "8124.0"), "failed", False, "fraction"),
    Row("port out of range", GOLD.replace("8124", "70000"), "failed", False, "maximum"),
    Row("an unknown tool", answer("rm", port=None), "failed", False, "unknown tool"),
    Row("another tool", answer("build", tag="a:1"), "failed", True, "`up` was expected"),
    Row("a missing argument", answer("up", port=8124, wait=True), "failed", False, "missing"),
    Row("a surplus argument", answer("up", port=8124, watch=None, wait=True, force=True), "failed", False, "unknown"),
    Row("a null argument", answer("up", port=None, watch=None, wait=True), "failed", True, "`port` is null"),
    Row("a default where a value was asked", answer("up", port=8123, watch=None, wait=True), "failed", True),
    Row("a wrong value", answer("up", port=9000, watch=None, wait=True), "failed", True, "9000"),
    Row("a flag that nobody asked for", answer("up", port=8124, watch=True, wait=True), "failed", True),
    Row("false where null was asked", answer("up", port=8124, watch=False, wait=True), "passed", True),
    Row("a third key beside tool and args", GOLD[:-1] + ', "why": 1}', "failed", False, "exactly"),
    Row("arguments that are no object", '{"tool": "up", "args": [8124]}', "failed", False, "object"),
    Row("a tool that is no text", '{"tool": ["up"], "args": {}}', "failed", False, "unknown tool"),
    Row("a list", f"[{GOLD}]", "failed", False, "not an object"),
    Row("1 MB", GOLD + " " * 1_000_000, "failed", False, "longer"),
    Row("10,000 levels of lists", "[" * 10_000, "failed", False, "deep"),
    Row("10,000 levels of objects", '{"a":' * 10_000, "failed", False, "deep"),
    Row("a lone surrogate", "\ud800", "failed", False),
    Row("an escaped lone surrogate", GOLD.replace("up", "\\ud800"), "failed", False, "surrogate"),
    Row("empty", "", "failed", False, "empty"),
    Row("white space", " \n\t", "failed", False, "empty"),
    Row("a no-break space before it", "\u00a0" + GOLD, "failed", False),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_each_kind_of_answer_is_worth_what_the_table_says(contract: Contract, row: Row) -> None:
    """Status, argv and reason are those of the table; only what passed is worth 1."""
    verdict = contract.judge(EXPECTED, row.completion)

    assert verdict.status == row.status
    assert (contract.argv_of(row.completion) is not None) == row.runs
    assert (verdict.score == 1.0) == (row.status == "passed")
    assert row.reason in " ".join(verdict.reasons)
    Verdict.model_validate(verdict.model_dump())


def test_what_is_refused_is_never_worth_more_than_what_runs(contract: Contract) -> None:
    """The least of what would run is at least the most of what would be refused."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    for row in ROWS:
        scores[row.runs].append(present(contract.judge(EXPECTED, row.completion).score))

    assert max(scores[False]) <= min(scores[True])


def test_left_out_and_wrong_are_different_mistakes(contract: Contract) -> None:
    """Another value is worth less than null; false for null, which runs the same command, is the answer."""
    score = {row.name: present(contract.judge(EXPECTED, row.completion).score) for row in ROWS}

    assert score["a wrong value"] < score["a null argument"] == score["a default where a value was asked"]
    assert score["a null argument"] < score["false where null was asked"] == score["exact"]


def test_components_are_all_there(contract: Contract) -> None:
    """Every verdict has the six components of the format."""
    names = {"parsed", "only_json", "schema_valid", "tool", "arguments", "exact"}

    assert all(set(contract.judge(EXPECTED, row.completion).components) == names for row in ROWS)


def test_an_expected_answer_that_breaks_the_contract_is_an_outage(contract: Contract) -> None:
    """Nobody is paid or punished for a label that cannot be."""
    verdict = contract.judge({"tool": "up", "args": {"port": 0}}, GOLD)

    assert (verdict.status, verdict.score) == ("errored", None)
    assert [reward.function(task_of(EXPECTED), episode_of(GOLD), verdict) for reward in BUILTIN] == [None, None, None]


def test_an_answer_has_one_text_however_its_keys_are_ordered(contract: Contract) -> None:
    ordered, turned = ({"tool": "up", "args": {}}, {"args": {}, "tool": "up"})
    assert [*contract.complete(turned)] == ["tool", "args"]
    assert contract.render(ordered) == contract.render(turned)
    assert Answers(contract).of(ordered).text == Answers(contract).of(turned).text


def test_absent_arguments_of_an_expected_answer_are_null(contract: Contract) -> None:
    """A label may leave unused arguments out; the trained text has them all, in the order of the schema."""
    short = {"tool": "up", "args": {"wait": True, "port": 8124}}

    assert contract.judge(short, GOLD).status == "passed"
    assert contract.render(short) == '{"tool": "up", "args": {"port": 8124, "watch": null, "wait": true}}'


def task_of(expected: Any) -> Task:
    return Task.of(skill="x", system="", request="r", expected=expected, split="train", origin="rule")


def episode_of(completion: str) -> Episode:
    return Episode.answering(task_of(EXPECTED), completion)


def published_tool_call(expected: dict[str, Any], actual: dict[str, Any]) -> float:
    """The rule as it is published: 0 for another tool, minus a half for each expected argument that differs."""
    if expected["tool"] != actual.get("tool"):
        return 0.0
    score = 1.0
    for name, value in expected["args"].items():
        if actual["args"].get(name) != value:
            score -= 0.5
    return max(score, 0.0)


json_values = st.none() | st.booleans() | st.integers(-3, 9000) | st.sampled_from(["a", 8124.0])
calls = st.fixed_dictionaries(
    {
        "tool": st.sampled_from(["up", "build", "x"]),
        "args": st.dictionaries(st.sampled_from(["port", "watch", "wait", "tag", "force"]), json_values),
    }
)


@given(expected=calls, actual=calls)
def test_tool_call_agrees_with_the_published_rule(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    """On every pair of calls that the published rule defines, ours says the same, also through a completion."""
    verdict = Verdict(status="failed", score=0.0)
    reward = {r.name: r.function for r in BUILTIN}["tool_call"]

    assert verify_tool_call(expected, actual) == published_tool_call(expected, actual)
    paid = reward(task_of(expected), episode_of(json.dumps(actual)), verdict)
    assert paid == published_tool_call(expected, actual)


@pytest.mark.parametrize(
    ("status", "score", "paid"), [("passed", 1.0, 1.0), ("failed", 0.3, -1.0), ("ambiguous", 0.8, 0.0)]
)
def test_signed_agrees_with_the_published_rule(status: Any, score: float, paid: float) -> None:
    """Passed +1, failed -1, ambiguous 0."""
    reward = {r.name: r.function for r in BUILTIN}["signed"]

    assert reward(task_of(EXPECTED), episode_of(GOLD), Verdict(status=status, score=score)) == paid


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    """No completion raises, and none but the exact one is worth 1."""
    verdict = compiled(CONTRACT).judge(EXPECTED, text)

    assert verdict.status == "failed"
    assert verdict.score is not None
    assert verdict.score < 1


@given(st.recursive(json_values, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12))
def test_any_json_is_read(value: Any) -> None:
    """An object is read as it is; anything else is no answer."""
    read = read_answer(json.dumps(value))

    assert read.only_json == isinstance(value, dict)
    assert read.value == (value if isinstance(value, dict) else None)


def test_the_longest_answer_is_still_read() -> None:
    """The limit is a limit, not an approximation."""
    fits = GOLD + " " * (MAX_ANSWER - len(GOLD))

    assert read_answer(fits).only_json
    assert not read_answer(fits + " ").only_json


COMMANDS = [
    ("df -h / && journalctl -n 200", (("df", "-h", "/"), ("journalctl", "-n", "200"))),
    ("journalctl --lines=200", (("journalctl", "--lines=200"),)),
    ("journalctl -n200", (("journalctl", "-n200"),)),
    ("df -hT", (("df", "-hT"),)),
    ("journalctl -u 'my unit'", (("journalctl", "-u", "my unit"),)),
    ("systemctl status nginx.service", (("systemctl", "status", "nginx.service"),)),
    ("systemctl restart nginx.service", None),
    ("systemctl", None),
    ("rm -rf /", None),
    ("df -h /; ls", None),
    ("df -h / | cat", None),
    ("df -h / || ls", None),
    ("df -h / & df", None),
    ("df && ", None),
    ("df $(id)", None),
    ("df `id`", None),
    ("df > /etc/passwd", None),
    ("df \\\n-h", None),
    ("df 'a && b'", None),
    ("df 'a", None),
    ("df / /", None),
    ("df --output=x", None),
    ("df -x", None),
    ("journalctl -n", None),
    ("journalctl -n --k", None),
    ("df ''", None),
    ("", None),
    (" && ".join(["df"] * 17), None),
    ("df \u202e/", None),
    ("df ~", None),
    ("df *", None),
    ("FOO=1 df", None),
    ("/bin/df", None),
]


@pytest.mark.parametrize(("command", "argv"), COMMANDS)
def test_command_lines(contract: Contract, command: str, argv: Any) -> None:
    """Allowed programs with allowed options, joined by `&&`; everything else is refused, not run differently."""
    value = {"tool": "run_command", "args": {"command": command, "timeout_seconds": 30}}

    assert contract.argv(value) == argv


@pytest.mark.parametrize("tag", ["-t", "--tag", "a\nb", "a\x00b", ""])
def test_a_value_is_never_read_as_an_option(contract: Contract, tag: str) -> None:
    """Values that a program would take for an option, or that hold control characters, are refused."""
    assert contract.argv({"tool": "build", "args": {"tag": tag}}) is None
