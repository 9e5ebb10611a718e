"""What ``python:`` of skill.yaml may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skillpm.errors import DocumentError
from skillpm.model.lock import Lock
from skillpm.model.python_requirement import python_requirement

HASH = "ab" * 32
FILE = "acme_colours-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    "text",
    [
        "acme",
        "Acme_Colours[fast] >= 1, < 2 ; python_version > '3'",
        f"acme-colours @ https://example.org/a/{FILE}#sha256={HASH}",
        f"acme-colours @ https://example.org:8443/acme_colours-1.0%2Bcpu-py3-none-any.whl#sha256={HASH}",
    ],
)
def test_a_requirement_is_of_an_index_or_the_https_address_of_a_wheel_with_its_hash(text: str) -> None:
    assert python_requirement(text).name


@pytest.mark.parametrize(
    "address",
    [
        f"https://example.org/{FILE}",
        f"https://example.org/{FILE}#sha256=ab",
        f"https://example.org/{FILE}#md5={HASH}",
        f"https://example.org/{FILE}#sha256={HASH}&egg=x",
        f"http://example.org/{FILE}#sha256={HASH}",
        f"file:///tmp/{FILE}#sha256={HASH}",
        f"git+https://example.org/x@v1.whl#sha256={HASH}",
        f"git+https://example.org/{FILE}#sha256={HASH}",
        f"https://example.org/x.tar.gz?x={FILE}#sha256={HASH}",
        f"https://example.org/x.tar.gz?/{FILE}#sha256={HASH}",
        f"https://example.org/{FILE}?token=1#sha256={HASH}",
        f"https://example.org/x.tar.gz#/{FILE}#sha256={HASH}",
        f"https://user:word@example.org/{FILE}#sha256={HASH}",
        f"https://example.org/${{HOME}}/{FILE}#sha256={HASH}",
        f"https://example.org/v1.whl#sha256={HASH}",
        f"https://example.org/other-1.0-py3-none-any.whl#sha256={HASH}",
        f"https://example.org/{FILE}/#sha256={HASH}",
        f"./{FILE}#sha256={HASH}",
    ],
)
def test_any_other_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="acme"):
        python_requirement(f"acme-colours @ {address}")


@pytest.mark.parametrize(
    "wheel",
    [
        {"file": "acme-1.0.tar.gz", "sha256": HASH},
        {"file": "../acme-1.0-py3-none-any.whl", "sha256": HASH},
        {"file": "acme.whl", "sha256": HASH},
        {"file": FILE, "sha256": "AB" * 32},
        {"file": FILE, "sha256": HASH, "url": f"http://example.org/{FILE}"},
        {"file": FILE, "sha256": HASH, "url": f"https://example.org/{FILE} --index-url=x"},
        {"file": FILE, "sha256": HASH, "url": "https://example.org/acme.tar.gz"},
    ],
)
def test_a_lock_names_wheels_and_nothing_else(wheel: dict[str, str]) -> None:
    entry = {"name": "one", "version": "1", "source": "bundled", "archive": HASH, "tree": HASH}
    python: list[dict[str, Any]] = [{"platform": "any", "wheels": [{"file": FILE, "sha256": HASH}]}]
    good = Lock.parse(json.dumps({"lock": 1, "skills": [{**entry, "python": python}]}))
    assert Lock.parse(good.text()) == good
    python[0]["wheels"] = [wheel]
    with pytest.raises(DocumentError, match="python"):
        Lock.parse(json.dumps({"lock": 1, "skills": [{**entry, "python": python}]}))
