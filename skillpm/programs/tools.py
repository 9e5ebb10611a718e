"""Turn descriptions of an API into drafts: tools of a model, the list of an MCP server, an OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import jsonschema_rs
from pydantic import ValidationError

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.formats.document import model_errors
from skillpm.model.contract import ContractDocument
from skillpm.model.json_schema import referenced
from skillpm.programs.draft import Draft, Slot, share_of_each
from skillpm.programs.from_program import own_phrasings, phrasings
from skillpm.programs.phrases import clean, imperative, naming, value_clauses, words_of
from skillpm.programs.values import examples, fresh, kind_of

_DEPTH = 6  # of objects in objects
_PARTS = 4000  # of the schema of one operation, with references written out
_VALUES = 60  # of the arguments of one operation
_OPTIONAL = 0.5  # until it is known how many there are
_METHODS = {"get": "get", "post": "create", "put": "replace", "patch": "update", "delete": "delete"}
_UNREAD = {"head", "options", "query", "trace"}
_FORMATS = {"date": "day", "date-time": "datetime", "email": "email", "uri": "url", "url": "url", "uuid": "uuid",
            "hostname": "host", "ipv4": "host", "duration": "duration"}  # fmt: skip
_FARTHEST = 10**15  # from zero: a double has every whole number up to there
_OBJECTS, _LISTS = ("properties", "items"), ("required", "enum", "examples", "anyOf", "oneOf", "allOf")
_TYPES: dict[str, tuple[type, str]] = {
    **dict.fromkeys(_OBJECTS, (dict, "an object")),
    **dict.fromkeys(_LISTS, (list, "a list")),
}
Warn = Callable[[str], None]


class UnsupportedError(Exception):
    """A part of a schema for which no value can be made, or which the contract does not take."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an API.

    Attributes:
        schema: of its arguments, an object.
        root: what its references point into.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    root: Mapping[str, Any]


def operations_of_tools(document: Any, warn: Warn) -> Iterator[Operation]:
    """Yield the tools of a list as OpenAI, Anthropic and MCP write it, alone or in the answer that holds it.

    Raises:
        DocumentError: it is none of these.
    """
    for step in ("result", "tools"):
        if isinstance(document, dict):
            if document.get("nextCursor"):
                warn("the list goes on: ask the server with its `nextCursor`, and add those tools to this file")
            document = document.get(step, document)
    if not isinstance(document, list) or not document:
        raise DocumentError("not a list of tools", hint='a list of {"name": …, "parameters": {…}}, or {"tools": [...]}')
    for place, item in enumerate(_tools_of(document, warn)):
        tool = item.get("function", item) if isinstance(item, dict) else {}
        tool = tool if isinstance(tool, dict) else {}
        schema = _schema_of_tool(tool)
        given = tool.get("name")
        schema = {} if schema is None else schema
        if not isinstance(given, str) or not given or not isinstance(schema, dict):
            raise DocumentError(f"tool {place + 1} has no `name`, or parameters that are not an object")
        name = _tool_name(given)
        if name != given:
            warn(f"`{given}` is called `{name}`: a tool's name has up to 64 letters, digits, `_`, `.` and `-`")
        yield Operation(name, str(tool.get("description") or ""), schema, schema)


def _tools_of(document: list[Any], warn: Warn) -> Iterator[Any]:
    """Yield the tools of a list and of the namespaces in it, without those whose arguments the list does not have."""
    for item in document:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "namespace" and isinstance(item.get("tools"), list):
            warn(f"the tools of the namespace `{item.get('name')}` are taken under their own names")
            yield from _tools_of(item["tools"], warn)
        elif isinstance(kind, str) and kind != "function" and _schema_of_tool(item) is None:
            warn(f"`{item.get('name', kind)}` is left out: a tool of the type `{kind}` has no schema of its arguments")
        else:
            yield item


def _schema_of_tool(tool: dict[str, Any]) -> Any:
    schemas = (tool.get(key) for key in ("parameters", "input_schema", "inputSchema"))
    return next((schema for schema in schemas if schema is not None), None)


def _tool_name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_")
    return (name if name[:1].isalpha() else f"tool_{name}")[:64]


def operations_of_openapi(document: Any, warn: Warn) -> Iterator[Operation]:
    """Yield the operations of an OpenAPI document: parameters and the properties of a JSON body are arguments.

    Raises:
        DocumentError: it is not an OpenAPI document of these versions.
    """
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    if not version.startswith("3.") or not isinstance(document.get("paths"), dict):
        raise DocumentError("not an OpenAPI document", hint="`openapi: 3.0` or `3.1`, with `paths`")
    if document.get("webhooks"):
        warn("the webhooks are left out: the API calls them itself")
    for path, listed in document["paths"].items():
        try:
            item = {} if str(path).startswith("x-") else _looked_up(listed, document)
        except UnsupportedError as error:
            warn(f"`{path}` is left out: it is {error}")
            continue
        for method in sorted(_UNREAD & item.keys()):
            warn(f"`{method.upper()} {path}` is left out: only {', '.join(_METHODS)} are read")
        for method, verb in _METHODS.items():
            operation = item.get(method)
            if operation is None:
                continue
            if not isinstance(operation, dict):
                warn(f"`{method.upper()} {path}` is left out: it is not an object")
                continue
            words = re.sub(r"[{}]", "", path).strip("/").replace("/", "_")
            text = str(operation.get("summary") or operation.get("description") or f"{verb} {words_of(words)}")
            name = _tool_name(str(operation.get("operationId") or f"{verb}_{words}"))
            try:
                schema, left_out = _arguments(operation, item, document)
            except UnsupportedError as error:
                warn(f"`{name}` is left out: {error}")
                continue
            for what, reason in left_out.items():
                warn(f"`{name}`: `{what}` is left out: {reason}")
            yield Operation(name, text, schema, document)


def _arguments(
    operation: dict[str, Any], item: dict[str, Any], document: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the schema of an operation's arguments, and why each of the others is left out."""
    left_out: dict[str, str] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    listed = (*_parameters(item, document), *_parameters(operation, document))
    for (place, name), parameter in {(each.get("in"), each["name"]): each for each in listed}.items():
        reason = _reason_to_leave_out(parameter, properties)
        if reason and place in ("path", "query") and parameter.get("required"):
            raise UnsupportedError(f"`{name}` is needed, and {reason}")
        if reason:
            left_out[name] = reason
            continue
        schema = _looked_up(parameter.get("schema") or {}, document)
        properties[name] = {"description": parameter.get("description", ""), **schema}
        required += [name] if parameter.get("required") else []
    request = _looked_up(operation.get("requestBody") or {}, document)
    body = _body(request, document)
    if body.get("properties") and not set(body["properties"]) & set(properties):
        properties |= body["properties"]
        for key in ("oneOf", "anyOf", "patternProperties", "additionalProperties"):
            if body.get(key):
                left_out[key] = "the `properties` of the body are the arguments"
        required += body.get("required", []) if request.get("required", True) else []
    elif body:
        properties["body"] = body
        required += ["body"] if request.get("required") else []
    return {"type": "object", "properties": properties, "required": list(dict.fromkeys(required))}, left_out


def _reason_to_leave_out(parameter: dict[str, Any], properties: Mapping[str, Any]) -> str:
    """Return why a parameter is not an argument; empty where it is one."""
    if parameter.get("in") not in ("path", "query"):
        return f"it is a {parameter.get('in')} parameter, and arguments come from path, query and body"
    if parameter["name"] in properties:
        return "path and query both have it"
    return "it is text of another media type" if "content" in parameter else ""


def _parameters(place: dict[str, Any], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = place.get("parameters") or []
    parameters = [_looked_up(item, document) for item in listed] if isinstance(listed, list) else [{}]
    if not all(isinstance(parameter.get("name"), str) for parameter in parameters):
        raise UnsupportedError("its `parameters` are not a list of objects with a `name`")
    return parameters


def _body(request: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a JSON body, empty where there is no body. Raises UnsupportedError for another body."""
    content = request.get("content") or {}
    if not isinstance(content, dict):
        raise UnsupportedError("the `content` of its body is not an object")
    for kind, media in content.items():
        if re.fullmatch(r"application/([^;]+\+)?json", str(kind).partition(";")[0].strip().lower()):
            return _schema_of((media.get("schema") if isinstance(media, dict) else media) or {}, document)
    if content:
        raise UnsupportedError(f"its body is {next(iter(content))}, not JSON")
    return {}


def _looked_up(value: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return what a reference names, or the value itself."""
    if depth > _DEPTH or value is None:
        raise UnsupportedError("a reference that leads to itself, or to nothing")
    if not isinstance(value, dict):
        raise UnsupportedError("a value that is not an object")
    if not isinstance(value.get("$ref"), str):
        return value
    around = {key: item for key, item in value.items() if key != "$ref"}
    return {**_looked_up(referenced(value["$ref"], root), root, depth + 1), **around}


def _schema_of(value: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return the schema that a value is or names, its keywords of the right types, its `allOf` as one object."""
    found = _looked_up(value, root, depth)
    schema = {key: item for key, item in found.items() if item is not None or key not in _TYPES}
    for key, (wanted, said) in _TYPES.items():
        if key in schema and not isinstance(schema[key], wanted):
            raise UnsupportedError(f"a schema whose `{key}` is not {said}")
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        raise UnsupportedError("a schema whose `required` is not a list of names")
    merged: dict[str, Any] = {key: item for key, item in schema.items() if key != "allOf"}
    if "allOf" not in schema:
        return merged
    for part in (_schema_of(item, root, depth + 1) for item in schema["allOf"]):
        merged["properties"] = {**part.get("properties", {}), **merged.get("properties", {})}
        merged["required"] = [*part.get("required", []), *merged.get("required", [])]
        merged = {**part, **merged}
    return {key: item for key, item in merged.items() if item not in ({}, [])}


def drafts_of(operations: list[Operation], warn: Warn) -> list[Draft]:
    """Return the drafts of the operations that a contract can take; each thing that it cannot is named.

    Raises:
        DocumentError: it can take none.
    """
    made: list[Draft] = []
    for operation in operations:
        try:
            found = list(_Maker(operation, {draft.name for draft in made}, warn).drafts())
            _check(found[0])
        except (UnsupportedError, DocumentError) as error:
            reason = error.message if isinstance(error, DocumentError) else str(error)
            warn(f"`{operation.name}` is left out: {reason}")
            continue
        made += found
    if not made:
        raise DocumentError("has no operation that a contract can take")
    return own_phrasings(made)


def _check(draft: Draft) -> None:
    tool = {"name": draft.name, "input_schema": draft.schema}
    try:
        Contract(ContractDocument.model_validate({"contract": 1, "tools": [tool]}))
    except ValidationError as error:
        raise model_errors(error, {})[0] from None


@dataclass(slots=True)
class _Maker:
    """The drafts of one operation: the first gives only what may stand at the top, and one more for each object."""

    operation: Operation
    taken: set[str]
    warn: Warn
    slots: list[Slot] = field(default_factory=list)
    parts: int = 0

    def drafts(self) -> Iterator[Draft]:
        schema = _schema_of(self.operation.schema, self.operation.root)
        required = [name for name in schema.get("required", ()) if name in schema.get("properties", {})]
        properties: dict[str, Any] = {}
        args: dict[str, Any] = {}
        whole: dict[str, tuple[Any, list[Slot]]] = {}  # optional objects and lists of them
        left_out = []
        for name, raw in schema.get("properties", {}).items():
            before = list(self.slots)
            try:
                own = self._plain(raw)
                template = self._template(own, (name,), name in required)
            except UnsupportedError as error:
                if name in required:
                    raise UnsupportedError(f"`{name}` is needed, and it is {error}") from None
                self.warn(f"`{self.operation.name}`: `{name}` is left out: it is {error}")
                self.slots = before
                left_out.append(name)
                continue
            properties[name] = own
            if name not in required and not isinstance(template, str):
                whole[name] = (template, self.slots[len(before) :])
                self.slots = before
            else:
                args[name] = template
        contract = {"type": "object", "additionalProperties": False, "properties": properties}
        draft = self._draft({**contract, **({"required": required} if required else {})}, args, tuple(left_out))
        yield draft
        for name, (template, slots) in whole.items():
            yield self._with(draft, name, template, slots)

    def _with(self, draft: Draft, name: str, template: Any, slots: list[Slot]) -> Draft:
        always = tuple(slot for slot in draft.slots if slot.probability == 1 or slot.nullable)
        places = [f"{{{slot.name}}}" for slot in always]
        args = {key: item for key, item in draft.args.items() if not isinstance(item, str) or item in places}
        inside = tuple(slot.name for slot in slots)
        is_told = any(slot.probability == 1 for slot in slots)
        return replace(
            draft,
            rule=name,
            slots=_seldom([*always, *slots]),
            args={**args, name: template},
            needed=() if is_told else inside,
            seeds=(),
        )

    def _draft(self, schema: dict[str, Any], args: dict[str, Any], left_out: tuple[str, ...]) -> Draft:
        name = self.operation.name
        if name in self.taken:
            raise UnsupportedError("another one has its name")
        text = re.split(r"(?<=[A-Za-z)]{2})\.(?:\s|$)", self.operation.description.strip())[0]
        words = words_of(_parted(name)).lower()
        ask = imperative(text) or imperative(words) or f"call {name}"
        needed = [(slot.name, words_of(slot.name)) for slot in self.slots if slot.probability == 1]
        inlined = [naming(ask, needed)]
        return Draft(
            name=name,
            description=clean(text, 200) or words,
            schema=schema,
            slots=_seldom(self.slots),
            args=args,
            requests=tuple(phrasings(ask, name, inlined)),
            ask=ask,
            left_out=left_out,
        )

    def _plain(self, raw: Any, depth: int = 0) -> dict[str, Any]:
        """Return a schema of the contract's own: references written out, null and 3.0's keywords taken away."""
        self.parts += 1
        if depth > _DEPTH or self.parts > _PARTS:
            raise UnsupportedError("nested too deeply, or holds itself")
        schema = _schema_of(raw, self.operation.root)
        for key in ("anyOf", "oneOf"):
            branches = [item for item in schema.pop(key, []) if not _is_null(item)]
            if len(branches) > 1:
                raise UnsupportedError("one of several forms")
            schema = {**self._plain(branches[0], depth + 1), **schema} if branches else schema
        types = schema.get("type")
        if isinstance(types, list):
            rest = [item for item in types if item != "null"]
            if len(rest) != 1:
                raise UnsupportedError("of several types")
            schema["type"] = rest[0]
        schema = _bounds(schema)
        if "example" in schema:
            schema.setdefault("examples", [schema.pop("example")])
        if "properties" in schema:
            schema["properties"] = {name: self._plain(item, depth + 1) for name, item in schema["properties"].items()}
            required = [name for name in schema.pop("required", ()) if name in schema["properties"]]
            schema |= {"required": required} if required else {}
        if isinstance(schema.get("items"), dict):
            schema["items"] = self._plain(schema["items"], depth + 1)
        _keep_right_values(schema)
        foreign = ("nullable", "discriminator", "xml", "externalDocs", "readOnly", "writeOnly", "deprecated", "$schema")
        return {key: item for key, item in schema.items() if key not in foreign and not key.startswith("x-")}

    def _template(self, schema: dict[str, Any], path: tuple[str, ...], always: bool) -> Any:
        """Return the template of a value, and note its slots."""
        if schema.get("properties"):
            needed = set(schema.get("required", ()))
            return {
                name: self._template(item, (*path, name), name in needed) for name, item in schema["properties"].items()
            }
        items = schema.get("items")
        if schema.get("type") == "array" and isinstance(items, dict) and items.get("properties"):
            if schema.get("minItems", 1) > 1:
                raise UnsupportedError("a list of several objects")
            return [self._template(items, path, True)]
        return self._slot(schema, path, always)

    def _slot(self, schema: dict[str, Any], path: tuple[str, ...], always: bool) -> str:
        name = re.sub(r"[^a-z0-9]+", "_", _parted("_".join(path)).lower()).strip("_")[:50] or "value"
        name = name if name[0].isalpha() else f"value_{name}"
        if len(self.slots) >= _VALUES:
            raise UnsupportedError(f"one of more than {_VALUES} values")
        while any(slot.name == name for slot in self.slots):
            name += "_2"
        many = schema.get("type") == "array"
        item = schema.get("items") or {"type": "string"} if many else schema
        source, rest = _values(item, path[-1])
        text = str(schema.get("description") or item.get("description") or "")
        words = words_of(name)
        clauses = value_clauses(name, "", path[-1], text)
        if item.get("type") == "boolean":
            said = ("with {} set to {}", ", {} {}", "({}: {})", "and {} {}", "and set {} to {}", "with {} = {}")
            clauses = [clause.format(words, f"{{{name}}}") for clause in said]
        share = 1.0 if always else _OPTIONAL
        self.slots.append(Slot(name, source, tuple(clauses), share, rest, many, nullable=len(path) > 1 and not always))
        return f"{{{name}}}"


def _seldom(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """Return slots of which a request draws few of the optional ones, however many there are."""
    share = share_of_each(sum(slot.probability < 1 for slot in slots))
    return tuple(slot if slot.probability == 1 else replace(slot, probability=share) for slot in slots)


def _parted(name: str) -> str:
    """Return ``user_id`` for ``userId``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose exclusive bounds are numbers: in OpenAPI 3.0 they say of the others what they are."""
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(key), bool):
            is_exclusive = schema.pop(key)
            if is_exclusive and bound in schema:
                schema[key] = schema.pop(bound)
    return schema


def _keep_right_values(schema: dict[str, Any]) -> None:
    """Remove the values of `enum` and the default that the schema itself refuses: published schemas have such."""
    if isinstance(schema.get("enum"), list):
        others = {key: item for key, item in schema.items() if key not in ("enum", "default")}
        schema["enum"] = _valid(others, [item for item in schema["enum"] if item is not None])
        if not schema["enum"]:
            raise UnsupportedError("a choice among no values")
    if "default" in schema and not _valid(schema, [schema["default"]]):
        del schema["default"]


def _values(schema: dict[str, Any], name: str) -> tuple[str | tuple[Any, ...], tuple[Any, ...]]:
    """Return where values of a scalar come from, and those for suites.

    Raises:
        UnsupportedError: none is known.
    """
    if "const" in schema or schema.get("enum"):
        return tuple(schema.get("enum") or [schema["const"]]), ()
    kind = schema.get("type", "string")
    if kind == "boolean":
        return (True, False), ()
    if kind not in ("string", "integer", "number"):
        raise UnsupportedError("an object without properties" if kind == "object" else f"of the type {kind}")
    text = str(schema.get("description") or "")
    chosen = _FORMATS.get(str(schema.get("format"))) or kind_of(_parted(name), "", kind, text)
    if kind == "string" and schema.get("examples"):
        listed = tuple(item for item in schema["examples"] if isinstance(item, str))
        return listed if len(listed) > 3 else (*listed, *_valid(schema, examples(chosen))), ()
    pool, rest = examples(chosen), tuple(_valid(schema, fresh(chosen)))
    if kind != "string" and (
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} & set(schema)
    ):
        return tuple(_numbers(schema, kind)), ()
    right = tuple(_valid(schema, pool))
    if len(right) == len(pool) and ("pattern" not in schema or rest):
        return chosen, rest
    others = tuple(
        value for other in ("word", "name", "uuid", "tag", "date") for value in _valid(schema, examples(other))
    )
    values = right or others
    if not values:
        raise UnsupportedError(
            "a text with a pattern for which no example is known" if kind == "string" else "without a value"
        )
    return values, ()


def _numbers(schema: dict[str, Any], kind: str) -> list[Any]:
    valid: list[Any] = []
    with suppress(OverflowError, ValueError):  # of bounds or a step so far off that no double tells them apart
        valid = _valid(schema, _between_bounds(schema, kind))
    if not valid:
        raise UnsupportedError("a number without a value")
    return valid


def _between_bounds(schema: dict[str, Any], kind: str) -> list[Any]:
    step = schema.get("multipleOf", 1 if kind == "integer" else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum", min(0, schema.get("maximum", 0)) - step) + step)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 60 * step) - step)
    low, high = max(low, -_FARTHEST), min(high, _FARTHEST)
    values = {low + round((high - low) / step * part / 15) * step for part in range(16)}
    return sorted(int(value) if kind == "integer" else round(value, 6) for value in values)


def _valid(schema: dict[str, Any], values: list[Any]) -> list[Any]:
    try:
        return [value for value in values if jsonschema_rs.is_valid(schema, value)]
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        raise UnsupportedError("a schema that the contract cannot check") from None
