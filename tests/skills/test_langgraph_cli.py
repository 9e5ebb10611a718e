"""skills/langgraph-cli: its contract speaks the real program's grammar, and its own data keeps its own rules."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from skillpm.contract.contract import Contract
from skillpm.formats.document import read_json_lines, read_model
from skillpm.model.suite import Case, Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Seed, request_key
from skillpm.synth.checker import whole_side
from skillpm.synth.pools import listed, literals
from tests.serving import compiled
from tests.shop import MakeProject

SKILL = Path(__file__).parents[2] / "skills" / "langgraph-cli"
TOOLS = ("new", "dev", "up", "build", "dockerfile")


def text(name: str) -> str:
    return (SKILL / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def contract() -> Contract:
    return compiled(text("contract.yaml"))


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    return [seed for _, seed in read_json_lines(Seed, text("seeds/seeds.jsonl"))]


@pytest.fixture(scope="module")
def suite() -> tuple[Seed, ...]:
    tasks = read_model(Suite, text("suites/handwritten.yaml")).tasks
    assert not isinstance(tasks, str)
    return tasks


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for _, case in read_json_lines(Case, text("cases.jsonl"))]


@pytest.fixture(scope="module")
def synthesis() -> SynthesisDocument:
    return read_model(SynthesisDocument, text("synthesis.yaml"))


@pytest.fixture(scope="module")
def commands() -> Mapping[str, click.Command]:
    """Import the real program here, so that without it the other tests still run."""
    from langgraph_cli.cli import cli

    return cli.commands


def can_draw(synthesis: SynthesisDocument, name: str, value: Any) -> bool:
    """Can a pool give this value?"""
    pool = synthesis.values[name]
    if pool.integers is not None:
        return isinstance(value, int) and pool.integers[0] <= value <= pool.integers[1]
    return re.fullmatch(pattern_of(synthesis, name), str(value)) is not None


def pattern_of(synthesis: SynthesisDocument, name: str) -> str:
    """Return what the texts of a pool match, and no others."""
    pool = synthesis.values[name]
    if pool.template is not None:
        first, *tails = map(re.escape, literals(pool.template))
        parts = (pattern_of(synthesis, part) for part in pool.parts)
        return first + "".join(part + tail for part, tail in zip(parts, tails, strict=True))
    return f"(?:{'|'.join(re.escape(str(member.value)) for member in listed(pool, synthesis.values) or ())})"


def drawn_answers(synthesis: SynthesisDocument) -> Iterator[dict[str, Any]]:
    """Yield answers with half a thousand values of each pool."""
    chance, sources = random.Random(0).random, whole_side(synthesis).sources
    for _ in range(500):
        path, tag, file, port = (
            sources[name].draw(chance)[0] for name in ("project_path", "image_tag", "file_path", "port")
        )
        yield {"tool": "new", "args": {"template": "deep-agent-js", "path": path}}
        yield {"tool": "build", "args": {"tag": tag}}
        yield from ({"tool": "dockerfile", "args": {"output_path": name}} for name in (path, file))
        yield dev(port)


def dev(port: Any) -> dict[str, Any]:
    return {"tool": "dev", "args": {"port": port, "no_browser": None}}


def path_answers(path: str) -> Iterator[dict[str, Any]]:
    yield {"tool": "new", "args": {"template": "agent-python", "path": path}}
    yield {"tool": "dockerfile", "args": {"output_path": path}}


class TestTheRealProgram:
    """langgraph-cli itself parses what the contract builds. Nothing is run: parsing is ``make_context`` alone."""

    @pytest.fixture(autouse=True)
    def _folder_with_a_configuration(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """All commands but `new` want that langgraph.json exists in the current folder while they parse."""
        (tmp_path / "langgraph.json").write_text("{}")
        monkeypatch.chdir(tmp_path)

    def accepts(self, commands: Mapping[str, click.Command], contract: Contract, answer: dict[str, Any]) -> None:
        """Assert that the program reads out of the argv exactly what the answer says."""
        argvs = contract.argv(answer)
        assert argvs is not None, (answer, contract.problems(answer))
        (argv,) = argvs
        program, command, *words = argv
        assert (program, command) == ("langgraph", answer["tool"])
        with commands[command].make_context(command, words) as context:
            read = dict(context.params)
        for name, value in answer["args"].items():
            if name == "output_path":
                assert read["save_path"] == str(Path.cwd() / value)
            elif value is not None:
                assert read[name] == value and type(read[name]) is type(value), (answer, argv)
            elif name == "port":
                assert read[name] == {"dev": 2024, "up": 8123}[command]
            else:
                assert read[name] is False, (answer, argv)

    def test_parses_every_seed_task_and_case(
        self,
        commands: Mapping[str, click.Command],
        contract: Contract,
        seeds: list[Seed],
        suite: tuple[Seed, ...],
        cases: list[Case],
    ) -> None:
        for expected in [item.expected for item in (*seeds, *suite)] + [case.expected for case in cases]:
            self.accepts(commands, contract, contract.complete(expected))

    def test_parses_every_case_that_has_an_argv(
        self, commands: Mapping[str, click.Command], contract: Contract, cases: list[Case]
    ) -> None:
        runnable = [case.completion for case in cases if contract.argv_of(case.completion) is not None]
        assert len(runnable) >= 8
        for completion in runnable:
            self.accepts(commands, contract, json.loads(completion))

    @pytest.mark.parametrize("tool", TOOLS)
    def test_parses_answers_drawn_by_chance(
        self, commands: Mapping[str, click.Command], contract: Contract, tool: str
    ) -> None:
        for number in range(500):
            self.accepts(commands, contract, contract.sample(tool, random.Random(number)))

    def test_parses_what_synthesis_can_draw(
        self, commands: Mapping[str, click.Command], contract: Contract, synthesis: SynthesisDocument
    ) -> None:
        for answer in drawn_answers(synthesis):
            self.accepts(commands, contract, answer)

    def test_parses_every_synthesised_target(
        self, commands: Mapping[str, click.Command], contract: Contract, project: MakeProject, tmp_path: Path
    ) -> None:
        project().call("synth", SKILL, "--rows", "200", "--held-out", "50", "--output", tmp_path / "tasks").ok()
        rows = [
            json.loads(row)
            for split, count in (("train", 200), ("held_out", 50))
            for row in (tmp_path / "tasks" / f"{split}.jsonl").read_text().splitlines()[:count]
        ]
        assert len(rows) == 250
        for row in rows:
            self.accepts(commands, contract, row["expected"])

    def test_knows_the_same_templates(self, contract: Contract) -> None:
        from langgraph_cli.templates import TEMPLATE_IDS

        assert set(contract.tools["new"].properties["template"]["enum"]) == set(TEMPLATE_IDS)

    @pytest.mark.parametrize(
        "argv",
        [
            ["dev", "--port", "eighty"],
            ["dev", "--no-browsers"],
            ["dev", "extra"],
            ["up", "--port", "8123.0"],
            ["up", "--wait", "yes"],
            ["new", "demo", "second"],
            ["new", "--demo", "--template", "agent-python"],
            ["build"],
            ["dockerfile"],
        ],
    )
    def test_refuses_what_is_not_its_grammar(self, commands: Mapping[str, click.Command], argv: list[str]) -> None:
        """Else the tests above could not fail."""
        with pytest.raises(click.UsageError):
            commands[argv[0]].make_context(argv[0], argv[1:])


class TestContract:
    def test_has_the_five_tools_with_their_arguments(self, contract: Contract) -> None:
        assert {name: list(tool.properties) for name, tool in contract.tools.items()} == {
            "new": ["template", "path"],
            "dev": ["port", "no_browser"],
            "up": ["port", "watch", "wait"],
            "build": ["tag"],
            "dockerfile": ["output_path"],
        }
        assert {name: set(tool.required) for name, tool in contract.tools.items()} == {
            "new": {"template", "path"},
            "dev": set(),
            "up": set(),
            "build": {"tag"},
            "dockerfile": {"output_path"},
        }

    @pytest.mark.parametrize(
        ("answer", "argv"),
        [
            (
                {"tool": "new", "args": {"template": "deep-agent-js", "path": "apps/x"}},
                "langgraph new apps/x --template deep-agent-js",
            ),
            ({"tool": "dev", "args": {"port": None, "no_browser": None}}, "langgraph dev"),
            ({"tool": "dev", "args": {"port": 8123, "no_browser": True}}, "langgraph dev --port 8123 --no-browser"),
            ({"tool": "up", "args": {"port": None, "watch": None, "wait": True}}, "langgraph up --wait"),
            (
                {"tool": "up", "args": {"port": 80, "watch": True, "wait": True}},
                "langgraph up --port 80 --watch --wait",
            ),
            ({"tool": "build", "args": {"tag": "acme/x:1"}}, "langgraph build -t acme/x:1"),
            ({"tool": "dockerfile", "args": {"output_path": "ops/Dockerfile"}}, "langgraph dockerfile ops/Dockerfile"),
        ],
    )
    def test_builds_one_command_line(self, contract: Contract, answer: dict[str, Any], argv: str) -> None:
        assert contract.argv(answer) == (tuple(argv.split(" ")),)

    def test_every_tool_asks_before_it_runs(self, contract: Contract) -> None:
        assert all(contract.tools[tool].confirm == "always" for tool in TOOLS)

    @pytest.mark.parametrize("port", [1, 80, 8123, 65535])
    def test_takes_ports(self, contract: Contract, port: int) -> None:
        assert contract.problems(dev(port)) == []

    @pytest.mark.parametrize(
        "port", ["8123.0", '"8123"', "true", "0", "-1", "65536", "8123.5", "1e400", "[8123]", "false"]
    )
    def test_refuses_what_is_no_port(self, contract: Contract, port: str) -> None:
        completion = f'{{"tool": "dev", "args": {{"port": {port}, "no_browser": null}}}}'
        assert contract.argv_of(completion) is None
        assert contract.judge(dev(1), completion).status == "failed"

    @pytest.mark.parametrize(
        "path",
        [
            "a",
            "apps/demo",
            "./demo",
            ".hidden",
            "a.b/c_d-e",
            "...",
            "..a",
            "a..",
            "my app",
            "a/-b",
            "Café",
            "a//b",
            "a/",
        ],
    )
    def test_takes_paths_below_the_folder(self, contract: Contract, path: str) -> None:
        for answer in path_answers(path):
            assert contract.problems(answer) == [], path

    @pytest.mark.parametrize(
        "path",
        [
            *("", ".", "./", "././.", ".//", "/", "/etc", "//a", "-a", "--template"),
            *("..", "../a", "a/..", "a/../..", "a/../b", "./../a", "a/b/../../.."),
            *("a\n", "\na", "a\x00b", "a\tb", "\x7f", "a\x85b", "x" * 4097),
        ],
    )
    def test_refuses_paths_that_leave_the_folder_or_read_as_options(self, contract: Contract, path: str) -> None:
        for answer in path_answers(path):
            assert contract.problems(answer), path
            assert contract.argv(answer) is None

    @pytest.mark.parametrize("tag", ["a", "Acme", "9", "ghcr.io/acme/x:1.0", "h:5000/a_b-c@sha256:0f", "a" * 255])
    def test_takes_tags(self, contract: Contract, tag: str) -> None:
        assert contract.problems({"tool": "build", "args": {"tag": tag}}) == []

    @pytest.mark.parametrize("tag", ["", "-t", ".a", "/a", ":a", "@a", "_a", "a b", "a\n", "a$", "é", "a;b", "a" * 256])
    def test_refuses_what_is_no_tag(self, contract: Contract, tag: str) -> None:
        assert contract.problems({"tool": "build", "args": {"tag": tag}})

    def test_a_flag_at_false_runs_the_same_command_and_is_the_answer(self, contract: Contract) -> None:
        completion = '{"tool": "dev", "args": {"port": 8123, "no_browser": false}}'
        assert contract.argv_of(completion) == contract.argv(dev(8123))
        assert contract.judge(dev(8123), completion).status == "passed"


class TestData:
    def test_there_is_enough_to_learn_from(self, seeds: list[Seed], suite: tuple[Seed, ...], cases: list[Case]) -> None:
        assert len(seeds) >= 30 and len(suite) >= 48 and len(cases) >= 16
        assert {case.kind for case in cases} == {"full_reward", "zero_reward", "malformed", "determinism"}
        for rows in (seeds, suite):
            assert {row.expected["tool"] for row in rows} == set(TOOLS)

    def test_every_expected_answer_says_every_argument(
        self, contract: Contract, seeds: list[Seed], suite: tuple[Seed, ...]
    ) -> None:
        for row in (*seeds, *suite):
            assert contract.problems(row.expected) == [], row
            assert json.loads(contract.render(row.expected)) == row.expected
            assert contract.judge(row.expected, contract.render(row.expected)).score == 1

    def test_every_case_holds(self, contract: Contract, cases: list[Case]) -> None:
        """skillpm selftest judges the cases in a worker; here the contract alone does, since this skill has no code."""
        for case in cases:
            verdict = contract.judge(case.expected, case.completion)
            assert verdict.score is not None, case.name
            if case.kind == "full_reward":
                assert verdict.score == 1, case.name
            elif case.kind == "zero_reward":
                assert verdict.score <= case.at_most, (case.name, verdict.score)
            elif case.kind == "malformed":
                assert verdict.status == "failed" and contract.argv_of(case.completion) is None, case.name

    def test_no_request_of_the_suite_is_a_seed(self, seeds: list[Seed], suite: tuple[Seed, ...]) -> None:
        asked = [request_key(row.request) for row in (*seeds, *suite)]
        assert len(set(asked)) == len(asked)

    def test_no_value_of_the_suite_can_be_synthesised(
        self, synthesis: SynthesisDocument, seeds: list[Seed], suite: tuple[Seed, ...]
    ) -> None:
        """Ports, paths and tags of the suite are new to a model that learned from seeds and synthesis."""
        pools = {"path": "project_path", "output_path": "file_path", "tag": "image_tag", "port": "port"}
        shown = {(name, value) for seed in seeds for name, value in seed.expected["args"].items()}
        for task in suite:
            for name in pools.keys() & task.expected["args"].keys():
                value = task.expected["args"][name]
                is_new = (name, value) not in shown and not can_draw(synthesis, pools[name], value)
                assert value is None or is_new, task.request

    def test_every_value_of_the_suite_stands_in_its_request(self, seeds: list[Seed], suite: tuple[Seed, ...]) -> None:
        """Nothing has to be guessed: what is to be copied is there."""
        for row in (*seeds, *suite):
            for name in row.expected["args"].keys() & {"path", "output_path", "tag", "port"}:
                value = row.expected["args"][name]
                assert value is None or str(value) in row.request, row.request

    def test_every_value_that_synthesis_can_draw_keeps_the_contract(
        self, contract: Contract, synthesis: SynthesisDocument
    ) -> None:
        low, high = synthesis.values["port"].integers or (0, 0)
        for answer in (dev(low), dev(high), *drawn_answers(synthesis)):
            assert contract.problems(answer) == []

    def test_the_prompt_is_short(self, contract: Contract) -> None:
        """A system prompt is paid for in every row of training, so this one has no schema in it."""
        assert len(contract.prompt.split()) <= 32
