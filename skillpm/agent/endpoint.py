"""A server that speaks OpenAI's chat completions, as a Policy: ``--model https://host/v1#MODEL``.

The key of a host is the one that ``index/credentials.py`` finds for it. It goes to that host only, and never without
encryption. Each answer is bounded in time and size, and whatever the server sends is checked before it is used.

Source: OpenAI API reference, ``POST /chat/completions`` and ``GET /models``; RFC 9110 (Retry-After).
"""

from __future__ import annotations

import copy
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from itertools import count, islice
from typing import Any, Self
from urllib.parse import urlsplit

from skillpm.contract.content import PartError, content_text
from skillpm.contract.native import call_text
from skillpm.contract.tool_forms import openai_tool
from skillpm.errors import RegistryError, UsageError
from skillpm.formats.strict import json_object
from skillpm.index.connections import CutError
from skillpm.index.credentials import Credentials, is_local, token_variable
from skillpm.index.pages import KEEPER
from skillpm.index.transport import Patience, Transport, round_trips, seconds_asked
from skillpm.model.contract import Tool
from skillpm.model.ports import Completion
from skillpm.model.task import Message

_MOST = 1 << 22  # tokens of one answer that are believed
_REFUSED = 2  # tries where nobody listens on a near machine: it has no network between that could recover
_CROWDED = 8  # tries where it has too many requests: such limits count by the minute
_LONGEST_PAUSE = 30.0  # seconds
_QUIET = 10.0  # seconds in which no other request says that a server is waited for
_SHOWN = 300  # characters of a server's own words
_TOO_MANY = 429
_BUSY = frozenset({408, _TOO_MANY, 500, 502, 503, 504})
PATIENCE = Patience(idle=120.0, whole=180.0)


def is_endpoint(model: str) -> bool:
    """Is a model's name the address of a server?"""
    return model.startswith(("http://", "https://"))


class EndpointError(RegistryError):
    """A model's server failed, or its answer cannot be used."""

    name = "endpoint"


class _OverError(Exception):
    """The time is over."""


class EndpointPolicy:
    """Completions of a model behind a server, greedy unless ``sampled`` says otherwise.

    Args:
        address: ``URL#MODEL``; without ``#MODEL``, the only model that the server lists.
        batch_size: requests at once.
        tools: that the model may call natively; a call is returned as the contract's own answer.
        offline: refuse a server on another machine.
        environment: holds the key; by default the environment of the process.
        say: shows what is waited for.

    Raises:
        UsageError: the address is wrong, or would send a key without encryption.
        EndpointError: the server does not list exactly one model.
    """

    def __init__(
        self,
        address: str,
        *,
        batch_size: int = 1,
        tools: Sequence[Tool] = (),
        offline: bool = False,
        patience: Patience = PATIENCE,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._say = say
        self._said = [-math.inf]  # when; of all requests together
        url, _, model = address.partition("#")
        self._url = url.rstrip("/")
        self.name = address
        self._patience = patience
        self._batch_size = batch_size
        self._tools = {tool.name: tool for tool in tools}
        _check_address(self._url, offline=offline)
        self._form: dict[str, Any] = {}  # what answers are held to
        self._chance: dict[str, Any] = {"temperature": 0}
        self._ended: Callable[[], bool] = lambda: False
        self._deadline: float | None = None
        self._transport = Transport(Credentials(environment), patience=patience, environment=environment)
        self._transport.authorization(self._url)  # raises UsageError
        self._model = model or self._only_model()
        self.settings = {"endpoint": self._url, "endpoint_model": self._model}

    def constrained(self, schema: Mapping[str, Any]) -> Self:
        """Return the same server, asked for answers that a JSON Schema accepts; it has to know structured outputs."""
        held = copy.copy(self)
        form = {"name": "answer", "strict": True, "schema": schema}
        held._form = {"response_format": {"type": "json_schema", "json_schema": form}}
        return held

    def sampled(self, temperature: float, seed: int) -> Self:
        """Return the same server, asked for answers that are drawn; whether it knows seeds is its own affair."""
        drawn = copy.copy(self)
        drawn._chance = {"temperature": temperature, "seed": seed}
        return drawn

    def bounded(self, ended: Callable[[], bool], deadline: float | None) -> Self:
        """Return the same server, asked only until then: see ``BoundedPolicy``."""
        held = copy.copy(self)
        held._ended, held._deadline = ended, deadline
        return held

    def complete(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int
    ) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index of the prompt, completion)`` as they finish.

        A prompt that the server calls longer than the model's window is ``too_long``. Prompts that a bound leaves out
        have no answer.

        Raises:
            EndpointError: the server failed, or its answer cannot be used.
        """
        rest = iter(range(len(prompts)))
        # Ctrl-C comes while an answer is awaited, or while whoever reads the answers works, which then closes this
        abandoned_by = (KeyboardInterrupt, GeneratorExit, _OverError)
        with suppress(_OverError), round_trips(self._batch_size, abandoned_by) as threads:
            waiting: dict[Future[Completion | None], int] = {}
            while True:
                more = 0 if self._ended() else 2 * self._batch_size - len(waiting)  # as many again wait for a thread
                for index in islice(rest, more):
                    waiting[threads.submit(self._if_wanted, prompts[index], max_new_tokens)] = index
                if not waiting:
                    return
                for future in self._first(waiting):
                    index, completion = waiting.pop(future), future.result()
                    if completion is not None:
                        yield index, completion

    def _first(self, waiting: Iterable[Future[Completion | None]]) -> set[Future[Completion | None]]:
        """Return what ends first. Raises _OverError at the deadline."""
        left = None if self._deadline is None else min(self._deadline - time.monotonic(), threading.TIMEOUT_MAX)
        done = wait(waiting, timeout=left, return_when=FIRST_COMPLETED).done
        if not done:
            raise _OverError
        return done

    def _if_wanted(self, prompt: Sequence[Message], max_new_tokens: int) -> Completion | None:
        """Return the answer to a prompt; None where nothing more may be asked, or where it failed after that."""
        try:
            return None if self._ended() else self._answer(prompt, max_new_tokens)
        except EndpointError:
            if self._ended():
                return None
            raise

    def _answer(self, prompt: Sequence[Message], max_new_tokens: int) -> Completion:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [message.model_dump(mode="json") for message in prompt],
            "max_tokens": max_new_tokens,
            "stream": False,
            **self._chance,
            **self._form,
        }
        if self._tools:
            body["tools"] = [openai_tool(tool) for tool in self._tools.values()]
        status, answer = self._ask("POST", "/chat/completions", body)
        document = json_object(answer)
        if status != 200 or (document.get("error") and not document.get("choices")):  # some say 200 to all
            words = _error_words(answer)
            if "context" in words and ("length" in words or "window" in words):
                return Completion("", 0, 0, "too_long")
            raise self._failed(f"answers {status}: {words[:_SHOWN] or 'nothing more'}", _hint_of(status, self._url))
        return self._completion(document)

    def _completion(self, answer: dict[str, Any]) -> Completion:
        try:
            choice = answer["choices"][0]
            message, reason = choice["message"], choice.get("finish_reason")
            calls = message.get("tool_calls") or ()
            text = content_text(message.get("content") or "")
            if not isinstance(calls, list | tuple):
                raise TypeError
            texts = [call_text(self._tools, call["function"]) for call in calls]
            text = "\n".join([*([text] if text or not calls else []), *texts])
        except PartError as error:
            raise self._failed(f"answers with {error}", "name a model that answers with text alone") from None
        except (KeyError, IndexError, TypeError, AttributeError):
            raise self._failed("does not answer in the form of chat completions", None) from None
        self._check_model(answer.get("model"))
        used = answer.get("usage")
        usage = used if isinstance(used, dict) else {}
        counts = [usage.get(f"{side}_tokens") for side in _SIDES]
        tokens = [value if type(value) is int and 0 <= value < _MOST else 0 for value in counts]
        return Completion(text, tokens[0], tokens[1], "length" if reason == "length" else "stop")

    def _check_model(self, answered: Any) -> None:
        """Refuse the answer of another model. A server may add a date to a name, and a folder in front of it."""
        if answered is None:
            return
        asked, served = (str(name).lower().rpartition("/")[2] for name in (self._model, answered))
        if not (asked.startswith(served) or served.startswith(asked)) or not served:
            raise self._failed(
                f"answers as `{str(answered)[:80]}`, not as `{self._model[:80]}`", "check the model's name"
            )

    def _only_model(self) -> str:
        status, answer = self._ask("GET", "/models", None)
        rows = json_object(answer).get("data") if status == 200 else None
        names = (
            [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row] if isinstance(rows, list) else []
        )
        if len(names) == 1:
            return names[0]
        hint = f"name one: `--model {self._url}#{names[0] if names else 'MODEL'}`"
        raise self._failed(f"lists {len(names)} models{': ' + ', '.join(names[:5]) if names else ''}", hint)

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        """Return the status and the body of an answer; ask again while the server is busy or the connection fails."""
        data = b"" if body is None else json.dumps(body, ensure_ascii=True).encode()
        tries = self._patience.tries
        for turn in count():
            seconds, hint = 0.0, "check the address, and whether the server runs"
            try:
                answer = self._transport.once(method, self._url + path, data)
            except CutError as cut:
                reason = str(cut)
                if cut.refused and is_local(urlsplit(self._url).hostname):
                    tries = min(tries, _REFUSED)
            except RegistryError as error:
                told = _ADMINISTRATOR if error.hint == KEEPER else error.hint
                raise EndpointError(error.message, hint=told, url=self._url) from None
            else:
                if answer.status in _MOVED and "location" in answer.headers:
                    moved = f"answers {answer.status}: it has moved to {answer.headers['location'][:_SHOWN]}"
                    raise self._failed(moved, "name that address instead, if you trust it")
                if answer.status not in _BUSY:
                    return answer.status, answer.body
                if answer.status == _TOO_MANY:
                    tries, hint = max(tries, _CROWDED), "it has too many requests: try again later"
                reason, seconds = f"it answers {answer.status}", seconds_asked(answer.headers.get("retry-after"))
                if seconds > self._patience.asked:
                    words = _error_words(answer.body)[:_SHOWN]
                    busy = f"answers {answer.status} and asks for a pause of {seconds:.0f} seconds"
                    raise self._failed(f"{busy}: {words}" if words else busy, "try again then")
            if turn + 1 >= tries:
                break
            pause = seconds or min(0.5 * 2**turn, _LONGEST_PAUSE)
            if time.monotonic() - self._said[0] > _QUIET:
                self._said[0] = time.monotonic()
                self._say(f"{self._url} does not answer yet: {reason}; asking again in {pause:g} seconds")
            self._patience.sleep(pause)
        raise self._failed(f"does not answer: {reason}", hint)

    def _failed(self, what: str, hint: str | None) -> EndpointError:
        return EndpointError(f"{self._url} {what}", hint=hint or _ADMINISTRATOR, url=self._url)


_SIDES = ("prompt", "completion")
_MOVED = (301, 302, 303, 307, 308)  # a request with a key follows no server elsewhere
_ADMINISTRATOR = "ask the administrator of the server"


def _check_address(url: str, *, offline: bool) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.query:
        raise UsageError(
            f"`{url[:200]}` is not the address of a model's server", hint="such as http://127.0.0.1:8000/v1"
        )
    if parts.username is not None:
        raise UsageError(
            "the address of a model's server holds a key, which logs would show",
            hint=f"set {token_variable(url)} instead",
        )
    if offline and not is_local(host):
        raise UsageError(f"{host} is on the network, and `--offline` forbids it", hint="use a local model")


def _error_words(data: bytes) -> str:
    """Return a server's own words, from ``{"error": {"message": …}}`` where it writes them there."""
    error: Any = json_object(data).get("error", data.decode(errors="replace"))
    if isinstance(error, dict):
        error = f"{error.get('message', '')} {error.get('code') or ''}"
    return str(error).strip()


def _hint_of(status: int, url: str) -> str | None:
    if status in (401, 403):
        return f"set {token_variable(url)} to the key of this server"
    if status == 404:
        return "check the address, which ends with /v1 as a rule, and the model's name after `#`"
    return "check the request, and the model's name after `#` of the address" if 400 <= status < 500 else None
