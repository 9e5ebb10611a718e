"""skill.yaml: what is shown of a package stands on one line."""

from __future__ import annotations

import json

import pytest

from skillpm.errors import DocumentError
from skillpm.formats.document import read_model
from skillpm.model.manifest import Manifest


@pytest.mark.parametrize(
    "place", ["homepage: %s", "repository: %s", "authors: [a, %s]", "keywords: [%s]", "binaries: [%s]"]
)
@pytest.mark.parametrize("text", ["a\nb", "a\x1b[0m", "a\u2028b"])
def test_a_text_for_people_is_one_line(place: str, text: str) -> None:
    with pytest.raises(DocumentError, match="has a line break or another control character") as error:
        read_model(Manifest, f"manifest: 1\nversion: 1.0\n{place % json.dumps(text)}\n", path="skill.yaml")
    assert error.value.line == 3


def test_names_of_people_are_taken_as_they_are_written() -> None:
    text = 'manifest: 1\nversion: "1"\nauthors: ["山田\u3000太郎", "José\u00a0María"]\n'
    assert len(read_model(Manifest, text).authors) == 2
