"""A small server of OpenAI's chat completions, run as a process of its own, which can be told to misbehave.

``python chat_server.py ANSWERS.json`` prints its port. The file maps the last message to an answer: a text, or an
object with ``calls`` (native tool calls), ``model`` (what it claims to be) or ``fault``. ``"~"`` is a list of patterns
with what they make of a message that they find, and ``"*"`` answers all others.
"""

from __future__ import annotations

import http.server
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

KEY = "Bearer let-me-in"


class Chat(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[dict[str, int]] = {}
    last: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        if self.path == "/last":
            self.reply(200, {**Chat.last, "asked": sum(Chat.seen.values())})
        else:
            self.reply(200, {"data": [{"id": "tiny"}]} if self.path == "/v1/models" else {"data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Chat.last = {"body": body, "authorization": self.headers.get("Authorization")}
        table = Path(sys.argv[1]).read_text(encoding="utf-8")
        answers = json.loads(table)
        asked = body["messages"][-1]["content"]
        found = ((re.search(pattern, asked), text) for pattern, text in answers.get("~", ()))
        written = next((match.expand(text) for match, text in found if match), None)
        answer = answers.get(asked, written or answers.get("*", "I do not know"))
        answer = answer if isinstance(answer, dict) else {"text": answer}
        place = f"{asked} {table}"
        Chat.seen[place] = Chat.seen.get(place, 0) + 1
        fault = answer.get("fault")
        if fault is None or not getattr(self, f"fault_{fault}")(answer, Chat.seen[place]):
            self.complete(answer, body["model"])

    def complete(self, answer: dict[str, Any], model: str) -> None:
        calls = [
            {"id": str(number), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for number, (name, arguments) in enumerate(answer.get("calls", ()))
        ]
        message = {"role": "assistant", "content": answer.get("text"), "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": answer.get("reason", "stop")}
        usage = {"prompt_tokens": answer.get("tokens", 7), "completion_tokens": answer.get("written", 3)}
        self.reply(200, {"model": answer.get("model", model), "choices": [choice], "usage": usage})

    def fault_busy(self, answer: dict[str, Any], turn: int) -> bool:
        """429 twice, with a Retry-After, then the answer."""
        if turn <= 2:
            self.reply(answer.get("status", 429), {"error": "busy"}, {"Retry-After": answer.get("after", "0")})
        return turn <= 2

    def fault_status(self, answer: dict[str, Any], turn: int) -> bool:
        headers = {"Location": answer["location"]} if "location" in answer else {}
        self.reply(answer["status"], {"error": {"message": answer.get("text", "no")}}, headers)
        return True

    def fault_garbage(self, answer: dict[str, Any], turn: int) -> bool:
        self.reply(200, answer["body"])
        return True

    def fault_never(self, answer: dict[str, Any], turn: int) -> bool:
        time.sleep(60)
        return True

    def fault_slow(self, answer: dict[str, Any], turn: int) -> bool:
        """One byte at a time."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)
        return True

    def reply(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
