"""Who is let in: tokens, their rights and limits, and those who guess."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from skillpm_registry.identity import digest_of
from skillpm_registry.tables import Token
from tests.registry.conftest import Person, Server, problem
from tests.shop import skill_files

API_ONLY = True


def test_the_database_has_only_the_digest_of_a_token(server: Server) -> None:
    with server.services.database.reading() as session:
        (row,) = session.scalars(select(Token))
    assert row.digest == digest_of(server.owner.token)
    stored = b"".join(path.read_bytes() for path in server.root.rglob("*") if path.is_file())
    assert server.owner.token.encode() not in stored
    assert (server.root / ".server").stat().st_mode & 0o777 == 0o700


@pytest.mark.attack(79)
def test_a_token_may_do_no_more_than_it_was_made_for(server: Server) -> None:
    made = server.owner.ask("POST", "tokens", {"label": "ci", "rights": ["publish"], "only": ["demo"], "days": 1})
    assert made.status_code == 201
    ci = Person(server.client, made.json()["token"])

    assert ci.publish(skill_files("demo")).status_code == 201
    assert problem(ci.publish(skill_files("other"))) == (403, "token-scope")
    assert problem(ci.ask("POST", "tokens", {"label": "more"})) == (403, "token-scope")
    assert problem(ci.ask("PUT", "members", {"scope": "demo", "account": "x", "role": "owner"})) == (403, "token-scope")
    narrow = server.owner.ask("POST", "tokens", {"label": "n", "rights": ["manage"], "only": ["demo"]}).json()["token"]
    wide = Person(server.client, narrow).ask("POST", "tokens", {"label": "w", "rights": ["manage"]}).json()
    assert wide["only"] == ["demo"]
    assert problem(Person(server.client, narrow).ask("POST", "tokens", {"label": "w", "rights": ["publish"]}))[0] == 403
    assert problem(Person(server.client, narrow).ask("POST", "tokens", {"label": "w", "only": ["*"]}))[0] == 403


def test_an_expired_or_revoked_token_opens_nothing(server: Server) -> None:
    made = server.owner.ask("POST", "tokens", {"label": "short"}).json()
    person = Person(server.client, made["token"])
    assert person.ask("GET", "whoami").json()["rights"] == ["publish", "read"]
    with server.services.database.writing() as session:
        session.execute(update(Token).where(Token.id == made["id"]).values(expires=time.time() - 1))
    assert person.ask("GET", "whoami").json()["detail"] == "the token has expired"

    assert server.owner.ask("DELETE", f"tokens/{made['id']}").status_code == 204
    assert problem(person.ask("GET", "whoami")) == (401, "unauthorized")
    assert problem(server.person("eve").ask("DELETE", "tokens/1")) == (404, "unknown-token")


def test_a_login_of_netrc_is_a_token_too(server: Server) -> None:
    basic = base64.b64encode(f"anybody:{server.owner.token}".encode()).decode()
    answer = server.client.get("/api/v1/whoami", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 200
    for header in ("Basic ???", "Digest x", "Bearer", "skp_x"):
        assert problem(server.client.get("/api/v1/whoami", headers={"Authorization": header}))[0] == 401


def test_who_guesses_tokens_is_stopped_for_a_while(server: Server) -> None:
    for _ in range(30):
        assert problem(Person(server.client, "skp_guess").ask("GET", "whoami"))[0] == 401
    answer = Person(server.client, "skp_guess").ask("GET", "whoami")
    assert problem(answer) == (429, "too-many-requests")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert server.owner.ask("GET", "whoami").status_code == 200  # others may have the same address


def test_who_writes_too_often_is_told_when_to_come_back(serve: Callable[..., Server]) -> None:
    server = serve(rate="3/minute")
    answers = [server.owner.ask("POST", "reports", {"name": "nothing", "reason": "x"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
