"""The contract between skillpm and what extends it.

HOOKS_VERSION rises when a hook is removed or changes its meaning; ``hooks:`` in skill.yaml says for which one a
skill's plugin.py was written. A hook takes only arguments without defaults (pluggy never passes those that have one)
and returns records that carry a name; two records of one name are an error that names both plugins.

``SkillHooks`` are implemented by a skill's plugin.py for itself and by ``runtime/conventions.py`` for every skill, and
run in the skill's worker process. ``HostHooks`` and ``EventHooks`` are implemented by distributions with an entry point
in the group ``skillpm`` and run in skillpm's own process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from skillpm.layout.rule import Rule
    from skillpm.model.contract import Tool
    from skillpm.model.ports import (
        Attempt,
        Benchmark,
        Embedder,
        Exporter,
        Importer,
        Index,
        PolicyMaker,
        SandboxLevel,
        SynthesisRule,
        Verifier,
    )
    from skillpm.model.skill import Skill
    from skillpm.model.suite import Suite
    from skillpm.model.training import Trainer
    from skillpm.model.verdict import Judgement, RewardFunction

PROJECT = "skillpm"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class SkillHooks:
    """What a skill contributes. Called once for each skill when its worker starts."""

    @hookspec
    def skillpm_synthesis_rules(self, skill: Skill) -> Iterable[SynthesisRule]:
        """Generate tasks that synthesis.yaml cannot describe.

        Returns:
            Rules: objects with a ``name`` and ``tasks(seeds, seed)``, which yields Tasks without end or until there
            are no more; the same seeds and seed give the same tasks. Verified, deduplicated and split like all
            others.

        Example:
            return [PortRule()]

        versionadded: 1
        """
        return ()

    @hookspec(firstresult=True)
    def skillpm_verifier(self, skill: Skill) -> Verifier | None:
        """Judge answers by rules that a contract cannot express.

        Returns:
            An object with ``verify(attempts)``, which returns one Verdict for each attempt, in order; or None.
            ``attempt.verdict`` is what the contract found. plugin.py wins over verifier.py, a skill's own over a
            distribution's, that over the contract. What raises, hangs or returns something else is an errored
            verdict, never a zero. A skill's own verifier may have an environment: ``observe(attempt)``.

        Example:
            return Lenient()

        versionadded: 1
        """

    @hookspec
    def skillpm_rewards(self, skill: Skill) -> Iterable[RewardFunction]:
        """Reward what a verdict does not measure, such as brevity.

        Returns:
            ``RewardFunction(name, function, default=False)`` records; ``function(task, episode, verdict)`` returns a
            finite number from -1 to 1, or None where it does not apply. A trainer sees ``skill:name``.

        Example:
            yield RewardFunction("halved", lambda task, episode, verdict: verdict.score / 2)

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_suites(self, skill: Skill) -> Iterable[Suite]:
        """Provide evaluation tasks that are computed.

        Returns:
            Frozen Suites with their tasks inline. Nobody trains on what stands in a suite.

        Example:
            return [Suite(name="hard", tasks=(Seed(request="stop it", expected={"tool": "stop", "args": {}}),))]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_tools(self, skill: Skill) -> Iterable[Tool]:
        """Provide tools besides those of contract.yaml.

        Returns:
            Tools; their names are unique within the skill.

        Example:
            return [Tool(name="dev", input_schema={"type": "object", "properties": {}})]

        versionadded: 1
        """
        return ()


class HostHooks:
    """What a distribution contributes to every project on this machine."""

    @hookspec(firstresult=True)
    def skillpm_index(self, url: str) -> Index | None:
        """Provide an index for a kind of registry that is not built in.

        Returns:
            An Index that keeps the promises of ``skillpm.plugin.Index`` (``made_here`` and ``remote`` too) for a
            URL whose scheme it knows, else None.

        Example:
            return OciIndex(url) if url.startswith("oci://") else None

        versionadded: 1
        """

    @hookspec
    def skillpm_layout_rules(self) -> Iterable[Rule]:
        """Add rules of your own to ``skillpm validate``, ``pack`` and ``publish``.

        Returns:
            ``skillpm.plugin.Rule`` records, usually functions under the decorator ``rule``, whose codes do not begin
            with SK. A rule reads the tree and runs nothing of the skill.

        Example:
            return [has_owner]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_sandboxes(self) -> Iterable[SandboxLevel]:
        """Provide a level of confinement for skill code; ``--sandbox plugin:NAME`` asks for it.

        Returns:
            SandboxLevels from ``skillpm.plugin``; ``probe()`` returns what is there, empty where it cannot work,
            and ``command(enclosure)`` the command that starts a worker inside. One that is ``strong`` stands behind our
            own strong levels and before resource limits; any other is taken only when it is named.

        Example:
            return [SandboxLevel("acme", probe=acme_version, command=inside_acme, strong=True)]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_policies(self) -> Iterable[PolicyMaker]:
        """Provide a kind of policy that is not built in, such as a server's; ``--model NAME:REST`` asks for it.

        Returns:
            PolicyMakers from ``skillpm.plugin``; ``open(rest, adapter, batch_size)`` returns an object with a
            ``name`` and ``complete(prompts, max_new_tokens=…)``, which yields ``(index, Completion)`` in any order.

        Example:
            return [PolicyMaker("acme", open_acme)]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_embedders(self) -> Iterable[Embedder]:
        """Provide an embedding model, by which ``skillpm run --read`` ranks passages beside their words.

        Returns:
            Embedders from ``skillpm.plugin``; ``embed(texts)`` returns a vector of length 1 for each text, all of one
            dimension. Two plugins that bring one are an error.

        Example:
            return [Embedder("acme", embed)]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_benchmarks(self) -> Iterable[Benchmark]:
        """Provide a published benchmark; ``skillpm eval --benchmark NAME`` asks for it.

        Returns:
            Benchmarks from ``skillpm.plugin``, each with the folder of a skill that stands for it. The same plugin
            brings that skill's suites (``skillpm_suites``) and its judge (``skillpm_verifier``).

        Example:
            return [Benchmark("acme", Path(__file__).parent / "acme")]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_trainers(self) -> Iterable[Trainer]:
        """Provide a kind of training stage; ``kind: NAME`` in a recipe asks for it.

        Returns:
            Trainers from ``skillpm.plugin``. ``settings`` is a subclass of ``skillpm.plugin.Stage`` that
            checks what the recipe says, ``plan(stage, material)`` works out a ``StagePlan`` without torch, and
            ``load()`` imports what running takes and returns ``run(stage, given)``, which trains the adapter of
            ``given.model`` in place and returns a ``StageOutput``; one that is not ``kept`` is taken back. One with
            ``trains=False`` asks ``material.held_out``, and returns ``answers``. Built-in kinds are such records, too,
            and keep their names.

        Example:
            return [Trainer("acme-dpo", Dpo, plan, load)]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_exporters(self) -> Iterable[Exporter]:
        """Write skills in the form of another system; ``skillpm export NAME`` asks for it.

        Returns:
            Exporters from ``skillpm.plugin``; ``export(contributions, folder)`` writes into a new folder, which
            takes its name only when that ends well. ``contributions`` has by skill ``contract``, ``prompt``, ``seeds``,
            ``suites``, ``rewards``, ``tools``, ``verifier``, ``default_reward``, the rows of ``--data`` as
            ``tasks``, and ``write_skill(folder)``. With ``Exporter(..., recipe=True)`` the function also takes the
            recipe of ``--recipe``, and returns the fields of it that have no equivalent there.

        Example:
            return [Exporter("acme", write_acme)]

        versionadded: 1
        """
        return ()

    @hookspec
    def skillpm_importers(self) -> Iterable[Importer]:
        """Read the lock of another skill manager; ``skillpm import FILE`` asks for it by the name of the file.

        Returns:
            Importers from ``skillpm.plugin``; ``read(text, path)`` gives for each entry an ``Imported`` with
            what ``skillpm install`` is given, or a ``Skipped`` with the reason. The locks that skillpm reads itself
            are never asked for, and two plugins that read files of one name are an error.

        Example:
            return [Importer("acme", ("acme.lock",), read_acme)]

        versionadded: 1
        """
        return ()


class EventHooks:
    """Observers: results are ignored, arguments must not be changed, failures are reported and change nothing."""

    @hookspec
    def skillpm_installed(self, skill: Skill) -> None:
        """Observe that a skill has been installed and locked.

        Returns:
            Nothing.

        Example:
            log.info("%s %s", skill.name, skill.tree)

        versionadded: 1
        """

    @hookspec
    def skillpm_scored(self, attempt: Attempt, judgement: Judgement) -> None:
        """Observe every judged answer: ``attempt.completion``, ``judgement.verdict``.

        Returns:
            Nothing.

        Example:
            counts[judgement.verdict.status] += 1

        versionadded: 1
        """

    @hookspec
    def skillpm_run_finished(self, run: Mapping[str, Any]) -> None:
        """Observe that a training run has written its manifest; ``run`` is that document, with its ``folder``.

        Returns:
            Nothing.

        Example:
            upload(run["folder"])

        versionadded: 1
        """
