"""One episode: a request, the model's answer, a decision, a run, and the next step or a report.

An episode begins with the request alone, so nothing of an earlier one can speak in it. From the second step on the
model has read what a tool printed, and then no earlier answer of a person lets anything run: each command needs a
fresh one. The decision is in the audit log before a command begins, and how it ended follows; so a process that is
killed in between leaves a decision without an outcome, never an outcome that nobody decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from skillpm.agent.approval import Approval, Decision, Question
from skillpm.agent.audit import AuditLog
from skillpm.agent.execution import Bounds, Finished, run_commands
from skillpm.agent.place import Place
from skillpm.agent.proposal import REPORT, Proposal, read_proposal
from skillpm.agent.reply import reply_text
from skillpm.agent.shown import fed, masked, visible
from skillpm.agent.trace import Outcome, Step, Trace, Traces
from skillpm.contract.contract import Contract
from skillpm.errors import SkillpmError, UsageError
from skillpm.model.calibration import SkillCalibration
from skillpm.model.ports import Policy
from skillpm.model.skill import Skill
from skillpm.model.task import Message

_KEPT_ANSWER = 4000  # characters of an answer in a trace
_FIRST = 2  # messages of a conversation that nobody has answered yet: the system prompt and the request
_MOST_QUESTIONS = 5  # of the model, in one episode
_NEXT = f'Answer with the next call, or with {{"{REPORT}": "what you found"}} if nothing is left to run.'


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all episodes of a session share.

    Attributes:
        model: its name, for the records.
        adapter: the digest of the adapter on top of it, or None.
        place: where and with what tools run.
        bounds: of one answer's commands.
        steps: answers in one episode, at most.
        system: the system prompt; the contract's own where None.
        context: finds what the first prompt holds besides the request, such as passages of a reference.
        tell: shows a proposal, or what a command printed.
        reply: asks a person what the model asks back, and returns the answer; None where there is nobody, or no answer.
        calibration: says what a first answer may do by how sure the model is of it; None where nothing is known.
    """

    skill: Skill
    contract: Contract
    policy: Policy
    model: str
    adapter: str | None
    place: Place
    approval: Approval
    audit: AuditLog
    traces: Traces
    bounds: Bounds = field(default_factory=Bounds)
    steps: int = 1
    max_new_tokens: int = 256
    system: str | None = None
    context: Callable[[str], str] | None = None
    tell: Callable[[Finished, str], None] | None = None
    reply: Callable[[str], str | None] | None = None
    calibration: SkillCalibration | None = None


class Episode:
    """One request and what follows from it.

    Args:
        around: what all episodes of the session share.

    Attributes:
        trace: how far it went; stored whenever it changes.
        executed: did any command begin?
        objections: why no rule let the last answer run; empty where rules were not asked.

    Raises:
        UsageError: the request is empty.
    """

    def __init__(self, around: Surroundings, request: str) -> None:
        if not request.strip():
            raise UsageError("the request is empty", hint="such as `skillpm run SKILL 'what the skill should do'`")
        self._around = around
        self._proposals: list[Proposal] = []
        now = datetime.now(UTC)
        system = around.contract.prompt if around.system is None else around.system
        self.executed = False
        self.objections = ""
        self.trace = Trace(
            id=f"{now:%Y%m%d-%H%M%S-%f}",
            when=now.isoformat(timespec="seconds"),
            skill=around.skill.name,
            version=around.skill.version,
            tree=around.skill.tree,
            model=around.model,
            adapter=around.adapter,
            system=system,
            request=request,
        )
        context = around.context(request) if around.context is not None else ""
        self._tainted = bool(context)
        self._unsure = ""
        self._messages = [Message(role="system", content=system)] if system else []
        self._messages.append(Message(role="user", content=f"{context}\n\n{request}" if context else request))

    @property
    def proposal(self) -> Proposal | None:
        """The model's last answer."""
        return self._proposals[-1] if self._proposals else None

    def run(self) -> Trace:
        """Go on until nothing is left to do, or nobody lets it go on.

        Raises:
            SkillpmError: the model or the disk failed, or a command is not permitted; the trace is stored.
            KeyboardInterrupt: Ctrl-C; nothing runs any more, and audit and trace say so.
        """
        try:
            for _ in range(self._around.steps):
                outcome = self._step()
                if outcome is not None:
                    return self._ended(outcome)
            return self._ended("done")
        except KeyboardInterrupt:
            self._ended("interrupted")
            raise
        except SkillpmError:
            self._ended("failed")
            raise

    def _ended(self, outcome: Outcome) -> Trace:
        self._keep(outcome=outcome)
        return self.trace

    def _keep(self, step: Step | None = None, **fields: Any) -> None:
        steps = self.trace.steps if step is None else (*self.trace.steps, step)
        self.trace = self.trace.model_copy(update={"steps": steps, **fields})
        self._around.traces.save(self.trace)

    def _step(self) -> Outcome | None:
        """Take one step; None if another one may follow."""
        proposal = self._ask()
        while proposal.reply is not None and "ask" in proposal.reply and self._was_told(proposal):
            proposal = self._ask()
        if proposal.reply is not None:
            return self._said(proposal, proposal.reply)
        if proposal.report is not None:
            self._keep(report=proposal.report)
            return "done"
        text = proposal.answer[:_KEPT_ANSWER]
        if proposal.problems:
            self._keep(Step(answer=text, problems=proposal.problems))
            return "invalid"
        call = {"tool": proposal.tool.name, "args": proposal.arguments} if proposal.tool else None
        if self._around.approval.can_run:
            self._place(proposal).check(proposal.argv or ())
        decision = self._decide(proposal)
        final = decision.proposal
        if not decision.runs:
            self.objections = masked(decision.by)
            self._keep(Step(answer=text, call=call, decision=decision.word, argv=final.argv or ()))
            return "refused" if decision.word == "no" else "not-run"
        finished, output = self._run(decision)
        step = Step(
            answer=text,
            call=call,
            decision=decision.word,
            final={"tool": final.tool.name, "args": final.arguments} if final.tool else None,
            argv=final.argv or (),
            exit_codes=tuple(item.exit_code for item in finished),
            output=output,
        )
        self._keep(step)
        self._feed(decision.proposal, finished, output)
        return None

    def _was_told(self, proposal: Proposal) -> bool:
        """Ask the person what the model asks back; put the answer into the conversation, and return if there is one."""
        around = self._around
        asked = sum(bool(step.reply) for step in self.trace.steps)
        if around.reply is None or proposal.reply is None or asked >= _MOST_QUESTIONS:
            return False
        reply = around.reply(visible(reply_text(around.contract, proposal.reply)))
        if not reply:
            return False
        self._keep(Step(answer=proposal.answer[:_KEPT_ANSWER], reply=reply))
        self._messages.append(Message(role="assistant", content=around.contract.render(proposal.reply)))
        self._messages.append(Message(role="user", content=reply))
        return True

    def _said(self, proposal: Proposal, reply: Mapping[str, Any]) -> Outcome:
        """Keep a last word that calls nothing."""
        text = reply_text(self._around.contract, reply)
        self._keep(Step(answer=proposal.answer[:_KEPT_ANSWER]), report=text)
        return "asked" if "ask" in reply else "declined" if "refuse" in reply else "done"

    def _place(self, proposal: Proposal) -> Place:
        assert proposal.tool is not None
        return self._around.place.of(proposal.tool, proposal.arguments)

    def _ask(self) -> Proposal:
        """Return the model's next answer. Raises UsageError where the prompt leaves it no room."""
        around = self._around
        _, completion = next(iter(around.policy.complete([self._messages], max_new_tokens=around.max_new_tokens)))
        if completion.finish_reason == "too_long":
            raise UsageError("the request is too long for the model", hint="ask for less at once")
        cut, has_run = completion.finish_reason == "length", any(step.exit_codes for step in self.trace.steps)
        proposal = read_proposal(around.contract, completion.text, cut=cut, may_report=has_run)
        self._unsure = ""
        if around.calibration is not None and proposal.accepted and len(self._messages) <= _FIRST:
            word, sure = around.calibration.decide(completion.confidence), completion.confidence or 0.0
            if word == "refuse" and around.calibration.refuse is not None:
                proposal = replace(proposal, problems=(around.calibration.refuse.sentence(sure),))
            self._unsure = "" if word == "act" else f"the model is not sure: its confidence is {sure:.4f}"
        self._proposals.append(proposal)
        return proposal

    def _decide(self, proposal: Proposal) -> Decision:
        """Have a proposal decided, and record what was decided before anything else happens."""
        try:
            decision = self._around.approval.decide(self._question(proposal))
        except KeyboardInterrupt:
            self._record("decision", Decision("interrupted", proposal), proposal.argv or ())
            self._keep(Step(answer=proposal.answer[:_KEPT_ANSWER], decision="interrupted", argv=proposal.argv or ()))
            raise
        self._record("decision", decision, decision.proposal.argv or ())
        return decision

    def _question(self, proposal: Proposal) -> Question:
        around, tool = self._around, proposal.tool
        may_always = tool is not None and tool.read_only
        read = partial(read_proposal, around.contract)
        return Question(proposal, self._place(proposal), read, may_always, self._tainted, self._unsure)

    def _run(self, decision: Decision) -> tuple[list[Finished], str]:
        """Run the commands of a decision; return how they ended, and what they printed."""
        around, proposal = self._around, decision.proposal
        assert proposal.tool is not None and proposal.argv is not None
        bounds = around.bounds.of_arguments(proposal.arguments, proposal.tool.argv_arguments)
        ended: list[Finished] = []
        running = iter(run_commands(proposal.argv, self._place(proposal), bounds))
        for words in proposal.argv:
            try:
                finished = next(running, None)
            except KeyboardInterrupt:
                self._record("outcome", decision, (words,), ended="interrupted")
                raise
            if finished is None:
                break
            self._record("outcome", decision, (words,), exit_code=finished.exit_code, ended=finished.ended)
            self.executed = True
            ended.append(finished)
            if around.tell is not None:
                around.tell(finished, visible(finished.output))
        return ended, "\n".join(visible(item.output) for item in ended)

    def _feed(self, proposal: Proposal, finished: list[Finished], output: str) -> None:
        """Let the model read what it ran, and what that printed."""
        self._tainted = True
        ends = "; ".join(f"`{line}`: {item.sentence}" for line, item in zip(proposal.lines, finished, strict=False))
        self._messages.append(Message(role="assistant", content=masked(proposal.answer)))
        self._messages.append(Message(role="user", content=f"{fed(f'{visible(ends)}. It printed', output)}\n{_NEXT}"))

    def _record(self, event: str, decision: Decision, argv: tuple[tuple[str, ...], ...], **fields: Any) -> None:
        around, tool = self._around, decision.proposal.tool
        self._around.audit.append(
            event=event,
            episode=self.trace.id,
            skill=f"{around.skill.name} {around.skill.version}",
            tree=around.skill.tree,
            model=around.model,
            adapter=around.adapter,
            tool="" if tool is None else tool.name,
            argv=tuple(tuple(map(masked, words)) for words in argv),
            word=decision.word,
            by=decision.by,
            **fields,
        )
