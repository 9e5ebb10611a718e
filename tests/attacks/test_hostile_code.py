"""Attacks by skill code. One rule: denied or ended in time, named in the message, and nobody else pays for it."""

from __future__ import annotations

import json
import os
import py_compile
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from skillpm.errors import TrainingError
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.episode import Episode
from skillpm.model.skill import Skill
from skillpm.model.task import Message, Task
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Sandbox
from skillpm.train.columns import Rewarder
from skillpm.trust.consent import Consents
from skillpm.worker.scoring import Scorer
from skillpm.worker.settings import WorkerSettings
from tests.skill_code import Bench, episode

ATTACKS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "hostile_code.yaml").read_text(encoding="utf-8")
)
OBEDIENT = """
import os, sys
from skillpm.plugin import Verdict

def verify(attempts, contract):
    space = {"__file__": __file__, "os": os, "sys": sys, "result": None}
    for attempt in attempts:
        exec(attempt.completion, space)
    return space["result"] or [Verdict(status="passed", score=1.0)] * len(attempts)
"""
LIMITS = Limits(batch_seconds=1.5, item_seconds=0.0, call_seconds=20.0, restarts=3, memory_bytes=2 << 30)


class World(NamedTuple):
    """A hostile skill and a good one in one run, and what the hostile one is after."""

    scorer: Scorer
    outside: Path
    secret: Path
    port: int

    def attack(self, code: str) -> str:
        marks = {"SECRET": self.secret, "OUTSIDE": self.outside, "PORT": self.port, "PARENT": os.getpid()}
        return re.sub(r"@([A-Z]+)@", lambda found: str(marks[found[1]]), code)


def make(root: Path, files: dict[str, str]) -> Skill:
    for name, text in {"SKILL.md": f"---\nname: {root.name}\ndescription: Serve.\n---\nServe.\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return Skill(root.name, "1.0.0", tree_digest(FolderTree(root)), root)


def asked(skill: str, completion: str, request: str = "go") -> Episode:
    expected = {"tool": "serve", "args": {}}
    task = Task.of(skill=skill, system="", request=request, expected=expected, split="train", origin="rule")
    return Episode(task=task, messages=(Message(role="assistant", content=completion),))


# What hangs is ended by the host, which knows no level; each level's own walls are tried by tests/sandbox.
@pytest.fixture(scope="module", params=["landlock", pytest.param("bubblewrap", marks=pytest.mark.slow)])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, offered: Callable[[str], Sandbox]
) -> Iterator[World]:
    sandbox = offered(request.param)
    root = tmp_path_factory.mktemp("world")
    contract = "contract: 1\ntools: [{name: serve, input_schema: {type: object, properties: {}}}]\n"
    hostile, good = make(root / "hostile", {"verifier.py": OBEDIENT}), make(root / "good", {"contract.yaml": contract})
    secret = root / "home" / "secret"
    secret.parent.mkdir()
    secret.write_text("hf_secret")
    consents = Consents(root / "consents.json")
    consents.grant(consents.request(hostile))
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as server,
        Scorer([hostile, good], consents=consents, limits=LIMITS, settings=WorkerSettings(sandbox)) as scorer,
    ):
        server.setblocking(False)
        patch.setenv("HF_TOKEN", "hf_secret")
        scorer.judge([asked("good", "{}"), asked("hostile", "pass")])
        patch.undo()
        yield World(scorer, secret.parent, secret, server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()  # nobody has ever come


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_denied_or_ended_named_and_costs_the_others_nothing(world: World, name: str) -> None:
    attack = ATTACKS[name]
    answer = json.dumps({"tool": "serve", "args": {}})
    judged = world.scorer.judge([asked("hostile", world.attack(attack["code"])), asked("good", answer, request=name)])
    hostile, good = judged
    assert (hostile.verdict.status, hostile.verdict.score) == ("errored", None), hostile
    assert set(hostile.rewards.values()) <= {None}
    assert re.search(attack["says"], hostile.verdict.reasons[0]), hostile.verdict.reasons
    assert "hf_secret" not in str(hostile)
    assert good.verdict.status == "passed", "the other skill's verdict is its own"
    assert world.secret.read_text() == "hf_secret" and sorted(world.outside.iterdir()) == [world.secret]
    if attack.get("restart"):
        world.scorer.close()
    (after,) = world.scorer.judge([asked("hostile", "pass", request=name)])
    assert after.verdict.status == "passed", "the next answer is judged again"


def test_the_list_covers_what_verifiers_do() -> None:
    assert {attack["attack"] for attack in ATTACKS.values()} >= {38, 40, 85, 87, 88, 89, 90}


def test_a_training_run_goes_on_counts_what_errored_and_stops_only_where_it_is_too_much(bench: Bench) -> None:
    skill = bench.skill({"verifier.py": OBEDIENT})
    task = episode("").task
    with bench.scorer(skill) as scorer:
        rewarder = Rewarder({task.key: task}, scorer.judge, max_error_share=0.5)
        rewarder.judgements([task.key] * 4, ["pass", "x = 1", "x = 2", "os.fork()"])
        rewarder.judgements([task.key] * 2, ["x = 3", "os.fork()"])
        assert (rewarder.judged, rewarder.errored) == (6, 2)
        with pytest.raises(TrainingError, match=r"2 of 2 answers .* the first by serving: .*PermissionError"):
            rewarder.judgements([task.key] * 2, ["os.fork()", "open('/etc/passwd')"])


class TestLoading:
    """Attacks 31 and 34: what is loaded is the source that a person looked at, and never in the library's place."""

    VERIFIER = (
        "import json, helper\nfrom skillpm.plugin import Verdict\n\n"
        "def verify(attempts, contract):\n"
        "    reasons = (helper.WHO, WHO, json.__file__)\n"
        "    return [Verdict(status='failed', score=0.0, reasons=reasons) for _ in attempts]\n\n"
        "WHO = 'source'\n"
    )

    @pytest.mark.parametrize("mode", ["unchecked", "timestamp"])
    def test_bytecode_that_claims_to_be_a_source_is_not_run(self, bench: Bench, mode: str) -> None:
        skill = bench.skill({"verifier.py": self.VERIFIER, "helper.py": "WHO = 'source'\n"})
        for name in ("verifier", "helper"):
            source = skill.root / f"{name}.py"
            status, text = source.stat(), source.read_text()
            source.write_text(text.replace("WHO = 'source'", "WHO = 'forged'"))
            os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
            kind = py_compile.PycInvalidationMode
            py_compile.compile(
                str(source), invalidation_mode=kind.UNCHECKED_HASH if mode == "unchecked" else kind.TIMESTAMP
            )
            source.write_text(text)
            os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert len(list((skill.root / "__pycache__").iterdir())) == 2
        with bench.scorer(skill) as scorer:
            assert scorer.judge([episode("x")])[0].verdict.reasons[:2] == ("source", "source")

    def test_bytecode_without_a_source_is_no_module(self, bench: Bench) -> None:
        skill = bench.skill({"verifier.py": self.VERIFIER, "hidden.py": "WHO = 'forged'\n"})
        py_compile.compile(str(skill.root / "hidden.py"), cfile=str(skill.root / "helper.pyc"))
        with bench.scorer(skill) as scorer:
            (judgement,) = scorer.judge([episode("x")])
        assert judgement.verdict.status == "errored" and "No module named 'helper'" in judgement.verdict.reasons[0]

    def test_a_skill_s_files_stand_in_for_no_module_of_the_library(self, bench: Bench) -> None:
        names = ("json.py", "scripts/json.py", "pydantic/__init__.py", "skillpm/__init__.py", "sitecustomize.py")
        shadows = dict.fromkeys(names, "raise SystemExit('shadow')\n")
        skill = bench.skill({"verifier.py": self.VERIFIER, "helper.py": "WHO = 'source'\n", **shadows})
        with bench.scorer(skill) as scorer:
            (judgement,) = scorer.judge([episode("x")])
        assert judgement.verdict.status == "failed"
        assert judgement.verdict.reasons[2] == json.__file__


DOCUMENTS = {
    "38 a template that reaches for Python": ("system_prompt: \"{{ ''.__class__ }}\"\n", "system_prompt"),
    "38 a template that grows": ("system_prompt: \"{{ 'a' * 1000000000 }}\"\n", "Mul is not allowed"),
    "38 a template without end": (
        "system_prompt: '{% for a in range(9999999) %}{% endfor %}'\n",
        "Call is not allowed",
    ),
    "39 aliases": ("system_prompt: &a x\nmore: [*a, *a]\n", "aliases"),
    "39 a tag": ("system_prompt: !!python/object/apply:os.system ['true']\n", "tag"),
    "40 a remote reference": ("@TOOL@{$ref: 'http://127.0.0.1:@PORT@/x'}}}}]\n", "input_schema"),
    "40 a file reference": ("@TOOL@{$ref: 'file:///etc/passwd'}}}}]\n", "input_schema"),
    "40 a pattern that looks back": ("@TOOL@{type: string, pattern: '(a)\\1'}}}}]\n", "regex"),
}
TOOL = "tools: [{name: serve, input_schema: {type: object, properties: {a: "


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_contract_is_named_and_costs_the_others_nothing(bench: Bench, name: str) -> None:
    text, says = DOCUMENTS[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        text = text.replace("@TOOL@", TOOL).replace("@PORT@", str(server.getsockname()[1]))
        tools = "" if "tools:" in text else f"{TOOL}{{type: string}}}}}}}}]\n"
        hostile = bench.skill({"contract.yaml": f"contract: 1\n{text}{tools}"}, name="hostile")
        with bench.scorer(bench.skill(), hostile) as scorer:
            good, bad = scorer.judge([episode(), episode("x", skill="hostile")])
        with pytest.raises(BlockingIOError):
            server.accept()
    assert good.verdict.status == "passed"
    assert bad.verdict.status == "errored"
    assert "hostile/contract.yaml" in bad.verdict.reasons[0] and says in bad.verdict.reasons[0]


def test_a_pattern_that_would_be_catastrophic_elsewhere_is_matched_in_linear_time(bench: Bench) -> None:
    skill = bench.skill({"contract.yaml": f"contract: 1\n{TOOL}{{type: string, pattern: '^(a+)+$'}}}}}}}}]\n"})
    expected = {"tool": "serve", "args": {"a": "a"}}
    wrong = json.dumps({"tool": "serve", "args": {"a": "a" * 100_000 + "!"}})
    with bench.scorer(skill) as scorer:
        (judgement,) = scorer.judge([episode(wrong, expected=expected)])
    assert judgement.verdict.status == "failed"


@pytest.mark.slow
def test_a_verifier_that_hangs_forever_costs_one_deadline_a_call(bench: Bench) -> None:
    """However many answers there are, the call ends when its own time is spent, and says so."""
    skill = bench.skill({"verifier.py": "def verify(attempts, contract):\n    while True: pass\n"})
    limits = Limits(batch_seconds=0.5, item_seconds=0.0, call_seconds=2.0, restarts=1000)
    with bench.scorer(skill, limits=limits) as scorer:
        judgements = scorer.judge([episode(str(number)) for number in range(300)])
    reasons = {judgement.verdict.reasons[0] for judgement in judgements}
    assert {judgement.verdict.status for judgement in judgements} == {"errored"}
    assert len(reasons) <= 2 and all("no verdicts after" in reason for reason in reasons)
