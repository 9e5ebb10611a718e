"""Where agents look for skills. Most read ``.agents/skills``, which every install fills; the others have their own."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import UsageError
from skillpm.model.name import near_names

__all__ = ["AGENTS", "UNIVERSAL", "agent_folders", "is_agent_folder"]

UNIVERSAL = ".agents/skills"

# agent: (folder in a project, folder in the user's home)
AGENTS: dict[str, tuple[str, str]] = {
    "amp": (UNIVERSAL, ".config/agents/skills"),
    "antigravity": (UNIVERSAL, UNIVERSAL),
    "claude-code": (".claude/skills", ".claude/skills"),
    "cline": (UNIVERSAL, UNIVERSAL),
    "codex": (UNIVERSAL, UNIVERSAL),
    "continue": (".continue/skills", ".continue/skills"),
    "cursor": (UNIVERSAL, ".cursor/skills"),
    "deep-agents": (UNIVERSAL, UNIVERSAL),
    "droid": (UNIVERSAL, UNIVERSAL),
    "gemini-cli": (UNIVERSAL, ".gemini/skills"),
    "github-copilot": (UNIVERSAL, ".copilot/skills"),
    "goose": (".goose/skills", ".config/goose/skills"),
    "grok": (".grok/skills", ".grok/skills"),
    "hermes": (".hermes/skills", ".hermes/skills"),
    "junie": (".junie/skills", ".junie/skills"),
    "kilo": (UNIVERSAL, UNIVERSAL),
    "kiro": (".kiro/skills", ".kiro/skills"),
    "mistral-vibe": (".vibe/skills", ".vibe/skills"),
    "openclaw": ("skills", ".openclaw/skills"),
    "opencode": (UNIVERSAL, ".config/opencode/skills"),
    "openhands": (".openhands/skills", ".openhands/skills"),
    "pi": (UNIVERSAL, UNIVERSAL),
    "qwen-code": (".qwen/skills", ".qwen/skills"),
    "roo": (".roo/skills", ".roo/skills"),
    "trae": (".trae/skills", ".trae/skills"),
    "warp": (UNIVERSAL, UNIVERSAL),
    "windsurf": (".windsurf/skills", ".codeium/windsurf/skills"),
    "zed": (UNIVERSAL, UNIVERSAL),
}


def agent_folders(agents: Sequence[str], *, user: bool = False) -> tuple[str, ...]:
    """Return the folders of these agents, the universal one first, each once; ``all`` means every agent.

    Raises:
        UsageError: an agent is not known; the hint has near names.
    """
    folders = [UNIVERSAL]
    for agent in AGENTS if "all" in agents else agents:
        if agent not in AGENTS:
            near = near_names(agent, AGENTS)
            known = near or sorted(AGENTS)
            raise UsageError(
                f"no agent `{agent[:80]}` is known",
                hint=f"{'did you mean' if near else 'known are'} {', '.join(f'`{name}`' for name in known)}",
            )
        folders.append(AGENTS[agent][1 if user else 0])
    return tuple(dict.fromkeys(folders))


def is_agent_folder(folder: str) -> bool:
    """Is this, relative to a project or to a home folder, where some agent looks for skills?"""
    return any(folder in folders for folders in AGENTS.values())
