"""The operations of an API: of tools of a model, of the list of an MCP server, of an OpenAPI document."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skillpm.errors import DocumentError
from skillpm.model.json_schema import referenced
from skillpm.programs.phrases import words_of

DEPTH = 6  # of objects in objects
_FORM = "application/x-www-form-urlencoded"
_OF_BODY = ("body", "formData")  # where parameters of OpenAPI 2.0 stand
_OF_PARAMETER = frozenset({"name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "schema",
                           "content", "example", "examples", "style", "explode", "allowReserved"})  # fmt: skip
_METHODS = {"get": "get", "post": "create", "put": "replace", "patch": "update", "delete": "delete"}
_UNREAD = {"head", "options", "query", "trace"}
_BETWEEN = ("anyOf", "oneOf", "not", "if", "dependentRequired", "dependentSchemas", "dependencies", "minProperties",
            "maxProperties")  # fmt: skip
"""What a schema says of several arguments at once, or of which there are."""
_STRICTER = {**dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
             **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min)}  # fmt: skip
_OBJECTS, _LISTS = ("properties", "items"), ("required", "enum", "examples", "anyOf", "oneOf", "allOf")
_TYPES: dict[str, tuple[type, str]] = {
    **dict.fromkeys(_OBJECTS, (dict, "an object")),
    **dict.fromkeys(_LISTS, (list, "a list")),
}
_ALONE = "each of the `properties` is an argument of its own"
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
    tools = _listed(document, warn)
    given_names = {str(item.get("name")) for item in tools if isinstance(item, dict)}
    for place, item in enumerate(_tools_of(tools, warn)):
        tool = item.get("function", item) if isinstance(item, dict) else {}
        tool = tool if isinstance(tool, dict) else {}
        schema = _schema_of_tool(tool)
        given = tool.get("name")
        schema = {} if schema is None else schema
        if not isinstance(given, str) or not given or not isinstance(schema, dict):
            raise DocumentError(f"tool {place + 1} has no `name`, or parameters that are not an object")
        name = _tool_name(given)
        if name != given:
            name = name if name not in given_names else _apart(name, given)
            given_names.add(name)
            warn(f"`{given}` is called `{name}`: a tool's name has up to 64 letters, digits, `_`, `.` and `-`")
        for key in _BETWEEN:
            if schema.get(key):
                warn(f"`{name}`: `{key}` is left out: {_ALONE}")
        yield Operation(name, str(tool.get("description") or ""), schema, schema)


def _listed(document: Any, warn: Warn) -> list[Any]:
    """Return the tools of a list, of the answer that holds it, or of the pages of one in their order.

    Raises:
        DocumentError: there is no list.
    """
    listed: Any = document
    if isinstance(document, dict):
        answer = document.get("result", document)
        listed = answer.get("tools") if isinstance(answer, dict) else None
        if isinstance(answer, dict) and answer.get("nextCursor"):
            warn("the list goes on: ask the server with its `nextCursor`, and add that answer to this file as a line")
        if isinstance(error := document.get("error"), dict):
            raise DocumentError(f"the server answered with an error: {error.get('message')}", hint="ask it again")
    if not isinstance(listed, list) or not listed:
        raise DocumentError("not a list of tools", hint='a list of {"name": …, "parameters": {…}}, or {"tools": [...]}')
    return listed


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
    name = name if name[:1].isalpha() else f"tool_{name}"
    # long names differ in their ends, and an API has many of them that begin alike
    return name if len(name) <= 64 else _apart(name, name)


def _apart(name: str, given: str) -> str:
    """Return a name like this one that no other tool has: several may become one by what is replaced or cut off."""
    return f"{name[:55]}_{hashlib.sha256(given.encode()).hexdigest()[:8]}"


def operations_of_openapi(document: Any, warn: Warn) -> Iterator[Operation]:
    """Yield the operations of an OpenAPI document: parameters and the properties of a body are arguments.

    Raises:
        DocumentError: it is not an OpenAPI document of these versions.
    """
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    version = version or (str(document.get("swagger", "")) if isinstance(document, dict) else "")
    if not version.startswith(("2.", "3.")) or not isinstance(document.get("paths"), dict):
        raise DocumentError("not an OpenAPI document", hint="`openapi: 3.0`, `3.1` or `swagger: 2.0`, with `paths`")
    if document.get("webhooks"):
        warn("the webhooks are left out: the API calls them itself")
    for path, listed in document["paths"].items():
        try:
            item = {} if str(path).startswith("x-") else looked_up(listed, document)
        except UnsupportedError as error:
            warn(f"`{path}` is left out: {error}")
            continue
        yield from _operations_of_path(str(path), item, document, warn)


def _operations_of_path(
    path: str, item: dict[str, Any], document: Mapping[str, Any], warn: Warn
) -> Iterator[Operation]:
    for method in sorted(_UNREAD & item.keys()):
        warn(f"`{method.upper()} {path}` is left out: only {', '.join(_METHODS)} are read")
    for method, verb in _METHODS.items():
        if item.get(method) is None:
            continue
        name = f"{method.upper()} {path}"
        try:
            operation = looked_up(item[method], document)
            words = re.sub(r"[{}]", "", path).strip("/").replace("/", "_")
            text = str(operation.get("summary") or operation.get("description") or f"{verb} {words_of(words)}")
            name = _tool_name(str(operation.get("operationId") or f"{verb}_{words}"))
            schema, left_out = _arguments(operation, item, document)
            for place in re.findall(r"{([^{}]+)}", path):
                if place not in schema["properties"]:
                    raise UnsupportedError(f"no parameter is the `{place}` of its path")
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
    named = {(str(each.get("in")), each["name"]): each for each in listed}
    for (place, name), parameter in named.items():
        if place in _OF_BODY:
            continue
        reason = _reason_to_leave_out(parameter, properties)
        is_needed = place == "path" or bool(parameter.get("required"))
        if reason and place in ("path", "query") and is_needed:
            raise UnsupportedError(f"`{name}` is needed, and {reason}")
        if reason:
            left_out[name] = reason
            continue
        schema = looked_up(parameter.get("schema") or _schema_beside(parameter), document)
        properties[name] = {
            "description": parameter.get("description", ""),
            **_with_examples(schema, parameter, document),
        }
        required += [name] if is_needed else []
    parts = [parameter for (place, _), parameter in named.items() if place in _OF_BODY]
    request = looked_up(operation.get("requestBody") or _request_of(parts), document)
    body = _body(request, document)
    if body.get("properties") and not set(body["properties"]) & set(properties):
        properties |= body["properties"]
        for key in (*_BETWEEN, "patternProperties", "additionalProperties"):
            if body.get(key):
                left_out[key] = _ALONE
        required += body.get("required", []) if request.get("required", True) else []
    elif body:
        properties["body"] = body
        required += ["body"] if request.get("required") else []
    return {"type": "object", "properties": properties, "required": list(dict.fromkeys(required))}, left_out


def _schema_beside(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a parameter of OpenAPI 2.0 is itself."""
    return {key: parameter[key] for key in parameter if key not in _OF_PARAMETER}


def _request_of(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the body that parameters of OpenAPI 2.0 are: one as JSON, or the fields of a form. Empty without any."""
    for parameter in parameters:
        if parameter["in"] == "body":
            content = {"application/json": {"schema": parameter.get("schema") or {}}}
            return {"content": content, "required": bool(parameter.get("required"))}
    fields = {
        field["name"]: {**_schema_beside(field), "description": field.get("description", "")} for field in parameters
    }
    if any(field.get("type") == "file" for field in fields.values()):
        return {"content": {"multipart/form-data": {}}}
    required = [field["name"] for field in parameters if field.get("required")]
    return {"content": {_FORM: {"schema": {"properties": fields, "required": required}}}} if fields else {}


def _with_examples(schema: dict[str, Any], parameter: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter with the examples that stand beside it."""
    listed = parameter.get("examples")
    held = [looked_up(item, document) for item in listed.values()] if isinstance(listed, dict) else []
    examples = [item["value"] for item in held if "value" in item]
    examples += [parameter["example"]] if "example" in parameter else []
    return {**schema, "examples": examples} if examples else schema


def _reason_to_leave_out(parameter: dict[str, Any], properties: Mapping[str, Any]) -> str:
    """Return why a parameter is not an argument; empty where it is one."""
    if parameter.get("in") not in ("path", "query"):
        return f"it is a {parameter.get('in')} parameter, and arguments come from path, query and body"
    if parameter["name"] in properties:
        return "path and query both have it"
    return "it is text of another media type" if "content" in parameter else ""


def _parameters(place: dict[str, Any], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = place.get("parameters") or []
    parameters = [looked_up(item, document) for item in listed] if isinstance(listed, list) else [{}]
    if not all(isinstance(parameter.get("name"), str) for parameter in parameters):
        raise UnsupportedError("its `parameters` are not a list of objects with a `name`")
    return parameters


def _body(request: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a body of JSON or of a form, empty if there is none. Raises UnsupportedError for another."""
    content = request.get("content") or {}
    if not isinstance(content, dict):
        raise UnsupportedError("the `content` of its body is not an object")
    media = {str(kind).partition(";")[0].strip().lower(): item for kind, item in content.items()}
    read = [kind for kind in media if re.fullmatch(r"application/([^;]+\+)?json", kind)] + [_FORM] * (_FORM in media)
    if read:
        body = media[read[0]]
        return schema_of((body.get("schema") if isinstance(body, dict) else body) or {}, document)
    if content:
        raise UnsupportedError(f"its body is {next(iter(content))}, not JSON")
    return {}


def looked_up(value: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return what a reference names, or the value itself."""
    if depth > DEPTH or value is None:
        raise UnsupportedError("a reference that leads to itself, or to nothing")
    if not isinstance(value, dict):
        raise UnsupportedError("a value that is not an object")
    if not isinstance(value.get("$ref"), str):
        return value
    if not value["$ref"].startswith("#"):
        raise UnsupportedError("a reference to another document")
    around = {key: item for key, item in value.items() if key != "$ref"}
    return {**looked_up(referenced(value["$ref"], root), root, depth + 1), **around}


def schema_of(value: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return the schema that a value is or names, its keywords of the right types, its `allOf` as one object."""
    found = looked_up(value, root, depth)
    schema = {key: item for key, item in found.items() if item is not None or key not in _TYPES}
    for key, (wanted, said) in _TYPES.items():
        if key in schema and not isinstance(schema[key], wanted):
            raise UnsupportedError(f"a schema whose `{key}` is not {said}")
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        raise UnsupportedError("a schema whose `required` is not a list of names")
    merged: dict[str, Any] = {key: item for key, item in schema.items() if key != "allOf"}
    for part in (schema_of(item, root, depth + 1) for item in schema.get("allOf", ())):
        merged = _both(merged, part)
    if "properties" in merged:
        merged["properties"] = {
            name: item for name, item in merged["properties"].items() if not _is_read_only(item, root)
        }
    return {key: item for key, item in merged.items() if item not in ({}, [])} if "allOf" in schema else merged


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return one schema for values that two admit, as far as keywords say it; else the first one's keyword stands."""
    both = {**other, **one}
    for key in one.keys() & other.keys():
        first, second = one[key], other[key]
        if key == "properties":
            shared = {
                name: {"allOf": [first[name], second[name]]}
                for name in first
                if second.get(name, first[name]) != first[name]
            }
            both[key] = {**second, **first, **shared}
        elif key == "required":
            both[key] = [*second, *first]
        elif key == "enum":
            both[key] = [item for item in first if item in second]
            if not both[key]:
                raise UnsupportedError("a choice among no values")
        elif key in _STRICTER and {type(first), type(second)} <= {int, float}:  # in OpenAPI 3.0 some are booleans
            both[key] = _STRICTER[key](first, second)
    return both


def _is_read_only(schema: Any, root: Mapping[str, Any]) -> bool:
    """Does only the API itself give a property, such as the id of what a call creates?"""
    try:
        found = looked_up(schema, root)
        parts = [looked_up(part, root) for part in found.get("allOf") or ()]
    except (UnsupportedError, TypeError):  # whoever reads the property says what is wrong with it
        return False
    return any(part.get("readOnly") is True for part in (found, *parts))
