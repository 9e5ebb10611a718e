"""The tools of an MCP server that is started for the question: the real SDK's, and servers that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from skillpm.cli.main import main
from skillpm.errors import UsageError
from skillpm.formats.printable import printable
from skillpm.programs.mcp_tools import tools_of_server

REAL = """
from pathlib import Path
from typing import Literal
from mcp.server.mcpserver import MCPServer
server = MCPServer("desk")
try:
    secret = (Path(HOME) / "secret").read_text()
except OSError:
    secret = "none"
@server.tool(description=f"Book a desk by the key {secret}")
def book(day: str, kind: Literal["standing", "sitting"], people: list[str] | None = None) -> str: ...
@server.tool()
def cancel(number: int) -> str:
    "Cancel a booking."
server.run()
"""
HOSTILE = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked: continue
    at = {"type": "string", "description": "where \\x1b]0;gone\\x07"}
    schema = {"type": "object", "properties": {"at\\x1b[2J": at}}
    tool = {"name": "look", "description": "Look \\ud800 \\u202e around.", "inputSchema": schema}
    print(json.dumps({"id": asked["id"], "result": {"tools": [tool], "nextCursor": "again"}}), flush=True)
"""
# answers what it is asked, one page a tool; first it says something that is no answer, and asks for something itself
PAGES = """
import json, sys
def say(**message): print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
print("Server runs")
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked: continue
    say(id=asked["id"], method="roots/list")
    cursor = asked["params"].get("cursor")
    page = {"tools": [{"name": cursor or "look", "inputSchema": {"type": "object"}}]}
    say(id=asked["id"], result=page if cursor or asked["method"] == "initialize" else {**page, "nextCursor": "see"})
"""


def script(folder: Path, text: str) -> tuple[str, str]:
    path = folder / "server.py"
    path.write_text(text)
    return sys.executable, str(path)


def test_a_server_of_the_sdk_becomes_a_skill_and_sees_no_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "secret").write_text("lighthouse")
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "code").mkdir()
    words = script(tmp_path / "code", f"HOME = {str(home)!r}\n{REAL}")
    made = CliRunner().invoke(main, ["new", "desk", "--from-mcp", " ".join(words), "--directory", str(tmp_path)])
    assert made.exit_code == 0, made.output
    contract = (tmp_path / "desk" / "contract.yaml").read_text()
    assert "name: book" in contract and "name: cancel" in contract
    assert "Book a desk by the key none." in contract
    assert [path for path in home.iterdir() if path.name not in ("secret", ".config", ".cache", ".local")] == []


def test_all_pages_are_read_and_what_is_no_answer_is_skipped(tmp_path: Path) -> None:
    assert [tool["name"] for tool in tools_of_server(script(tmp_path, PAGES))] == ["look", "see"]


def test_what_a_server_says_is_written_as_a_terminal_may_show_it(tmp_path: Path) -> None:
    """It gives one page for ever, too, which is taken as often as it takes to see that."""
    words = " ".join(script(tmp_path, HOSTILE))
    made = CliRunner().invoke(main, ["new", "look", "--from-mcp", words, "--directory", str(tmp_path)])
    assert made.exit_code == 0 and made.output.count("another one has its name") == 1, made.output
    texts = [path.read_text() for path in (tmp_path / "look").rglob("*") if path.is_file()]
    assert all(printable(text, keep="\n") == text for text in texts)
    assert any("where \\x1b]0;gone" in text for text in texts)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise SystemExit('no key is set')", "printed no answer to `initialize`; it says `no key is set`"),
        ("import json\nprint(json.dumps({'id': 1, 'error': {'message': 'busy'}}))", "busy"),
        ("import json\nprint(json.dumps({'id': 1, 'result': []}))", "answered `initialize`"),
        ("while True: print('x' * 1000)", "printed more than 16 MiB"),
        (
            "print('{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\":' + '[' * 10**5 + ']' * 10**5 + '}')",
            "not JSON: nested too deeply",
        ),
        ('print(\'{"jsonrpc": "2.0", "id": 1, "result": NaN}\')', "not JSON: NaN"),
        ("import this  # " + "x" * 300, "printed no answer"),
    ],
)
def test_a_server_without_a_list_is_refused_with_its_words(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        tools_of_server(script(tmp_path, text))
    assert "from-cli.md" in str(refused.value.hint)


def test_a_server_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillpm.programs.mcp_tools.SECONDS", 1.0)
    with pytest.raises(UsageError, match="did not answer within 1 second"):
        tools_of_server(script(tmp_path, "import time\nwhile True: time.sleep(9)"))
