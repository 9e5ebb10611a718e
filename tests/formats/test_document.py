"""A document that was made without checks is the one that pydantic builds from the same values."""

from __future__ import annotations

import copy
import pickle
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.document import Document, model_errors, read_model
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.contract import ContractDocument
from skillpm.model.manifest import Manifest
from skillpm.model.project import UserDocument
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Seed
from skillpm.model.verdict import Verdict
from skillpm.train.recipe import Recipe

VALUES = {"status": "failed", "score": 0.5, "components": {"parsed": 1.0}, "reasons": ("wrong",)}


def test_a_document_made_is_the_document_validated() -> None:
    made, validated = Verdict.made(**VALUES), Verdict(**VALUES)
    assert made == validated
    assert made.model_dump_json() == validated.model_dump_json()
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_copy(update={"score": 0.25}) == validated.model_copy(update={"score": 0.25})
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == validated


def test_a_document_made_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Verdict.made(**VALUES).score = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("model", "key"), [(UserDocument, "project"), (Manifest, "manifest"), (ContractDocument, "contract"),
                       (SynthesisDocument, "synthesis"), (Recipe, "recipe")],
)  # fmt: skip
def test_a_newer_format_is_called_so_with_the_way_on(model: type[Document], key: str) -> None:
    with pytest.raises(DocumentError, match=f"x.yaml:1: `{key}`: format 2 is newer than this skillpm") as caught:
        read_model(model, f"{key}: 2\n", path="x.yaml")
    assert caught.value.hint == "upgrade skillpm-core"


def test_a_list_whose_only_item_is_wrong_is_one_error() -> None:
    text = "contract: 1\ntools:\n  - {name: '1', input_schema: {type: object}}\n"
    for document in (text, "contract: 1\ntools: []\n"):
        root = read_yaml(document)
        with pytest.raises(ValidationError) as caught:
            ContractDocument.model_validate(root)
        assert len(model_errors(caught.value, root)) == 1


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, {"a": [{"b": "x\ud800"}]}])
def test_embedded_json_has_no_lone_surrogates(value: object) -> None:
    with pytest.raises(ValidationError, match="has a lone surrogate"):
        Seed(request="a", expected=value)
    assert Seed(request="a", expected="\U0001f600").expected == "\U0001f600"


class Odd(Document):
    """One field of each kind that a document has."""

    table: dict[str, str] | None = None
    words: tuple[str, ...] = ()
    text: Annotated[str, Field(min_length=1, max_length=3, pattern="^[a-z]+$")] = "a"
    whole: Annotated[int, Field(ge=1, lt=9)] = 1
    number: float = 0
    flag: bool = False
    choice: Literal["copy", "link"] = "copy"


@pytest.mark.parametrize(
    ("value", "place"),
    [("x", "policy.signatures"), ("[off]", "policy.signatures"), ("{team: x}", "policy.signatures.team")],
)
def test_a_wrong_value_of_several_kinds_is_told_by_the_kind_that_was_meant(value: str, place: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_model(UserDocument, f"project: 1\npolicy: {{signatures: {value}}}\n", path="x.yaml")
    assert refused.value.rule.startswith(f"`{place}`: must be `off`, ")


@pytest.mark.parametrize(
    ("model", "line"), [(UserDocument, "project: 1"), (Manifest, "manifest: 1"), (SynthesisDocument, "synthesis: 1")]
)
def test_a_missing_version_of_a_format_is_answered_with_its_line(model: type, line: str) -> None:
    with pytest.raises(DocumentError, match="missing key") as refused:
        read_model(model, "{}", path="x.yaml")
    assert f"`{line}`" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table: []", "`table`: must be a mapping"), ("words: a", "`words`: must be a list"),
        ("text: [a]", "`text`: must be text"), ("text: ''", "`text`: must not be empty"),
        ("text: abcd", "`text`: has more than 3 characters"), ("text: A", "`text`: must match `^[a-z]+$`"),
        ("whole: 1.5", "`whole`: must be a whole number"), ("whole: x", "`whole`: must be a whole number"),
        ("whole: 0", "`whole`: must be at least 1"), ("whole: 9", "`whole`: must be less than 9"),
        ("number: x", "`number`: must be a number"), ("flag: maybe", "`flag`: must be true or false"),
        ("choice: move", "`choice`: must be `copy` or `link`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_without_the_words_of_python(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_model(Odd, text, path="x.yaml")
    assert refused.value.rule == message
