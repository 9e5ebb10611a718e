"""Spellings of one filter of ``ss``: ``dport = :22``, ``dport eq 22`` and ``dst :22``.

Source: misc/ssfilter.y and misc/ss.c of iproute2 6.1, and what that ss prints.
"""

from __future__ import annotations

from collections.abc import Sequence

# what a shell gives a meaning to, such as `!=` and `|`, is refused before
_SAME = {"==": "=", "eq": "=", "neq": "ne", "geq": "ge", "leq": "le", "excl": "exclude"}
_SAME_STATE = {"close": "unconnected", "closed": "unconnected", "syn-rcv": "syn-recv"}
_RELATIONS = {"=", "ne", "ge", "le", "gt", "lt"}
_PORTS = {"dst": "dport", "src": "sport"}


def normal_filter(words: Sequence[str]) -> list[str]:
    """Return the one spelling of a filter: its states, then its conditions.

    Args:
        words: the operands of ``ss``. A state and its word ``state`` are words of their own; a condition need not be.

    Raises:
        ValueError: ss would not take it; the text says what was expected.
    """
    states, place = list[tuple[str, str]](), 0
    while place < len(words) and (kind := _SAME.get(words[place], words[place])) in ("state", "exclude"):
        if place + 1 == len(words):
            raise ValueError(f"a state after `{kind}`")
        state = words[place + 1].lower()
        states.append((kind, _SAME_STATE.get(state, state)))
        place += 2
    tokens = [_SAME.get(token, token) for token in " ".join(words[place:]).split()]
    if {"state", "exclude"} & set(tokens):
        raise ValueError("`state NAME` in two words before the conditions")
    if all(kind == "state" for kind, _ in states):  # they are a union; one that is excluded counts for those before it
        states = sorted(set(states))
    return [" ".join([*(f"{kind} {state}" for kind, state in states), *_conditions(tokens)])] if words else []


def _conditions(tokens: list[str]) -> list[str]:
    """Return each condition, and each other word, in one spelling."""
    conditions, place = list[str](), 0
    while place < len(tokens):
        start = place
        place += tokens[place] == "not"
        name, place = tokens[place] if place < len(tokens) else "", place + 1
        relation = tokens[place] if place < len(tokens) and tokens[place] in _RELATIONS else ""
        if name not in {*_PORTS, *_PORTS.values()}:
            conditions.append(" ".join(tokens[start:place]))
            continue
        place += bool(relation)
        value, place = tokens[place] if place < len(tokens) else "", place + 1
        conditions.append(f"{'not ' * (tokens[start] == 'not')}{_condition(name, relation or '=', value)}")
    # Conditions that must all hold mean the same in any order. Where there is an `or`, or a word of which this knows
    # nothing, all stay as they are.
    is_simple = all(" " in item or item == "and" for item in conditions)
    return sorted({item for item in conditions if item != "and"}) if is_simple else conditions


def _condition(name: str, relation: str, value: str) -> str:
    if value.startswith(":") and name in _PORTS:  # an address that is a port alone
        name = _PORTS[name]
    if name in _PORTS.values() and value.isdecimal():
        value = f":{value}"
    return f"{name} {relation} {value}"
