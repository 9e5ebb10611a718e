"""Samples valid answers, for tests of an argv and for mutations of an expected answer."""

from __future__ import annotations

import random
from typing import Any

from skillpm.contract.schema_sampler import WORDS, SchemaSampler, UnsampledError
from skillpm.errors import DocumentError
from skillpm.model.contract import CommandLine, Program, Tool, ValueOption


def sample_arguments(tool: Tool, chance: random.Random) -> dict[str, Any]:
    """Return arguments: required ones always, optional ones half of the time, else null.

    Raises:
        DocumentError: a schema without `examples` from which no value can be made.
    """
    values: dict[str, Any] = {}
    for name, schema in tool.properties.items():
        if name not in tool.required and chance.random() < 0.5:
            values[name] = None
        elif isinstance(tool.argv, CommandLine) and name == tool.argv.command_line:
            values[name] = _command_line(tool.argv, chance)
        else:
            values[name] = _value(tool, name, schema, chance)
    return values


def _value(tool: Tool, name: str, schema: dict[str, Any], chance: random.Random) -> Any:
    if schema.get("type") == "boolean" and name not in tool.required:
        return True  # null says false
    try:
        return SchemaSampler(tool.input_schema, chance).value(schema)
    except (ValueError, ArithmeticError, TypeError) as error:
        reason = f": {error}" if isinstance(error, UnsampledError) else ""
        raise DocumentError(
            f"tool `{tool.name}`: `{name}` cannot be sampled{reason}", hint="give its schema `examples`"
        ) from None


def _command_line(rules: CommandLine, chance: random.Random) -> str:
    names = chance.sample(sorted(rules.allow), k=min(len(rules.allow), chance.randint(1, 2)))
    return " && ".join(" ".join([name, *_words(rules.allow[name], chance)]) for name in names)


def _words(program: Program, chance: random.Random) -> list[str]:
    words: list[str] = []
    if program.options and chance.random() < 0.5:
        words.append(chance.choice(chance.choice(program.options).names))
    plain = [option for option in program.values if option.following is None]
    if plain and chance.random() < 0.5:
        words += _option_words(chance.choice(plain), chance)
    subcommands = program.subcommands
    if isinstance(subcommands, dict):
        inner = chance.choice(list(subcommands))
        return [*words, inner, *_words(subcommands[inner], chance)]
    if subcommands:
        words = [*words, chance.choice(subcommands)] if program.options_first else [chance.choice(subcommands), *words]
    operands = program.operands
    return words + chance.sample(WORDS, k=chance.randint(operands.least, max(operands.least, min(operands.most, 2))))


def _option_words(option: ValueOption, chance: random.Random) -> list[str]:
    """Return an option with a value: one of its own spellings where it has some, else a number, which is any form."""
    name, value = chance.choice(option.names), chance.choice(list(option.same) or [str(chance.randint(1, 500))])
    if not option.optional and chance.random() < 0.5:
        return [name, value]
    return [f"{name}={value}" if name.startswith("--") else f"{name}{value}"]
