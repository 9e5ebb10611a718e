# ruff: noqa: B010, BLE001, PTH119, PTH120, S112, UP006, UP035, UP045
"""Runs in the program's own interpreter, confined: loads a script until its parser is there, and prints it as JSON.

It imports nothing of skillpm, since that interpreter does not have it, and keeps to the syntax of Python 3.8. The
script runs as with ``--help``: the parser of click or argparse is caught where it would begin to parse.

Usage: ``introspect.py SCRIPT``, or ``introspect.py SCRIPT --parse LINES`` with a JSON list of command lines, which the
parser is then asked to take, without running anything.
"""

from __future__ import annotations

import itertools
import json
import os
import runpy
import sys
from collections.abc import Iterator
from typing import Any, Dict, List, Optional

MOST = 400  # commands
MOST_LISTED = 64  # numbers of a range


class Caught(BaseException):
    """A parser, on its way out of the script."""


def catch(script: str) -> Any:
    """Run a script until it parses, and return the parser; None where it never does."""
    import argparse

    def caught(parser: Any, *_: Any, **__: Any) -> Any:
        raise Caught(parser)

    def caught_whole(parser: Any, args: Any = None, *others: Any, **more: Any) -> Any:
        is_all = args is None or list(args) == sys.argv[1:]  # fire parses what stands behind `--`
        return caught(parser) if is_all and is_whole(parser) else PARSE(parser, args, *others, **more)

    setattr(argparse.ArgumentParser, "parse_known_args", caught_whole)
    patch_click(caught)
    name = os.path.basename(script)
    sys.argv = [script, "--help"]
    sys.path[0] = os.path.dirname(script)
    try:
        runpy.run_path(script, run_name="__main__")
    except Caught as error:
        parser = error.args[0]
        if hasattr(parser, "prog"):
            parser.prog = name
        return parser
    except SystemExit:
        pass
    return None


def is_whole(parser: Any) -> bool:
    """Has a parser of argparse all that the program takes? One without help only looks ahead, as django-admin's does.

    One with a list of commands, and no parser for each, leaves the rest to others, as twine's and aws' do.
    """
    actions = parser._actions
    names = {name for action in actions for name in action.option_strings}
    plain = [action for action in actions if not action.option_strings]
    hands_over = any(action.choices and type(action).__name__ != "_SubParsersAction" for action in plain) and (
        any(action.nargs == "..." or action.dest == "command" for action in plain)
    )
    return bool(names & {"-h", "--help"} or len(actions) == 0) and not hands_over


def patch_click(caught: Any) -> None:
    """Catch commands of click, where the program has it; typer's are commands of click, but for its newest versions."""
    for module in ("click.core", "typer._click.core", "typer.core"):
        try:
            core = __import__(module, fromlist=["core"])
        except ImportError:
            continue
        for kind in ("BaseCommand", "Command", "TyperCommand", "TyperGroup"):
            if hasattr(core, kind):
                getattr(core, kind).main = caught


def sentence(text: Optional[str]) -> str:
    """Return the first paragraph of a text, in one line."""
    return " ".join((text or "").replace("\b", "").strip().split("\n\n")[0].split())[:400]


def plain(value: Any) -> Any:
    """Return a default as JSON; None where it is none, or cannot be."""
    return value if isinstance(value, (str, int, float, bool)) and not callable(value) else None


def chosen(choices: Any) -> Dict[str, Any]:
    """Return the choices of a value; the bounds of a range of whole numbers, such as all ports."""
    if isinstance(choices, range) and choices.step == 1 and len(choices) > MOST_LISTED:
        return {"kind": "integer", "choices": [], "minimum": choices[0], "maximum": choices[-1]}
    texts = [str(getattr(item, "value", item)) for item in choices or ()]
    return {"choices": [text for text in texts if text.strip() and text.isprintable()]}  # what can be a word


def click_option(parameter: Any) -> Dict[str, Any]:
    """Return an option or an operand of click."""
    kind = parameter.type if hasattr(parameter, "type") else typer_type(parameter.type_descriptor)
    flag = bool(getattr(parameter, "is_flag", False)) or bool(getattr(parameter, "count", False))
    names = list(parameter.opts)
    default = plain(parameter.default)
    return {
        "names": [] if parameter.param_type_name == "argument" else names,
        "label": parameter.metavar or parameter.name or "",
        "description": sentence(getattr(parameter, "help", "")),
        "value": "none" if flag else "required",
        "kind": click_kind(kind),
        "minimum": plain(getattr(kind, "min", getattr(parameter, "min", None))),
        "maximum": plain(getattr(kind, "max", getattr(parameter, "max", None))),
        **chosen(getattr(kind, "choices", None)),
        "default": None if flag and default is False else default,
        "required": bool(parameter.required) and not getattr(parameter, "prompt", None),
        "many": bool(parameter.multiple) or parameter.nargs == -1,
        "words": 1 if flag or parameter.nargs == -1 else parameter.nargs,
        "no": list(parameter.secondary_opts),
    }


def click_kind(kind: Any) -> str:
    """Return the kind of a value of click."""
    name = type(kind).__name__.lower()
    if name.startswith("int"):
        return "integer"
    if name.startswith("float"):
        return "number"
    if name in ("path", "file", "typerpath"):
        return "folder" if name == "path" and not getattr(kind, "file_okay", True) else "path"
    return "text"


def typer_type(descriptor: Any) -> Any:
    """Return the type of a value as click has it; since 0.27 typer has annotations alone, such as ``list[Path]``."""
    from typing import Literal, get_args, get_origin

    inner = descriptor.annotation
    while get_args(inner) and get_origin(inner) is not Literal:
        inner = get_args(inner)[0]
    choices = list(get_args(inner)) or (list(inner) if hasattr(inner, "__members__") else [])
    name = getattr(inner, "__name__", "").replace("PosixPath", "Path")
    name = "File" if name.startswith(("FileText", "FileBinary")) else name
    return type(name or "str", (), {"choices": choices, "file_okay": descriptor.parameter_info.file_okay})()


def click_commands(command: Any, words: List[str], context: Any) -> Iterator[Dict[str, Any]]:
    """Yield a command of click and all below it."""
    if len(words) > 3:
        return
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    if not names or getattr(command, "invoke_without_command", False):
        yield {
            "words": words,
            "description": sentence(command.help or command.short_help),
            "options": [click_option(item) for item in command.params if not getattr(item, "hidden", False)],
            "exclusions": [],
        }
    for name in names:
        try:
            inner = command.get_command(context, name)
        except Exception:  # a lazy command whose module is not there
            continue
        if inner is not None and not inner.hidden:
            yield from click_commands(inner, [*words, name], type(context)(inner, parent=context, info_name=name))


def argparse_option(action: Any) -> Dict[str, Any]:
    """Return an option or an operand of argparse."""
    flag = action.nargs == 0
    switch = type(action).__name__ == "BooleanOptionalAction"
    no = [name for name in action.option_strings if switch and name.startswith("--no-")]
    many = action.nargs in ("*", "+", "...") or type(action).__name__ in ("_AppendAction", "_ExtendAction")
    metavar = action.metavar[0] if isinstance(action.metavar, tuple) else action.metavar
    default = plain(action.default)
    kind = getattr(action.type, "__name__", type(action.type).__name__).lower()
    try:
        text = (action.help or "") % {**vars(action), "prog": "program"}
    except Exception:  # a percent sign of its own
        text = action.help or ""
    return {
        "names": [name for name in action.option_strings if name not in no],
        "label": metavar or action.dest,
        "description": sentence(text),
        "value": "none"
        if flag
        else "optional"
        if action.nargs == "?" and action.option_strings and action.const is not None
        else "required",
        "kind": {"int": "integer", "float": "number", "path": "path", "filetype": "path"}.get(kind, "text"),
        **chosen(action.choices),
        "default": None if (flag and not switch) or default == "==SUPPRESS==" else default,
        "required": bool(action.required) if action.option_strings else action.nargs not in ("?", "*", "..."),
        "many": many,
        "words": action.nargs if isinstance(action.nargs, int) and action.nargs > 0 else 1,
        "list": action.nargs in ("*", "+") and bool(action.option_strings),
        "no": no,
    }


def argparse_commands(parser: Any, words: List[str], text: str = "") -> Iterator[Dict[str, Any]]:
    """Yield a parser of argparse and all below it."""
    inner = [action for action in parser._actions if type(action).__name__ == "_SubParsersAction"]
    idle = ("_HelpAction", "_VersionAction")
    actions = [
        action
        for action in parser._actions
        if action not in inner and action.help != "==SUPPRESS==" and type(action).__name__ not in idle
    ]
    if not inner or not (inner[0].required or words == []):
        groups = parser._mutually_exclusive_groups
        yield {
            "words": words,
            "description": sentence(parser.description or text),
            "options": [argparse_option(action) for action in actions],
            "exclusions": [
                {"members": [argparse_option(item) for item in group._group_actions], "required": group.required}
                for group in groups
            ],
        }
    for action in inner:
        texts = {item.dest: item.help for item in action._choices_actions}
        known = set()
        for name, below in action.choices.items():
            if id(below) not in known and len(words) < 3:
                known.add(id(below))
                yield from argparse_commands(below, [*words, name], texts.get(name) or "")


def accepts(parser: Any, words: List[str]) -> str:
    """Return why a parser refuses a command line; empty where it takes it. Files need not be there."""
    if hasattr(parser, "make_context"):
        return click_accepts(parser, words)
    import argparse

    setattr(argparse.FileType, "__call__", lambda self, value: value)

    def refused(self: Any, message: str) -> None:
        raise ValueError(message)

    for kind in {argparse.ArgumentParser, *type(parser).__mro__[:-2]}:
        if "error" in vars(kind):
            setattr(kind, "error", refused)
    setattr(argparse.ArgumentParser, "parse_known_args", PARSE)  # for subcommands
    try:
        _, surplus = PARSE(parser, words)  # not the method of a subclass, which may do more than parse
    except BaseException as error:
        return str(error) or "refused"
    return f"surplus words {surplus}" if surplus else ""


def click_accepts(command: Any, words: List[str]) -> str:
    """Return why a command of click refuses a command line: each command parses, and none is invoked."""
    types = sys.modules.get(core_of(command).__name__.replace("core", "types"))
    if types is not None:
        types.Path.convert = types.File.convert = lambda self, value, *_: value
    for name in ("typer._adapters", "typer._coercion"):
        for reader in ("coerce_cli_path", "_open_cli_file"):
            if hasattr(sys.modules.get(name), reader):
                setattr(sys.modules[name], reader, lambda value, *_, **__: value)
    context = None
    try:
        while True:
            for parameter in command.params:
                if getattr(parameter, "prompt", None):  # nobody is asked
                    parameter.prompt, parameter.required = None, False
            context = command.make_context(words[0] if words else "x", list(words), parent=context)
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not rest or not hasattr(command, "resolve_command"):
                return f"surplus words {rest}" if rest else ""
            name, command, words = command.resolve_command(context, rest)
            if command is None:
                return f"no command {name}"
    except BaseException as error:
        if all(kind.__name__ != "ClickException" for kind in type(error).__mro__):
            return ""  # a callback of its own failed: it looks for an app, or wants to ask somebody
        return str(getattr(error, "message", "")) or repr(error)


def core_of(command: Any) -> Any:
    """Return the module that has the context of a command."""
    modules = [sys.modules[kind.__module__] for kind in type(command).__mro__]
    return next(module for module in modules if hasattr(module, "Context") and hasattr(module, "Command"))


def main() -> None:
    """Print what the parser is, or what it takes."""
    script = sys.argv[1]
    lines = json.loads(sys.argv[3]) if len(sys.argv) > 3 else None
    out, sys.stdout = sys.stdout, sys.stderr  # what the script prints is not ours
    parser = catch(script)
    if parser is None:
        sys.exit("no parser of click or argparse")
    if lines is not None:
        out.write(json.dumps([accepts(parser, words) for words in lines]))
    else:
        click = hasattr(parser, "make_context")
        if click:
            context = core_of(parser).Context
            commands = click_commands(parser, [], context(parser))
        else:
            commands = argparse_commands(parser, [])
        kept = list(itertools.islice(commands, MOST))
        text = getattr(parser, "help", None) if click else parser.description
        out.write(json.dumps({"source": "click" if click else "argparse", "text": sentence(text), "commands": kept}))
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    import argparse

    PARSE = argparse.ArgumentParser.parse_known_args
    main()
