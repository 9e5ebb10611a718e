"""Light documents: read without pydantic where all is well, and always what pydantic reads."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.light import LightDocument, json_form, read_light
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, RegistryConfig, RegistryListing, Release
from skillpm.model.wheel import Wheel, WheelSet

DIGEST = "0123456789abcdef" * 4
WHEEL = "a-1-py3-none-any.whl"
KINDS: dict[type[LightDocument], dict[str, Any]] = {
    Lock: {"lock": 1, "requirements": ["a>=1"], "cutoff": "2026-01-02"},
    LockedSkill: {"name": "a", "version": "1", "source": "bundled", "archive": DIGEST, "tree": DIGEST},
    WheelSet: {"platform": "any", "wheels": [{"file": WHEEL, "sha256": DIGEST}]},
    Wheel: {"file": WHEEL, "sha256": DIGEST, "url": f"https://example.org/{WHEEL}"},
    Release: {"version": "1.0", "archive": DIGEST, "tree": DIGEST, "size": 7, "requires": {"b": ">=1"}},
    Page: {"name": "a", "releases": []},
    RegistryConfig: {"registry": 1, "name": "shop"},
    RegistryListing: {"listing": 1, "skills": [{"name": "a", "version": "1"}]},
}
ADAPTERS: dict[type[LightDocument], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in KINDS}
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from([DIGEST, DIGEST + "\n", "a", "A", "con", "1.0", "x" * 65, "x" * 1025, "1", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just("b"), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_reads_exactly_what_pydantic_reads(kind: type[LightDocument], data: st.DataObject) -> None:
    fields = [field.name for field in dataclasses.fields(kind)]
    changes = data.draw(st.dictionaries(st.sampled_from([*fields, "unknown"]), values, max_size=2))
    left_out = data.draw(st.sets(st.sampled_from(sorted(fields)), max_size=1))
    root = {key: value for key, value in {**KINDS[kind], **changes}.items() if key not in left_out}
    try:
        expected = ADAPTERS[kind].validate_python(root)
    except ValidationError:
        with pytest.raises(DocumentError):
            read_light(kind, root)
    else:
        found = read_light(kind, root)
        assert found == expected
        assert read_light(kind, json_form(found)) == found


def test_a_name_that_utf_8_cannot_hold_is_an_error_and_no_traceback() -> None:
    with pytest.raises(DocumentError, match=r"\\ud800"):
        read_light(Page, {"name": "\ud800"})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_plainly_right_needs_no_pydantic(kind: type[LightDocument], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillpm.formats.light._by_pydantic", None)
    assert isinstance(read_light(kind, KINDS[kind]), kind)


def test_keys_of_a_newer_registry_config_are_ignored_without_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillpm.formats.light._by_pydantic", None)
    root = {"registry": 1, "name": "shop", "later": {"more": [1]}}
    assert read_light(RegistryConfig, root) == RegistryConfig(registry=1, name="shop")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tree": None}, "`tree`: must be text"),
        ({"tree": "0"}, "`tree`: must match `^[0-9a-f]{64}$`"),
        ({"requires": {"No": ""}}, "`requires.No`: `No` is not a skill name"),
        ({"size": -1}, "`size`: must be at least 0"),
    ],
)
def test_what_is_wrong_is_said_as_of_every_document(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as error:
        read_light(Release, {**KINDS[Release], **change})
    assert said in error.value.message
