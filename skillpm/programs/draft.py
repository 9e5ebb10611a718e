"""A tool of a skill that is being written: what the contract says of it, and how people ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_GIVEN = 1.6  # optional arguments in a request, on average
_MOST_OFTEN = 0.4
LONGEST_LIST = 4  # values of one that a rule draws


@dataclass(frozen=True, slots=True)
class Slot:
    """What varies in the requests for a tool.

    Attributes:
        source: the kind of its values in ``values``, or the values themselves.
        clauses: how a request says it.
        fresh: values for suites and seeds.
        many: is its value a list of one to ``LONGEST_LIST`` values of its kind?
        nullable: is it null inside an object while it is not drawn?
    """

    name: str
    source: str | tuple[Any, ...]
    clauses: tuple[str, ...]
    probability: float = 1.0
    fresh: tuple[Any, ...] = ()
    many: bool = False
    nullable: bool = False


def share_of_each(optional: int) -> float:
    """Return how often each of some optional arguments is given: people give one or two of them, seldom four."""
    return round(min(_MOST_OFTEN, _GIVEN / max(1, optional)), 2)


@dataclass(frozen=True, slots=True)
class Draft:
    """A tool.

    Attributes:
        name: as answers write it.
        slots: by which its arguments are filled.
        args: the arguments by the slots: ``{"port": "{port}"}``.
        requests: the phrasings, without clauses.
        ask: what is asked, as an imperative without values.
        argv: the command line; None for a tool that is not one.
        exclusions: slots of which at most one may be given, and whether one must be.
        needed: slots of which at least one is given, so that a request says what the rule is for; empty for any.
        seeds: requests and their arguments, from the documentation.
        rule: what makes it another rule of a tool that is there already; empty for the first.
        left_out: arguments that the contract does not have, and why.
    """

    name: str
    description: str
    schema: dict[str, Any]
    slots: tuple[Slot, ...]
    args: Mapping[str, Any]
    requests: tuple[str, ...]
    ask: str
    argv: tuple[Any, ...] | None = None
    exclusions: tuple[tuple[tuple[str, ...], bool], ...] = ()
    needed: tuple[str, ...] = ()
    seeds: tuple[tuple[str, dict[str, Any]], ...] = ()
    rule: str = ""
    left_out: tuple[str, ...] = field(default=())
