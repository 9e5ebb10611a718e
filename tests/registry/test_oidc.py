"""Trusted publishing, with an issuer that really serves its keys: who counts, and every way not to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from skillpm_registry import oidc
from tests.registry.conftest import Person, Server, parcel, problem
from tests.servers import Replying, served
from tests.shop import skill_files

API_ONLY = True
AUDIENCE = "https://skills.example.org"


@dataclass
class Issuer:
    """An OIDC issuer on this machine: its keys by their numbers, and what it answers."""

    url: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def new_key(self, number: str, kind: str = "EdDSA") -> None:
        """Add a key, and publish its public half."""
        make: dict[str, Callable[[], Any]] = {
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
        }
        key = make[kind]()
        self.keys[number] = kind, key
        algorithm = jwt.get_algorithm_by_name(kind)
        public = json.loads(algorithm.to_jwk(key.public_key()))
        self.documents.setdefault("/keys", {"keys": []})["keys"].append({**public, "kid": number})

    def statement(self, number: str = "one", **changes: Any) -> str:
        """Return a signed statement; a change to None leaves a claim out."""
        kind, key = self.keys[number]
        now = time.time()
        claims = {
            "iss": self.url, "aud": AUDIENCE, "sub": "repo:acme/demo:ref:refs/tags/v1", "iat": now, "exp": now + 300,
            "jti": str(time.monotonic_ns()), "repository_id": 42, "ref": "refs/tags/v1", **changes,
        }  # fmt: skip
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, key, kind, headers={"kid": number})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer with one key."""

    made = Issuer()

    class Handler(Replying):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            document = made.documents.get(self.path)
            self.reply(200 if document is not None else 404, json.dumps(document).encode())

    with served(Handler) as made.url:
        made.documents["/.well-known/openid-configuration"] = {"issuer": made.url, "jwks_uri": f"{made.url}/keys"}
        made.new_key("one")
        yield made


@pytest.fixture
def trusting(serve: Callable[..., Server], issuer: Issuer) -> Server:
    """A server where tags of repository 42 may publish ``demo``."""
    server = serve(local_issuers=True, url=AUDIENCE)
    claims = {"repository_id": "42", "ref": "refs/tags/*"}
    made = server.owner.ask("POST", "trusted-publishers", {"scope": "demo", "issuer": issuer.url, "claims": claims})
    assert made.status_code == 201
    return server


def exchange(server: Server, statement: str) -> Any:
    return Person(server.client, "").ask("POST", "trusted-publishers/token", {"statement": statement})


@pytest.mark.parametrize("kind", ["EdDSA", "ES256", "RS256"])
def test_a_job_whose_claims_fit_publishes_and_nothing_else(trusting: Server, issuer: Issuer, kind: str) -> None:
    issuer.new_key("two", kind)
    answer = exchange(trusting, issuer.statement("two", repository="acme/demo"))
    assert answer.status_code == 201
    assert answer.json()["scopes"] == ["demo"]
    assert answer.json()["expires"] < time.time() + 901
    job = Person(trusting.client, answer.json()["token"])

    assert job.publish(skill_files("demo")).status_code == 201
    assert job.publish(skill_files("demo", "2.0")).status_code == 201
    assert problem(job.publish(skill_files("other")))[0] == 403
    assert problem(job.ask("POST", "tokens", {"label": "more"}))[0] == 403
    log = trusting.client.get("/api/v1/events", params={"subject": "demo==2.0"}).json()
    assert log[0]["detail"]["publisher"]["repository_id"] == 42
    page = trusting.client.get("/skills/demo.json").json()
    assert page["releases"][1]["publisher"] == {
        "issuer": issuer.url, "repository": "acme/demo", "ref": "refs/tags/v1",
    }  # fmt: skip


def test_a_publisher_is_what_the_server_checked_and_never_what_a_client_says(trusting: Server) -> None:
    claimed = {"issuer": "https://issuer.example", "repository": "acme/demo"}
    document, archive = parcel(skill_files("demo"), publisher=claimed)
    number = trusting.owner.ask("POST", "uploads", document).json()["id"]
    trusting.owner.send(number, archive)
    assert trusting.owner.ask("POST", f"uploads/{number}/publish").status_code == 201
    assert "publisher" not in trusting.client.get("/skills/demo.json").json()["releases"][0]


def test_a_statement_counts_once(trusting: Server, issuer: Issuer) -> None:
    statement = issuer.statement()
    assert exchange(trusting, statement).status_code == 201
    again = exchange(trusting, statement)
    assert problem(again) == (403, "statement-refused")
    assert "used before" in again.json()["detail"]


def _forged(issuer: Issuer) -> str:
    return jwt.encode(
        jwt.decode(issuer.statement(), options={"verify_signature": False}),
        ed25519.Ed25519PrivateKey.generate(), "EdDSA", headers={"kid": "one"},
    )  # fmt: skip


def _own_key(issuer: Issuer) -> str:
    """Return a statement that brings its key along, and an address of keys."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = json.loads(jwt.get_algorithm_by_name("EdDSA").to_jwk(key.public_key()))
    claims = jwt.decode(issuer.statement(), options={"verify_signature": False})
    return jwt.encode(claims, key, "EdDSA", headers={"kid": "one", "jwk": public, "jku": f"{issuer.url}/evil"})


REFUSED: dict[str, Callable[[Issuer], str]] = {
    "another audience": lambda issuer: issuer.statement(aud="https://other.example"),
    "an unknown issuer": lambda issuer: issuer.statement(iss="https://evil.example"),
    "the issuer with a slash": lambda issuer: issuer.statement(iss=f"{issuer.url}/"),
    "another repository": lambda issuer: issuer.statement(repository_id=43),
    "the number as a part of another": lambda issuer: issuer.statement(repository_id=421),
    "a branch": lambda issuer: issuer.statement(ref="refs/heads/tags/v1"),
    "a repository of 401 characters": lambda issuer: issuer.statement(repository="r" * 401),
    "a subject of 401 characters": lambda issuer: issuer.statement(sub="s" * 401),
    "a list of values": lambda issuer: issuer.statement(repository_id=["42"]),
    "no claim": lambda issuer: issuer.statement(ref=None),
    "an old one": lambda issuer: issuer.statement(exp=time.time() - 60),
    "one of tomorrow": lambda issuer: issuer.statement(nbf=time.time() + 600),
    "one that lives for ever": lambda issuer: issuer.statement(exp=time.time() + 10**6),
    "no end": lambda issuer: issuer.statement(exp=None),
    "no number": lambda issuer: issuer.statement(jti=None),
    "a number that is a list": lambda issuer: issuer.statement(jti=[1]),
    "a forged signature": _forged,
    "its own key": _own_key,
    "no signature": lambda issuer: jwt.encode({"iss": issuer.url, "aud": AUDIENCE}, "", "none", headers={"kid": "one"}),
    "the public key as a secret": lambda issuer: jwt.encode(
        {"iss": issuer.url, "aud": AUDIENCE}, "k" * 64, "HS256", headers={"kid": "one"}
    ),
    "an unknown key": lambda issuer: issuer.statement().replace(".", ".x", 1),
    "no statement": lambda issuer: "not.a.token",
}


@pytest.mark.attack(80)
def test_whatever_is_wrong_with_a_statement_gives_no_token(trusting: Server, issuer: Issuer) -> None:
    for name, make in REFUSED.items():
        answer = exchange(trusting, make(issuer))
        assert problem(answer) == (403, "statement-refused"), name
    assert "/evil" not in issuer.asked
    assert exchange(trusting, issuer.statement()).status_code == 201


def test_keys_rotate_and_an_unknown_key_does_not_make_the_server_hammer(
    trusting: Server, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exchange(trusting, issuer.statement()).status_code == 201
    issuer.new_key("two")
    assert problem(exchange(trusting, issuer.statement("two")))[0] == 403  # it looked a moment ago
    assert issuer.asked.count("/keys") == 1
    monkeypatch.setattr(oidc, "_PAUSE", 0.0)
    assert exchange(trusting, issuer.statement("two")).status_code == 201

    monkeypatch.setattr(oidc, "_KEPT", 0.0)
    issuer.documents["/keys"]["keys"].pop(0)  # a key that the issuer withdrew
    assert problem(exchange(trusting, issuer.statement("one")))[0] == 403


def test_an_issuer_that_fails_or_lies_is_told(trusting: Server, issuer: Issuer) -> None:
    about = issuer.documents.pop("/.well-known/openid-configuration")
    down = exchange(trusting, issuer.statement())
    assert problem(down) == (503, "issuer-unavailable")
    issuer.documents["/.well-known/openid-configuration"] = {**about, "issuer": "https://other.example"}
    assert problem(exchange(trusting, issuer.statement())) == (403, "statement-refused")
    issuer.documents["/.well-known/openid-configuration"] = {**about, "jwks_uri": "file:///etc/passwd"}
    assert problem(exchange(trusting, issuer.statement())) == (422, "invalid-issuer")


def test_a_slow_issuer_keeps_the_jobs_of_others_from_nothing(
    trusting: Server, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "_PATIENCE", 0.01)
    issuers = trusting.client.app.state.issuers  # type: ignore[attr-defined]
    with issuers._locks["https://slow.example"]:
        assert exchange(trusting, issuer.statement()).status_code == 201
    with issuers._locks[issuer.url]:
        assert problem(exchange(trusting, issuer.statement())) == (503, "issuer-unavailable")


BAD_TRUST: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"claims": {}}, (422, "invalid")),
    ({"claims": {"ref": "*"}}, (422, "invalid-claims")),
    ({"claims": {"iss": "x"}}, (422, "invalid-claims")),
    ({"scope": "*"}, (422, "invalid-scope")),
    ({"issuer": "http://ci.example"}, (422, "invalid-issuer")),
    ({"issuer": "https://10.0.0.1"}, (422, "invalid-issuer")),
    ({"issuer": "https://localhost"}, (422, "invalid-issuer")),
    ({"issuer": "https://user@ci.example"}, (422, "invalid-issuer")),
    ({"issuer": "file:///etc/passwd"}, (422, "invalid-issuer")),
]


def test_who_is_trusted_is_said_by_an_owner_and_identifies_somebody(server: Server) -> None:
    good = {"scope": "demo", "issuer": "https://ci.example", "claims": {"sub": "x"}}
    for change, code in BAD_TRUST:
        assert problem(server.owner.ask("POST", "trusted-publishers", {**good, **change})) == code, change
    assert problem(server.person("eve").ask("POST", "trusted-publishers", good)) == (403, "not-a-member")

    number = server.owner.ask("POST", "trusted-publishers", good).json()["id"]
    listed = server.client.get("/api/v1/trusted-publishers", params={"scope": "demo"}).json()
    assert listed == [{**good, "id": number}]
    assert problem(server.person("mallory").ask("DELETE", f"trusted-publishers/{number}"))[0] == 403
    assert server.owner.ask("DELETE", f"trusted-publishers/{number}").status_code == 204


def test_nobody_who_trusted_the_job_approves_its_release(trusting: Server, issuer: Issuer) -> None:
    """Of two owners of one scope whose entries both fit, neither is the second person, even without the entry."""
    ana, ben, kim = (trusting.person(name) for name in ("ana", "ben", "kim"))
    assert ana.publish(skill_files("demo")).status_code == 201
    for name in ("ben", "kim"):
        ana.ask("PUT", "members", {"scope": "demo", "account": name, "role": "owner"})
    ana.ask("PUT", "approvals", {"scope": "demo", "needed": True})
    numbers = {}
    for person, pattern in ((ana, "refs/*"), (ben, "refs/tags/*"), (kim, "refs/heads/*")):
        entry = {"scope": "demo", "issuer": issuer.url, "claims": {"repository_id": "42", "ref": pattern}}
        numbers[pattern] = person.ask("POST", "trusted-publishers", entry).json()["id"]
    job = Person(trusting.client, exchange(trusting, issuer.statement()).json()["token"])
    waiting = job.publish(skill_files("demo", "2.0"))
    assert waiting.status_code == 202
    path = f"approvals/{waiting.json()['id']}"

    ben.ask("DELETE", f"trusted-publishers/{numbers['refs/tags/*']}")
    for person in (trusting.owner, ana, ben):
        assert problem(person.ask("POST", path, {"approve": True})) == (403, "own-release")
    assert kim.ask("POST", path, {"approve": True}).json()["state"] == "live"  # her entry is for another job
