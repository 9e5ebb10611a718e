"""A conversation in the tokens of one model: what stands before an answer, and what ends it.

A chat template is a program of somebody else, and it writes an answer in two ways: the finished conversation holds it,
and the generation prompt announces it. The two often differ: a generation prompt opens a thought that the finished
conversation does not have, or leaves out the channel that the answer stands in. So the finished conversation alone
decides here. It is rendered, the answer is looked up in it, and what stands before the answer is the prompt, in
training and in asking alike; what stands behind it, up to the token that ends the turn, is learned with the answer.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Self

import jinja2

from skillpm.errors import UsageError
from skillpm.formats.document import Json
from skillpm.model.task import Message

TODAY = datetime(2026, 1, 1)
"""The date that templates read. The clock's would change the prompt from the training to the next day's evaluation."""

_CLOCK = "strftime_now"  # what transformers calls the clock in templates
_DIRECTIVE = re.compile(r"%[-_0^#]*[A-Za-z]")
_DRAWING = {"random", "lipsum"}  # a filter and a function of Jinja
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}>")  # in what Python calls an object
_VALUES = {"not", "true", "false", "none", "True", "False", "None"}  # no template reads variables of these names
_SYSTEM, _USER, _ANSWER = "Answer in JSON.", "Start the server.", '{"tool": "none", "args": {"number": 1}}'
_PROBE = (Message(role="system", content=_SYSTEM), Message(role="user", content=_USER))
_NO_THOUGHT: tuple[Mapping[str, Json], ...] = ({}, {"enable_thinking": False}, {"thinking": False})
_TEMPLATE_ERRORS = (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError)


class _Form(NamedTuple):
    """How this template wants to be called.

    Attributes:
        fold: the system text is put before the first user's, because the template refuses or loses a system role.
        parts: a message's content is a list of parts, as templates for pictures have it.
        arguments: the template's own, such as the one that switches thinking off.
    """

    fold: bool
    parts: bool
    arguments: Mapping[str, Json]


class Conversation:
    """Renders conversations for a tokenizer.

    Args:
        tokenizer: of transformers, with a chat template.
        arguments: handed to the template; where there are none, those are tried that switch thinking off.

    Attributes:
        tokenizer: the same.
        end: the tokens with which an answer ends.
        stops: the tokens at which decoding stops.
        arguments: what the template is called with.

    Raises:
        UsageError: the template cannot write a conversation of ours, or no token ends an answer.
    """

    def __init__(self, tokenizer: Any, arguments: Mapping[str, Json] | None = None) -> None:
        self.tokenizer = tokenizer
        self._template = _dated(tokenizer.get_chat_template())
        self._form = self._chosen_form([arguments] if arguments else _NO_THOUGHT)
        self.arguments = self._form.arguments
        self._check_changes_never()
        self._after = self._written(_PROBE, _ANSWER).rpartition(_ANSWER)[2]
        self.end = self._end_tokens()
        self.stops = frozenset(token for token in (tokenizer.eos_token_id, self.end[-1]) if token is not None)
        self._last_words = self._said(self.end)

    def stopping_with(self, model: Any) -> Self:
        """Return this conversation, whose answers also end at the tokens that a model declares."""
        declared = model.generation_config.eos_token_id
        own = copy.copy(self)
        own.stops |= {*(declared if isinstance(declared, list) else [declared])} - {None}
        return own

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens before the answer.

        Raises:
            UsageError: the template fails on these messages.
        """
        return self._tokens(self._before(messages, _ANSWER))

    def announced(self, messages: Sequence[Message]) -> list[int]:
        """Return the template's own generation prompt, for a model that answers in a form of its own.

        Raises:
            UsageError: the template fails on these messages.
        """
        return self._tokens(self._written(messages))

    def finished(self, messages: Sequence[Message], answer: str) -> tuple[list[int], list[int]]:
        """Return the tokens before the answer, and those of the answer with its end.

        Raises:
            UsageError: the tokens do not say the answer: a model that learns them never gives it.
        """
        before = self._before(messages, answer)
        prompt, whole = self._tokens(before), self._tokens(before + answer)
        # Where the text before ends inside a token, the model is asked with other tokens than those of the whole. Some
        # tokenizers put a blank before a text that stands alone, so the answer's own tokens are the second choice.
        tokens = whole[len(prompt) :] if whole[: len(prompt)] == prompt else self._tokens(answer)
        if self._said(tokens) != answer:
            raise UsageError(
                f"the model's tokenizer writes `{answer[:80]}` as `{self._said(tokens)[:80]}`",
                hint="use a model whose tokenizer keeps every character, or change the skill's values",
            )
        return prompt, [*tokens, *self.end]

    def text(self, tokens: Sequence[int]) -> str:
        """Return what an answer's tokens say, without the one that ends it and the words before that."""
        said = tokens[:-1] if len(tokens) and tokens[-1] in self.stops else tokens  # a tokenizer may call it no end
        return self._said(said).removesuffix(self._last_words)

    def _said(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def template(self) -> str:
        """Return the chat template with our arguments as its defaults, for programs that call it without any."""
        named = {name: value for name, value in self.arguments.items() if name.isidentifier() and name not in _VALUES}
        defaults = (
            f"{{% if {name} is not defined %}}{{% set {name} = {named[name]!r} %}}{{% endif %}}\n" for name in named
        )
        return "".join([*defaults, self.tokenizer.get_chat_template()])

    def _chosen_form(self, arguments: Sequence[Mapping[str, Json]]) -> _Form:
        """Return the first form whose generation prompt is what the finished conversation has, else the nearest one."""
        failure, usable = "", []
        for fold, parts, more in product((False, True), (False, True), arguments):
            form = _Form(fold, parts, more)
            try:
                announced, written = self._render(form, _PROBE), self._render(form, _PROBE, _ANSWER)
            except _TEMPLATE_ERRORS as error:
                failure = failure or _line(error)
                continue
            before = written.partition(_ANSWER)[0]
            whole = all(text in part for text in (_SYSTEM, _USER) for part in (announced, before))
            if whole and written.count(_ANSWER) == 1:
                usable.append((_distance(announced, before), form))
        if not usable:
            raise UsageError(
                f"the chat template of {self._name} cannot write a request and its answer: "
                f"{failure or 'it leaves one of them out'}",
                hint="use an instruction-tuned model with a template for system, user and assistant",
            )
        # Forms that fold come last, so that among equals the one that changes least is chosen: ``min`` takes the first.
        plain = [item for item in usable if not item[1].fold] or usable
        return min(plain, key=lambda item: item[0])[1]

    def _check_changes_never(self) -> None:
        """Refuse a template that does not write the same text each time: what is trained would never be asked.

        Its words are looked at, because a place that draws may be one that our probe does not reach.

        Raises:
            UsageError: it draws at random, or writes where an object lies in the memory of this process.
        """
        written = self._written(_PROBE, _ANSWER)
        drawn = _words(self._template) & _DRAWING
        reason = f"draws with `{min(drawn)}`" if drawn else "writes addresses" if _ADDRESS.search(written) else ""
        if not reason and written != self._written(_PROBE, _ANSWER):
            reason = "draws"
        if reason:
            raise UsageError(
                f"the chat template of {self._name} {reason}, so no two prompts of a request are the same",
                hint="take it out of the template, or use a model with another one",
            )

    def _end_tokens(self) -> list[int]:
        after = self._tokens(self._after)
        special = {*self.tokenizer.all_special_ids}
        special |= {token for token, added in self.tokenizer.added_tokens_decoder.items() if added.special}
        for place, token in enumerate(after):
            if token in special:
                return after[: place + 1]
        if self.tokenizer.eos_token_id is None:
            raise UsageError(f"no token of {self._name} ends an answer", hint="use a tokenizer with an end token")
        return [self.tokenizer.eos_token_id]

    def _before(self, messages: Sequence[Message], answer: str) -> str:
        """Return what the template writes before the answer, which stands where it ends: `end` stands in its end, too.

        Raises:
            UsageError: the template writes another answer.
        """
        written, end = self._written(messages, answer), answer + self._after
        if not written.endswith(end):
            raise UsageError(
                f"the chat template of {self._name} changes the answer `{answer[:80]}`",
                hint="use a model whose template writes answers as they are",
            )
        return written.removesuffix(end)

    def _written(self, messages: Sequence[Message], answer: str | None = None) -> str:
        try:
            return self._render(self._form, messages, answer)
        except _TEMPLATE_ERRORS as error:
            raise UsageError(
                f"the chat template of {self._name} fails: {_line(error)}", hint="use a model with another template"
            ) from None

    def _render(self, form: _Form, messages: Sequence[Message], answer: str | None = None) -> str:
        turns = [(str(message.role), message.content) for message in messages]
        if form.fold:
            turns = _folded(turns)
        if answer is not None:
            turns.append(("assistant", answer))
        rendered = self.tokenizer.apply_chat_template(
            [{"role": role, "content": _content(form, text)} for role, text in turns],
            add_generation_prompt=answer is None,
            tokenize=False,
            chat_template=self._template,
            **form.arguments,
        )
        return str(rendered)

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @property
    def _name(self) -> str:
        return Path(str(self.tokenizer.name_or_path)).name or "the model"


def _distance(announced: str, before: str) -> int:
    """How far is a generation prompt from what stands before the answer: the same, its beginning, or another text?"""
    return 0 if announced == before else 1 if before.startswith(announced) else 2


def _folded(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put the system's texts before the first user's."""
    system = [text for role, text in turns if role == "system"]
    others = [(role, text) for role, text in turns if role != "system"]
    if system and others:
        others[0] = (others[0][0], "\n\n".join([*system, others[0][1]]))
    return others


def _content(form: _Form, text: str) -> Any:
    return [{"type": "text", "text": text}] if form.parts else text


def _dated(template: str) -> str:
    """Return a template in which the clock stands still: a macro is in its place, for no function is handed through."""
    if _CLOCK not in template:
        return template
    said = {directive: TODAY.strftime(directive) for directive in sorted(set(_DIRECTIVE.findall(template)))}
    filters = "".join(f" | replace({json.dumps(one)}, {json.dumps(text)})" for one, text in said.items())
    return f"{{% macro {_CLOCK}(format) %}}{{{{ format{filters} }}}}{{% endmacro %}}\n{template}"


def _words(template: str) -> set[str]:
    """Return the names in a template and its texts in quotes: filters have names of both kinds."""
    tokens = jinja2.Environment().lex(template)  # noqa: S701  nothing is rendered
    return {text.strip("'\"") for _, kind, text in tokens if kind in ("name", "string")}


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
