"""An MCP server over stdio or HTTP: tools from contracts, texts of skills as resources, a prompt for each skill.

The client asks its person before it calls a tool; that is its part of the protocol. Ours is what stands behind every
run: the contract reads the call, the sandbox bounds it, and the audit log has it.

Source: Model Context Protocol; the official SDK (``mcp``), which this module alone imports.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import ValidationError
from starlette.types import ASGIApp

from skillpm import __version__
from skillpm.agent.audit import AuditLog
from skillpm.agent.execution import Bounds, run_commands
from skillpm.agent.local_server import Guarded
from skillpm.agent.place import Place
from skillpm.agent.shown import masked, visible
from skillpm.contract.contract import Contract
from skillpm.contract.tool_forms import usable_name
from skillpm.errors import SkillpmError, UsageError
from skillpm.formats.document import LONE_SURROGATE
from skillpm.formats.strict import strict_json
from skillpm.model.contract import Tool
from skillpm.model.skill import Skill

_BODY = 1 << 20  # bytes of a request


@dataclass(frozen=True, slots=True)
class Served:
    """One skill.

    Attributes:
        contract: its tools; None where it has none.
        place: where its tools run. Whether one may write follows from its contract.
        texts: SKILL.md and the files of references/, by path.
    """

    skill: Skill
    description: str
    contract: Contract | None
    place: Place
    texts: Mapping[str, str]


class SkillServer:
    """Answers the requests of one client.

    Args:
        read_only: leave out the tools that may change something.

    Raises:
        UsageError: two tools get one name.
    """

    def __init__(self, served: Sequence[Served], audit: AuditLog, *, read_only: bool = False) -> None:
        self._audit = audit
        self._skills = {item.skill.name: item for item in served}
        self._tools: dict[str, tuple[Served, Tool]] = {}
        for item in served:
            for tool in item.contract.tools.values() if item.contract is not None else ():
                name = usable_name(item.skill.name, tool.name)
                if tool.argv is None or (read_only and not tool.read_only):
                    continue
                if name in self._tools:
                    raise UsageError(f"two tools would be called `{name}`", hint="serve their skills one by one")
                self._tools[name] = (item, tool)
        self._resources = {
            f"skill://{name}/{path}": text for name, item in self._skills.items() for path, text in item.texts.items()
        }
        self.server: Server[Any] = Server(
            "skillpm",
            version=__version__,
            instructions="Skills: read a skill's SKILL.md before you call its tools.",
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
        )

    async def serve(self) -> None:
        """Serve over stdin and stdout until the client closes them."""
        readable, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        async with stdio_server() as (incoming, outgoing), anyio.create_task_group() as group:
            group.start_soon(_sort_out, incoming, readable, outgoing)
            await self.server.run(messages, outgoing, self.server.create_initialization_options())

    def application(self, token: str = "") -> ASGIApp:
        """Return the application that serves ``/mcp`` (streamable HTTP) to this machine, or to who knows a token."""
        unguarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        application = self.server.streamable_http_app(max_request_body_size=_BODY, transport_security=unguarded)
        return Guarded(application, token)

    async def _list_tools(self, context: Any, params: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(
                name=name,
                description=f"{tool.description or tool.name} (skill {item.skill.name})",
                input_schema=tool.input_schema,
                annotations=types.ToolAnnotations(
                    read_only_hint=tool.read_only,
                    destructive_hint=not tool.read_only,
                    open_world_hint=item.place.permissions.network,
                ),
            )
            for name, (item, tool) in self._tools.items()
        ]
        return types.ListToolsResult(tools=tools)

    async def _call_tool(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name not in self._tools:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name[:80]!r}")
        item, tool = self._tools[params.name]
        text, failed = await self._until_gone(item, tool, params.arguments or {})
        return types.CallToolResult(content=[types.TextContent(text=text)], is_error=failed)

    async def _until_gone(self, item: Served, tool: Tool, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Run a call in a thread; where it is cancelled, or the server ends, its command is ended and recorded."""
        gone = threading.Event()

        async def watch() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                gone.set()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                result = await anyio.to_thread.run_sync(self._run, item, tool, arguments, gone.is_set)
            except SkillpmError as error:
                result = (visible(error.message), True)
            group.cancel_scope.cancel()
        return result

    def _run(self, item: Served, tool: Tool, arguments: dict[str, Any], stop: Callable[[], bool]) -> tuple[str, bool]:
        """Run a call; return what it printed and how it ended, and whether that is a failure."""
        assert item.contract is not None
        values = {**dict.fromkeys(tool.properties), **arguments}
        call = {"tool": tool.name, "args": values}
        problems = item.contract.problems(call)
        argv = None if problems else item.contract.argv(call)
        if not argv:
            return visible(f"refused: {'; '.join(problems) or 'the tool has no command line'}"), True
        place = item.place.of(tool, values)
        place.check(argv)
        episode = f"mcp-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
        fields: dict[str, Any] = {"episode": episode, "skill": str(item.skill), "tree": item.skill.tree}
        fields |= {"model": "the model of an MCP client", "adapter": None, "tool": tool.name}
        kept = tuple(tuple(map(masked, words)) for words in argv)
        self._audit.append(event="decision", argv=kept, word="client", **fields)
        pieces, failed = [], False
        bounds = Bounds(stop=stop).of_arguments(values, tool.argv_arguments)
        for finished, words in zip(run_commands(argv, place, bounds), kept, strict=False):
            ended: dict[str, Any] = {"exit_code": finished.exit_code, "ended": finished.ended}
            self._audit.append(event="outcome", argv=(words,), word="client", **ended, **fields)
            pieces.append(f"{visible(finished.output)}[{finished.argv[0]}: {finished.sentence}]")
            failed = failed or not finished.succeeded
        return "\n".join(pieces), failed

    async def _list_resources(self, context: Any, params: Any) -> types.ListResourcesResult:
        resources = [
            types.Resource(
                uri=uri, name=uri.removeprefix("skill://"), mime_type="text/markdown", size=len(text.encode())
            )
            for uri, text in self._resources.items()
        ]
        return types.ListResourcesResult(resources=resources)

    async def _read_resource(self, context: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        if uri not in self._resources:
            raise MCPError(types.INVALID_PARAMS, f"there is no resource {uri[:200]!r}")
        text = self._resources[uri]
        contents = types.TextResourceContents(uri=uri, mime_type="text/markdown", text=text)
        return types.ReadResourceResult(contents=[contents])

    async def _list_prompts(self, context: Any, params: Any) -> types.ListPromptsResult:
        request = types.PromptArgument(name="request", description="What the skill shall do.", required=False)
        prompts = [
            types.Prompt(name=name, description=item.description, arguments=[request])
            for name, item in self._skills.items()
        ]
        return types.ListPromptsResult(prompts=prompts)

    async def _get_prompt(self, context: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        item = self._skills.get(params.name)
        if item is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no prompt {params.name[:80]!r}")
        request = (params.arguments or {}).get("request", "")
        text = f"{item.texts.get('SKILL.md', item.description)}\n\n{request}".strip()
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(description=item.description, messages=[message])


async def _sort_out(incoming: Any, readable: Any, outgoing: Any) -> None:
    """Hand on what is a message, and answer any other line: the SDK drops it, and its sender would wait for ever."""
    async with readable:
        async for item in incoming:
            if not isinstance(item, ValidationError):
                await readable.send(item)
            elif (answer := _refusal(item)) is not None:
                await outgoing.send(SessionMessage(answer))


def _refusal(problem: ValidationError) -> types.JSONRPCError | None:
    """Return the answer to a line that is not a message; None for a blank one. Its id is null if it cannot be read."""
    finding = problem.errors()[-1]  # about the whole line, or the whole document
    document, code, reason = finding["input"], types.INVALID_REQUEST, "the line is not a JSON-RPC message"
    if finding["type"] == "json_invalid":
        if not document.strip():
            return None
        try:
            document, reason = strict_json(document), f"the request {LONE_SURROGATE}"
        except ValueError as cause:
            document, code, reason = None, types.PARSE_ERROR, f"the line is not JSON: {cause}"
    known = document.get("id") if isinstance(document, dict) and "method" in document else None
    is_readable = type(known) is int or (isinstance(known, str) and known.isprintable())
    error = types.ErrorData(code=code, message=reason)
    return types.JSONRPCError(jsonrpc="2.0", id=known if is_readable else None, error=error)
