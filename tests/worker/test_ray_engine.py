"""Workers on a Ray cluster: the bytes and verdicts of one process, also if a node is lost in the middle."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import UsageError, VerifierError
from skillpm.sandbox.limits import Limits
from skillpm.worker.pool import WorkerPool
from skillpm.worker.ray_engine import ADDRESS, Failure, NodeWorker, Order, RayEngine, connected
from skillpm.worker.settings import WorkerSettings
from tests.shop import MakeProject
from tests.skill_code import Bench, episode

SLOW = """
import time

def verify(attempts, contract):
    time.sleep(0.5 * len(attempts))
    return [attempt.verdict for attempt in attempts]
"""
RULES = """synthesis: 1
values: {port: {integers: [2000, 9000]}}
tasks:
  - name: serve
    tool: serve
    draw: {port: {from: port}}
    args: {port: "{port}"}
    requests: ["serve on {port}", "use {port} to serve"]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one processor each."""
    pytest.importorskip("ray", reason="ray is not installed")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKILLPM_HOME", str(tmp_path_factory.mktemp("nodes")))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        nodes = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=nodes)
        made.second = made.add_node(num_cpus=1, object_store_memory=80 << 20)
        patch.setenv(ADDRESS, made.address)
        yield made
        made.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_two_nodes_make_the_bytes_of_one_process(cluster: Any, project: MakeProject, bench: Bench) -> None:
    skill = bench.skill({"synthesis.yaml": RULES, "verifier.py": SLOW.replace("0.5", "0")})
    place = project({})
    options = ("--rows", "60", "--held-out", "10", "--yes", "--workers", "2")
    place.call("synth", str(skill.root), *options, "--output", "here").ok()
    place.call("synth", str(skill.root), *options, "--output", "there", "--engine", "ray").ok()
    for name in ("train.jsonl", "held_out.jsonl", "profile.json"):
        assert (place.root / "there" / name).read_bytes() == (place.root / "here" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_a_node_that_is_lost_in_the_middle_costs_no_verdict(cluster: Any, bench: Bench) -> None:
    scorer = bench.scorer(bench.skill({"verifier.py": SLOW}))
    (skill,) = (pool.skill for pool in scorer._pools.values())
    calls = ({"tool": "serve", "args": {"port": 8100 + number, "host": None, "quiet": None}} for number in range(40))
    episodes = [episode(json.dumps(call)) for call in calls]
    limits = Limits(call_seconds=400.0, batch_seconds=120.0)
    with connected():
        pool = WorkerPool(skill, limits, WorkerSettings(workers=2, engine=RayEngine(lambda skill: None)))
        pool.judge(episodes[:2])  # one on each node
        before = {worker.pid for worker in pool.processes}
        lost = threading.Timer(1.0, cluster.remove_node, [cluster.second])
        lost.start()
        judgements = pool.judge(episodes)
        lost.join()
        after = {worker.pid for worker in pool.processes}
        pool.close()
        assert (len(before), len(after), len(before & after)) == (2, 2, 1)
    here = WorkerPool(skill, limits, WorkerSettings())
    assert judgements == here.judge(episodes)
    here.close()
    assert {judgement.verdict.status for judgement in judgements} == {"passed", "failed"}


def test_a_node_runs_only_the_content_whose_code_a_person_agreed_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKILLPM_HOME", str(tmp_path / "node"))
    skill = bench.skill({"verifier.py": SLOW})
    order = Order("0", skill, {"verifier.py": b"import os"}, frozenset(), None, Limits(), "limits", None, True)  # type: ignore[arg-type]
    from skillpm import __version__

    for version, reason in (("0", "has skillpm"), (__version__, "changed on its way")):
        failure = NodeWorker().start(order._replace(version=version))
        assert isinstance(failure, Failure) and reason in failure.message
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere.invalid:x"])
def test_an_address_without_a_cluster_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.setenv(ADDRESS, address)
    with pytest.raises(UsageError, match="no Ray cluster answers at"), connected():
        pass


def test_without_ray_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError) as caught, connected():
        pass
    assert caught.value.hint == "pip install 'skillpm-core[ray]'"
    assert not isinstance(caught.value, VerifierError)
