"""Sessions of other agents, read as requests and the tools that were called for them.

Sources: the session files of Claude Code (``~/.claude/projects/*/*.jsonl``: an entry a line, of the types ``user`` and
``assistant``, with the messages of Anthropic's API) and of Codex (``~/.codex/sessions/**/rollout-*.jsonl``: an item of
OpenAI's responses a line, since 2025 in the ``payload`` of a ``response_item``). Both are written by many versions, so
what is not known is passed over.
"""

from __future__ import annotations

import json
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SessionForm = Literal["claude-code", "codex"]
Outcome = Literal["done", "failed", "refused", "unknown"]

_NO_REQUEST = re.compile(
    r"\s*(?:<(?:command-|local-command|system-reminder|environment_context|user_instructions|turn_aborted|user_action"
    r"|INSTRUCTIONS|permissions|skill|bash-)|# AGENTS\.md instructions|\[Request interrupted|Caveat: The messages"
    r"|This session is being continued from a previous conversation"
    r"|Another language model started to solve this problem)"
)
_ADDED = re.compile(  # by the program around a request, such as which file an editor shows
    r"<((?:ide|environment|turn|subagent|local-command)[-_][a-z_-]+|system[-_]reminder|task-notification"
    r"|user-prompt-submit-hook|user_(?:instructions|action|shell_command)|command-(?:name|message|args|contents)"
    r"|bash-(?:input|stdout|stderr))\b[^<>]*>.*?</\1>",
    re.DOTALL,
)
_LONGEST = 50_000  # characters of a request that is searched for these
_EDITOR = re.compile(r"# Context from my IDE setup:.*## My request for Codex:", re.DOTALL)
_NO_TEXT = frozenset({"image", "document", "input_image", "input_file", "image_url"})
_REFUSED = re.compile(r"doesn't want to (?:proceed|take this action)|rejected by user|user rejected|aborted by user")
_EXIT_CODE = re.compile(r"(?:Exit code:|exited with code|exit code)\s*(-?\d+)", re.IGNORECASE)
_ASIDE = frozenset(
    {"Skill", "TodoWrite", "ToolSearch", "TaskCreate", "TaskUpdate", "update_plan", "tool_search", "tool_search_call"}
)
_SHELLS = frozenset({"bash", "sh", "zsh"})
_SHELL_LETTERS = re.compile(r"[|&;<>()$`\\\n*?\[\]{}~!#]")  # outside quotes a shell may read more than words
_QUOTED = re.compile(r"'[^']*'|\"[^\"$`\\]*\"")


@dataclass(slots=True)
class ToolUse:
    """A tool that an agent called.

    Attributes:
        outcome: what became of it, as far as the session tells.
    """

    name: str
    arguments: dict[str, Any]
    outcome: Outcome = "unknown"
    output: str = ""

    @property
    def command(self) -> str | None:
        """The command line, where the tool is a shell; None for other tools."""
        for key in ("command", "cmd"):
            value = self.arguments.get(key)
            if isinstance(value, str):
                return value
            if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
                shell = value[0].rpartition("/")[2] in _SHELLS and len(value) == 3 and value[1] in ("-c", "-lc")
                return value[2] if shell else shlex.join(value)
        return None

    @property
    def words(self) -> list[str]:
        """The words of the command line; empty where a shell would read more in it."""
        text = self.command or ""
        if _SHELL_LETTERS.search(_QUOTED.sub("", text)):
            return []
        try:
            return shlex.split(text)
        except ValueError:
            return []


@dataclass(slots=True)
class Turn:
    """A request, and the tools that were called until the next one.

    Attributes:
        session: the id of the session.
        number: which request of it, from 0.
        when: an ISO time, or empty.
        with_picture: does it show a picture or a file beside its words?
        uses: without those that only plan or look up tools and skills.
    """

    session: str
    number: int
    when: str
    model: str
    request: str
    with_picture: bool = False
    uses: list[ToolUse] = field(default_factory=list)


def session_form(rows: list[Any]) -> SessionForm | None:
    """Return whose session some rows are, or None."""
    for row in rows:
        if not isinstance(row, dict):
            continue
        if row.get("type") in ("session_meta", "response_item", "turn_context", "event_msg") and "payload" in row:
            return "codex"
        if row.get("type") in ("user", "assistant") and isinstance(row.get("message"), dict) and "sessionId" in row:
            return "claude-code"
        if row.get("type") in ("function_call", "local_shell_call", "message") and "sessionId" not in row:
            return "codex"
    return None


def turns(rows: list[Any], form: SessionForm) -> list[Turn]:
    """Return the turns of a session, in order."""
    reader = _ClaudeCode() if form == "claude-code" else _Codex()
    for row in rows:
        if isinstance(row, dict):
            reader.read(row)
    return reader.turns


class _Reader(ABC):
    """Gathers turns; what was called before the first request belongs to none."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._open: dict[str, ToolUse] = {}
        self._known: set[str] = set()  # calls: a message that grows is written again with each of its parts
        self._session = self._model = ""

    @abstractmethod
    def read(self, row: dict[str, Any]) -> None:
        """Take the next row."""

    def _asked(self, content: Any, when: Any) -> None:
        parts = [str(part["text"]) for part in _parts(content) if isinstance(part.get("text"), str)]
        texts = [(text if len(text) > _LONGEST else _EDITOR.sub("", _ADDED.sub("", text))).strip() for text in parts]
        request = "\n".join(text for text in texts if text and not _NO_REQUEST.match(text))
        if request:
            picture = any(str(part.get("type")) in _NO_TEXT for part in _parts(content))
            when = when if isinstance(when, str) else ""
            self.turns.append(Turn(self._session, len(self.turns), when, self._model, request, picture))

    def _called(self, identity: Any, name: Any, arguments: Any) -> None:
        is_known = isinstance(identity, str) and identity in self._known
        if not self.turns or not isinstance(name, str) or name in _ASIDE or is_known:
            return
        use = ToolUse(name, arguments if isinstance(arguments, dict) else {})
        self.turns[-1].uses.append(use)
        self.turns[-1].model = self._model
        if isinstance(identity, str):
            self._open[identity] = use
            self._known.add(identity)

    def _returned(self, identity: Any, output: str, failed: bool | None) -> None:
        use = self._open.pop(identity, None) if isinstance(identity, str) else None
        if use is None:
            return
        use.output = output
        if _REFUSED.search(output[:400]):
            use.outcome = "refused"
        elif failed is not None or use.command is None:  # what a command came to is known by its exit code alone
            use.outcome = "failed" if failed else "done"


class _ClaudeCode(_Reader):
    def read(self, row: dict[str, Any]) -> None:
        message = row.get("message")
        if not isinstance(message, dict) or row.get("isSidechain") or row.get("isCompactSummary"):
            return
        self._session = str(row.get("sessionId", self._session))
        if row.get("type") == "assistant":
            self._model = str(message.get("model", self._model))
            for part in _parts(message.get("content")):
                if part.get("type") == "tool_use":
                    self._called(part.get("id"), part.get("name"), part.get("input"))
        elif row.get("type") == "user":
            for part in _parts(message.get("content")):
                if part.get("type") == "tool_result":
                    failed = _claude_failed(part.get("is_error"), row.get("toolUseResult"))
                    self._returned(part.get("tool_use_id"), _text(part.get("content")), failed)
            if not row.get("isMeta"):
                self._asked(message.get("content"), row.get("timestamp"))


def _claude_failed(is_error: Any, result: Any) -> bool | None:
    """Return whether a call failed; None where it goes on in the background."""
    about = result if isinstance(result, dict) else {}
    if about.get("backgroundTaskId"):
        return None
    return bool(is_error) or bool(about.get("interrupted"))


class _Codex(_Reader):
    _is_aside = False  # another agent asks in it, and no person

    def read(self, row: dict[str, Any]) -> None:
        payload = row.get("payload")
        item = payload if isinstance(payload, dict) else row
        kind = item.get("type") if row.get("type") in ("response_item", None) or payload is None else row.get("type")
        if kind == "session_meta" and _is_of_agent(item.get("source")):
            self._is_aside = True
        if self._is_aside:
            return
        if kind == "session_meta" or (payload is None and "id" in item and "timestamp" in item and "type" not in item):
            self._session = str(item.get("id", self._session))
        elif kind == "turn_context":
            self._model = str(item.get("model", self._model))
        elif kind == "message" and item.get("role") == "user":
            self._asked(item.get("content"), row.get("timestamp"))
        elif kind == "event_msg" and item.get("type") == "thread_rolled_back":
            count = item.get("num_turns")
            if isinstance(count, int) and count > 0:
                del self.turns[-count:]
        elif kind == "function_call":
            self._called(item.get("call_id"), item.get("name"), _object(item.get("arguments")))
        elif kind == "local_shell_call":
            self._called(item.get("call_id"), "local_shell", item.get("action"))
        elif isinstance(kind, str) and kind.endswith("_call"):  # a patch, a search of the web, and what is to come
            self._called(item.get("call_id", item.get("id")), item.get("name") or kind, item.get("action"))
        elif isinstance(kind, str) and kind.endswith("_call_output"):
            self._returned(item.get("call_id"), *_codex_output(item.get("output")))


def _is_of_agent(source: Any) -> bool:
    return isinstance(source, dict) and any(str(key).lower().startswith("subagent") for key in source)


def _codex_output(output: Any) -> tuple[str, bool | None]:
    """Return what a call printed, and whether it failed."""
    value = _object(output) if isinstance(output, str) else output
    if isinstance(value, dict):
        content = _text(value.get("output", value.get("content", "")))
        metadata = value.get("metadata")
        code = metadata.get("exit_code") if isinstance(metadata, dict) else None
        if isinstance(code, int):
            return content, code != 0
        success = value.get("success")
        return (content, not success) if isinstance(success, bool) else (content, None)
    text = _text(output)
    match = _EXIT_CODE.search(text[:400])
    return text, int(match[1]) != 0 if match else None


def _object(text: Any) -> dict[str, Any] | None:
    if isinstance(text, dict):
        return text
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _parts(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list):
        yield from (part for part in content if isinstance(part, dict))


def _text(content: Any) -> str:
    """Return the texts of a content, in either API's form."""
    return "\n".join(str(part["text"]) for part in _parts(content) if isinstance(part.get("text"), str))
