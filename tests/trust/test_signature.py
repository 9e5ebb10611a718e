"""A signature is about one name, one version and one content; whatever differs by a byte is refused, not a crash."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillpm.errors import DocumentError, IntegrityError
from skillpm.formats.light import json_form, read_light
from skillpm.model.key import PrivateKey, PublicKey
from skillpm.model.release import Envelope, Release
from skillpm.trust.signature import PAYLOAD, sign, signer, statement

KEY = PrivateKey(bytes(range(32)))
PLAIN = Release(version="1.0", archive="a" * 64, tree="b" * 64, size=1)
SIGNED = replace(PLAIN, signature=sign("demo", PLAIN, KEY, "Ann <ann@example.org>"))


def test_the_signer_of_a_signed_release_is_its_key() -> None:
    assert signer("demo", SIGNED) == KEY.public
    assert signer("demo", PLAIN) is None
    assert PublicKey.parse(str(KEY.public)) == KEY.public
    assert KEY.seed.hex() not in repr(KEY)


@pytest.mark.parametrize(
    ("name", "release", "says"),
    [
        ("other", SIGNED, "the name in its statement is demo"),
        ("demo", replace(SIGNED, version="1.1"), "the version in its statement is 1.0"),
        ("demo", replace(SIGNED, archive="c" * 64), "the sha256 in its statement is aaaaaaaaaaaaaaaa…"),
        ("demo", replace(SIGNED, tree="c" * 64), "the skillpmTree1 in its statement is bbbbbbbbbbbbbbbb…"),
    ],
)
def test_a_signature_of_something_else_is_refused(name: str, release: Release, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        signer(name, release)


def test_a_key_signs_by_the_published_test_vector() -> None:
    """RFC 8032, 7.1, TEST 1."""
    key = PrivateKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert str(key.public) == "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def test_the_statement_is_one_of_in_toto() -> None:
    assert SIGNED.signature is not None and SIGNED.signature.payloadType == PAYLOAD
    root = json.loads(base64.b64decode(SIGNED.signature.payload))
    assert root == statement("demo", PLAIN, "Ann <ann@example.org>")
    assert root["subject"] == [{"name": "demo@1.0", "digest": {"sha256": "a" * 64, "skillpmTree1": "b" * 64}}]


TEXT = json.dumps(json_form(SIGNED.signature))


@settings(max_examples=150)
@given(st.integers(0, len(TEXT) - 1), st.characters(codec="utf-8"))
def test_an_envelope_with_another_character_is_refused(place: int, character: str) -> None:
    text = TEXT[:place] + character + TEXT[place + 1 :]
    try:
        envelope = read_light(Envelope, json.loads(text))
    except (ValueError, DocumentError):
        return
    if envelope == SIGNED.signature:
        return  # white space, or a key that is not read
    with pytest.raises(IntegrityError):
        signer("demo", replace(SIGNED, signature=envelope))


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.fixed_dictionaries({}, optional={"_type": JSON, "predicateType": JSON, "predicate": JSON, "subject": JSON}))
def test_a_well_signed_text_that_is_not_the_statement_is_refused(root: object) -> None:
    payload = json.dumps(root).encode()
    encoding = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
    document = {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": str(KEY.public), "sig": base64.b64encode(KEY.sign(encoding)).decode()}],
    }
    with pytest.raises(IntegrityError, match="did not sign demo"):
        signer("demo", replace(PLAIN, signature=read_light(Envelope, document)))
