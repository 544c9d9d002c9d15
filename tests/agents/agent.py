"""An agent: the `mcp` package's own client, with a server in this process or in one of its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CallToolResult, Tool

from tests.dev.cloud import environ_of
from tests.integration.processes import UCAM_FAAS
from ucam_faas.backends.ports import Connect
from ucam_faas.mcp import server
from ucam_faas.mcp.every_tool import TOOLS

ResultT = TypeVar("ResultT")


class Agent:
    """Calls tools.

    Args:
        client: of the server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> dict[str, Tool]:
        """Return the tools that are offered."""
        return {tool.name: tool for tool in (await self._client.list_tools()).tools}

    async def raw(self, tool: str, **arguments: Any) -> CallToolResult:
        """Call a tool."""
        result = await self._client.call_tool(tool, arguments)
        assert isinstance(result, CallToolResult)
        return result

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return a tool's result."""
        result = await self.raw(tool, **arguments)
        assert not result.is_error, result.content
        (text,) = result.content
        assert text.type == "text"
        assert json.loads(text.text) == result.structured_content
        document: dict[str, Any] = result.structured_content
        return document

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Return the text of a tool's error."""
        result = await self.raw(tool, **arguments)
        assert result.is_error, result.content
        (text,) = result.content
        assert text.type == "text"
        assert "Traceback" not in text.text
        return text.text


Session = Callable[[Agent], Awaitable[ResultT]]


def inside(connect: Connect, session: Session[ResultT], *, allow_writes: bool = False) -> ResultT:
    """Return the result of a session with a server in this process."""

    async def run() -> ResultT:
        async with Client(server.make_server(connect, TOOLS, allow_writes=allow_writes)) as client:
            return await session(Agent(client))

    return anyio.run(run)


def beside(folder: Path, session: Session[ResultT], *options: str, **environ: str) -> ResultT:
    """Return the result of a session with `ucam-faas mcp`, started in a folder."""
    command = StdioServerParameters(
        command=UCAM_FAAS,
        args=["mcp", *options],
        cwd=folder,
        env=environ_of(folder, **environ),
    )

    async def run() -> ResultT:
        with (folder / "mcp.stderr").open("w") as stderr:
            async with Client(stdio_client(command, errlog=stderr)) as client:
                return await session(Agent(client))

    return anyio.run(run)
