"""The one module from which authors of skills and of plugins import.

``from skillpm.plugin import hookimpl, Verdict`` is all that a plugin.py, a verifier.py or a distribution needs. Every
name is loaded when it is first asked for, so this module alone imports neither pydantic nor pluggy nor torch. What is
not listed here may change in any release; what is listed changes only with ``HOOKS_VERSION``.

The imports below are the only list of the names. A type checker reads them as they stand; ``__getattr__`` and
``__dir__`` read the same lines out of this file, as Python has no lazy import before 3.15. A comment above each says
what the name is; what a name returns, takes and raises in full stands in its own docstring.

Units, wherever nothing else is said: scores and components are in 0..1, rewards in -1..1, times in seconds, sizes in
bytes, lengths of prompts and answers in tokens. ``None`` in the place of a score or a reward means "could not be
judged" or "does not apply", never zero.
"""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # isort: off
    # --- hooks
    # Decorator: the function below implements the hook of its name; takes some of that hook's arguments.
    from skillpm.hookspecs import hookimpl as hookimpl

    # int: the version of the hooks that this skillpm has; skill.yaml repeats it as ``hooks:``.
    from skillpm.model.hooks import HOOKS_VERSION as HOOKS_VERSION

    # --- errors; each has a message, a hint and an exit code. What else a plugin raises becomes a PluginError.
    # The base of all errors that are shown to a person without a traceback.
    from skillpm.errors import SkillpmError as SkillpmError

    # Something that was typed cannot be done (exit code 2).
    from skillpm.errors import UsageError as UsageError

    # A document is wrong; takes ``path`` and ``line`` (exit code 2).
    from skillpm.errors import DocumentError as DocumentError

    # An index could not be asked or has no such release (exit code 5).
    from skillpm.errors import RegistryError as RegistryError

    # A plugin or a skill's code failed (exit code 9).
    from skillpm.errors import PluginError as PluginError

    # A stage has to stop (exit code 10).
    from skillpm.errors import TrainingError as TrainingError

    # --- skills and their tasks
    # An unpacked skill: name, version, digest of its tree, and its folder ``root``, which is read only.
    from skillpm.model.skill import Skill as Skill

    # One message of a conversation: ``role`` and ``content``.
    from skillpm.model.task import Message as Message

    # A hand-written example: ``request`` and the ``expected`` answer, a JSON value.
    from skillpm.model.task import Seed as Seed

    # One problem: prompt, expected answer, split; ``Task.of(...)`` makes one, ``key`` is the digest of its content.
    from skillpm.model.task import Task as Task

    # A frozen set of held-out Seeds under a name; nobody trains on them.
    from skillpm.model.suite import Suite as Suite

    # A tool that an answer may call: ``name`` and ``input_schema``, a JSON schema.
    from skillpm.model.contract import Tool as Tool

    # Contract -> str: the words that tell a model, which never learned them, the tools and the forms of an answer.
    from skillpm.contract.tool_forms import told_tools as told_tools

    # All that one skill brings: contract, prompt, seeds, suites, rewards, tools.
    from skillpm.runtime.catalogue import Contributions as Contributions

    # str -> bool: is this text the name of a skill, ``name`` or ``owner/name``?
    from skillpm.model.name import is_name as is_name

    # --- judging
    # One answer to a task: its new messages, ``completion`` (the last one's text), the finish reason, its tokens.
    from skillpm.model.episode import Episode as Episode

    # What a verifier is given: task, episode, and the verdict of the skill's contract (None without a contract).
    from skillpm.model.ports import Attempt as Attempt

    # What a verifier found: status, score in 0..1 (None where abstained or errored), components, reasons.
    from skillpm.model.verdict import Verdict as Verdict

    # A verdict with the rewards that were paid for it, by name.
    from skillpm.model.verdict import Judgement as Judgement

    # str -> str: what a completion says after the thoughts in front of it, however its model closes them.
    from skillpm.contract.answer import after_thoughts as after_thoughts

    # What stands in a completion: its object, whether it stands alone, and why not; never raises.
    from skillpm.contract.answer import read_answer as read_answer

    # A named ``function(task, episode, verdict)``; returns a finite float in -1..1, or None where it does not apply.
    from skillpm.model.verdict import RewardFunction as RewardFunction

    # Protocol: ``verify(attempts)`` returns one Verdict for each attempt, in order.
    from skillpm.model.ports import Verifier as Verifier

    # Protocol: a verifier that has ``observe(attempt)``, which returns what its environment shows, or None at the end.
    from skillpm.model.ports import Simulator as Simulator

    # Protocol: ``name`` and ``tasks(seeds, seed)``, which yields Tasks; the same arguments give the same tasks.
    from skillpm.model.ports import SynthesisRule as SynthesisRule

    # --- layout rules
    # Decorator ``rule(code, title, why=...)``: makes a Rule of a function that yields the Problems of a Subject.
    from skillpm.layout.rule import rule as rule

    # A rule: code, title, severities, reason, and the function that looks.
    from skillpm.layout.rule import Rule as Rule

    # What must be readable before a rule looks: TREE, TEXT or FRONTMATTER.
    from skillpm.layout.rule import Scope as Scope

    # The tree that a rule looks at: ``files``, ``text`` of SKILL.md, ``fields`` of its frontmatter, ``package``.
    from skillpm.layout.subject import Subject as Subject

    # One problem: message, 1-based line and column or None, path relative to the skill, hint.
    from skillpm.model.finding import Problem as Problem

    # ERROR refuses the skill, WARNING does not.
    from skillpm.model.finding import Severity as Severity

    # --- indexes
    # Protocol: ``page``, ``names`` and ``archive`` of a kind of registry; they raise RegistryError.
    from skillpm.model.ports import Index as Index

    # Protocol: an Index that can be searched; ``listings()`` yields every skill once.
    from skillpm.model.ports import SearchableIndex as SearchableIndex

    # Every release of one name.
    from skillpm.model.release import Page as Page

    # One published version: hex SHA-256 of archive and tree, ``size`` of the archive in bytes, requirements.
    from skillpm.model.release import Release as Release

    # A skill at a glance: name, version, summary.
    from skillpm.model.release import Listing as Listing

    # --- locks of other managers
    # A reader: name, the names of the files that it reads, and ``read(text, path)``.
    from skillpm.model.ports import Importer as Importer

    # An entry that ``skillpm install`` can be given: name, requirement, pinned.
    from skillpm.model.ports import Imported as Imported

    # An entry that cannot be taken: name, reason, remedy.
    from skillpm.model.ports import Skipped as Skipped

    # --- exports
    # A way out: name and ``export(contributions by skill, empty folder)``; with ``recipe=True`` also a Recipe.
    from skillpm.model.ports import Exporter as Exporter

    # --- sandboxes
    # A level of confinement: name, ``probe()``, ``command(enclosure)``, strong, gaps.
    from skillpm.model.ports import SandboxLevel as SandboxLevel

    # One worker that is to be confined: its command, what it may read, run and write, its open pipes.
    from skillpm.model.ports import Enclosure as Enclosure

    # --- policies: the models that answer
    # A published benchmark: name, and the folder of a skill that stands for it.
    from skillpm.model.ports import Benchmark as Benchmark

    # An embedding model: name and ``embed(texts)``, which returns a vector of length 1 for each text.
    from skillpm.model.ports import Embedder as Embedder

    # A kind of policy: name and ``open(rest, adapter folder or None, batch size)``.
    from skillpm.model.ports import PolicyMaker as PolicyMaker

    # Protocol: ``complete(prompts, max_new_tokens=...)`` yields (index of the prompt, Completion) in any order.
    from skillpm.model.ports import Policy as Policy

    # What a policy wrote: text, tokens of prompt and answer, ``stop`` or ``length``.
    from skillpm.model.ports import Completion as Completion

    # --- training; none of these imports torch
    # A kind of stage: name, settings, ``plan(stage, material)``, ``load()``.
    from skillpm.model.training import Trainer as Trainer

    # The settings of a stage, a pydantic model; a subclass narrows ``kind`` to its own name.
    from skillpm.model.training import Stage as Stage

    # str: the name of a stage, unique in its recipe.
    from skillpm.model.training import StageName as StageName

    # int from 1.
    from skillpm.model.training import Positive as Positive

    # float above 0 and below 1.
    from skillpm.model.training import Rate as Rate

    # What a stage may learn from: rows to imitate, rows to refine, names of rewards by skill.
    from skillpm.model.training import Material as Material

    # A task and the one text that a model is trained to answer.
    from skillpm.model.training import TrainRow as TrainRow

    # A reward of one skill with its weight, as a trainer sees it.
    from skillpm.model.training import RewardColumn as RewardColumn

    # What a stage will do: optimiser steps, rows, columns.
    from skillpm.model.training import StagePlan as StagePlan

    # What a stage runs with: PEFT model, tokenizer, plan, judge, prefetch, seed, work folder, report.
    from skillpm.model.training import StageInput as StageInput

    # What a stage did: optimiser steps, whether it is kept, a note.
    from skillpm.model.training import StageOutput as StageOutput

    # Judges the texts of a batch by the keys of their tasks; raises TrainingError where too many cannot be judged.
    from skillpm.train.columns import Rewarder as Rewarder

    # The settings of supervised fine-tuning.
    from skillpm.train.sft import Sft as Sft

    # The recipe of a run: a pydantic model; ``stages`` are its stages.
    from skillpm.train.recipe import Recipe as Recipe

    # --- training; the first of these that is asked for imports torch
    # Renders conversations for a model: tokens before an answer, tokens of the answer, and the text of tokens.
    from skillpm.train.hf.conversation import Conversation as Conversation

    # list[list[list[int]]]: prompts x samples x tokens of sampled answers.
    from skillpm.train.hf.rollout import sample_groups as sample_groups

    # What ``sample_groups(ended=...)`` takes so that workers judge each answer while others are written.
    from skillpm.train.hf.rollout import judging_ahead as judging_ahead

    # Runs supervised fine-tuning: ``run_sft(Sft, StageInput)`` trains the adapter in place; returns a StageOutput.
    from skillpm.train.hf.sft import run_sft as run_sft

else:  # hidden from type checkers, which would believe that this module has every name

    @functools.cache
    def _homes() -> dict[str, str]:
        """Return the module of each name, as the imports above say."""
        source = Path(__file__).read_text(encoding="utf-8")
        return {name: home for home, name in re.findall(r"(?m)^    from (\S+) import (\w+) as \2$", source)}

    def __getattr__(name: str) -> Any:
        """Load a name when it is first asked for (PEP 562)."""
        home = _homes().get(name)
        if home is None:
            raise AttributeError(f"module 'skillpm.plugin' has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value

    def __dir__() -> list[str]:
        return sorted(_homes())
