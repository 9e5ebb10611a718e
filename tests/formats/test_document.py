"""A document that was made without checks is the one that pydantic builds from the same values."""

from __future__ import annotations

import copy
import pickle

import pytest
from pydantic import ValidationError

from skillpm.formats.document import model_errors
from skillpm.formats.strict_yaml import read_yaml
from skillpm.model.contract import ContractDocument
from skillpm.model.verdict import Verdict

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


def test_a_list_whose_only_item_is_wrong_is_one_error() -> None:
    text = "contract: 1\ntools:\n  - {name: '1', input_schema: {type: object}}\n"
    for document in (text, "contract: 1\ntools: []\n"):
        root = read_yaml(document)
        with pytest.raises(ValidationError) as caught:
            ContractDocument.model_validate(root)
        assert len(model_errors(caught.value, root)) == 1
