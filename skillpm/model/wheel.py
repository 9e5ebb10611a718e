"""The wheels that ``python:`` of a skill stands for. Every lock is read with this, so it imports no parser at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from packaging.version import Version

from skillpm.formats.light import LightDocument, Limit
from skillpm.model.release import Digest

WHEEL_ADDRESS = r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~%+,=@/-]+\.whl"


def _wheel_file(text: str) -> str:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        parse_wheel_filename(text)
    except InvalidWheelFilename as error:
        raise ValueError(str(error)) from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel(LightDocument):
    """One wheel.

    Attributes:
        file: its name, which says project, version and tags (PEP 427).
        sha256: of its bytes, in hex.
        url: where it is, if it was asked for by its address; None if it is in the indexes of the person.
    """

    file: Annotated[str, Limit(longest=300, pattern=r"[A-Za-z0-9._+!-]+\.whl", check=_wheel_file)]
    sha256: Digest
    url: Annotated[str, Limit(longest=2000, pattern=WHEEL_ADDRESS)] | None = None

    @property
    def name(self) -> str:
        """The normal name of the project."""
        from packaging.utils import parse_wheel_filename

        return str(parse_wheel_filename(self.file)[0])

    @property
    def version(self) -> Version:
        """The version."""
        from packaging.utils import parse_wheel_filename

        return parse_wheel_filename(self.file)[1]

    @property
    def line(self) -> str:
        """The line of a requirements file that asks for exactly these bytes."""
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"

    def __str__(self) -> str:
        return f"{self.file} sha256:{self.sha256}" + (f" from {self.url}" if self.url else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSet(LightDocument):
    """All wheels that a skill's code is given on one kind of machine.

    Attributes:
        platform: the interpreter and the system that they were chosen for.
        wheels: by name.
    """

    platform: Annotated[str, Limit(longest=100)]
    wheels: Annotated[tuple[Wheel, ...], Limit(longest=1000)] = ()
