"""A person's skillpm.yaml is changed in one place, and every other character stays."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.errors import DocumentError
from skillpm.formats.strict_yaml import read_yaml
from skillpm.formats.yaml_edit import new_project_text, with_entry, with_items, without_entry

COMMENTED = """\
# what we need
project: 1

requires:   # and why
    zeta: ">=1"   # the eldest
    # about alpha
    alpha: {path: ../a}

# how
link: copy
"""

TEXTS = {
    "commented": COMMENTED,
    "windows": COMMENTED.replace("\n", "\r\n"),
    "no end of line": "project: 1\nrequires:\n  zeta: '1'",
    "flow": "project: 1\nrequires: {zeta: '1', alpha: {path: ../a}}  # all\nlink: copy\n",
    "empty flow": "project: 1\nrequires: {}\n",
    "no value": "project: 1\nrequires:\nlink: copy\n",
    "nothing": "project: 1\n",
    "nested": "project: 1\nrequires:\n  zeta:\n    version: '1' # x\n    # y\n  alpha:\n    path: ../a\n",
    "JSON": '{"project": 1, "requires": {"zeta": "1"}}',
    "non-ASCII": "project: 1\nrequires:\n  zeta: '1'  # größer 🎈\n  alpha: '2'\n",
}  # fmt: skip


VALUES: list[Any] = [">=2", {"path": "../with space"}, {"version": "*", "registry": "team"}]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_entry_is_added_or_changed_and_nothing_else(text: str) -> None:
    for value, key in itertools.product(VALUES, ["new", "zeta", "acme/scoped"]):
        check_entry(text, value, key)


def check_entry(text: str, value: Any, key: str) -> None:
    changed = with_entry(text, "requires", key, value)
    before, after = read_yaml(text), read_yaml(changed)
    assert after == {**before, "requires": {**(before.get("requires") or {}), key: value}}
    for line in text.splitlines():
        if "zeta" not in line and "requires" not in line and "version" not in line:
            assert line in changed
    if key not in (before.get("requires") or {}) and "{" not in text and before.get("requires"):
        assert without_entry(changed, "requires", key).rstrip() == text.rstrip(), "and taken out again"
    if "\r" in text:
        assert changed.count("\n") == changed.count("\r\n")


def test_comments_and_order_stay() -> None:
    changed = with_entry(COMMENTED, "requires", "mu", ">=2")
    assert changed == COMMENTED.replace("../a}\n", '../a}\n    mu: ">=2"\n')
    assert without_entry(changed, "requires", "zeta") == changed.replace('    zeta: ">=1"   # the eldest\n', "")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_all_entries_can_be_taken_out(text: str) -> None:
    for name in list(read_yaml(text).get("requires") or ()):
        text = without_entry(text, "requires", name)
    assert not read_yaml(text).get("requires")
    assert without_entry(text, "requires", "never-there") == text


def test_a_text_that_cannot_be_changed_safely_is_left_and_the_person_told_what_to_write() -> None:
    with pytest.raises(DocumentError, match="cannot be changed safely") as caught:
        with_entry('{"project": 1}', "requires", "base", ">=1")
    assert 'write `base: ">=1"` under `requires`' in str(caught.value.hint)


names = st.from_regex(r"[a-z]{1,8}(-[a-z0-9]{1,4})?", fullmatch=True)
specifiers = st.sampled_from(["*", ">=1", ">=1,<2", "~=1.2", "==1.0", "!=3"])
plain = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp"), blacklist_characters="\ufeff\ufffe\uffff"))
places = plain.filter(lambda text: text.strip() == text and text)
values = specifiers | st.fixed_dictionaries({"path": places}) | st.fixed_dictionaries({"version": specifiers})


@given(st.dictionaries(names, values, max_size=5), st.lists(st.tuples(names, values), max_size=5), st.data())
def test_any_series_of_changes_means_what_it_says(
    requires: dict[str, Any], added: list[tuple[str, Any]], data: st.DataObject
) -> None:
    text = new_project_text(requires, {"team": "../shop"})
    for name, value in added:
        text = with_entry(text, "requires", name, value)
        requires = {**requires, name: value}
    for name in data.draw(st.lists(st.sampled_from(sorted(requires)), unique=True)) if requires else ():
        text = without_entry(text, "requires", name)
        requires = {key: value for key, value in requires.items() if key != name}
    assert read_yaml(text) == {"project": "1", "requires": requires, "registries": {"team": "../shop"}}


LISTS = {
    "none": "project: 1\n",
    "no end of line": "project: 1",
    "flow": "agents: [a]  # mine\nproject: 1\n",
    "empty flow": "agents: []\nproject: 1\n",
    "no value": "agents:\nproject: 1\n",
    "block": "project: 1\nagents:\n  - a  # mine\n  # and more\n\nlink: copy\n",
    "block at the end": "project: 1\nagents:\n- a",
    "windows": "project: 1\r\nagents:\r\n  - a\r\nlink: copy\r\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_items_are_added_to_a_list_and_nothing_else_changes(text: str) -> None:
    changed = with_items(text, "agents", ["claude-code", "b"])
    before = read_yaml(text)
    assert read_yaml(changed) == {**before, "agents": [*(before.get("agents") or []), "claude-code", "b"]}
    assert all(comment in changed for comment in ("# mine", "# and more") if comment in text)
    if "\r" in text:
        assert changed.count("\n") == changed.count("\r\n")
    assert with_items(text, "agents", []) == text


def test_a_list_that_cannot_be_changed_safely_is_left() -> None:
    with pytest.raises(DocumentError, match="cannot be changed safely"):
        with_items('{"project": 1}', "agents", ["a"])
