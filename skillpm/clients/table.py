"""The table of agents. No other code knows an agent by its name.

Sources. Names, folders and signs: the table of supported agents of vercel-labs/skills 1.7.4 (``docs/agents.md``). Other
folders of OpenCode, GitHub Copilot and Cursor: their documentation. Budgets: Claude Code's documentation of skills and
anthropics/claude-code#64606; openai/codex ``core-skills/src/render.rs``; microsoft/GitHub-Copilot-for-Azure#1120 and
#1227.
"""

from __future__ import annotations

from typing import Final

from skillpm.clients.agent import Agent, Budget, Overflow

UNIVERSAL: Final = ".agents/skills"

_CLAUDE_CODE = Budget(8_000, 0.01, 1_536, "- {name}: {description}\n", Overflow.FORGET)
_CODEX = Budget(8_000, 0.02, 1_024, "- {name}: {description} (file: {location}/SKILL.md)\n", Overflow.SHORTEN)
_COPILOT = Budget(
    15_000,
    None,
    1_024,
    "<skill>\n  <name>{name}</name>\n  <description>{description}</description>\n"
    "  <location>{location}</location>\n</skill>\n",
    Overflow.CUT,
)


def _own(name: str, title: str, folder: str = "", *signs: str) -> Agent:
    """Return an agent with its own folder ``.NAME``, the same in a project and at home."""
    root = folder or f".{name}"
    return Agent(name, title, f"{root}/skills", f"{root}/skills", signs or (root, f"~/{root}"))


def _shared(name: str, title: str, *signs: str, user: str | None = UNIVERSAL) -> Agent:
    """Return an agent that reads the shared folder of a project."""
    return Agent(name, title, UNIVERSAL, user, signs or (f"~/.{name}",))


_TABLE = (
    _own("adal", "AdaL"),
    _own("aider-desk", "AiderDesk"),
    _shared("amp", "Amp", "~/.config/amp", user=".config/agents/skills"),
    _shared("antigravity", "Antigravity", "~/.gemini/antigravity", user=".gemini/antigravity/skills"),
    _shared("antigravity-cli", "Antigravity CLI", "~/.gemini/antigravity-cli", user=".gemini/antigravity-cli/skills"),
    Agent("astrbot", "AstrBot", "data/skills", ".astrbot/data/skills", ("data/skills", "~/.astrbot")),
    _own("augment", "Augment"),
    _own("autohand-code", "Autohand Code CLI", ".autohand", ".autohand", "~/.autohand", "$AUTOHAND_HOME"),
    _own("bob", "IBM Bob"),
    Agent("claude-code", "Claude Code", ".claude/skills", ".claude/skills",
          (".claude", "~/.claude", "$CLAUDE_CONFIG_DIR"), budget=_CLAUDE_CODE),
    _shared("cline", "Cline"),
    _own("codearts-agent", "CodeArts Agent", ".codeartsdoer"),
    _own("codebuddy", "CodeBuddy"),
    _own("codemaker", "Codemaker"),
    _own("codestudio", "Code Studio"),
    Agent("codex", "Codex", UNIVERSAL, UNIVERSAL, ("~/.codex", "$CODEX_HOME"), budget=_CODEX),
    _own("command-code", "Command Code", ".commandcode"),
    _own("continue", "Continue"),
    Agent("cortex", "Cortex Code", ".cortex/skills", ".snowflake/cortex/skills", (".cortex", "~/.snowflake/cortex")),
    Agent("crush", "Crush", ".crush/skills", ".config/crush/skills", (".crush", "~/.config/crush")),
    Agent("cursor", "Cursor", UNIVERSAL, ".cursor/skills", ("~/.cursor",),
          also=(".cursor/skills", ".claude/skills", ".codex/skills")),
    _shared("deepagents", "Deep Agents", user=".deepagents/agent/skills"),
    Agent("devin", "Devin for Terminal", ".devin/skills", ".config/devin/skills", (".devin", "~/.config/devin")),
    _shared("dexto", "Dexto"),
    _shared("droid", "Droid", "~/.factory", user=".factory/skills"),
    Agent("eve", "Eve", "agent/skills", None, ("agent/skills",)),
    _shared("firebender", "Firebender", user=".firebender/skills"),
    _own("forgecode", "ForgeCode", ".forge"),
    _shared("fx", "fx"),
    _shared("gemini-cli", "Gemini CLI", "~/.gemini", user=".gemini/skills"),
    Agent("github-copilot", "GitHub Copilot", UNIVERSAL, ".copilot/skills", ("~/.copilot",),
          also=(".github/skills", ".claude/skills"), budget=_COPILOT),
    Agent("goose", "Goose", ".goose/skills", ".config/goose/skills", (".goose", "~/.config/goose")),
    _own("grok", "Grok Build", ".grok", ".grok", "~/.grok", "$GROK_HOME"),
    _own("hermes-agent", "Hermes Agent", ".hermes", ".hermes", "~/.hermes", "$HERMES_HOME"),
    _own("iflow-cli", "iFlow CLI", ".iflow"),
    _own("inference-sh", "inference.sh", ".inferencesh"),
    _own("jazz", "Jazz"),
    _own("junie", "Junie"),
    _shared("kilo", "Kilo Code", "~/.kilo", "~/.kilocode", user=".kilo/skills"),
    Agent("kimchi", "Kimchi", ".kimchi/skills", ".config/kimchi/harness/skills", (".kimchi", "~/.config/kimchi")),
    _shared("kimi-code-cli", "Kimi Code CLI", "~/.kimi-code", "~/.kimi"),
    _own("kiro-cli", "Kiro CLI", ".kiro"),
    _own("kode", "Kode"),
    _own("lingma", "Lingma"),
    _shared("loaf", "Loaf"),
    _own("mcpjam", "MCPJam"),
    _own("minimax-code", "MiniMax Code", ".minimax"),
    _own("mistral-vibe", "Mistral Vibe", ".vibe", ".vibe", "~/.vibe", "$VIBE_HOME"),
    _own("moxby", "Moxby"),
    _own("mux", "Mux"),
    _own("neovate", "Neovate"),
    _own("ona", "Ona"),
    Agent("openclaw", "OpenClaw", "skills", ".openclaw/skills", ("~/.openclaw", "~/.clawdbot", "~/.moltbot")),
    Agent("opencode", "OpenCode", UNIVERSAL, ".config/opencode/skills", (".opencode", "~/.config/opencode"),
          also=(".opencode/skills", ".claude/skills")),
    _own("openhands", "OpenHands"),
    _shared("pi", "Pi", "~/.pi/agent"),
    _own("pochi", "Pochi"),
    _own("posit-assistant", "Posit Assistant", ".posit/assistant", ".posit", "~/.posit/assistant", "~/.positai"),
    _shared("promptscript", "PromptScript", ".promptscript", "promptscript.yaml", user=None),
    _own("qoder", "Qoder"),
    Agent("qoder-cn", "Qoder CN", ".qoder/skills", ".qoder-cn/skills", ("~/.qoder-cn",)),
    _own("qwen-code", "Qwen Code", ".qwen"),
    _own("reasonix", "Reasonix"),
    _shared("replit", "Replit", ".replit", user=".config/agents/skills"),
    _own("roo", "Roo Code"),
    _own("rovodev", "Rovo Dev"),
    _shared("sarvam-code", "Sarvam Code", "~/.sarvam", "$SARVAM_HOME"),
    _own("tabnine-cli", "Tabnine CLI", ".tabnine/agent", ".tabnine", "~/.tabnine"),
    _own("terramind", "Terramind"),
    _own("tinycloud", "Tinycloud"),
    _own("trae", "Trae"),
    Agent("trae-cn", "Trae CN", ".trae/skills", ".trae-cn/skills", ("~/.trae-cn",)),
    _shared("warp", "Warp"),
    Agent("windsurf", "Windsurf", ".windsurf/skills", ".codeium/windsurf/skills", (".windsurf", "~/.codeium/windsurf")),
    _own("zcode", "ZCode"),
    _shared("zed", "Zed", "~/.config/zed"),
    _own("zencoder", "Zencoder"),
    _own("zenflow", "Zenflow", ".zencoder", ".zencoder", "~/.zencoder"),
)  # fmt: skip

AGENTS: Final = {agent.name: agent for agent in _TABLE}
