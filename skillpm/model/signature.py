"""A DSSE envelope (secure-systems-lab/dsse 1.0.2): a text, its type and its signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from skillpm.formats.light import LightDocument, Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeSignature(LightDocument):
    """One signature of an envelope: ``keyid`` is the public key's text, ``sig`` is base64."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "ignore"}

    keyid: Annotated[str, Limit(longest=256)]
    sig: Annotated[str, Limit(longest=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(LightDocument):
    """A DSSE envelope; ``payload`` is base64. Its signature covers the type and the payload."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "ignore"}

    payloadType: Annotated[str, Limit(longest=256)]  # noqa: N815  the name in DSSE
    payload: Annotated[str, Limit(longest=16_384)]
    signatures: Annotated[tuple[EnvelopeSignature, ...], Limit(longest=8)]
