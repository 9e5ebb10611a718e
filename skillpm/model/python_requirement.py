"""What ``python:`` in skill.yaml may ask for: a package of an index, or the https address of a wheel with its hash."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from skillpm.model.wheel import WHEEL_ADDRESS

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def python_requirement(text: str) -> Requirement:
    """Read an item of ``python:``.

    Raises:
        ValueError: it is not a PEP 508 requirement, or names an address that is not a wheel with its hash.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # most skills ask for no package

    try:
        requirement = Requirement(text)
        if requirement.marker is not None:
            requirement.marker.evaluate()  # a comparison that means nothing shows only here
    except (InvalidRequirement, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"`{text[:300]}` is not a PEP 508 requirement: {reason}") from None
    if requirement.url is not None and not is_hashed_wheel(requirement):
        raise ValueError(
            f"`{text[:300]}` is not the address of a wheel with its hash; write "
            f"`{requirement.name} @ https://HOST/PATH/NAME-VERSION-TAGS.whl#sha256=HASH`"
        )
    return requirement


def is_hashed_wheel(requirement: Requirement) -> bool:
    """Is its address the https address of a wheel of that name, with the wheel's SHA-256?"""
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    url = requirement.url or ""
    try:
        name, *_ = parse_wheel_filename(wheel_file(url))
    except InvalidWheelFilename:
        return False
    hashed = re.fullmatch(rf"{WHEEL_ADDRESS}#sha256=[0-9a-f]{{64}}", url)
    return hashed is not None and name == canonicalize_name(requirement.name)


def wheel_file(url: str) -> str:
    """Return the last part of an address's path."""
    return posixpath.basename(unquote(url.partition("#")[0].partition("?")[0]))


def applies(requirement: Requirement) -> bool:
    """Does a requirement ask for something on this machine?"""
    return requirement.marker is None or requirement.marker.evaluate()
