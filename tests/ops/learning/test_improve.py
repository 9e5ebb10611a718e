"""A round from use to a better adapter: it learns from traces, compares with the run before, and obeys the gate."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from pathlib import Path
from weakref import ref

import pytest

from skillpm.agent.trace import Step, Trace, Traces
from skillpm.errors import UsageError
from skillpm.evals.asking import Asking
from skillpm.model.ports import Policy
from skillpm.ops.context import Context
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.improve import Round, improve, plan_round
from skillpm.ops.learning.models import PolicyFactory, PolicyRequest, load_policy
from skillpm.ops.learning.runs import find_run
from tests.ops.learning.test_train import Train, tiny_model, train_it  # noqa: F401 - fixtures
from tests.scripted_policy import Count, Server

REQUEST = "put it onto port 777"


def edited(server: Server) -> Trace:
    """Return an episode in which a person edited the answer."""
    step = Step(answer="?", decision="edit", final=server.gold(777))
    about = {"skill": "server", "version": "1.0.0", "tree": "0", "model": "m"}
    return Trace(id="1", when="2026-01-01", request=REQUEST, steps=(step,), **about)


def begin(server: Server, run: Path, *changes: str) -> tuple[Evaluator, Round]:
    context = server.context()
    return Evaluator(context, Asking(dtype="float32", max_new_tokens=4), Count()), plan_round(context, run, changes)


def one_at_a_time(loaded: list[ref[Policy]]) -> PolicyFactory:
    """Return what loads models, each after the one before it is gone: two may not fit on an accelerator."""

    def load(request: PolicyRequest, context: Context) -> Policy:
        gc.collect()
        assert not any(policy() for policy in loaded)
        policy = load_policy(request, context)
        loaded.append(ref(policy))
        return policy

    return load


def test_a_round_learns_from_use_and_the_gate_decides(server: Server, train_it: Train) -> None:  # noqa: F811
    """The new run begins with the old adapter, and has the edited answer among its rows."""
    run, settings = train_it("data.evaluate=0", "data.held_out=12"), server.context().settings
    with pytest.raises(UsageError, match="no answer was approved, and it was never evaluated"):
        begin(server, run.folder)
    in_suite = edited(server).model_copy(update={"id": "0", "request": server.request(1)})
    Traces(settings.traces).save(in_suite)
    with pytest.raises(UsageError, match="no answer was approved"):  # what stands in a suite trains nobody
        begin(server, run.folder)
    Traces(settings.traces).save(edited(server))
    evaluator, chosen = begin(server, run.folder)
    assert (chosen.traces, chosen.failures) == ({"server": 1}, None)
    kept = improve(replace(evaluator, policies=one_at_a_time([])), chosen, 1.0)
    assert kept.folder.name > run.folder.name  # though it was made elsewhere, and within the same second
    assert kept.decision.word == "GO" and kept.kept and find_run(settings, Path("latest")) == kept.folder
    rows = (kept.folder / "data/train.jsonl").read_text().splitlines()
    assert [json.loads(line)["expected"] for line in rows if REQUEST in line] == [server.gold(777)]
    assert [item.pairs >= 10 for item in kept.comparisons] == [True, True]
    assert json.loads((kept.folder / "start.json").read_text())["adapter_digest"]

    _, following = begin(server, kept.folder)
    assert following.failures and set(following.failures) == {"server dev"} and following.recipe.seed == 2
    assert following.recipe.data.failures == kept.folder.name


@pytest.mark.slow
def test_a_round_that_the_gate_refuses_leaves_the_run_before(server: Server, train_it: Train) -> None:  # noqa: F811
    run, settings = train_it("data.held_out=12"), server.context().settings
    server.write(range(1, 11), gate={"at_least": 0.9})
    evaluator, chosen = begin(server, run.folder, "data.rows=4")
    left = improve(evaluator, chosen, 0.0)
    assert left.decision.word == "NO-GO" and not left.kept
    assert left.folder.parent == server.root / "candidates" and (left.folder / "manifest.json").is_file()
    assert find_run(settings, Path("latest")) == run.folder
