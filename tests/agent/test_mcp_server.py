"""Skills behind the Model Context Protocol, asked by the official SDK's own client over stdio."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project
from tests.shop import MakeProject

pytest.importorskip("mcp")

CONTRACT = """\
contract: 1
tools:
  - name: show
    description: Print a file.
    input_schema:
      type: object
      properties: {path: {type: string}, timeout_seconds: {type: integer}}
      required: [path]
      additionalProperties: false
    argv: [cat, {value: path}]
    read_only: true
  - name: touch
    input_schema: {type: object, properties: {path: {type: string}}, required: [path], additionalProperties: false}
    argv: [touch, {value: path}]
"""


@pytest.fixture
def place(project: MakeProject) -> Project:
    return project(
        {
            "note": "a note\x1b[31m\n",
            "demo/SKILL.md": "---\nname: demo\ndescription: Shows files. For files.\n---\nUse show.\n",
            "demo/skill.yaml": "manifest: 1\nversion: 1.0.0\npermissions: {run: [touch, cat]}\n",
            "demo/contract.yaml": CONTRACT,
            "demo/references/more.md": "More.\n",
            "demo/references/binary.bin": b"\0\1",
        }
    )


async def converse(place: Project, *options: str) -> dict[str, object]:
    """Ask a server everything once."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client
    from mcp.shared.exceptions import MCPError

    environment = {**os.environ, **place.environment, "PYTHONPATH": str(ROOT)}
    words = ["-m", "skillpm", "mcp", "./demo", *options]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=environment, cwd=str(place.root))
    said: dict[str, object] = {}
    with Path(os.devnull).open("w") as nowhere:
        async with Client(stdio_client(parameters, errlog=nowhere)) as client:
            said["tools"] = (await client.list_tools()).tools
            said["show"] = await client.call_tool("demo__show", {"path": "note"})
            said["wrong"] = await client.call_tool("demo__show", {"path": 3})
            said["option"] = await client.call_tool("demo__show", {"path": "--help"})
            try:
                said["touch"] = await client.call_tool("demo__touch", {"path": "made"})
            except MCPError as error:
                said["touch"] = str(error)
            said["resources"] = [item.uri for item in (await client.list_resources()).resources]
            said["more"] = await client.read_resource("skill://demo/references/more.md")
            said["prompt"] = await client.get_prompt("demo", {"request": "show it"})
            for uri in ("skill://demo/../note", "skill://demo/contract.yaml"):
                with pytest.raises(MCPError):
                    await client.read_resource(uri)
    return said


def text(result: object) -> str:
    return str(result.content[0].text)  # type: ignore[attr-defined]


@pytest.mark.parametrize("read_only", [False, True])
def test_the_sdks_client_reads_skills_and_calls_their_tools_in_the_sandbox(place: Project, read_only: bool) -> None:
    import anyio

    said = anyio.run(converse, place, *(["--read-only"] if read_only else []))
    tools = {tool.name: tool for tool in said["tools"]}  # type: ignore[attr-defined]
    assert list(tools) == (["demo__show"] if read_only else ["demo__show", "demo__touch"])
    assert tools["demo__show"].annotations.read_only_hint and "Print a file." in tools["demo__show"].description
    assert text(said["show"]) == "a note\\x1b[31m\n[cat: exit code 0]"
    assert said["wrong"].is_error and "refused: " in text(said["wrong"])  # type: ignore[attr-defined]
    assert "must not start with" in text(said["option"])
    assert (place.root / "made").exists() is not read_only
    assert said["resources"] == ["skill://demo/SKILL.md", "skill://demo/references/more.md"]
    assert said["more"].contents[0].text == "More.\n"  # type: ignore[attr-defined]
    assert said["prompt"].messages[0].content.text.endswith("Use show.\n\n\nshow it")  # type: ignore[attr-defined]
    log = place.call("audit", "list", "--json").ok().document
    assert [(entry["event"], entry["word"]) for entry in log[:2]] == [("decision", "client"), ("outcome", "client")]
    assert len(log) == (2 if read_only else 4) and place.call("audit", "verify").ok()
