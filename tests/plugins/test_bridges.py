"""plugins/skillpm-bridges, installed from its folder: what it writes, and the real packages that load it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from skillpm.contract.foreign_rows import foreign_rows
from skillpm.errors import PluginError, UsageError
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.collect import Given, unique
from skillpm.runtime.described import Named
from skillpm.runtime.host import Host
from tests.conftest import ROOT, Project, write_tree
from tests.plugins.test_changelog import install, run
from tests.serving import GOLD, OTHER, TEXT, skill
from tests.shop import MakeProject, skill_files

sys.path.append(str(ROOT / "plugins/skillpm-bridges"))
from skillpm_bridges import skillpm_exporters
from skillpm_bridges.judge import Judge, JudgeError
from skillpm_bridges.rows import write_template

OWN = "def verify(attempts, contract):\n    return [attempt.verdict for attempt in attempts]\n"


@pytest.fixture
def world(project: MakeProject) -> Project:
    """A project with a skill that has code, and the plugin in its folder ``site``."""
    made = project({"serving": skill(verifier_py=OWN)})
    install(ROOT / "plugins" / "skillpm-bridges", made.root / "site")
    return made


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def export(exporter: str, root: Path, files: dict[str, Any], tasks: tuple[Task, ...] = ()) -> Path:
    """Let an exporter write a skill into a folder, in this process, and return the folder."""
    made = Skill(files["SKILL.md"].split()[2], "1", "0" * 64, write_tree(root / "source", files))
    catalogue = build_catalogue([made], Host())
    (record,) = [item for item in skillpm_exporters() if item.name == exporter]
    record.export({name: replace(given, tasks=tasks) for name, given in catalogue.items()}, root / "out")
    return root / "out"


@pytest.mark.parametrize("exporter", ["data-designer", "nat", "nemo-gym", "openenv", "verifiers"])
def test_two_skills_that_would_share_a_name_are_refused(exporter: str, tmp_path: Path) -> None:
    """`acme/x` and `acme-x` are two skills of a registry; one would be written over the other."""
    write_tree(tmp_path / "source", skill())
    skills = [Skill(name, "1", "0" * 64, tmp_path / "source") for name in ("acme/x", "acme-x")]
    (record,) = [item for item in skillpm_exporters() if item.name == exporter]
    with pytest.raises(UsageError, match="acme/x and acme-x would both be called skill_acme_x"):
        record.export(build_catalogue(skills, Host()), tmp_path / "out")


def test_rows_of_nemo_gym_have_its_form_and_are_split(tmp_path: Path) -> None:
    server = export("nemo-gym", tmp_path, skill(verifier_py=OWN)) / "resources_servers/skillpm"
    (row,) = lines(server / "data/train.jsonl")
    assert set(row) == {"responses_create_params", "agent_ref", "expected_output", "verifier_metadata"}
    parameters = row["responses_create_params"]
    assert [item["role"] for item in parameters["input"]] == ["system", "user"]
    assert parameters["input"][1]["content"] == "serve on 8123" and parameters["parallel_tool_calls"] is False
    assert set(parameters["tools"][0]) == {"type", "name", "description", "parameters", "strict"}
    assert row["expected_output"] == GOLD and row["verifier_metadata"]["skill"] == "serving"
    assert row["agent_ref"] == {"type": "responses_api_agents", "name": "skillpm_simple_agent"}
    assert [item["expected_output"] for item in lines(server / "data/suite.jsonl")] == [OTHER]
    assert (server / "skills/skill_serving/verifier.py").read_text() == OWN
    datasets = read_yaml((server / "configs/skillpm.yaml").read_text())["skillpm_simple_agent"]
    types = {item["name"]: item["type"] for item in datasets["responses_api_agents"]["simple_agent"]["datasets"]}
    assert types == {"train": "train", "suite": "validation", "example": "example"}


def test_rows_of_a_synthesis_take_the_place_of_seeds(world: Project) -> None:
    rule = {"name": "serve", "tool": "serve", "draw": {"port": {"from": "port"}}}
    rule |= {"args": {"port": "{port}"}, "requests": ["serve on {port}", "start at {port}", "use {port}", "run {port}"]}
    values = {"port": {"integers": [2000, 9000]}}
    world.write({"serving/synthesis.yaml": json.dumps({"synthesis": 1, "values": values, "tasks": [rule]})})
    run(world, "synth", "./serving", "--rows", "12", "--held-out", "4", "-o", "data", "--yes").ok()
    looks = world.root / "data/train.jsonl"
    one = {**json.loads(looks.read_text().splitlines()[0]), "key": "looks", "first": [GOLD]}
    looks.write_text(f"{looks.read_text()}{json.dumps(one)}\n")
    run(world, "export", "verifiers", "./serving", "--data", "data", "-o", "out", "--yes").ok()
    package = world.root / "out/skill_serving/skill_serving"
    assert [len(lines(package / f"{name}.jsonl")) for name in ("train", "held_out", "suite")] == [12, 4, 1]
    gone = run(world, "export", "verifiers", "./serving", "--data", "nowhere", "-o", "new", "--yes")
    gone.fails(2, "nowhere has no rows of serving", "skillpm synth")
    assert not (world.root / "new").exists()


def test_a_skill_is_a_function_and_an_evaluator_with_an_evaluation_of_each_set(tmp_path: Path) -> None:
    place = export("nat", tmp_path, skill()) / "skill_serving"
    (row,) = lines(place / "train.jsonl")
    assert row["question"] == "serve on 8123" and json.loads(row["answer"]) == GOLD
    compile((place / "skill_serving/register.py").read_text(), "register.py", "exec")
    assert read_yaml((place / "suite.yml").read_text())["eval"]["general"]["dataset"]["file_path"] == "suite.jsonl"


def test_a_skill_with_other_answers_than_calls_tells_their_forms(tmp_path: Path) -> None:
    files = skill()
    files["contract.yaml"] += "answers: [call, refuse]\n"
    package = export("verifiers", tmp_path, files) / "skill_serving/skill_serving"
    assert '{"refuse":' in (package / "prompt.txt").read_text()


def test_tasks_for_data_designer_say_which_values_a_wording_must_keep(tmp_path: Path) -> None:
    (row,) = lines(export("data-designer", tmp_path, skill()) / "skill_serving/tasks.jsonl")
    assert row["request"] == "serve on 8123" and json.loads(row["answer"]) == GOLD
    assert json.loads(row["said"]) == ["8123"], "`a` of GOLD is no word of the request"


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"args": ["a.log", 8123, [True, None, ""]], "tool": "serve"}, ["8123", "a.log"]),
        ({"args": "a.log", "tool": "serve"}, ["a.log"]),
        ({"serve": {"port": [8123]}}, ["8123"]),
        (["a.log"], ["a.log"]),
        ("serve", ["serve"]),
        (None, []),
    ],
)
def test_an_answer_of_any_form_has_values_for_data_designer(expected: Any, said: list[str], tmp_path: Path) -> None:
    """A skill's own verifier may expect anything."""
    files = {
        name: text for name, text in skill(verifier_py=OWN).items() if name not in ("contract.yaml", "cases.jsonl")
    }
    files["seeds/seeds.jsonl"] = json.dumps({"request": "serve a.log on 8123", "expected": expected})
    (row,) = lines(export("data-designer", tmp_path, files) / "skill_serving/tasks.jsonl")
    assert json.loads(row["said"]) == said and json.loads(row["answer"]) == expected
    (read,) = foreign_rows([(1, {**row, "wording": "do it"})], path="f")
    assert (read.request, read.expected) == ("do it", expected)


@pytest.mark.parametrize("exporter", ["data-designer", "nat", "nemo-gym", "openenv", "verifiers"])
def test_what_nothing_judges_and_what_has_no_task_is_refused(exporter: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="demo has neither a contract nor a verifier"):
        export(exporter, tmp_path / "plain", skill_files())
    bare = {name: text for name, text in skill().items() if not name.startswith(("seeds", "suites"))}
    with pytest.raises(UsageError, match="serving has no "):
        export(exporter, tmp_path / "bare", bare)


@pytest.fixture
def command(world: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project, with `skillpm` as environments find it."""
    for name, value in {**world.environment, "SKILLPM": f"{sys.executable} -m skillpm"}.items():
        monkeypatch.setenv(name, value)
    yield world


def test_an_environment_s_judge_asks_one_process_and_threads_share_it(command: Project) -> None:
    row = json.dumps({"expected": GOLD, "completion": TEXT})
    command.call("score", "./serving", "--yes", stdin=row).ok()  # consents to the code
    judge = Judge(command.root / "serving")
    try:
        texts = [TEXT, TEXT.replace("8123", "1"), "\ud800"] * 4
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda text: judge.judge(GOLD, text)["rewards"]["graded"], texts))
        assert found[0] == 1 and 0.1 < found[1] < 1 and found[2] == 0 and found == found[:3] * 4
        with pytest.raises(JudgeError, match="breaks the contract"):
            judge.judge({"tool": "nothing"}, TEXT)
        assert judge.judge(GOLD, TEXT)["status"] == "passed"
    finally:
        judge.close()


def test_code_that_nobody_agreed_to_and_a_missing_command_are_no_rewards(
    command: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(JudgeError, match=r"exit code 6: .*verifier\.py"):
        Judge(command.root / "serving").judge(GOLD, TEXT)
    monkeypatch.setenv("SKILLPM", "no-such-command")
    with pytest.raises(JudgeError, match="`no-such-command` cannot be started"):
        Judge(command.root / "serving").judge(GOLD, TEXT)


VERIFIERS = """
import asyncio, json
from importlib import import_module
import verifiers.v1 as vf
from verifiers.v1.graph import MessageNode
from verifiers.v1.types import AssistantMessage, UserMessage
from verifiers.v1.utils.loaders import taskset_class

taskset = taskset_class("skill-serving")
(task,) = taskset(import_module("skill_serving.taskset").SkillConfig(id="skill-serving"))


def trace(answer):
    nodes = [
        MessageNode(parent=None, message=UserMessage(content="x"), sampled=False),
        MessageNode(parent=0, message=AssistantMessage(content=answer), sampled=True),
    ]
    agent = vf.AgentInfo(config=vf.AgentConfig())
    return vf.Trace(agent=agent, task=vf.TraceTask(type="SkillTask", data=task.data), nodes=nodes)


async def main():
    scored = [trace(json.dumps(task.data.expected)), trace("no")]
    for item in scored:
        await task.score(item)
    print([item.reward for item in scored], await task.validate(None))


asyncio.run(main())
"""
OPENENV = """
import json, socket, subprocess, sys, time
from skill_serving import SkillAction, SkillEnv

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
words = [sys.executable, "-m", "skill_serving.server.app", "--port", str(port)]
with subprocess.Popen(words, stderr=subprocess.DEVNULL) as server:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    with SkillEnv(base_url=f"http://127.0.0.1:{port}").sync() as client:
        rewards = []
        for text in (json.dumps(json.loads(open("skill_serving/train.jsonl").read())["expected"]), "no"):
            assert client.reset(index=0).observation.messages[-1]["content"] == "serve on 8123"
            step = client.step(SkillAction(text=text))
            rewards.append(step.reward)
        try:
            client.step(SkillAction(text="again"))
        except RuntimeError as error:
            print(rewards, step.done and "the episode has ended" in str(error))
    server.terminate()
"""

NEMO_GYM = """
import asyncio, json, os, socket, subprocess, sys
from pathlib import Path

import uvicorn, yaml
from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.config_types import BaseServerConfig, maybe_get_server_instance_config
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient
from omegaconf import OmegaConf
from responses_api_agents.simple_agent.app import SimpleAgent, SimpleAgentConfig

place = Path("resources_servers/skillpm")
rows = [json.loads(line) for name in ("train", "suite") for line in (place / f"data/{name}.jsonl").open()]
answers = {row["responses_create_params"]["input"][-1]["content"]: [row["expected_output"], "no"] for row in rows}


class Model(SimpleResponsesAPIModel):
    config: BaseResponsesAPIModelConfig

    async def chat_completions(self, body):
        raise NotImplementedError

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        answer = answers[body.input[-1].content].pop(0)
        if answer == "no":
            content = [{"type": "output_text", "text": answer, "annotations": []}]
            item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
        else:
            arguments = json.dumps(answer["args"])
            item = {"type": "function_call", "call_id": "c", "name": answer["tool"], "arguments": arguments}
        return NeMoGymResponse(
            id="r", created_at=0, model="m", object="response", output=[item], parallel_tool_calls=False,
            tool_choice="auto", tools=body.tools,
        )


async def ready(port):
    while socket.socket().connect_ex(("127.0.0.1", port)):
        await asyncio.sleep(0.1)


async def main():
    document = yaml.safe_load((place / "configs/skillpm.yaml").read_text())
    known = all(maybe_get_server_instance_config(name, OmegaConf.create(part)) for name, part in document.items())
    agent = document["skillpm_simple_agent"]["responses_api_agents"]["simple_agent"]
    agent |= {"host": "127.0.0.1", "port": 8012}
    model = {"entrypoint": "app.py", "host": "127.0.0.1", "port": 8013}
    document["policy_model"] = {"responses_api_models": {"scripted": model}}
    head = BaseServerConfig(host="127.0.0.1", port=8014)
    client = ServerClient(head_server_config=head, global_config_dict=OmegaConf.create(document))
    settings = {name: value for name, value in agent.items() if name in SimpleAgentConfig.model_fields}
    servers = [
        Model(config=BaseResponsesAPIModelConfig(**model, name="policy_model"), server_client=client),
        SimpleAgent(config=SimpleAgentConfig(**settings, name="skillpm_simple_agent"), server_client=client),
    ]
    tasks = []
    for server in servers:  # in one loop, to which the client of all belongs
        running = uvicorn.Config(server.setup_webserver(), port=server.config.port, log_level="error")
        tasks.append(asyncio.create_task(uvicorn.Server(running).serve()))
        await ready(server.config.port)
    await ready(8011)
    paid = []
    for row in (*rows, *rows):
        answer = await client.post("skillpm_simple_agent", "/run", json=row)
        paid.append(json.loads(await answer.read()))
    metrics = await client.post("skillpm_simple_agent", "/aggregate_metrics", json={"verify_responses": paid})
    print([paid[0]["reward"], paid[-1]["reward"]], known and metrics.status == 200)


with subprocess.Popen([sys.executable, "app.py"], cwd=place) as judge:
    try:
        asyncio.run(main())
    finally:
        judge.terminate()
        sys.stdout.flush()
        os._exit(0)
"""


def newest_python() -> str:
    """NeMo Gym wants Python 3.12."""
    pythons = subprocess.run([ROOT / ".ci/pythons", sys.executable], capture_output=True, text=True, check=True)
    return pythons.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("exporter", "package", "folder", "code"),
    [
        ("verifiers", "verifiers==0.4.0", "out/skill_serving", VERIFIERS),
        ("openenv", "openenv==0.10.0", "out", OPENENV),
        ("nemo-gym", "nemo-gym==0.4.0", "out", NEMO_GYM),
    ],
)
def test_the_real_package_pays_what_the_skill_s_verifier_says(
    command: Project, exporter: str, package: str, folder: str, code: str
) -> None:
    """In a virtual environment of its own, which knows nothing of skillpm; code without consent is an error there."""
    run(command, "export", exporter, "./serving", "--output", "out", "--yes").ok()
    place = Path(tempfile.gettempdir()) / "skillpm-peers" / package.partition("==")[0]
    python = place / "bin/python"
    if not python.exists():
        base = newest_python() if exporter == "nemo-gym" else sys.executable
        subprocess.run([base, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", package], check=True)
    skillpm = f"env PYTHONPATH={ROOT} {sys.executable} -m skillpm"
    environment = {**command.environment, "PYTHONPATH": ".", "SKILLPM": skillpm}
    done = subprocess.run(
        [str(python), "-c", code], cwd=command.root / folder, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == ["[1.0, 0.0] True"], done.stderr


@pytest.mark.parametrize("value", ['g"]\n\nimport os\n["', 'a"', "a'", "a\\", "a\n", "a`", "@SKILL@", "{a}", "# a"])
def test_no_word_of_a_skill_becomes_code_of_an_export(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="cannot be written into the files of an export"):
        write_template("openenv/server/environment.py", tmp_path / "environment.py", REWARD=value)
    assert not (tmp_path / "environment.py").exists()


@pytest.mark.parametrize("kind", ["reward", "rule"])
def test_a_name_that_could_become_code_is_refused_where_a_plugin_brings_it(kind: str) -> None:
    with pytest.raises(PluginError, match=r"^plugin.py: .* cannot be the name of a"):
        unique(kind, [Given("plugin.py", SimpleNamespace(name='g"]\nimport os\n'))])
    assert unique(kind, [Given("plugin.py", SimpleNamespace(name="half_paid-2.b"))])
    with pytest.raises(ValueError, match="pattern"):
        Named(name='g"]', plugin="plugin.py")
