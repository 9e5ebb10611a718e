"""A server of OpenAI's chat completions with the contract in front: what it refuses never reaches a client.

A refused answer is given back to the model with the reasons, a few times. If none is accepted, or the model is too
unsure of it by its calibration, the client gets 422 and the reasons. The server listens on this machine only.

Source: OpenAI API reference, ``POST /chat/completions``.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from skillpm.agent.local_server import RefusedError, local_application, read_object
from skillpm.agent.proposal import Proposal, read_proposal
from skillpm.agent.reply import reply_text
from skillpm.agent.together import Together, UnwantedError
from skillpm.contract.content import PartError, content_text
from skillpm.contract.contract import Contract
from skillpm.errors import SkillpmError
from skillpm.model.calibration import SkillCalibration, Word
from skillpm.model.ports import Completion
from skillpm.model.task import Message

_GONE = 499  # the status of an answer that nobody reads, as nginx logs it
_BODY = 1 << 20  # bytes of a request
_MOST_TOKENS = 32768
_SHOWN = 4000  # characters of a refused answer that the model reads again


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets: an accepted answer, which try it was, and what it may do (None where nothing is known)."""

    proposal: Proposal
    completion: Completion
    tries: int
    decision: Word | None


@dataclass(frozen=True)
class VerifiedModel:
    """A policy whose answers the contract accepts.

    Attributes:
        name: as clients call it.
        system: the system prompt of a conversation that has none.
        tries: answers to one request, at most.
        max_new_tokens: of one answer, where the client does not say less.
        calibration: says what an answer may do; None where nothing is known.
    """

    name: str
    contract: Contract
    policy: Together
    system: str
    tries: int = 3
    max_new_tokens: int = 256
    calibration: SkillCalibration | None = None

    def answer(self, messages: Sequence[Message], most: int, unwanted: Callable[[], bool] = lambda: False) -> Answer:
        """Return the first accepted answer.

        Raises:
            RefusedError: no answer is accepted, or the model is too unsure of it.
            UnwantedError: the answer has become unwanted.
        """
        conversation = list(messages)
        before = [Message(role="system", content=self.system)] if self.system else []
        evaluated = conversation[:-1] == before and conversation[-1].role == "user"
        reasons: list[str] = []
        for number in range(1, self.tries + 1):
            completion = self.policy.complete(conversation, most, unwanted)
            if completion.finish_reason == "too_long":
                raise RefusedError(400, "the prompt exceeds the model's context", code="context_length_exceeded")
            proposal = read_proposal(self.contract, completion.text, cut=completion.finish_reason == "length")
            if proposal.accepted:
                return Answer(proposal, completion, number, self._decided(completion, evaluated and number == 1))
            reasons.append("; ".join(proposal.problems))
            conversation += [
                Message(role="assistant", content=completion.text[:_SHOWN]),
                Message(
                    role="user", content=f"That is refused: {reasons[-1]}. Answer again with one JSON object only."
                ),
            ]
        raise RefusedError(422, f"no answer in {self.tries} tries keeps the contract", code="contract", reasons=reasons)

    def _decided(self, completion: Completion, evaluated: bool) -> Word | None:
        """Return what an answer may do; only first answers to the own prompt were evaluated, so no other one acts."""
        if self.calibration is None:
            return None
        word = self.calibration.decide(completion.confidence)
        if word == "refuse":
            assert self.calibration.refuse is not None
            reason = self.calibration.refuse.sentence(completion.confidence)
            raise RefusedError(422, "the model is not sure of its answer", code="confidence", reasons=[reason])
        return word if evaluated else "confirm"


def application(model: VerifiedModel) -> Starlette:
    """Return the application: ``/v1/models`` and ``/v1/chat/completions``."""

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model.name, "object": "model", "owned_by": "skillpm"}]})

    async def complete(request: Request) -> Response:
        try:
            body = await read_object(request, _BODY)
            if body.get("model", model.name) != model.name:
                raise RefusedError(404, f"the only model here is {model.name}", code="model_not_found")
            if not isinstance(streamed := body.get("stream") or False, bool):
                raise RefusedError(400, "`stream` is not true or false")
            messages = _messages(body.get("messages"), model.system)
            answer = await _answered(request, model, messages, _limit(body, model.max_new_tokens))
        except UnwantedError:
            return Response(status_code=_GONE)
        except RefusedError as refused:
            return JSONResponse(refused.document, refused.status)
        except SkillpmError as error:
            return JSONResponse({"error": {"message": error.message, "type": error.name}}, 502)
        document = _document(model, answer)
        if streamed:
            return StreamingResponse(_stream(document), media_type="text/event-stream")
        return JSONResponse(document)

    routes = [Route("/v1/models", models), Route("/v1/chat/completions", complete, methods=["POST"])]
    return local_application(routes)


async def _answered(request: Request, model: VerifiedModel, messages: Sequence[Message], most: int) -> Answer:
    """Return a model's answer. It becomes unwanted when the client disconnects."""
    gone = threading.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        return await anyio.to_thread.run_sync(model.answer, messages, most, gone.is_set)
    finally:
        watching.cancel()


def _limit(body: Mapping[str, Any], usual: int) -> int:
    """Return how many tokens the answer may have. Raises RefusedError; also where a client wants several answers."""
    if body.get("n") not in (None, 1):
        raise RefusedError(400, "a request gets one answer: leave `n` out")
    given = [body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    most = given[0] if given else usual
    if not isinstance(most, int) or isinstance(most, bool) or not 0 < most <= _MOST_TOKENS:
        raise RefusedError(400, f"`max_tokens` is not a number of tokens from 1 to {_MOST_TOKENS}")
    return most


def _messages(rows: Any, system: str) -> list[Message]:
    """Return a client's messages; native calls become the contract's own answers. Raises RefusedError."""
    if not isinstance(rows, list) or not rows:
        raise RefusedError(400, "`messages` is not a list of messages")
    messages = []
    for row in rows:
        try:
            calls = row.get("tool_calls") or ()
            texts = [
                {"tool": call["function"]["name"], "args": json.loads(call["function"]["arguments"])} for call in calls
            ]
            content = "\n".join(map(json.dumps, texts)) or row.get("content")
            if content is None and row["role"] == "assistant":
                content = ""
            content = content_text(content)
            content.encode()  # a lone surrogate is no text
            role = "system" if row["role"] == "developer" else "user" if row["role"] == "tool" else row["role"]
            messages.append(Message(role=role, content=content))
        except PartError as error:
            raise RefusedError(400, f"message {len(messages) + 1} has {error}") from None
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise RefusedError(400, f"message {len(messages) + 1} is not in the form of chat completions") from None
    if system and messages[0].role != "system":
        messages.insert(0, Message(role="system", content=system))
    return messages


def _document(model: VerifiedModel, answer: Answer) -> dict[str, Any]:
    now = time.time_ns()
    proposal, completion = answer.proposal, answer.completion
    more: dict[str, Any] = {"argv": proposal.argv, "tries": answer.tries}
    if completion.confidence is not None:
        more["confidence"] = round(completion.confidence, 6)
    if answer.decision is not None:
        more["decision"] = answer.decision
    if proposal.reply is not None:
        message: dict[str, Any] = {"role": "assistant", "content": reply_text(model.contract, proposal.reply)}
        reason, more = "stop", {**more, "reply": proposal.reply}
    else:
        assert proposal.tool is not None
        function = {"name": proposal.tool.name, "arguments": json.dumps(proposal.arguments, ensure_ascii=False)}
        call = {"id": f"call_{now:x}", "type": "function", "function": function}
        message, reason = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    used = {"prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens}
    return {
        "id": f"chatcmpl-{now:x}",
        "object": "chat.completion",
        "created": now // 1_000_000_000,
        "model": model.name,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {**used, "total_tokens": sum(used.values())},
        "skillpm": more,
    }


def _stream(document: dict[str, Any]) -> Iterator[str]:
    """Yield an answer as events: it is whole before its first part is sent, because the contract reads it whole."""
    choice = document["choices"][0]
    message = {name: value for name, value in choice["message"].items() if value is not None}
    if "tool_calls" in message:
        message["tool_calls"] = [{"index": index, **call} for index, call in enumerate(message["tool_calls"])]
    head = {name: document[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    end = {"skillpm": document["skillpm"]}
    for delta, reason, more in ((message, None, {}), ({}, choice["finish_reason"], end)):
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        yield f"data: {json.dumps({**head, 'choices': choices, **more})}\n\n"
    yield "data: [DONE]\n\n"
