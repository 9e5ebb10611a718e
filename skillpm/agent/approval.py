"""Who lets a command run: a person each time, a person for a whole session, or a document of rules.

The default is to ask. Nothing but a fresh answer of a person, or a rule that says so itself, lets a command run once
the model has read what a tool printed or what a reference says. Such a text may have asked for the command.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema_rs
from pydantic import Field, field_validator

from skillpm.agent.place import Place
from skillpm.agent.proposal import Proposal
from skillpm.contract.validator import compiled
from skillpm.errors import UsageError
from skillpm.formats.document import Document, Format, Json, read_model
from skillpm.model.contract import Tool
from skillpm.model.name import did_you_mean
from skillpm.storage.files import named_text

_MOST_REASONS = 1000  # characters
Word = Literal["yes", "no", "edit", "always", "rule", "consent", "nobody", "interrupted"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one proposal.

    Attributes:
        word: ``yes``, ``no``, ``edit`` and ``always`` are a person's; ``rule`` is of a document, ``consent`` follows
            from an earlier answer; with ``nobody``, there was nobody to ask.
        by: the rule, or the person's earlier answer, in words; with ``nobody``, what each rule objects to.
        proposal: what runs: the model's own, or the one that a person made of it.
    """

    word: Word
    proposal: Proposal
    by: str = ""

    @property
    def runs(self) -> bool:
        """Does the command run?"""
        return self.word in ("yes", "edit", "always", "rule", "consent")


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked.

    Attributes:
        place: where it would run, and with what.
        read: reads another answer, such as an edited one.
        may_always: may the person let the tool run unasked from now on?
        fresh: has the model read what a tool printed, or a reference, so that no earlier answer counts?
        unsure: why the model is not sure enough that anything but a fresh answer counts; empty where it is.
    """

    proposal: Proposal
    place: Place
    read: Callable[[str], Proposal]
    may_always: bool
    fresh: bool
    unsure: str = ""


Ask = Callable[[Question], Decision]
"""Asks a person."""


class Rule(Document):
    """One rule of a document for ``--approve``; a command runs if all that the rule says holds.

    Attributes:
        skill: the skill's name.
        tool: the tool's name.
        programs: each command must start one of these; any of the tool's where absent.
        arguments: a JSON Schema for each of these arguments. An argument that is null fails unless its schema has
            ``type`` or ``enum``, and accepts null.
        after_output: does it hold too once the model has read what a tool printed, or a reference?
    """

    skill: str
    tool: str
    programs: tuple[str, ...] | None = None
    arguments: dict[str, Json] = Field(default_factory=dict)
    after_output: bool = False

    @field_validator("arguments")
    @classmethod
    def _are_schemas(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, schema in value.items():
            try:
                compiled(schema)
            except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError) as error:
                raise ValueError(f"`{name}`: not a JSON Schema: {str(error).splitlines()[0]}") from None
        return value

    def objection(self, skill: str, proposal: Proposal, *, tainted: bool) -> str:
        """Return what of the rule this proposal does not keep; empty where it may run."""
        if proposal.tool is None or (self.skill, self.tool) != (skill, proposal.tool.name):
            return f"it is for `{self.tool}` of {self.skill}"
        if tainted and not self.after_output:
            return "`after_output` is not true, and the model has read an output or a reference"
        for words in proposal.argv or ((),) if self.programs is not None else ():
            if not words or words[0] not in (self.programs or ()):
                return f"`programs` does not name `{words[0] if words else ''}`"
        unfit = [name for name, schema in self.arguments.items() if not _fits(schema, proposal.arguments.get(name))]
        return f"`{unfit[0]}` does not keep its condition in `arguments`" if unfit else ""

    def check(self, tools: Mapping[str, Tool], permitted: Sequence[str]) -> None:
        """Refuse a rule that can never hold for the tools and the programs of its skill. Raises UsageError."""
        tool = tools.get(self.tool)
        if tool is None:
            raise _never(f"{self.skill} has no tool `{self.tool[:80]}`", self.tool, tools)
        if tool.argv is None:
            runs = [name for name, other in tools.items() if other.argv is not None]
            raise _never(f"`{self.tool}` of {self.skill} has no command line", self.tool, runs)
        for name, schema in self.arguments.items():
            if name not in tool.properties:
                raise _never(f"`{self.tool}` of {self.skill} has no argument `{name[:80]}`", name, tool.properties)
            if schema is False:
                raise _never(f"its condition for `{name[:80]}` is false", name, ())
        if self.programs is not None and not set(self.programs) & set(permitted):
            problem = (
                f"`programs` names {', '.join(self.programs)[:200] or 'nothing'}, which skill.yaml does not permit"
            )
            raise _never(problem, next(iter(self.programs), ""), permitted)


class ApprovalDocument(Document):
    """What ``skillpm run --approve FILE`` reads."""

    approve: Format
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


def read_approvals(path: Path) -> ApprovalDocument:
    """Read the rules of ``--approve``. Raises UsageError, DocumentError, StorageError."""
    return read_model(ApprovalDocument, named_text(path), path=str(path))


def check_rules(rules: Sequence[Rule], skill: str, tools: Mapping[str, Tool], permitted: Sequence[str]) -> None:
    """Refuse rules of which none is for a skill, or one of which can never hold. Raises UsageError.

    The ``permitted`` programs are those that the skill's skill.yaml names.
    """
    ours = [rule for rule in rules if rule.skill == skill]
    if rules and not ours:
        named = sorted({rule.skill for rule in rules})
        raise UsageError(f"no rule of `--approve` is for {skill}", hint=f"they are for {', '.join(named)}"[:300])
    for rule in ours:
        rule.check(tools, permitted)


def _never(problem: str, name: str, names: Collection[str]) -> UsageError:
    known = ", ".join(sorted(names))
    hint = did_you_mean(name, names, f"it has {known}"[:300] if known else "remove it")
    return UsageError(f"a rule of `--approve` can never hold: {problem}", hint=hint)


class Approval:
    """Decides about the proposals of one session.

    Args:
        ask: asks a person; None where there is nobody to ask.
    """

    def __init__(self, skill: str, rules: Sequence[Rule] = (), ask: Ask | None = None) -> None:
        self._skill = skill
        self._rules = rules
        self._ask = ask
        self._always: set[str] = set()  # tools that may run unasked for the rest of the session

    @property
    def can_run(self) -> bool:
        """Is there anybody, or any rule, to let a command run?"""
        return bool(self._rules) or self._ask is not None

    def decide(self, question: Question) -> Decision:
        """Decide about a proposal without problems."""
        proposal, tainted = question.proposal, question.fresh
        tool = proposal.tool
        assert tool is not None
        objections: list[str] = []
        if tool.name in self._always and not tainted and not question.unsure:
            return Decision("consent", proposal, "an earlier answer of this session")
        for number, rule in enumerate(self._rules, 1):
            objection = rule.objection(self._skill, proposal, tainted=tainted) or question.unsure
            if not objection:
                return Decision("rule", proposal, f"rule {number} of the document")
            objections.append(f"rule {number}: {objection}")
        if self._ask is None:
            return Decision("nobody", proposal, "; ".join(objections)[:_MOST_REASONS])
        decision = self._ask(question)
        if _allows_more(decision, tool):
            self._always.add(tool.name)
        return decision


def _allows_more(decision: Decision, tool: Tool) -> bool:
    """Does an answer let a tool run unasked from now on?

    The tool must change nothing. Then ``always`` is enough, and so is one ``yes`` where the author says that nobody
    need be asked.
    """
    return tool.read_only and (decision.word == "always" or (decision.word == "yes" and tool.confirm == "never"))


def _fits(schema: Any, value: Any) -> bool:
    if value is None and not (isinstance(schema, dict) and {"type", "enum", "const"} & schema.keys()):
        return False
    return bool(compiled(schema).is_valid(value))
