"""Expected answers of one skill: judged by its contract, completed, and written as a model should write them.

A synthesis writes the calls of a tool by the thousand, so their text is compiled once: a call is the texts of its
values in the places of its arguments. The contract judges a call once. Where no rule of a tool ties one argument to
another, a value that stood in a call that passed passes in all calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import contains
from typing import Any, NamedTuple

from skillpm.contract.contract import Contract, in_decimals
from skillpm.model.contract import Tool
from skillpm.model.task import canonical_json
from skillpm.synth.profile import Measurement

_KNOWN = 1 << 14  # values of one argument that are known to pass
_encode = json.JSONEncoder(ensure_ascii=False).encode
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: json.encoder.encode_basestring,
    int: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
}  # JSON texts of values that have one text, canonical or not
_TYPES = frozenset(_SCALARS)


class Answer(NamedTuple):
    """An expected answer.

    Attributes:
        expected: with every argument.
        text: as a model should write it.
        canonical: its canonical JSON.
    """

    expected: Any
    text: str
    canonical: str


class Answers:
    """Writes the expected answers of one skill.

    Args:
        contract: of the skill; without one every answer stands as it is.
    """

    def __init__(self, contract: Contract | None) -> None:
        self._contract = contract
        self._compared = {tool.name for tool in contract.tools.values() if tool.compare} if contract else set()
        tools = {} if contract is None else contract.tools
        self._calls = {
            name: _Calls.of(tool, contract is not None and contract.judges_by_argument(name))
            for name, tool in tools.items()
        }

    def of(self, target: Any) -> Answer:
        """Return the answer with this target. Raises DocumentError where it breaks the contract."""
        if type(target) is dict and [*target] == ["tool", "args"]:
            tool, arguments = target.values()
            calls = self._calls.get(tool) if isinstance(tool, str) else None
            if calls is not None and isinstance(arguments, dict):
                arguments = calls.nothing | arguments
                if len(arguments) == len(calls.nothing) and _TYPES.issuperset(map(type, arguments.values())):
                    values = [_SCALARS[type(value)](value) for value in arguments.values()]
                    return self._call(calls, values, {"tool": tool, "args": arguments})
        completed = target if self._contract is None else self._contract.complete(target)
        text = completed if isinstance(completed, str) else _encode(completed)
        if self._contract is not None and (decimals := in_decimals(text)) != text:
            completed, text = json.loads(decimals), decimals  # 5 where a pool has 5.0
        return Answer(completed, text, canonical_json(completed))

    def identity(self, answer: Answer) -> str:
        """Return what two answers have in common exactly where the contract calls them the same, but for tolerances."""
        expected = answer.expected
        if self._contract is None or "args" not in expected or expected["tool"] not in self._compared:
            return answer.text
        tool = expected["tool"]
        return _written((tool, *(self._contract.key_of(tool, name, value) for name, value in expected["args"].items())))

    def _call(self, calls: _Calls, values: Sequence[str], completed: dict[str, Any]) -> Answer:
        text = calls.text % (*values,)
        judged = values if calls.by_argument else [text]
        if not all(map(contains, calls.passed, judged)):
            assert self._contract is not None
            if self._contract.problems(completed):
                self._contract.complete(completed)  # raises
            calls.learn(judged)
        return Answer(completed, text, calls.canonical % (*[values[place] for place in calls.sorted_places],))

    def measurement(self) -> Measurement:
        """Return what measures rows with such answers."""
        if self._contract is None:
            return Measurement((), ("call",))
        return Measurement([*self._contract.tools.values()], self._contract.replies.kinds)


def _written(key: Hashable) -> str:
    """Return one text for equal keys, and others for others: Python's hash does not tell -1 from -2."""
    if isinstance(key, frozenset):
        return f"{{{','.join(sorted(map(_written, key)))}}}"
    if isinstance(key, tuple):
        return f"({','.join(map(_written, key))})"
    if isinstance(key, float) and key.is_integer():
        return str(int(key))  # 1.0 is 1
    return str(key) if isinstance(key, Fraction) else repr(key)


@dataclass(frozen=True, slots=True)
class _Calls:
    """The calls of one tool whose arguments are scalars.

    Attributes:
        nothing: every argument, as null.
        text: with ``%s`` in the place of each argument.
        canonical: likewise.
        sorted_places: of the arguments, in the order of the canonical text.
        passed: the values of each argument that passed; where arguments depend on each other, the calls.
    """

    nothing: dict[str, None]
    text: str
    canonical: str
    sorted_places: tuple[int, ...]
    passed: tuple[set[str], ...]
    by_argument: bool

    @classmethod
    def of(cls, tool: Tool, by_argument: bool) -> _Calls:
        """Compile."""
        names = [*tool.properties]
        places = sorted(range(len(names)), key=names.__getitem__)
        keys = [_encode(name).replace("%", "%%") for name in names]
        name = _encode(tool.name).replace("%", "%%")
        return cls(
            nothing=dict.fromkeys(names),
            text=f'{{"tool": {name}, "args": {{{", ".join(f"{key}: %s" for key in keys)}}}}}',
            canonical=f'{{"args":{{{",".join(f"{keys[place]}:%s" for place in places)}}},"tool":{name}}}',
            sorted_places=tuple(places),
            passed=tuple(set() for _ in range(len(names) if by_argument else 1)),
            by_argument=by_argument,
        )

    def learn(self, judged: Sequence[str]) -> None:
        """Remember what passed."""
        for known, text in zip(self.passed, judged, strict=True):
            if len(known) >= _KNOWN:
                known.clear()
            known.add(text)
