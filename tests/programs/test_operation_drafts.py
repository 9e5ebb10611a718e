"""Tools of models, lists of MCP servers and OpenAPI documents become drafts; what a contract cannot take is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from skillpm.cli.main import main
from skillpm.errors import DocumentError, UsageError
from skillpm.formats.document import read_model
from skillpm.formats.strict_yaml import MAX_DOCUMENT
from skillpm.layout.rule import Level
from skillpm.model.contract import ContractDocument
from skillpm.ops.authoring.validate import validate
from skillpm.programs.draft import Draft
from skillpm.programs.operation_drafts import drafts_of
from skillpm.programs.operations import operations_of_openapi, operations_of_tools
from tests.conftest import ROOT

API = ROOT / "tests" / "cases" / "api"
TOOLS: Any = json.loads((API / "tools.json").read_text())
PETS: Any = yaml.safe_load((API / "pets.yaml").read_text())
FILES = {"--from-tools": API / "tools.json", "--from-openapi": API / "pets.yaml"}


@pytest.mark.parametrize("option", FILES)
def test_an_api_becomes_a_valid_skill_with_right_rows(option: str, tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["new", "api", option, str(FILES[option]), "--directory", str(tmp_path)])
    assert made.exit_code == 0, made.output
    [report] = validate([tmp_path / "api"], level=Level.PUBLISH)
    assert [(finding.code, finding.message) for finding in report.findings] == []
    shown = CliRunner().invoke(main, ["synth", str(tmp_path / "api"), "--show", "150", "--yes", "--json"])
    rows = json.loads(shown.stdout)
    assert len(rows) == 150
    contract = read_model(ContractDocument, (tmp_path / "api" / "contract.yaml").read_text())
    assert {row["answer"].split()[0] for row in rows} == {tool.name for tool in contract.tools}


def test_one_list_of_tools_may_be_written_in_four_forms() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    forms = [
        [{"type": "function", "function": {"name": "look", "description": "x", "parameters": schema}}],
        {"tools": [{"name": "look", "description": "x", "parameters": schema}]},
        [{"name": "look", "description": "x", "input_schema": schema}],
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "look", "description": "x", "inputSchema": schema}]}},
    ]
    for form in forms:
        [tool] = operations_of_tools(form, print)
        assert (tool.name, tool.description, tool.schema) == ("look", "x", schema)


def drafted(tools: Any) -> tuple[list[Draft], list[str]]:
    """Return the drafts of published tools, and what is said of them."""
    notes: list[str] = []
    return drafts_of(list(operations_of_tools(tools, notes.append)), notes.append), notes


def test_what_a_contract_cannot_take_is_named_and_left_out() -> None:
    drafts, notes = drafted(TOOLS)
    assert [draft.name for draft in drafts if not draft.rule] == ["get_weather", "createTicket"]
    assert [draft.rule for draft in drafts if draft.rule] == ["window"]
    assert notes == [
        "`createTicket`: `metadata` is left out: it is an object without properties",
        "`createTicket`: `target` has several forms, and only the first is taken",
        "`run_query` is left out: `filter` is needed, and it is an object without properties",
    ]


def test_what_a_strict_tool_may_give_as_null_is_optional_and_forms_are_one_where_they_can_be() -> None:
    by = {"anyOf": [{"const": "mail"}, {"const": "popup"}, {"type": "null"}]}
    inner = {"minutes": {"type": "integer"}, "by": by}
    reminder = {"type": "object", "required": ["minutes", "by"], "properties": inner}
    properties = {
        "title": {"type": "string"},
        "people": {"type": ["array", "null"], "items": {"type": "string"}},
        "reminder": {"anyOf": [{"$ref": "#/$defs/Reminder"}, {"type": "null"}]},
        "level": {"type": "string", "enum": ["low", "high", ""]},
        "state": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "size": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        "pay": {"oneOf": [{"type": "object", "properties": {"kind": {"const": kind}}} for kind in ("card", "bank")]},
    }
    schema = {"type": "object", "properties": properties, "required": ["title", "people", "reminder", "state"]}
    tool = {"name": "plan", "strict": True, "parameters": {**schema, "$defs": {"Reminder": reminder}}}
    [made, *_], notes = drafted([{"type": "function", "function": tool}])
    assert made.schema["required"] == ["title", "state"]
    assert made.schema["properties"]["reminder"]["required"] == ["minutes"]
    assert made.schema["properties"]["reminder"]["properties"]["by"] == {"enum": ["mail", "popup"]}
    assert made.schema["properties"]["state"] == {"type": "string"}
    assert next(slot.source for slot in made.slots if slot.name == "level") == ("low", "high")
    assert notes == [
        "`plan`: `state` has several forms, and only the first is taken",
        "`plan`: `size` is left out: it is one of several forms that are alike",
        "`plan`: `pay` has several forms, and only the first is taken",
    ]


def test_a_document_of_openapi_2_has_the_same_arguments() -> None:
    document = {
        "swagger": "2.0",
        "definitions": {"Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "parameters": {"limit": {"in": "query", "name": "limit", "type": "integer", "maximum": 50}},
        "paths": {
            "/pets": {
                "get": {"operationId": "list", "parameters": [
                    {"$ref": "#/parameters/limit"},
                    {"in": "query", "name": "kinds", "type": "array", "collectionFormat": "csv", "required": True,
                     "items": {"type": "string", "enum": ["cat", "owl"]}}]},
                "post": {"operationId": "add", "parameters": [
                    {"in": "body", "name": "pet", "required": True, "schema": {"$ref": "#/definitions/Pet"}}]},
            },
            "/pets/{id}": {"post": {"operationId": "feed", "parameters": [
                {"in": "path", "name": "id", "type": "integer", "required": True},
                {"in": "formData", "name": "food", "type": "string", "required": True}]}},
            "/pets/{id}/photo": {"post": {"operationId": "show", "parameters": [
                {"in": "path", "name": "id", "type": "integer", "required": True},
                {"in": "formData", "name": "photo", "type": "file"}]}},
        },
    }  # fmt: skip
    notes: list[str] = []
    made = {draft.name: draft.schema for draft in drafts_of(list(operations_of_openapi(document, notes.append)), print)}
    assert {name: (sorted(schema["properties"]), schema.get("required")) for name, schema in made.items()} == {
        "list": (["kinds", "limit"], ["kinds"]),
        "add": (["name"], ["name"]),
        "feed": (["food", "id"], ["id", "food"]),
    }
    assert made["list"]["properties"]["limit"]["maximum"] == 50
    assert notes == ["`show` is left out: its body is multipart/form-data, not JSON"]


def test_a_published_schema_may_contradict_itself() -> None:
    properties = {
        "count": {"type": "integer", "default": "10"},
        "mode": {"type": "string", "enum": ["a", 1, None], "default": "z"},
        "level": {"type": "string", "enum": []},
        "inner": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
    }
    tool = {"name": "look", "description": "x", "inputSchema": {"type": "object", "properties": properties}}
    [draft, *_], notes = drafted([tool])
    assert draft.schema["properties"] == {
        "count": {"type": "integer"},
        "mode": {"type": "string", "enum": ["a"]},
        "inner": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    assert notes == ["`look`: `level` is left out: it is a choice among no values"]


def test_an_operation_has_its_parameters_and_its_body_as_arguments() -> None:
    notes: list[str] = []
    drafts = {d.name: d for d in drafts_of(list(operations_of_openapi(PETS, notes.append)), notes.append) if not d.rule}
    assert list(drafts) == ["listPets", "createPet", "get_pets_petId", "deletePet"]
    assert drafts["listPets"].schema["properties"] == {
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": ""},
        "kind": {"type": "string", "enum": ["dog", "cat", "owl"], "description": ""},
    }
    assert sorted(drafts["createPet"].schema["required"]) == ["kind", "name"]
    weight = drafts["createPet"].schema["properties"]["weight"]
    assert weight == {"type": "number", "exclusiveMinimum": 0, "maximum": 90}
    assert drafts["deletePet"].ask == "remove a pet"
    assert notes == [
        "`listPets`: `X-Trace` is left out: it is a header parameter, and arguments come from path, query and body",
        "`plantTree` is left out: `child` is needed, and it is nested too deeply, or holds itself",
    ]


@pytest.mark.parametrize(
    "document",
    [[], {}, None, "text", [1], [{"description": "no name"}], [{"name": "x", "parameters": []}], {"tools": {"a": 1}}],
    ids=repr,
)
def test_what_is_not_a_list_of_tools_is_refused(document: Any) -> None:
    with pytest.raises(DocumentError):
        drafts_of(list(operations_of_tools(document, lambda _: None)), lambda _: None)


@pytest.mark.parametrize(
    "document",
    [[], {}, {"swagger": "1.2", "paths": {"/a": {"get": {}}}}, {"openapi": "3.1.0"}, {"openapi": "3.0.0", "paths": {}}],
    ids=repr,
)
def test_what_is_not_an_openapi_document_is_refused(document: Any) -> None:
    with pytest.raises(DocumentError):
        drafts_of(list(operations_of_openapi(document, lambda _: None)), lambda _: None)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"parameters": 3}, "its `parameters` are not a list of objects with a `name`"),
        ({"parameters": [{"in": "query"}]}, "its `parameters` are not a list of objects with a `name`"),
        ({"parameters": ["a"]}, "a value that is not an object"),
        ({"parameters": [{"$ref": "#/components/none"}]}, "a reference that leads to itself, or to nothing"),
        ({"parameters": [{"$ref": "shared.yaml#/paths"}]}, "a reference to another document"),
        ({"requestBody": 3}, "a value that is not an object"),
        ({"requestBody": {"content": ["a"]}}, "the `content` of its body is not an object"),
        ({"requestBody": {"content": {"text/plain": {}}}}, "its body is text/plain, not JSON"),
        ({"requestBody": {"content": {"application/json": {"schema": {"properties": ["a"]}}}}},
         "a schema whose `properties` is not an object"),
        ({"requestBody": {"content": {"application/json": {"schema": {"allOf": [{"required": True}]}}}}},
         "a schema whose `required` is not a list"),
    ],
)  # fmt: skip
def test_an_operation_of_the_wrong_form_is_left_out_alone(operation: Any, reason: str) -> None:
    notes: list[str] = []
    paths = {"/bad": {"get": {"operationId": "bad", **operation}}, "/good": {"get": {"operationId": "good"}}}
    [draft] = drafts_of(list(operations_of_openapi({"openapi": "3.1.0", "paths": paths}, notes.append)), notes.append)
    assert (draft.name, notes) == ("good", [f"`bad` is left out: {reason}"])


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"enum": 3}, "a schema whose `enum` is not a list"),
        ({"anyOf": {}}, "a schema whose `anyOf` is not a list"),
        ({"properties": {}, "required": [["a"]]}, "a schema whose `required` is not a list of names"),
        ({"examples": {"a": {"value": "x"}}}, "a schema whose `examples` is not a list"),
        ({"type": "array", "items": [{"type": "string"}]}, "a schema whose `items` is not an object"),
        ({"type": "array", "prefixItems": [{"type": "number"}]}, "a list whose items have several schemas"),
        ({"allOf": [{"minimum": "a"}, {"minimum": 3}]}, "a schema that the contract cannot check"),
        ({"allOf": [{"type": "integer", "minimum": None}, {"minimum": 3}]}, "a schema that the contract cannot check"),
        ({"allOf": [{"enum": ["a"]}, {"enum": ["b"]}]}, "a choice among no values"),
        ({"type": "array", "minItems": 2}, "a list that may not have every number of items from 1 to 4"),
        ({"type": "array", "maxItems": 1}, "a list that may not have every number of items from 1 to 4"),
        ({"type": "array", "minItems": "3"}, "a schema that the contract cannot check"),
        ({"$ref": "#/properties/b/type"}, "a value that is not an object"),
        ({"$ref": "#/required"}, "a reference that leads to itself, or to nothing"),
        ({"type": "number", "minimum": 1e308}, "a number without a value"),
        ({"type": "number", "maximum": 1, "multipleOf": 1e-310}, "a number without a value"),
        ({"type": "integer", "exclusiveMinimum": 10**400}, "a number without a value"),
    ],
    ids=lambda item: None if isinstance(item, str) else "-".join(item),  # no number that is too long for a name
)
def test_a_keyword_that_no_contract_can_take_costs_its_argument_alone(schema: Any, reason: str) -> None:
    tool = {"name": "look", "parameters": {"properties": {"a": schema, "b": {"type": "boolean"}}, "required": None}}
    [draft], notes = drafted([tool])
    assert (list(draft.schema["properties"]), notes) == (["b"], [f"`look`: `a` is left out: it is {reason}"])


def parameter(name: str, place: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": {"type": "string"}, **more}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"parameters": [parameter("X-Trace", "header")]}, "`ask`: `X-Trace` is left out: it is a header parameter"),
        ({"parameters": [parameter("sid", "cookie", required=True)]}, "`ask`: `sid` is left out: it is a cookie"),
        ({"parameters": [{"name": "q", "in": ["query"]}]}, "`ask`: `q` is left out: it is a ['query'] parameter"),
        ({"parameters": [parameter("q", "path"), parameter("q", "query")]}, "`q` is left out: path and query both"),
        ({"parameters": [{"name": "f", "in": "query", "content": {"application/json": {}}}]}, "`f` is left out: it is"),
        ({"requestBody": {"content": {"application/json": {"schema": {
            "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}]}}}}}, "`oneOf` is left out"),
    ],
)  # fmt: skip
def test_each_part_of_an_operation_that_is_left_out_is_told(more: dict[str, Any], said: str) -> None:
    notes: list[str] = []
    document = {"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "ask", **more}}}}
    [operation] = operations_of_openapi(document, notes.append)
    assert operation.name == "ask" and [said in note for note in notes] == [True]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ({"/b": 3}, "`/b` is left out: a value that is not an object"),
        ({"/b": {"$ref": "#/nowhere"}}, "`/b` is left out: a reference that leads to itself, or to nothing"),
        ({"/b": {"get": 3}}, "`GET /b` is left out: a value that is not an object"),
        ({"/b": {"get": {"$ref": "b.yml"}}}, "`GET /b` is left out: a reference to another document"),
        ({"/b/{id}": {"get": {}}}, "`get_b_id` is left out: no parameter is the `id` of its path"),
        ({"/b": {"head": {}}}, "`HEAD /b` is left out"),
        ({"x-note": 3}, None),
    ],
)
def test_each_operation_that_is_left_out_is_told(paths: dict[str, Any], said: str | None) -> None:
    notes: list[str] = []
    document = {"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/components/pathItems/a"}, **paths}}
    document["components"] = {"pathItems": {"a": {"get": {"operationId": "ask"}}}}
    assert [operation.name for operation in operations_of_openapi(document, notes.append)] == ["ask"]
    assert len(notes) == (said is not None) and (said or "") in "".join(notes)


def test_the_tools_of_a_namespace_are_read_and_tools_without_a_schema_are_told() -> None:
    notes: list[str] = []
    look = {"type": "function", "name": "look", "parameters": {"properties": {"city": {"type": "string"}}}}
    listed = [
        {"type": "namespace", "name": "crm", "description": "Customers.", "tools": [look]},
        {"type": "web_search"},
        {"type": "bash_20250124", "name": "bash"},
    ]
    assert [operation.name for operation in operations_of_tools(listed, notes.append)] == ["look"]
    assert notes == [
        "the tools of the namespace `crm` are taken under their own names",
        "`web_search` is left out: a tool of the type `web_search` has no schema of its arguments",
        "`bash` is left out: a tool of the type `bash_20250124` has no schema of its arguments",
    ]


def body(**schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"type": "object", **schema}}}}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 25, "multipleOf": 5}, (5, 10, 15, 20, 25)),
        ({"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 5, "maximum": 7}]}, (5, 6, 7)),
        ({"allOf": [{**TEXT, "enum": ["a", "b", "c"]}, {"enum": ["c", "b"]}]}, ("b", "c")),
        ({**TEXT, "enum": ["a", "b"], "example": "z"}, ("a", "b")),
    ],
)
def test_values_are_those_that_all_parts_of_a_schema_admit(schema: Any, values: tuple[Any, ...]) -> None:
    tool = {"name": "look", "parameters": {"properties": {"a": schema}, "required": ["a"]}}
    [draft] = drafts_of(list(operations_of_tools([tool], print)), print)
    assert [slot.source for slot in draft.slots] == [values]


@pytest.mark.parametrize("more", [{}, {"example": "none"}, {"example": "42"}])
def test_texts_of_a_pattern_are_drawn_where_none_is_known(more: dict[str, Any]) -> None:
    tool = {"name": "look", "parameters": {"properties": {"a": {**TEXT, "pattern": "^[0-9]{2,9}$", **more}}}}
    [draft] = drafts_of(list(operations_of_tools([tool], print)), print)
    [source] = [slot.source for slot in draft.slots]
    assert len(source) > 10 and all(re.fullmatch("[0-9]{2,9}", value) for value in source)


def test_a_property_of_two_parts_has_what_both_say() -> None:
    parts = [{"properties": {"x": {**TEXT, "enum": ["a", "b"]}}}, {"properties": {"x": {"enum": ["b"]}, "y": TEXT}}]
    tool = {"name": "look", "parameters": {"allOf": parts}}
    [draft] = drafts_of(list(operations_of_tools([tool], print)), print)
    assert draft.schema["properties"] == {"x": {**TEXT, "enum": ["b"]}, "y": TEXT}


def test_what_only_the_api_itself_gives_is_no_argument() -> None:
    given = {"type": "integer", "readOnly": True}
    inner = {"type": "object", "properties": {"id": given, "city": TEXT}, "required": ["id", "city"]}
    schemas = {"Id": given, "Key": {"$ref": "#/components/schemas/Id"}}
    key = {"$ref": "#/components/schemas/Key"}
    properties = {"id": {"$ref": "#/components/schemas/Id"}, "key": key, "same": {"allOf": [key]}, "name": TEXT,
                  "place": inner}  # fmt: skip
    request = body(properties=properties, required=["id", "name"])
    document = {"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": request}}},
                "components": {"schemas": schemas}}  # fmt: skip
    draft = drafts_of(list(operations_of_openapi(document, print)), print)[0]
    assert (list(draft.schema["properties"]), draft.schema["required"]) == (["name", "place"], ["name"])
    assert list(draft.schema["properties"]["place"]["properties"]) == ["city"]


def test_a_parameter_of_the_path_is_required_and_has_the_examples_beside_its_schema() -> None:
    tag = {"in": "path", "name": "tag", "schema": {**TEXT, "pattern": "^v[0-9]$"}, "example": "v7"}
    document = {"openapi": "3.0.0", "paths": {"/a/{tag}": {"get": {"parameters": [tag]}}}}
    [draft] = drafts_of(list(operations_of_openapi(document, print)), print)
    assert (draft.schema["required"], draft.slots[0].source[0], draft.slots[0].probability) == (["tag"], "v7", 1)


@pytest.mark.parametrize(
    ("key", "said"),
    [("anyOf", [{"required": ["a"]}]), ("dependentRequired", {"a": ["b"]}), ("minProperties", 1), ("if", {})],
)
def test_what_a_schema_says_of_several_arguments_at_once_is_told(key: str, said: Any) -> None:
    schema = {"properties": {"a": TEXT, "b": TEXT}, key: said or {"required": ["a"]}}
    document = {"openapi": "3.1.0", "paths": {"/a": {"post": {"operationId": "look", "requestBody": body(**schema)}}}}
    for read, described in (
        (operations_of_openapi, document),
        (operations_of_tools, [{"name": "look", "parameters": schema}]),
    ):
        notes: list[str] = []
        assert len(list(read(described, notes.append))) == 1
        assert notes == [f"`look`: `{key}` is left out: each of the `properties` is an argument of its own"]


@pytest.mark.parametrize("name", ["$ref", "$dynamicRef", "$defs", "enum", "properties"])
def test_an_argument_may_be_called_like_a_keyword(name: str) -> None:
    inner = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    schema = {"type": "object", "properties": {name: {"type": "string"}, "around": inner}}
    [draft, *_], notes = drafted([{"name": "look", "parameters": schema}])
    assert (list(draft.schema["properties"]), notes) == ([name, "around"], [])


@pytest.mark.parametrize(
    "kind",
    [
        "application/json; charset=utf-8",
        "application/patch+json",
        "Application/JSON",
        "application/x-www-form-urlencoded",
    ],
)
def test_a_body_may_be_any_kind_of_json_or_a_form(kind: str) -> None:
    body = {"content": {kind: {"schema": {"properties": {"name": {"type": "string"}}}}}}
    document = {"openapi": "3.0.0", "paths": {"/a": {"patch": {"requestBody": body}}}}
    assert [list(o.schema["properties"]) for o in operations_of_openapi(document, print)] == [["name"]]


def test_bounds_as_far_as_numbers_go_leave_values() -> None:
    far = {"type": "number", "minimum": -1.7976931348623157e308, "maximum": 1.7976931348623157e308}
    tool = {"name": "look", "parameters": {"properties": {"x": far}}}
    [draft] = drafts_of(list(operations_of_tools([tool], print)), print)
    assert len(draft.slots[0].source) == 16


def test_a_list_that_goes_on_and_a_name_that_changes_are_told() -> None:
    notes: list[str] = []
    answer = {"result": {"tools": [{"name": "files/read", "inputSchema": None}], "nextCursor": "2"}}
    assert [operation.name for operation in operations_of_tools(answer, notes.append)] == ["files_read"]
    assert notes == [
        "the list goes on: ask the server with its `nextCursor`, and add that answer to this file as a line",
        "`files/read` is called `files_read`: a tool's name has up to 64 letters, digits, `_`, `.` and `-`",
    ]


def test_a_name_that_changes_takes_no_name_of_another_tool() -> None:
    names = ["files/write", "files_write", "files write", "写入", "読む"]
    tools = [{"name": name, "inputSchema": None} for name in names]
    made = [operation.name for operation in operations_of_tools(tools, print)]
    assert len(set(made)) == len(names) and made[1] == "files_write"


def _page(*names: str, **more: object) -> str:
    tools = [{"name": name, "description": "Look at it.", "inputSchema": {"type": "object"}} for name in names]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools, **more}})


RECORDED = {
    "pages": (f"{_page('look', nextCursor='2')}\n{_page('see')}\n", {"look", "see"}, ""),
    "the first page": (f"ready\n{_page('look', nextCursor='2')}\n", {"look"}, "the list goes on"),
    "words and notifications": (
        'Server runs: {ok}\n{"jsonrpc": "2.0", "method": "notifications/message", "params": {}}\n'
        f'{{"jsonrpc": "2.0", "id": 0, "result": {{"capabilities": {{}}}}}}\n{_page("look")}\n',
        {"look"},
        "",
    ),
    "an event stream": (f"event: message\ndata: {_page('look')}\n\n", {"look"}, ""),
    "a line separator in a text": ("Server runs\n" + _page("look").replace("at it", "at\u2028it") + "\n", {"look"}, ""),
    "an error": ('{"jsonrpc": "2.0", "id": 1, "error": {"message": "no such method"}}', set(), "no such method"),
    "an error behind words": (
        'hm\n{"jsonrpc": "2.0", "error": {"message": "no such method"}}',
        set(),
        "no such method",
    ),
    "no answer": ("Server runs\n", set(), "not a list of tools"),
}


@pytest.mark.parametrize("case", RECORDED)
def test_what_an_mcp_server_printed_is_read_with_all_that_stands_around_its_answers(tmp_path: Path, case: str) -> None:
    text, names, told = RECORDED[case]
    file = tmp_path / "printed.txt"
    file.write_text(text)
    result = CliRunner().invoke(main, ["new", "api", "--from-mcp", str(file), "--directory", str(tmp_path)])
    made = tmp_path / "api" / "contract.yaml"
    found = {tool["name"] for tool in yaml.safe_load(made.read_text())["tools"]} if made.exists() else set()
    assert found == names
    assert told in f"{result.output} {result.exception}"


def test_a_schema_that_grows_without_end_is_left_out() -> None:
    node = {"type": "object", "properties": {f"p{i}": {"$ref": "#/$defs/node"} for i in range(40)}}
    schema = {
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/node"}, "city": {"type": "string"}},
        "$defs": {"node": node},
    }
    [draft], notes = drafted([{"name": "look", "parameters": schema}])
    assert list(draft.schema["properties"]) == ["city"]
    assert "holds itself" in notes[0]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for file in (broken, tmp_path / "nowhere.json"):
        result = CliRunner().invoke(main, ["new", "api", "--from-mcp", str(file), "--directory", str(tmp_path)])
        assert result.exit_code != 0
        assert file.name in f"{result.exception} {getattr(result.exception, 'path', '')}"
    assert not (tmp_path / "api").exists()


def test_a_large_document_with_long_names_becomes_a_valid_skill(tmp_path: Path) -> None:
    long = "update_the_settings_of_the_members_of_an_organisation_by_the_id_of_their_"
    paths = {f"/{name}": {"get": {"operationId": f"{long}{name}", "summary": f"Get the {name}"}} for name in ("a", "b")}
    whole = {"openapi": "3.1.0", "paths": paths, "x-filler": "x" * (1 << 20)}
    (tmp_path / "api.json").write_text(json.dumps(whole))
    words = ["new", "api", "--from-openapi", str(tmp_path / "api.json"), "--directory", str(tmp_path)]
    made = CliRunner().invoke(main, words)
    assert made.exit_code == 0, made.output
    [report] = validate([tmp_path / "api"], level=Level.PUBLISH)
    assert [(finding.code, finding.message) for finding in report.findings] == []
    (tmp_path / "api.json").write_text(f"# not JSON\n{json.dumps(whole)}")
    refused = CliRunner().invoke(main, [*words[:1], "other", *words[2:]])
    assert isinstance(refused.exception, DocumentError) and "too large for YAML" in refused.exception.rule


def test_requests_give_few_of_many_optional_arguments_and_say_each_object(tmp_path: Path) -> None:
    """An object whose values are all optional is never given without one: the request would not say it."""
    words = ("amber", "birch", "cedar", "dune", "elm", "fern", "gorse", "holly", "iris", "juniper", "kelp", "larch")
    flat = {word: {"type": "string", "enum": ["x1", "y2", "z3"]} for word in words}
    place = {"type": "object", "properties": {word: {"type": "integer"} for word in ("lat", "lon", "zoom")}}
    schema = {"type": "object", "properties": {**flat, "place": place}}
    listed = [{"name": "look", "description": "Look around", "parameters": schema}]
    (tmp_path / "tools.json").write_text(json.dumps(listed))
    words_typed = ["new", "api", "--from-tools", str(tmp_path / "tools.json"), "--directory", str(tmp_path)]
    assert CliRunner().invoke(main, words_typed).exit_code == 0
    [report] = validate([tmp_path / "api"], level=Level.PUBLISH)
    assert [(finding.code, finding.message) for finding in report.findings] == []
    made = CliRunner().invoke(main, ["synth", str(tmp_path / "api"), "--rows", "300", "--held-out", "0", "--yes"])
    calls = [json.loads(line)["expected"]["args"] for line in made.stdout.splitlines()]
    given = [[name for name in words if call.get(name)] for call in calls if call["place"] is None]
    assert 1 < sum(map(len, given)) / len(given) < 2.2
    assert max(map(len, given)) < 7
    assert {name for names in given for name in names} == set(words)
    inside = [call["place"] for call in calls if call["place"] is not None]
    assert inside and all(any(value is not None for value in item.values()) for item in inside)


def large_api(*sizes: int) -> dict[str, Any]:
    """Return an API with so many KiB of text about each tool."""
    names = [{**TEXT, "description": "The name of it. " * (64 * size)} for size in sizes]
    bodies = [{"post": {"requestBody": body(properties={"name": name})}} for name in names]
    paths = {f"/things{number}": body for number, body in enumerate(bodies)}
    return {"openapi": "3.1.0", "paths": paths}


def test_an_api_too_large_for_one_skill_gives_the_tools_that_fit_or_that_are_chosen(tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps(large_api(*[128] * 12)))
    words = ["--from-openapi", str(tmp_path / "api.json"), "--directory", str(tmp_path)]
    made = CliRunner().invoke(main, ["new", "whole", *words])
    assert made.exit_code == 0 and "of 12 tools are taken" in made.stderr
    assert max(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file()) <= MAX_DOCUMENT
    CliRunner().invoke(main, ["new", "part", *words, "--command", "create_things11"], catch_exceptions=False)
    contract = read_model(ContractDocument, (tmp_path / "part/contract.yaml").read_text(), path="contract.yaml")
    assert [tool.name for tool in contract.tools] == ["create_things11"]
    other = CliRunner().invoke(main, ["new", "other", *words, "--command", "create_thing11"])
    assert isinstance(other.exception, UsageError) and "create_things11" in str(other.exception.hint)
    (tmp_path / "api.json").write_text(json.dumps(large_api()))
    other = CliRunner().invoke(main, ["new", "other", *words, "--command", "x"])
    assert isinstance(other.exception, DocumentError) and "has no operation" in other.exception.message


def test_a_tool_that_is_too_large_alone_is_left_out(tmp_path: Path) -> None:
    words = ["--from-openapi", str(tmp_path / "api.json"), "--directory", str(tmp_path)]
    (tmp_path / "api.json").write_text(json.dumps(large_api(2048, 1, 1)))
    made = CliRunner().invoke(main, ["new", "two", *words])
    assert made.exit_code == 0 and "left out: the tool create_things0: contract.yaml cannot hold" in made.stderr
    contract = read_model(ContractDocument, (tmp_path / "two/contract.yaml").read_text(), path="contract.yaml")
    assert [tool.name for tool in contract.tools] == ["create_things1", "create_things2"]
    none = CliRunner().invoke(main, ["new", "none", *words, "--command", "create_things0"])
    assert isinstance(none.exception, DocumentError) and "api.json: no tool fits" in none.exception.message
    assert not (tmp_path / "none").exists()
