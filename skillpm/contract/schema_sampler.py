"""Values that a JSON Schema admits, of every type: what is sampled is short, and is checked by whoever takes it."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any

from skillpm.contract.pattern_sampler import MORE, LongTextError, PatternError, sample_pattern
from skillpm.contract.validator import matches
from skillpm.model.json_schema import REFERENCES, anchors_of, referenced

NULL_SHARE = 0.2  # of values that may be null
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
_INTEGERS = (0, 1000)
_ITEMS = 3
_DEEPEST = 12
_TRIES = 40
_LARGEST = 100_000  # letters of one value with all its parts; lists of lists multiply
_PART = 10  # letters that a part counts as, however short it is
_LONG = 256  # repetitions, where a text has to be long
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class UnsampledError(ValueError):
    """A schema of which no value is made."""


class SchemaSampler:
    """Samples values.

    Args:
        root: the schema into which references point.
    """

    def __init__(self, root: Mapping[str, Any], chance: random.Random) -> None:
        self._root = root
        self._chance = chance
        self._left = _LARGEST
        self._makers: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
            "array": self._array,
            "boolean": self._boolean,
            "integer": self._integer,
            "number": self._number,
            "object": self._object,
            "string": self._string,
        }

    def value(self, schema: Any, depth: int = 0) -> Any:
        """Return a value. Raises UnsampledError if none can be made."""
        if depth > _DEEPEST:
            raise UnsampledError("nested too deeply")
        if depth == 0:
            self._left = _LARGEST
        self._spend(_PART)
        if not isinstance(schema, Mapping):
            if schema is False:
                raise UnsampledError("nothing is right")
            return self._word()
        schema = self._whole(schema)
        choices = schema.get("examples") or schema.get("enum")
        if choices:
            return self._chance.choice(choices)
        if "const" in schema:
            return schema["const"]
        kind = self._kind(schema)
        if kind == "null":
            return None
        if kind not in self._makers:
            raise UnsampledError(f"`{kind[:80]}` is not a type")
        return self._makers[kind](schema, depth)

    @cached_property
    def _anchors(self) -> dict[str, Mapping[str, Any]]:
        return anchors_of(self._root)

    def _spend(self, letters: int) -> None:
        """Count letters of a value: limits of a schema multiply, so only their total is a bound."""
        self._left -= letters
        if self._left < 0:
            raise UnsampledError(f"a value would have more than {_LARGEST} letters")

    def _afford(self, parts: int) -> None:
        """Refuse so many parts before the first is made."""
        if parts * _PART > self._left:
            raise UnsampledError(f"a value would have more than {_LARGEST} letters")

    def _whole(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a schema with what its references name and one of its alternatives, put together key by key."""
        # A value that all parts of a schema admit cannot be found in general. So the parts become one schema, key by
        # key, of which a value is proposed; the caller validates it against the real schema and draws again. This is
        # right whenever a value passes, and it costs one validation, while a solver would have to know every keyword.
        # A reference may lead to further references and alternatives, hence the loop; its bound ends a circle.
        for _ in range(_DEEPEST):
            pieces: list[Any] = []
            named = [schema[key] for key in REFERENCES if isinstance(schema.get(key), str)]
            pieces += [referenced(reference, self._root, self._anchors) for reference in named]
            pieces += schema.get("allOf", ())
            for key in ("anyOf", "oneOf"):
                if schema.get(key):
                    pieces.append(self._alternative(schema[key]))
            rest = {key: item for key, item in schema.items() if key not in (*REFERENCES, "allOf", "anyOf", "oneOf")}
            if not pieces:
                return schema
            for piece in pieces:
                rest = _merged(rest, piece) if isinstance(piece, Mapping) else rest
            schema = rest
        raise UnsampledError("its references form a loop")

    def _alternative(self, schemas: list[Any]) -> Any:
        null = [schema for schema in schemas if isinstance(schema, Mapping) and schema.get("type") == "null"]
        others = [schema for schema in schemas if schema not in null]
        if null and (not others or self._chance.random() < NULL_SHARE):
            return null[0]
        return self._chance.choice(others)

    def _kind(self, schema: Mapping[str, Any]) -> str:
        declared = schema.get("type")
        types = [declared] if isinstance(declared, str) else list(declared or ())
        if "null" in types and (len(types) == 1 or self._chance.random() < NULL_SHARE):
            return "null"
        types = [name for name in types if name != "null"]
        if types:
            return str(self._chance.choice(types))
        return "object" if "properties" in schema else "array" if "items" in schema else "string"

    def _word(self) -> str:
        return f"{self._chance.choice(WORDS)}-{self._chance.randint(1, 999)}"

    def _boolean(self, schema: Mapping[str, Any], depth: int) -> bool:
        return self._chance.random() < 0.5

    def _integer(self, schema: Mapping[str, Any], depth: int) -> int:
        step = Fraction(str(schema.get("multipleOf", 1)))
        step = Fraction(step.numerator)  # the least whole multiple of a fraction in lowest terms
        return int(self._multiple(schema, step, _INTEGERS))

    def _multiple(self, schema: Mapping[str, Any], step: Fraction, usual: tuple[int, int]) -> Fraction:
        low, high = _bounds(schema, usual)
        first, last = math.ceil(low / step), math.floor(high / step)
        first += schema.get("exclusiveMinimum") == first * step
        last -= schema.get("exclusiveMaximum") == last * step
        if first > last:
            raise UnsampledError("no multiple lies between its bounds")
        return self._chance.randint(first, last) * step

    def _number(self, schema: Mapping[str, Any], depth: int) -> float:
        if "multipleOf" in schema:
            return float(self._multiple(schema, Fraction(str(schema["multipleOf"])), (0, 1)))
        low, high = _bounds(schema, (0, 1))
        for digits in (1, 3, 9, 15):
            value = round(self._chance.uniform(float(low), float(high)), digits)
            inside = schema.get("exclusiveMinimum") != value and schema.get("exclusiveMaximum") != value
            if low <= Fraction(value) <= high and inside:
                return value
        return float((low + high) / 2)

    def _string(self, schema: Mapping[str, Any], depth: int) -> str:
        least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 1 << 16))
        self._spend(least)
        make = _FORMATS.get(str(schema.get("format")))
        for number in range(_TRIES if least <= most else 0):
            if "pattern" in schema:
                more = (MORE, 2, min(2 * least, _LONG), 0)[number % 4]
                try:
                    text = sample_pattern(str(schema["pattern"]), self._chance, more)
                except LongTextError:
                    continue
                except PatternError as error:
                    raise UnsampledError(f"its pattern: {error}") from None
            elif make is not None:
                text = make(self._chance)
            else:
                text = self._word()[:most]
                text += "".join(self._chance.choices("abcdefghij", k=max(0, least - len(text))))
            if least <= len(text) <= most:
                return text
        raise UnsampledError("no text has the required length")

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        contained = int(schema.get("minContains", 1)) if "contains" in schema else 0
        self._afford(contained)
        parts = [*schema.get("prefixItems", ()), *[schema.get("contains")] * contained]
        fixed = [self.value(part, depth + 1) for part in parts]
        most = schema.get("maxItems")
        least = int(schema.get("minItems", 0 if fixed or most == 0 else 1))
        if schema.get("items", True) is False:
            return fixed
        top = max(least, len(fixed), _ITEMS) if most is None else int(most)
        count = self._chance.randint(max(least, min(len(fixed), top)), min(top, max(least, _ITEMS, len(fixed))))
        self._afford(count - len(fixed))
        items = fixed[:count]
        for _ in range(_TRIES * max(1, count)):
            if len(items) == count:
                break
            item = self.value(schema.get("items", True), depth + 1)
            if not schema.get("uniqueItems") or item not in items:
                items.append(item)
        return items

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        properties = schema.get("properties", {})
        chosen = [
            name
            for name in properties
            if name in required or (depth < _DEEPEST // 2 and self._chance.random() >= NULL_SHARE)
        ]
        value = {name: self.value(properties[name], depth + 1) for name in chosen}
        free = schema.get("additionalProperties", True)
        patterns = schema.get("patternProperties", {})
        names = [name for name in required if name not in value]
        usual = not properties and (isinstance(free, Mapping) or bool(patterns)) and depth < _DEEPEST // 2
        least = max(int(schema.get("minProperties", 0)), int(usual))
        self._afford(least)
        like = {"pattern": self._chance.choice([*patterns])} if patterns and not isinstance(free, Mapping) else {}
        name_schema = {"type": "string", **like, **schema.get("propertyNames", {})}
        names += [self.value(name_schema, depth + 1) for _ in range(least - len(value) - len(names))]
        for name in names:
            matching = (inner for pattern, inner in patterns.items() if _matches(pattern, name))
            value[name] = self.value(next(matching, free), depth + 1)
        return value


def _matches(pattern: str, name: str) -> bool:
    try:
        return matches(pattern, name)
    except ValueError as error:
        raise UnsampledError(f"its pattern: {error}") from None


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for key in ("properties", "required"):
        if key in one and key in other:
            both[key] = {**one[key], **other[key]} if key == "properties" else [*one[key], *other[key]]
    return both


def _bounds(schema: Mapping[str, Any], usual: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """Return the least and the greatest number, exclusive bounds among them; a bound that is missing is far enough."""
    lows = [Fraction(str(schema[key])) for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [Fraction(str(schema[key])) for key in ("maximum", "exclusiveMaximum") if key in schema]
    low = max(lows) if lows else min(Fraction(usual[0]), min(highs, default=Fraction(usual[0])) - usual[1])
    if not lows and (not highs or min(highs) >= usual[1]):
        low = Fraction(usual[0])
    high = min(highs) if highs else max(Fraction(usual[1]), low + usual[1])
    if low > high:
        raise UnsampledError("no number lies between its bounds")
    return low, high


def _moment(chance: random.Random) -> datetime:
    return _BEGIN + timedelta(seconds=chance.randrange(365 * 86400))


def _octets(chance: random.Random, count: int, form: str) -> list[str]:
    return [format(chance.randint(1, 254 if form == "d" else 65535), form) for _ in range(count)]


def _host(chance: random.Random) -> str:
    return f"{chance.choice(WORDS)}{chance.randint(1, 99)}.example.com"


_FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date": lambda chance: _moment(chance).date().isoformat(),
    "time": lambda chance: f"{_moment(chance):%H:%M:%S}Z",
    "date-time": lambda chance: f"{_moment(chance):%Y-%m-%dT%H:%M:%S}Z",
    "duration": lambda chance: f"PT{chance.randint(1, 48)}H",
    "email": lambda chance: f"{chance.choice(WORDS)}@{_host(chance)}",
    "idn-email": lambda chance: f"{chance.choice(WORDS)}@{_host(chance)}",
    "hostname": _host,
    "idn-hostname": _host,
    "uri": lambda chance: f"https://{_host(chance)}/{chance.choice(WORDS)}",
    "iri": lambda chance: f"https://{_host(chance)}/{chance.choice(WORDS)}",
    "uri-reference": lambda chance: f"/{chance.choice(WORDS)}/{chance.randint(1, 99)}",
    "uuid": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "ipv4": lambda chance: ".".join(_octets(chance, 4, "d")),
    "ipv6": lambda chance: ":".join(_octets(chance, 8, "x")),
    "json-pointer": lambda chance: f"/{chance.choice(WORDS)}/{chance.randint(0, 9)}",
    "regex": lambda chance: f"^{chance.choice(WORDS)}$",
}
