"""A skill to ask about, and a real Policy whose answers are read from a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from skillpm.contract.rewards import BUILTIN
from skillpm.evals.asking import ArmLabel, Asking
from skillpm.evals.assemble import assemble
from skillpm.evals.examiner import Examiner
from skillpm.evals.tasks import EvalTask, suite_tasks
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Arm, Evaluation
from skillpm.model.ports import Completion
from skillpm.model.progress import Figure
from skillpm.model.skill import Skill
from skillpm.model.task import Message, Task
from skillpm.model.verdict import Judgement
from skillpm.ops.context import Context
from skillpm.ops.learning.session import JudgingSession
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.host import Host
from skillpm.sandbox.sandbox import choose
from skillpm.settings import load_settings
from skillpm.trust.consent import Consents
from skillpm.worker.scoring import Scorer

CONTRACT = """\
contract: 1
system_prompt: Answer with one JSON object.
tools:
  - name: dev
    description: Start a server
    input_schema:
      type: object
      properties: {port: {type: integer}, quiet: {type: boolean}}
      required: [port]
      additionalProperties: false
    argv: [server, {flag: --port, value: port}, {flag: --quiet, if: quiet}]
"""
SKILL = (
    "---\nname: server\ndescription: Starts a server. Use it when someone wants a server.\n---\n\nPorts are numbers.\n"
)
MakeArm = Callable[..., Arm]


class ScriptedPolicy:
    """Answers what its table says, last prompt first; ``prompts`` holds what it was asked."""

    name = "scripted"

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.prompts: list[Sequence[Message]] = []
        self.settings: dict[str, Any] = {}
        self._answers = answers

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        self.prompts += prompts
        for index in reversed(range(len(prompts))):
            answer = self._answers.get(prompts[index][-1].content, "I do not know")
            yield index, Completion(answer, 10, len(answer), "stop" if len(answer) < max_new_tokens else "length")


class Count:
    """Progress that counts."""

    def __init__(self) -> None:
        self.done = 0

    def start(self, title: str, total: int | None) -> None:
        pass

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        self.done += count

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        pass


class Server:
    """A skill called ``server`` with a contract and a suite, in a folder of its own, and its world."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "skills" / "server"
        self.model = root / "model"
        self.model.mkdir(parents=True)
        (self.model / "config.json").write_text("{}")
        self.write(range(1, 13))

    def write(self, ports: Sequence[int], **suite: Any) -> None:
        """Write the skill; ``suite`` adds keys to its suite."""
        tasks = [{"request": self.request(port), "expected": {"tool": "dev", "args": {"port": port}}} for port in ports]
        (self.folder / "suites").mkdir(parents=True, exist_ok=True)
        (self.folder / "SKILL.md").write_text(SKILL)
        (self.folder / "skill.yaml").write_text("manifest: 1\nversion: 1.0.0\n")
        (self.folder / "contract.yaml").write_text(CONTRACT)
        document = {"name": "handwritten", "tasks": tasks, **suite}
        (self.folder / "suites" / "handwritten.yaml").write_text(json.dumps(document))

    @staticmethod
    def request(port: int) -> str:
        return f"start it on {port}"

    @staticmethod
    def gold(port: int) -> dict[str, Any]:
        return {"tool": "dev", "args": {"port": port, "quiet": None}}

    def answer(self, port: int) -> str:
        return json.dumps(self.gold(port))

    def policy(self, right: Sequence[int] = (), **others: str) -> ScriptedPolicy:
        """Answer these ports rightly, and other requests as given."""
        return ScriptedPolicy({**{self.request(port): self.answer(port) for port in right}, **others})

    def assembled(self, *arms: Arm) -> Evaluation:
        """Return the evaluation of these arms on the suite."""
        return assemble(build_catalogue([self.skill], Host()), self.tasks(), arms)

    def task(self, port: int) -> Task:
        """A held-out task."""
        return Task.of(
            skill="server",
            system="Answer with one JSON object.",
            request=self.request(port),
            expected=self.gold(port),
            split="held_out",
            origin="rule",
        )

    def held_out(self, ports: Sequence[int]) -> Path:
        """Write held-out tasks."""
        path = self.root / "held_out.jsonl"
        path.write_text("".join(self.task(port).model_dump_json() + "\n" for port in ports))
        return path

    @property
    def skill(self) -> Skill:
        return Skill("server", "1.0.0", tree_digest(FolderTree(self.folder)), self.folder)

    @property
    def name(self) -> str:
        return str(self.folder)

    def context(self) -> Context:
        home = {"SKILLPM_HOME": str(self.root / "home"), "SKILLPM_NO_PLUGINS": "1"}
        return Context(load_settings(project=self.root, environment=home))

    def tasks(self) -> list[EvalTask]:
        return suite_tasks(build_catalogue([self.skill], Host())["server"])


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


@pytest.fixture
def ready(server: Server, tmp_path: Path) -> Iterator[JudgingSession]:
    """The server skill, ready to judge in its worker."""
    with Scorer([server.skill], consents=Consents(tmp_path / "consents.json")) as scorer:
        host = Host()
        yield JudgingSession(build_catalogue([server.skill], host), scorer, host, str(choose()), {})


@pytest.fixture
def count() -> Count:
    return Count()


@pytest.fixture
def make_arm(server: Server) -> MakeArm:
    """``make_arm(name, right=[…]) -> Arm``: its suite, these ports answered rightly, judged by its contract."""
    contract = build_catalogue([server.skill], Host())["server"].contract
    assert contract is not None

    def judge(episodes: Sequence[Episode]) -> list[Judgement]:
        made = []
        for episode in episodes:
            verdict = contract.judge(episode.task.expected, episode.completion)
            rewards = {reward.name: reward.function(episode.task, episode, verdict) for reward in BUILTIN}
            made.append(Judgement(verdict=verdict, rewards=rewards, argv=contract.argv_of(episode.completion)))
        return made

    def make(name: str, right: Sequence[int], **others: str) -> Arm:
        policy = server.policy(right, **others)
        examiner = Examiner(judge, None, Asking(max_new_tokens=200), Count())
        return examiner.ask(policy, server.tasks(), ArmLabel(name, "scripted"))

    return make
