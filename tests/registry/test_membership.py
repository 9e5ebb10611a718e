"""Names: who takes them, who may publish them, and which are refused."""

from __future__ import annotations

import errno
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Response

from skillpm.errors import StorageError
from skillpm.model.name import scope_of
from skillpm.storage import durable
from skillpm_registry import publishing
from skillpm_registry.membership import Role, is_scope
from skillpm_registry.publishing import finish
from skillpm_registry.settling import recover
from tests.registry.conftest import Person, Server, parcel, problem
from tests.shop import skill_files

API_ONLY = True


@pytest.mark.parametrize(("name", "scope"), [("demo", "demo"), ("acme/demo", "acme/")])
def test_a_skill_with_an_owner_belongs_to_the_scope_of_its_owner(name: str, scope: str) -> None:
    assert scope_of(name) == scope
    assert is_scope(scope)


def test_only_skills_owners_and_the_registry_are_scopes() -> None:
    assert [text for text in ("*", "a", "a/", "a/b", "/", "", "**", "A", "a//", "../") if is_scope(text)] == [
        "*",
        "a",
        "a/",
    ]


def test_whoever_first_publishes_a_name_owns_it(server: Server) -> None:
    ana, ben = server.person("ana"), server.person("ben")
    assert ana.publish(skill_files("demo")).status_code == 201

    refused = ben.publish(skill_files("demo", "2.0"))
    assert problem(refused) == (403, "not-a-member")
    assert "`skillpm owner list demo`" in refused.json()["hint"]
    assert problem(ben.ask("PUT", "members", {"scope": "demo", "account": "ben", "role": "owner"}))[0] == 403
    members = ana.ask("PUT", "members", {"scope": "demo", "account": "ben", "role": "publisher"}).json()
    assert members == [{"account": "ana", "role": "owner"}, {"account": "ben", "role": "publisher"}]
    assert ben.publish(skill_files("demo", "2.0")).status_code == 201
    assert problem(ben.ask("PUT", "members", {"scope": "demo", "account": "ana", "role": "none"}))[0] == 403


@pytest.mark.parametrize("name", ["demo", "acme/demo"])
def test_an_announcement_alone_takes_no_name(server: Server, name: str) -> None:
    ana, ben = server.person("ana"), server.person("ben")
    document, archive = parcel(skill_files("demo"), name)
    number = ana.ask("POST", "uploads", document).json()["id"]
    assert ana.send(number, archive).status_code == 200
    assert ana.ask("GET", "whoami").json()["scopes"] == {"*": "publisher", "ana/": "owner"}

    assert ben.publish(skill_files("demo", "2.0"), name).status_code == 201
    assert problem(ana.ask("POST", f"uploads/{number}/publish")) == (403, "not-a-member")
    assert problem(ana.ask("POST", "uploads", document)) == (403, "not-a-member")
    assert server.versions(name) == ["2.0"]


def _publish_until_decided(person: Person, number: str) -> Response:
    """Ask again as long as another account's first release is going live."""
    while (answer := person.ask("POST", f"uploads/{number}/publish")).status_code == 503:
        assert problem(answer) == (503, "busy")
    return answer


@pytest.mark.parametrize("step", range(1, 30, 2))
def test_a_name_has_an_owner_only_with_a_release(server: Server, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The disk is full at the n-th rename, link, fsync or removal of ana's publication, and at all after it."""
    ana, ben, calls = server.person("ana"), server.person("ben"), itertools.count(1)
    document, archive = parcel(skill_files("demo"))
    number = ana.ask("POST", "uploads", document).json()["id"]
    assert ana.send(number, archive).status_code == 200

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) >= step:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as full:
        for name in ("rename", "replace", "fsync", "mkdir", "link"):
            full.setattr(os, name, counted(getattr(os, name)))
        full.setattr(durable, "_syncfs", counted(durable._syncfs))
        failed = ana.ask("POST", f"uploads/{number}/publish").status_code
    assert failed in (201, 507)
    assert ("demo" in ana.ask("GET", "whoami").json()["scopes"]) is bool(server.versions("demo"))

    finish(server.services)  # what nobody can undo is visible now
    is_anas = bool(server.versions("demo"))
    assert ben.publish(skill_files("demo", "2.0")).status_code == (403 if is_anas else 201)
    owner = {"account": "ana" if is_anas else "ben", "role": "owner"}
    assert ben.ask("GET", "members", params={"scope": "demo"}).json() == [owner]
    assert ana.ask("POST", f"uploads/{number}/publish").status_code == (200 if is_anas else 403)


def test_a_name_is_whose_release_went_live_though_another_has_the_same_content(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have sent it, and the server is killed before it notes that one is live."""
    ben, ana = server.person("ben"), server.person("ana")
    document, archive = parcel(skill_files("demo"))
    numbers = []
    for person in (ben, ana):
        numbers.append(person.ask("POST", "uploads", document).json()["id"])
        assert person.send(numbers[-1], archive).status_code == 200

    def kill(*_: Any) -> None:
        raise StorageError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(publishing, "record_publication", kill)
        assert problem(ana.ask("POST", f"uploads/{numbers[1]}/publish")) == (503, "storage")
    recover(server.services)
    assert ana.ask("GET", "members", params={"scope": "demo"}).json() == [{"account": "ana", "role": "owner"}]


def test_of_accounts_that_race_for_a_name_one_gets_it(server: Server) -> None:
    people = [server.person("ana"), server.person("ben")]
    numbers = []
    for person, version in zip(people, ("1.0", "2.0"), strict=True):
        document, archive = parcel(skill_files("demo", version))
        numbers.append(person.ask("POST", "uploads", document).json()["id"])
        assert person.send(numbers[-1], archive).status_code == 200
    with ThreadPoolExecutor() as pool:
        answers = pool.map(_publish_until_decided, people, numbers)
        assert sorted(answer.status_code for answer in answers) == [201, 403]
    assert len(server.versions("demo")) == 1


def test_skills_of_an_owner_share_their_owners_members(server: Server) -> None:
    ana, ben = server.person("ana"), server.person("ben")
    assert ana.publish(skill_files("demo"), "acme/demo").status_code == 201
    assert problem(ben.publish(skill_files("other"), "acme/other")) == (403, "not-a-member")
    assert problem(ben.publish(skill_files("demo"), "ana/demo")) == (403, "not-a-member")  # an account's own name
    assert ben.publish(skill_files("demo"), "ben/demo").status_code == 201
    assert server.versions("acme/demo") == server.versions("ben/demo") == ["1.0"]


def test_a_scope_keeps_an_owner(server: Server) -> None:
    ana = server.person("ana")
    ana.publish(skill_files("demo"))
    for role in ("none", "publisher"):
        answer = ana.ask("PUT", "members", {"scope": "demo", "account": "ana", "role": role})
        assert problem(answer) == (409, "last-owner")


def test_a_reader_takes_no_name(server: Server) -> None:
    eve = server.person("eve", Role.READER)
    assert problem(eve.publish(skill_files("demo"))) == (403, "not-a-publisher")
    assert eve.publish(skill_files("demo"), "eve/demo").status_code == 201  # everybody has a place of their own


@pytest.mark.parametrize("name", ["skillpm", "api", "incident-triage"])
def test_reserved_names_and_those_of_bundled_skills_are_for_owners_of_the_registry(server: Server, name: str) -> None:
    assert problem(server.person("eve").publish(skill_files(name))) == (403, "name-reserved")
    assert server.owner.publish(skill_files(name)).status_code == 201


def test_a_name_that_looks_like_another_is_refused_with_the_neighbour_named(server: Server) -> None:
    ana, eve = server.person("ana"), server.person("eve")
    ana.publish(skill_files("incident-report"))
    ana.publish(skill_files("demo"), "acme-tools/demo")
    for files, name, near in (
        (skill_files("incident-rep0rt"), "", "incident-report"),
        (skill_files("incidnet-report"), "", "incident-report"),
        (skill_files("other"), "acme-too1s/other", "acme-tools/demo"),
    ):
        answer = eve.publish(files, name)
        assert problem(answer) == (409, "name-looks-alike")
        assert answer.json()["details"] == {"near": near}
        assert f"--like {near}" in answer.json()["hint"]
    assert eve.publish(skill_files("incident-rep0rt"), like="incident-report").status_code == 201
    assert eve.publish(skill_files("other"), "acme-too1s/other", like="acme-tools/demo").status_code == 201
    assert ana.publish(skill_files("incident-report", "2.0")).status_code == 201


def test_accounts_are_made_by_owners_of_the_registry(server: Server) -> None:
    made = server.owner.ask("POST", "accounts", {"name": "ana"})
    assert made.status_code == 201
    assert made.json()["token"].startswith("skp_")
    assert problem(server.owner.ask("POST", "accounts", {"name": "ana"})) == (409, "name-taken")
    for name in ("A b", "Ana", "a/b", "anonymous", "server"):
        assert problem(server.owner.ask("POST", "accounts", {"name": name})) == (422, "invalid-name")
    refused = server.person("eve").ask("POST", "accounts", {"name": "eve2"})
    assert problem(refused) == (403, "not-a-member")
    assert "`skillpm owner list '*'`" in refused.json()["hint"]  # a shell would read a bare * as files


def test_what_was_done_is_in_the_log_and_stays(server: Server) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    ana = server.person("ana")
    ana.publish(skill_files("demo"))
    log = server.client.get("/api/v1/events").json()
    assert [(item["actor"], item["action"], item["subject"]) for item in log][:2] == [
        ("ana", "publish", "demo==1.0"),
        ("ana", "take", "demo"),
    ]
    assert server.client.get("/api/v1/events", params={"subject": "dem"}).json() == []
    assert server.client.get("/api/v1/events", params={"subject": "de%"}).json() == []
    for statement in ("DELETE FROM event", "UPDATE event SET actor = 'eve'"):
        with pytest.raises(IntegrityError, match="append-only"), server.services.database.writing() as session:
            session.execute(text(statement))


def test_members_are_listed_of_what_exists(server: Server) -> None:
    server.person("ana").publish(skill_files("demo"))
    for scope, expected in (("demo", 200), ("ana/", 200), ("*", 200), ("demo%", 422), ("a/b", 422), ("demi", 404)):
        assert server.owner.ask("GET", "members", params={"scope": scope}).status_code == expected, scope


def test_a_token_is_for_what_is_ours_or_nobodys(server: Server) -> None:
    ana, ben = server.person("ana"), server.person("ben")
    ana.publish(skill_files("demo"))
    answers = [
        person.ask("POST", "tokens", {"label": "x", "only": [scope]}).status_code
        for person, scope in ((ana, "demo"), (server.owner, "demo"), (ben, "new"), (ben, "demo"), (ben, "ana/"))
    ]
    assert answers == [201, 201, 201, 403, 403]
