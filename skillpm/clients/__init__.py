"""The programs that read skills (Claude Code, Codex, ...): their folders and their budgets for descriptions.

May import ``layout``, ``model``, ``settings``, ``formats``, ``errors``.
"""
