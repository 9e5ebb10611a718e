"""What other package managers call our commands and options, for hints about a wrong command line."""

from __future__ import annotations

# commands, below ``skillpm``
COMMANDS = {
    "auth": "login",
    "bump": "version bump",
    "cache clean": "cache prune",
    "cache clear": "cache prune",
    "check": "validate",
    "clean": "cache prune",
    "create": "new",
    "delete": "uninstall",
    "download": "install",
    "evaluate": "eval",
    "exec": "run",
    "fetch": "install",
    "find": "search",
    "freeze": "lock",
    "get": "install",
    "graph": "tree",
    "lint": "validate",
    "prune": "cache prune",
    "registry add": "config",
    "registry list": "config",
    "signin": "login",
    "status": "verify",
    "test": "selftest",
    "unpublish": "yank",
    "upgrade": "update",
    "use": "install",
    "view": "show",
}

# commands of skillpm-registry, which people look for below `skillpm` and `skillpm registry`
SERVER = frozenset({"account", "gc", "mirror", "serve"})

# commands of a group, in the order in which one is looked for
VERBS = {
    "add": ("create", "import"),
    "delete": ("remove", "revoke", "prune"),
    "info": ("show",),
    "ls": ("list",),
    "new": ("create", "init"),
    "remove": ("revoke", "prune"),
    "rm": ("remove", "revoke", "prune"),
    "view": ("show",),
}

_FROZEN = "run `skillpm sync --frozen`"
_REFERENCE = "write `OWNER/REPO@REF`"
_UPDATE = "run `skillpm update`"

# options of a command below ``skillpm``, and what to do instead
OPTIONS = {
    "eval": {"--tasks": "run `skillpm answer SKILL FILE --output DIR`"},
    "install": {
        "--branch": _REFERENCE,
        "--dir": "run it with `-C DIR`, or name an agent with `--agent`",
        "--frozen": _FROZEN,
        "--frozen-lockfile": _FROZEN,
        "--immutable": _FROZEN,
        "--locked": "run `skillpm sync --locked`",
        "--ref": _REFERENCE,
        "--rev": _REFERENCE,
        "--save": "leave it out: skillpm.yaml gets what is typed; `skillpm init` makes one",
        "--tag": _REFERENCE,
        "--target": "run it with `-C DIR`, or name an agent with `--agent`",
        "--upgrade": _UPDATE,
        "--version": "write `NAME==VERSION`",
        "-U": _UPDATE,
    },
    "list": {"--depth": "run `skillpm tree`", "--outdated": "run `skillpm outdated`", "--tree": "run `skillpm tree`"},
    "update": {"--all": "leave it out: without a name, all skills are updated"},
}

# options of any command
ANYWHERE = {"--index": "--registry", "--index-url": "--registry"}
