"""Two skills never share a folder, and the hint names what a person can leave out."""

from __future__ import annotations

import pytest

from skillpm.errors import UsageError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import Source
from skillpm.ops.project.folder_names import refuse_clashes

A = "a" * 64


def entry(name: str, **requires: str) -> LockedSkill:
    return LockedSkill(
        name=name, version="1.0", source=Source.parse("registry:../shop"), archive=A, tree=A, requires=requires
    )


TOOLS = (entry("acme/tool"), entry("zeta/tool"))


def test_two_dependencies_that_need_one_folder_are_told_with_those_who_require_them() -> None:
    users = (entry("one", **{"acme/tool": ""}), entry("two", **{"zeta/tool": ""}))
    with pytest.raises(UsageError, match="both need the folder `tool`") as caught:
        refuse_clashes(Lock(requirements=("one", "two"), skills=(*TOOLS, *users)))
    hint = str(caught.value.hint)
    assert hint.startswith("`acme/tool` is required by one; `zeta/tool` is required by two: leave out one")


def test_of_two_that_a_person_asked_for_one_is_installed() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_clashes(Lock(requirements=("acme/tool", "zeta/tool"), skills=TOOLS))
    assert "install only one of them" in str(caught.value.hint)
