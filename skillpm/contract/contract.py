"""A compiled contract: one object with the parser, the verifier, the argv, the sampler and the prompt."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Hashable
from decimal import Decimal
from functools import partial
from typing import Any

from skillpm.contract.answer import Answer, read_answer
from skillpm.contract.command import Argv
from skillpm.contract.foreign_rows import encode
from skillpm.contract.judge import EXACT, AnyGold, Gold, GoldReply, is_near, judge_answer, judge_arguments, judge_reply
from skillpm.contract.prompt import render_prompt
from skillpm.contract.replies import Replies
from skillpm.contract.schema import ToolSchema
from skillpm.errors import DocumentError
from skillpm.formats.document import LONE_SURROGATE
from skillpm.model.contract import ContractDocument, Tool
from skillpm.model.verdict import Verdict

SAMPLE_TRIES = 64
TOO_DEEP = "nested too deeply"
_encode = json.JSONEncoder(ensure_ascii=False).encode
_FLOATS = re.compile(r"\d(?:\.0(?!\d)|e[+-])")  # that Python writes as 5.0, 1e-05 or 1e+16
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:e[+-]\d+)?')


class Contract:
    """contract.yaml, compiled.

    Attributes:
        tools: the tools by name, in the author's order.
        replies: what it takes beside calls.

    Raises:
        DocumentError: a schema or the template of the prompt is wrong.
    """

    def __init__(self, document: ContractDocument) -> None:
        self.document = document
        self.tools: dict[str, Tool] = {tool.name: tool for tool in document.tools}
        self.replies = Replies(document)
        self.prompt = render_prompt(document.system_prompt, document.tools, document.answers)
        self._schemas = {tool.name: ToolSchema(tool) for tool in document.tools}
        self._nothing = {name: dict.fromkeys(tool.properties) for name, tool in self.tools.items()}

    def problems(self, value: Any) -> list[str]:
        """Return why an executor would refuse this answer object; empty if it would run it."""
        return self._examine(value)[0]

    def _examine(self, value: Any) -> tuple[list[str], Argv | None]:
        if not isinstance(value, dict) or value.keys() != {"tool", "args"}:
            kind = self.replies.kind(value)
            if kind is not None:
                return self.replies.problems(kind, value), None
            return [f"an answer has exactly the keys {self.replies.keys}"], None
        name, arguments = value["tool"], value["args"]
        if not isinstance(name, str) or name not in self._schemas:
            return [f"unknown tool {str(name)[:80]!r}"], None
        if not isinstance(arguments, dict):
            return ["`args` must be an object"], None
        try:
            return self._schemas[name].examine(arguments)
        except RecursionError:
            return [TOO_DEEP], None
        except UnicodeEncodeError:
            return [LONE_SURROGATE], None

    def may_take(self, tool: str, argument: str, value: str | int) -> bool:
        """Can an answer with this value of an argument be valid, whatever the others are?"""
        return self._schemas[tool].may_take(argument, value)

    def judges_by_argument(self, tool: str) -> bool:
        """Is a call of this tool valid where each value of an argument stands in some valid call?"""
        return self._schemas[tool].is_by_argument

    def key_of(self, tool: str, argument: str, value: Any) -> Hashable:
        """Return the same key for two values of an argument that are the same; None where no key tells.

        Such are arguments of unknown tools, and those that are not judged. A tolerance does not count.
        """
        return self._schemas[tool].equality.key(argument, value) if tool in self._schemas else None

    def tolerance_of(self, tool: str, argument: str) -> Callable[[Any, Any], bool] | None:
        """Return what says whether two values of an argument are the same, if numbers that differ may be; else None."""
        equality = self._schemas[tool].equality if tool in self._schemas else None
        return partial(equality.same, argument) if equality and equality.tolerates(argument) else None

    def complete(self, expected: Any) -> dict[str, Any]:
        """Return an expected answer with every argument present, in the order of the schema.

        Raises:
            DocumentError: the answer breaks the contract.
        """
        return self._completed(expected)[0]

    def refusal(self, expected: Any) -> str:
        """Return why an expected answer breaks the contract; an empty text where it does not."""
        try:
            self.complete(expected)
        except DocumentError as error:
            return error.rule
        return ""

    def _completed(self, expected: Any) -> tuple[dict[str, Any], Argv | None]:
        kind = self.replies.kind(expected)
        if kind is not None:
            refused = self.replies.problems(kind, expected)
            if refused:
                raise DocumentError(f"the expected answer breaks the contract: {'; '.join(refused)}")
            return self.replies.complete(kind, expected), None
        if expected is None:
            raise DocumentError("there is no expected answer to judge by")
        if not isinstance(expected, dict) or not isinstance(expected.get("args", {}), dict):
            raise DocumentError(f"an expected answer is an object with {self.replies.keys}")
        nothing = self._nothing.get(str(expected.get("tool")), {})
        completed = expected | {"args": nothing | expected.get("args", {})}
        problems, argv = self._examine(completed)
        if problems:
            raise DocumentError(f"the expected answer breaks the contract: {'; '.join(problems)}")
        try:
            arguments = self._schemas[completed["tool"]].complete(completed["args"])
        except RecursionError:
            raise DocumentError(f"the expected answer is {TOO_DEEP}") from None
        return {"tool": completed["tool"], "args": arguments}, argv

    def gold(self, expected: Any) -> AnyGold:
        """Return an expected answer as ``assess`` takes it. Raises DocumentError as ``complete`` does."""
        completed, argv = self._completed(expected)
        kind = self.replies.kind(completed)
        if kind is not None:
            return GoldReply(kind, completed, self._text(completed))
        arguments = completed["args"]
        count = sum(1 for value in arguments.values() if value is not None)
        name = completed["tool"]
        return Gold(self.tools[name], arguments, count, self._text(completed), argv, self._schemas[name].equality)

    def judge(self, expected: Any, completion: str) -> Verdict:
        """Judge a completion; an expected answer that breaks the contract gives an errored verdict."""
        try:
            gold = self.gold(expected)
        except DocumentError as error:
            return Verdict.errored(error.rule)
        return self.assess(gold, completion)[0]

    def assess(self, gold: AnyGold, completion: str) -> tuple[Verdict, Argv | None]:
        """Judge a completion; return the verdict and the commands that an executor would run."""
        # Training judges every answer here, so the cheapest test comes first: the text, then the arguments, and only
        # then the commands, which differ as a rule where an argument does.
        if completion == gold.text:
            return EXACT, gold.argv
        answer = read_answer(completion)
        if answer.value is None:
            return judge_answer(gold, answer, []), None
        try:
            return self._assess_object(gold, answer)
        except RecursionError:
            return judge_answer(gold, Answer(None, False, TOO_DEEP), []), None

    def _assess_object(self, gold: AnyGold, answer: Answer) -> tuple[Verdict, Argv | None]:
        assert answer.value is not None
        problems, argv = self._examine(answer.value)
        if problems or not answer.only_json or not is_near(gold, answer.value):
            return judge_answer(gold, answer, problems), argv if answer.only_json else None
        if isinstance(gold, GoldReply):
            completed = self.replies.complete(gold.kind, answer.value)
            return judge_reply(gold, self.replies.share(gold.kind, gold.value, completed)), None
        schema = self._schemas[gold.tool.name]
        arguments = schema.complete(answer.value["args"])
        verdict = judge_arguments(gold, arguments)
        if verdict is not EXACT and schema.same_commands((gold.arguments, gold.argv), (arguments, argv)):
            verdict = EXACT
        return verdict, argv

    def argv(self, value: Any) -> Argv | None:
        """Return the commands that an executor would run, or None if it would refuse or has nothing to run."""
        return self._examine(value)[1]

    def argv_of(self, completion: str) -> Argv | None:
        """Return the commands of a completion; None unless it is one JSON object and nothing else."""
        answer = read_answer(completion)
        return self.argv(answer.value) if answer.only_json else None

    def render(self, expected: Any) -> str:
        """Return the text of an expected answer, as a model is trained to write it."""
        return self._text(self.complete(expected))

    def sample(self, tool: str, chance: random.Random) -> dict[str, Any]:
        """Return a valid answer of a tool. Raises DocumentError if the schema does not say how to make one."""
        from skillpm.contract.sampler import sample_arguments  # no worker samples

        for _ in range(SAMPLE_TRIES):
            value = {"tool": tool, "args": sample_arguments(self.tools[tool], chance)}
            if not self.problems(value):
                return value
        message = f"tool `{tool}`: none of {SAMPLE_TRIES} random answers is valid"
        raise DocumentError(message, hint="add `examples` to the schemas of its arguments")

    @staticmethod
    def _text(completed: dict[str, Any]) -> str:
        try:
            is_call = "args" in completed
            return answer_text({"tool": completed["tool"], "args": completed["args"]} if is_call else completed)
        except RecursionError:
            raise DocumentError(f"the expected answer is {TOO_DEEP}") from None


def answer_text(value: Any) -> str:
    """Return an answer as a model is trained to write it: numbers in decimals as people write them, 5 and 0.00001.

    A grammar of bounded numbers takes no other form.
    """
    return in_decimals(_encode(value))


def in_decimals(text: str) -> str:
    """Return JSON with its numbers in decimals."""
    return _TOKEN.sub(_in_decimals, text) if _FLOATS.search(text) else text


def _in_decimals(token: re.Match[str]) -> str:
    if token[0].startswith('"') or not {*token[0]} & {".", "e"}:
        return token[0]
    decimals = format(Decimal(token[0]), "f").removesuffix(".0")
    return "0" if decimals == "-0" else decimals


def gold_text(contract: Contract | None, expected: Any) -> str:
    """Return the text of an expected answer. Raises DocumentError if it breaks the contract."""
    return encode(expected) if contract is None else contract.render(expected)
