"""``skillpm run``: ask a model for the commands of requests, and run what a person or a document of rules approves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skillpm.agent.approval import Approval, Ask, check_rules, read_approvals
from skillpm.agent.audit import AuditLog
from skillpm.agent.episode import Episode, Surroundings
from skillpm.agent.execution import Bounds, Finished
from skillpm.agent.place import Place
from skillpm.agent.retrieval import Library, read_passages, skill_block
from skillpm.agent.shown import masked
from skillpm.agent.trace import Traces, mapped, with_texts
from skillpm.contract.contract import Contract
from skillpm.errors import CheckError, DocumentError, PolicyError, StorageError, UsageError
from skillpm.index.credentials import Credentials
from skillpm.layout.source_tree import skill_tree
from skillpm.model.calibration import SkillCalibration
from skillpm.model.ports import Policy
from skillpm.model.skill import Skill
from skillpm.model.trust_policy import permitted
from skillpm.ops.context import Context
from skillpm.ops.learning.adapter import adapter_digest
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.calibrate import calibration_of
from skillpm.ops.learning.evaluate import Evaluator
from skillpm.ops.learning.runs import find_run
from skillpm.ops.learning.session import open_session
from skillpm.runtime.catalogue import Contributions
from skillpm.runtime.host import Host
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.sandbox.sandbox import LEVELS, choose
from skillpm.settings import Settings
from skillpm.storage.files import read_text
from skillpm.train.run_folder import MANIFEST, RunFolder

TextUse = Literal["never", "when-untrained", "always"]
_READABLE = (".md", ".txt", ".rst", ".log")
SERVER_STATE = ".server"  # a registry's folder of what is never served: database, uploads, keys
_MOST_TEXT = 1 << 20  # bytes of one text of a skill


@dataclass(frozen=True, slots=True)
class Wanted:
    """How requests are answered and run.

    Attributes:
        steps: answers to one request, at most.
        ask: asks a person; None where there is nobody to ask.
        tell: shows how a command ended, and what it printed.
        reply: asks a person what the model asks back; None where there is nobody to ask.
        text: is the skill's text in the prompt? A trained adapter does not need it.
        read: files and folders whose passages the model reads; ``references`` are the skill's own.
        context_tokens: about as many may be spent on text and passages.
        timeout: seconds of the commands of one answer, where the answer does not say less or more.
        say: shows a sentence, such as what was left out.
    """

    answerer: Answerer
    steps: int = 1
    approve: Path | None = None
    ask: Ask | None = None
    tell: Callable[[Finished, str], None] | None = None
    reply: Callable[[str], str | None] | None = None
    text: TextUse = "when-untrained"
    read: tuple[str, ...] = ()
    context_tokens: int = 3000
    timeout: int = 60
    say: Callable[[str], None] = lambda sentence: None


def find_answerer(context: Context, skill: Skill, model: str | None, run: Path | None) -> Answerer:
    """Return who answers: a model, a run, the newest finished run that trained the skill, or its installed adapter.

    Raises:
        UsageError: there is no such model or run, or nothing here has learned the skill.
        DocumentError: the manifest of the named run is wrong.
    """
    if model is not None:
        return Answerer.of_model(context, model)
    if run is not None:
        return Answerer.of_run(find_run(context.settings, run))
    for path in sorted(context.settings.runs.glob(f"*/{MANIFEST}"), reverse=True):
        try:
            manifest = RunFolder(path.parent).manifest
        except (DocumentError, StorageError) as error:  # another run may have learned the skill
            context.note(f"warning: the run {path.parent.name} is left out, its manifest is damaged: {error.message}")
            continue
        if any(item.name == skill.name for item in manifest.skills):
            return Answerer.of_run(path.parent)
    installed = Answerer.installed_for(context, skill.name)
    if installed is not None:
        return installed
    raise UsageError(
        f"no run here has trained {skill.name}, and no adapter of it is installed",
        hint=f"run `skillpm train {skill.word}`, or use `--model smollm2-135m`",
    )


@contextmanager
def conversation(evaluator: Evaluator, skill: Skill, wanted: Wanted) -> Iterator[Callable[[str], Episode]]:
    """Yield what makes an episode of a request; the model is loaded once.

    Raises:
        CheckError: the skill has no contract, so an answer means no command.
        UsageError: there is no such model.
        DocumentError: the document of rules is wrong.
        TrainingError: no model can be loaded.
    """
    context, answerer = evaluator.context, wanted.answerer
    settings = context.settings
    rules = () if wanted.approve is None else read_approvals(wanted.approve).rules
    audit = open_audit(settings, wanted.say)
    find, place = _context(skill, wanted, context.host), tool_place(settings, skill)
    with open_session(context, [skill]) as session:
        contributions = session.contributions[skill.name]
        if contributions.contract is not None:
            check_rules(rules, skill.name, contributions.contract.tools, place.permissions.run)
        contract, policy = open_policy(evaluator, contributions, answerer)
        around = Surroundings(
            skill=skill,
            contract=contract,
            policy=policy,
            model=answerer.model,
            adapter=None if answerer.adapter is None else adapter_digest(answerer.adapter),
            place=place,
            approval=Approval(skill.name, rules, wanted.ask),
            audit=audit,
            traces=Traces(settings.traces),
            bounds=Bounds(seconds=wanted.timeout),
            steps=wanted.steps,
            max_new_tokens=evaluator.asking.max_new_tokens,
            tell=wanted.tell,
            reply=wanted.reply,
            system=system_prompt(contributions, wanted),
            context=find,
            calibration=_calibration(context, skill, wanted),
        )
        yield lambda request: Episode(around, request)


def open_audit(settings: Settings, say: Callable[[str], None]) -> AuditLog:
    """Return the audit log, after a warning where its end is not what its head names."""
    audit = AuditLog(settings.audit)
    if not audit.ends_well():
        say("warning: the audit log was changed or cut at its end; `skillpm audit verify` says where")
    return audit


def open_policy(evaluator: Evaluator, contributions: Contributions, answerer: Answerer) -> tuple[Contract, Policy]:
    """Return a skill's contract and the model that calls its tools. Raises CheckError if the skill has no contract."""
    contract = contributions.contract
    if contract is None:
        raise CheckError(
            f"{contributions.skill.name} has no contract.yaml, so it has no tools",
            hint="`skillpm show` lists what a skill has",
        )
    return contract, evaluator.policy(answerer.model, answerer.adapter, tuple(contract.tools.values()))


def system_prompt(contributions: Contributions, wanted: Wanted) -> str:
    """Return the system prompt, with the skill's text in front of it where the model needs it."""
    untrained = wanted.answerer.adapter is None
    if wanted.text == "never" or (wanted.text == "when-untrained" and not untrained) or not contributions.skill_text:
        return contributions.prompt
    block, left_out = skill_block(contributions.skill.name, contributions.skill_text, wanted.context_tokens)
    if left_out:
        wanted.say(f"left out: {left_out} characters of SKILL.md, more than {wanted.context_tokens} tokens hold")
    return f"{block}\n\n{contributions.prompt}".strip()


def _calibration(context: Context, skill: Skill, wanted: Wanted) -> SkillCalibration | None:
    """Return the thresholds of the answerer; None where the prompt is another than that of its evaluation."""
    plain = not wanted.read and wanted.text != "always"
    return calibration_of(context, wanted.answerer, skill) if plain else None


def _context(skill: Skill, wanted: Wanted, host: Host) -> Callable[[str], str] | None:
    """Return what finds the passages for a request; None where nothing is to be read.

    Raises:
        UsageError: there is no such file.
        PluginError: a plugin's embedding model failed, or there are two.
    """
    if not wanted.read:
        return None
    texts: dict[str, str] = {}
    for word in wanted.read:
        if word == "references":
            texts |= {path: text for path, text in skill_texts(skill).items() if path != "SKILL.md"}
            continue
        path = Path(word)
        files = sorted(item for item in path.rglob("*") if item.suffix in _READABLE) if path.is_dir() else [path]
        texts |= {str(item): read_text(item) for item in files}
    embedder = host.embedder()
    library = Library(texts, embedder.embed if embedder else None)

    def find(request: str) -> str:
        text, passages = read_passages(library.search(request), wanted.context_tokens)
        for passage in passages:
            wanted.say(f"read: {passage.place}")
        return text

    return find


def skill_texts(skill: Skill) -> dict[str, str]:
    """Return SKILL.md and the references of a skill that are texts, by path; links are not followed."""
    tree = skill_tree(skill)
    texts = {}
    for path in sorted(path for path in tree.paths() if path == "SKILL.md" or path.startswith("references/")):
        data = tree.read(path)
        if len(data) <= _MOST_TEXT and b"\0" not in data:
            texts[path] = data.decode("utf-8", "replace")
    return texts


def tool_place(settings: Settings, skill: Skill) -> Place:
    """Return where the tools of a skill run: here, with its permissions, in a strong sandbox of ours.

    The level ``limits`` is taken only where a person asks for it by name.

    Raises:
        PolicyError: this machine has no strong level.
        DocumentError: skill.yaml is wrong.
    """
    wanted = settings.sandbox if settings.sandbox in LEVELS else "auto"
    sandbox = choose(wanted, required=settings.sandbox_required)
    if not sandbox.strong and settings.sandbox != sandbox.level:
        raise PolicyError(
            "this machine has neither landlock nor bubblewrap to confine tools",
            hint="install bubblewrap, or choose `--sandbox limits` to let tools write where you may write",
        )
    permissions = permitted(SkillFiles(skill).manifest(), settings.trust_policies)
    return Place(Path.cwd(), False, permissions, sandbox, _secrets(settings))


def _secrets(settings: Settings) -> tuple[Path, ...]:
    """Return the files and folders of skillpm that no tool reads: keys, tokens, and records of what was allowed."""
    servers = (folder / SERVER_STATE for folder in (Path.cwd(), settings.project, settings.data))
    records = (settings.keys, settings.consents, settings.audit, AuditLog(settings.audit).head, settings.traces)
    nested = Path.cwd().glob(f"*/{SERVER_STATE}")
    return (*Credentials().files, *records, *servers, *nested)


def episode_document(episode: Episode) -> dict[str, Any]:
    """Return an episode as ``--json`` prints it: its trace, and what its last answer would run."""
    trace, proposal = with_texts(episode.trace, masked), episode.proposal
    return {
        **trace.model_dump(mode="json"),
        "tool": None if proposal is None or proposal.tool is None else proposal.tool.name,
        "arguments": None if proposal is None else mapped(proposal.arguments, masked),
        "argv": None if proposal is None else mapped(proposal.argv, masked),
        "reply": None if proposal is None else mapped(proposal.reply, masked),
        "confirm": None if proposal is None or proposal.tool is None else proposal.tool.confirm,
        "problems": [] if proposal is None else mapped(proposal.problems, masked),
        "executed": episode.executed,
        "objections": episode.objections,
    }
