"""The process in which one skill's code lives. Started by ``process.py``, never imported by skillpm's own process.

It reads a first frame that says which skill this is, confines itself, loads the skill, describes it, and then answers
one request at a time until the pipe ends. stdout and stderr are the skill's own; they are not the pipe.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import pluggy

from skillpm.errors import PluginError, SkillpmError
from skillpm.hookspecs import PROJECT, SkillHooks
from skillpm.model.ports import Verifier
from skillpm.model.skill import Skill
from skillpm.model.task import Seed, Task
from skillpm.runtime.collect import Given, Note, collect, described, implemented, unique
from skillpm.runtime.conventions import CONVENTIONS, Conventions
from skillpm.runtime.guarded import sendable
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.sandbox import seccomp
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.sandbox import Confinement, confine
from skillpm.worker.judging import BatchJudge
from skillpm.worker.lifeline import end_with
from skillpm.worker.moving_clock import Moving
from skillpm.worker.protocol import FrameError, encode, pack, read_frame
from skillpm.worker.skillcode import VerifierFile, import_from, load_module
from skillpm.worker.watcher import watch

_PLUGIN, _VERIFIER = "plugin.py", "verifier.py"


class LoadedSkill:
    """One skill, loaded: its plugins, and what they brought. The host decides which files of it are run.

    Args:
        code: its files that are run.
        note: is told of each call of a hook.
        begin: is called before each request.

    Raises:
        PluginError: a file of the skill cannot be loaded, or breaks the contract of the hooks.
        DocumentError: a document of the skill is wrong.
    """

    def __init__(
        self, skill: Skill, code: Sequence[str], note: Note | None = None, begin: Callable[[], None] = lambda: None
    ) -> None:
        self.skill = skill
        self._begin = begin
        self._code = code
        self._note = note
        self.files = SkillFiles(skill)
        self.contract = self.files.contract()
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(SkillHooks)
        self.manager.register(Conventions(), name=CONVENTIONS)
        if _VERIFIER in code:
            self.manager.register(VerifierFile(self.contract), name=_VERIFIER)
        self.plugin = self._register_plugin()
        self.rewards = self._named("reward", "skillpm_rewards")
        self.rules = self._named("synthesis rule", "skillpm_synthesis_rules")
        self.suites = self._named("suite", "skillpm_suites")
        self.tools = self._named("tool", "skillpm_tools")
        self.verifier_file, self.verifier = self._verifier()
        verifier = None if self.verifier is None else (self.verifier_file, self.verifier)
        self._judge = BatchJudge(self.contract, verifier, [(item.plugin, item.record) for item in _own(self.rewards)])

    def _register_plugin(self) -> Any:
        if _PLUGIN not in self._code:
            return None
        module = load_module(self.skill, _PLUGIN)
        try:
            self.manager.register(module, name=_PLUGIN)
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(
                f"{self.skill.name}/{_PLUGIN}: {str(error).splitlines()[-1]}", hint="see docs/hooks.md", plugin=_PLUGIN
            ) from None
        return module

    def _collect(self, hook: str) -> list[Given[Any]]:
        records, failures = collect(self.manager, hook, self._note, skill=self.skill)
        if failures:
            raise failures[0].error()
        return records

    def _named(self, kind: str, hook: str) -> list[Given[Any]]:
        return unique(kind, self._collect(hook))

    def _verifier(self) -> tuple[str, Verifier | None]:
        verifiers = {item.plugin: item.record for item in self._collect("skillpm_verifier")}
        for name in (_PLUGIN, _VERIFIER):
            if name in verifiers:
                return name, verifiers[name]
        return ("contract.yaml" if self.contract is not None else ""), None

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say what the skill's code brings; what its plain files bring, the host reads itself."""
        return {
            "verifier": self.verifier_file,
            "observes": callable(getattr(self.verifier, "observe", None)),
            "rewards": [_named(item, default=item.record.default) for item in _own(self.rewards)],
            "rules": [_named(item) for item in _own(self.rules)],
            "suites": [[item.plugin, item.record.model_dump(mode="json")] for item in _own(self.suites)],
            "tools": [[item.plugin, item.record.model_dump(mode="json", by_alias=True)] for item in _own(self.tools)],
            "hooks": [] if self.plugin is None else implemented(self.manager, self.plugin),
        }

    def judge(self, request: dict[str, Any]) -> dict[str, Any]:
        """Judge a batch."""
        return self._judge.judge(request["tasks"], request["items"])

    def observe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say what the environment shows after a batch of answers."""
        return {"shown": self._judge.observe(request["tasks"], request["items"])}

    def synthesise(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let a rule of plugin.py make tasks."""
        rule = next((item.record for item in self.rules if item.record.name == request["rule"]), None)
        if rule is None:
            raise PluginError(f"{self.skill.name} has no synthesis rule `{request['rule']}`")
        seeds = [Seed.model_validate(seed) for seed in request["seeds"]]
        tasks = list(itertools.islice(rule.tasks(seeds, request["seed"]), request["count"]))
        if not all(isinstance(task, Task) for task in tasks):
            raise PluginError(f"{self.skill.name}: rule `{request['rule']}` yields something that is not a Task")
        return {"tasks": [task.model_dump(mode="json") for task in tasks]}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; what skill code raises becomes the reply's ``error``."""
        actions = (self.judge, self.observe, self.synthesise, self.describe)
        action = {action.__name__: action for action in actions}[request["do"]]
        self._begin()
        try:
            return {"number": request["number"], **action(request)}
        except (Exception, SystemExit) as error:  # noqa: BLE001 - skill code may raise anything
            return {"number": request["number"], "error": _sentence(error)}


def _own(items: list[Given[Any]]) -> list[Given[Any]]:
    """Return the records that the skill's code brings, not its plain files."""
    return [item for item in items if item.plugin != CONVENTIONS]


def _named(item: Given[Any], *, default: bool = False) -> dict[str, Any]:
    return {"name": item.record.name, "plugin": item.plugin, "default": default}


def _sentence(error: BaseException) -> str:
    return sendable(error.message if isinstance(error, SkillpmError) else described(error))


def _start(start: dict[str, Any], limits: Limits, note: Note) -> LoadedSkill:
    skill = Skill(**{**start["skill"], "root": Path(start["skill"]["root"])})
    packages = tuple(Path(folder) for folder in start["packages"])
    confinement = Confinement(
        skill=skill.root,
        scratch=Path(start["scratch"]),
        packages=packages,
        network=start["network"],
        programs=tuple(start["programs"]),
        landlock=start["landlock"],
        tasks=start["tasks"],
    )
    confine(confinement, limits)
    if start["own"] is not None:  # its own packages before those that skillpm came with
        sys.path.insert(min(sys.path.index(entry) for entry in sys.path if Path(entry) in packages), start["own"])
    import_from(skill.root)
    moving = Moving(skill.root)
    if limits.moving_clock:
        moving.start()
    return LoadedSkill(skill, start["code"], note, moving.begin)


def _serve(requests: BinaryIO, replies: int, lifeline: int, host: int) -> None:
    first = read_frame(requests, 1 << 20)
    if first is None:
        return
    start = json.loads(first)
    limits = Limits(**{field.name: start["limits"][field.name] for field in fields(Limits)})
    if start["programs"]:
        kill = watch(lifeline, wrapped=not host)
        if seccomp.available():
            os.kill = kill
    calls: list[dict[str, Any]] = []

    def note(plugin: str, hook: str, seconds: float, outcome: str) -> None:
        calls.append({"plugin": plugin, "hook": hook, "seconds": seconds, "outcome": sendable(outcome)[:1000]})

    try:
        loaded = _start(start, limits, note)
        reply = loaded.answer({"do": "describe", "number": start["number"]})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - skill code may raise anything
        _send(replies, {"number": start["number"], "error": _sentence(error), "calls": calls})
        return
    _send(replies, {**reply, "calls": calls})
    gc.collect()
    gc.freeze()
    while (payload := read_frame(requests, limits.frame_bytes)) is not None:
        _send(replies, loaded.answer(json.loads(payload)))


def _send(replies: int, reply: dict[str, Any]) -> None:
    try:
        payload = encode(reply)
    except (TypeError, ValueError, RecursionError) as error:  # skill code gave what JSON cannot hold
        payload = encode({"number": reply["number"], "error": _sentence(error)})
    frame = memoryview(pack(payload))
    while frame:
        frame = frame[os.write(replies, frame) :]


def main(arguments: Sequence[str]) -> None:
    """Serve over the inherited descriptors ``requests replies lifeline``, and end with the process ``host``."""
    requests, replies, lifeline, host = (int(word) for word in arguments)
    end_with(lifeline, host)
    for descriptor in (requests, replies, lifeline):
        os.set_inheritable(descriptor, False)
    try:
        with os.fdopen(requests, "rb") as file:
            _serve(file, replies, lifeline, host)
    except (FrameError, BrokenPipeError):
        sys.exit(3)  # the host is gone or confused; it sees our end


if __name__ == "__main__":
    main(sys.argv[1:])
