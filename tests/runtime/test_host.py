"""The host: one plugin at a time, failures named, clashes refused, observers harmless."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from skillpm.errors import PluginError
from skillpm.hookspecs import hookimpl
from skillpm.layout.rule import rule
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem
from skillpm.model.ports import Attempt, Embedder, Exporter
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement, RewardFunction, Verdict
from skillpm.runtime.catalogue import build_catalogue
from skillpm.runtime.distributions import load_host
from skillpm.runtime.host import OWN_EXPORTERS, Host
from skillpm.runtime.plugins import MAX_TOLD
from tests.skill_code import Bench, episode, hosting
from tests.whole.test_start_up import imported


@rule("ACME001", "no owner", why="Nobody answers for it.")
def no_owner(subject: Subject) -> Iterator[Problem]:
    """A file OWNER at the root."""
    if "OWNER" not in subject.files:
        yield Problem("there is no OWNER file")


class Rewarding:
    """A host plugin that brings one reward."""

    def __init__(self, name: str = "brevity") -> None:
        self.name = name

    @hookimpl
    def skillpm_rewards(self, skill: Skill) -> Iterator[RewardFunction]:
        yield RewardFunction(self.name, lambda task, episode, verdict: 1.0 / (1 + len(episode.completion)))


class Exploding:
    """A host plugin whose generator fails half way."""

    @hookimpl
    def skillpm_rewards(self, skill: Skill) -> Iterator[RewardFunction]:
        yield RewardFunction("first", lambda task, episode, verdict: 1.0)
        sys.exit("enough")


class Lenient:
    """A host plugin that passes everything."""

    @hookimpl
    def skillpm_verifier(self, skill: Skill) -> Any:
        return self

    def verify(self, attempts: list[Attempt]) -> list[Verdict]:
        return [Verdict(status="passed", score=1.0, reasons=("lenient",)) for _ in attempts]


class Listening:
    """A host plugin that observes."""

    def __init__(self, *, fails: bool = False) -> None:
        self.told: list[tuple[str, str]] = []
        self.fails = fails

    @hookimpl
    def skillpm_scored(self, attempt: Attempt, judgement: Judgement) -> None:
        self.told.append((attempt.completion, judgement.verdict.status))
        if self.fails:
            raise RuntimeError("observer broke")


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return ``distribution(name, module=source, ...)``: installs one whose entry points are these modules."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(name: str, **modules: str) -> None:
        information = folder / f"{name}-1.2.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        points = [f"{module.removeprefix(f'{name}_')} = {module}" for module in modules]
        (information / "entry_points.txt").write_text("\n".join(["[skillpm]", *points]) + "\n")
        for module, source in modules.items():
            (folder / f"{module}.py").write_text(source)
        importlib.invalidate_caches()

    return install


GOOD = "from skillpm.plugin import hookimpl\n@hookimpl\ndef skillpm_run_finished(run):\n    pass\n"


def test_every_broken_distribution_is_named_with_its_version_and_the_rest_is_loaded(
    distribution: Callable[..., None],
) -> None:
    distribution("acme", acme_good=GOOD, acme_missing="import no_such_module", acme_leaving="import sys; sys.exit(3)")
    distribution(
        "typo", typo_hook=GOOD.replace("run_finished", "run_finnished"), typo_argument=GOOD.replace("(run)", "(rum)")
    )
    host = load_host()
    assert [item.name for item in host.loaded()] == ["conventions", "good"]
    assert host.loaded()[1].source == "acme 1.2" and host.loaded()[1].hooks == ("skillpm_run_finished",)
    messages = "\n".join(f"{item.plugin}: {item.message}" for item in host.failures)
    assert len(host.failures) == 4
    for text in ("acme 1.2: plugin `missing`", "ModuleNotFoundError", "acme 1.2: plugin `leaving`", "SystemExit"):
        assert text in messages
    assert "typo 1.2" in messages and "skillpm_run_finnished" in messages and "rum" in messages


def test_two_plugins_of_one_name_are_an_error_that_names_both_distributions(distribution: Callable[..., None]) -> None:
    distribution("acme", acme_same=GOOD)
    distribution("bolt", bolt_same=GOOD)
    host = load_host()
    assert [item.source for item in host.loaded()] == ["built in", "acme 1.2"]
    assert "acme 1.2 and bolt 1.2 both bring a plugin called `same`" in host.failures[0].message


def test_no_plugin_is_loaded_where_the_settings_say_so(distribution: Callable[..., None]) -> None:
    distribution("acme", acme_good=GOOD)
    assert [item.name for item in load_host(plugins=()).loaded()] == ["conventions"]


def test_a_failure_whose_message_cannot_be_read_is_a_failure_like_any_other(bench: Bench) -> None:
    class UnreadableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no message")

    class Plugin:
        @hookimpl
        def skillpm_rewards(self, skill: Skill) -> Iterator[RewardFunction]:
            raise UnreadableError

    host = hosting(unreadable=Plugin())
    build_catalogue([bench.skill()], host)
    assert [failure.message for failure in host.failures] == ["UnreadableError: (its message cannot be read)"]


def test_one_plugin_that_fails_costs_the_others_nothing(bench: Bench) -> None:
    host = hosting(exploding=Exploding(), rewarding=Rewarding())
    contributions = build_catalogue([bench.skill()], host)["serving"]
    assert [reward.name for reward in contributions.rewards] == ["brevity", "graded", "signed", "tool_call"]
    assert contributions.origins["reward:brevity"] == "rewarding"
    assert [(item.plugin, item.hook) for item in host.failures] == [("exploding", "skillpm_rewards")]


def test_two_rewards_of_one_name_are_an_error_that_names_both_plugins(bench: Bench) -> None:
    host = hosting(rewarding=Rewarding("graded"))
    with pytest.raises(PluginError, match="conventions and rewarding both bring a reward called `graded`"):
        build_catalogue([bench.skill()], host)


def test_a_hosts_verifier_wins_over_the_convention_and_its_rewards_are_paid(bench: Bench) -> None:
    host = hosting(lenient=Lenient(), rewarding=Rewarding())
    (judgement,) = bench.judge([episode("1234")], host=host)
    assert judgement.verdict.reasons == ("lenient",)
    assert judgement.rewards == {"graded": 1.0, "signed": 1.0, "tool_call": 0.0, "brevity": 0.2}


@pytest.mark.parametrize(
    ("files", "is_brought", "verifier"),
    [
        ({}, False, "contract.yaml"),
        ({}, True, "plugin"),
        ({"verifier.py": "def verify(attempts): ..."}, True, "verifier.py"),
    ],
)
def test_contributions_say_what_judges(bench: Bench, files: dict[str, str], is_brought: bool, verifier: str) -> None:
    host = hosting(lenient=Lenient()) if is_brought else Host()
    contributions = build_catalogue([bench.skill(files)], host)["serving"]
    assert (contributions.verifier, contributions.is_judged_by_contract) == (verifier, verifier == "contract.yaml")


def test_a_skills_own_verifier_wins_over_a_hosts(bench: Bench) -> None:
    host = hosting(lenient=Lenient())
    own = "def verify(attempts, contract):\n    return [attempt.verdict for attempt in attempts]\n"
    with bench.scorer(bench.skill({"verifier.py": own}), host=host) as scorer:
        assert scorer.judge([episode("x")])[0].verdict.status == "failed"


def test_observers_hear_of_every_judgement_and_their_failures_change_nothing(bench: Bench) -> None:
    listening, failing = Listening(), Listening(fails=True)
    host = hosting(listening=listening, failing=failing)
    judgements = bench.judge([episode("x")] * (MAX_TOLD + 2), host=host)
    assert [item.verdict.status for item in judgements] == ["failed"] * (MAX_TOLD + 2)
    assert listening.told == [("x", "failed")] * (MAX_TOLD + 2)
    assert len(failing.told) == MAX_TOLD
    assert host.failures[0].plugin == "failing"


class Rules:
    """A host plugin that brings whatever it is given as layout rules."""

    def __init__(self, *rules: Any) -> None:
        self.rules = rules

    @hookimpl
    def skillpm_layout_rules(self) -> list[Any]:
        return list(self.rules)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (["ACME001"], "layout rule: a str is not a skillpm.plugin.Rule"),
        ([replace(no_owner, code="SK001")], "the code SK001 is taken"),
        ([no_owner, no_owner], "the code ACME001 is taken"),
    ],
)
def test_what_is_no_layout_rule_of_its_own_names_its_plugin(rules: list[Any], reason: str) -> None:
    host = hosting(rules=Rules(*rules))
    with pytest.raises(PluginError, match=f"^rules: {reason}$"):
        host.layout_rules()


def test_a_rule_keeps_its_text_where_it_is_guarded() -> None:
    host = hosting(rules=Rules(no_owner))
    assert [rule.text() for rule in host.layout_rules()] == [no_owner.text()]


class Embedding:
    """A host plugin that brings an embedding model."""

    def __init__(self, vectors: object) -> None:
        self.vectors = vectors

    @hookimpl
    def skillpm_embedders(self) -> list[Embedder]:
        return [Embedder("acme", lambda texts: cast(Any, self.vectors))]


@pytest.mark.parametrize(
    "vectors", [[[1.0]], [[1.0], [0.6, 0.8]], [["x"], ["y"]], None, [1.0, 0.0]],
    ids=["too few", "two dimensions", "no numbers", "nothing", "no vectors"],
)  # fmt: skip
def test_a_model_of_meaning_that_gives_something_else_is_named(vectors: object) -> None:
    host = hosting(meaning=Embedding(vectors))
    embedder = host.embedder()
    assert embedder is not None
    with pytest.raises(PluginError, match=r"^meaning: embedder `acme`: "):
        embedder.embed(["one", "two"])


def test_two_models_of_meaning_are_an_error_that_names_both_plugins() -> None:
    host = hosting(one=Embedding([]), two=Embedding([]))
    with pytest.raises(PluginError, match=r"^one and two both embed texts$"):
        host.embedder()


def test_a_host_without_plugins_imports_no_pluggy() -> None:
    """Commands ask for what plugins bring whether there are any or not."""
    code = """
from skillpm.runtime.host import Host
host = Host()
assert host.index("acme:x") is host.embedder() is None and host.trainers() == []
assert host.layout_rules() == host.sandboxes() == ()
assert host.policies() == host.exporters() == {} and host.importer("acme.lock") is None
assert host.installed_observer() is None and host.scored_observer() is None and host.run_finished({}) is None
"""
    assert imported(code, "pluggy") == set()


class Exporters:
    """A host plugin that brings exporters of some names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def skillpm_exporters(self) -> list[Any]:
        return [Exporter(name, lambda skills, folder: None) for name in self.names]


@pytest.mark.parametrize("name", OWN_EXPORTERS)
def test_an_exporter_whose_name_is_built_in_is_refused(name: str) -> None:
    host = hosting(acme=Exporters("mine", name))
    with pytest.raises(PluginError, match=f"acme: the exporter `{name}` is built in"):
        host.exporters()


class Making:
    """A host plugin that brings one synthesis rule; it yields whatever it is given."""

    name = "made"

    def __init__(self, *tasks: Any) -> None:
        self.made = tasks

    @hookimpl
    def skillpm_synthesis_rules(self, skill: Skill) -> list[Any]:
        return [self]

    def tasks(self, seeds: Any, seed: int) -> Iterator[Any]:
        for item in self.made:
            yield item() if callable(item) else item


def task(number: int) -> Task:
    return Task.of(skill="serving", system="", request=f"r{number}", expected={}, split="train", origin="rule")


def test_a_hosts_synthesis_rule_is_run_here_and_no_longer_than_is_asked(bench: Bench) -> None:
    host = hosting(making=Making(task(0), task(1), lambda: 1 / 0))
    made = host.synthesise(bench.skill(), "made", [], seed=0, count=2)
    assert made == [task(0), task(1)]
    assert host.synthesise(bench.skill(), "another", [], seed=0, count=2) is None


@pytest.mark.parametrize(
    ("item", "reason"), [(lambda: 1 / 0, "ZeroDivisionError"), ("text", "not a Task"), (sys.exit, "SystemExit")]
)
def test_a_hosts_synthesis_rule_that_fails_names_its_plugin(bench: Bench, item: Any, reason: str) -> None:
    host = hosting(making=Making(item))
    with pytest.raises(PluginError, match=f"^making: rule `made`: .*{reason}"):
        host.synthesise(bench.skill(), "made", [], seed=0, count=2)
