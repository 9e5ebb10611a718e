"""A second owner's approval: nothing is visible before it, and no one person is enough."""

from __future__ import annotations

import base64

import pytest

from skillpm_registry.membership import Role
from skillpm_registry.publishing import recover
from tests.registry.conftest import Person, Server, problem
from tests.shop import SkillFiles


@pytest.fixture
def owners(server: Server, skill_files: SkillFiles) -> tuple[Person, Person]:
    """Two owners of ``demo`` 1.0, whose next releases need an approval."""
    ana, ben = server.person("ana"), server.person("ben")
    assert ana.publish(skill_files("demo")).status_code == 201
    assert ana.ask("PUT", "members", {"scope": "demo", "account": "ben", "role": "owner"}).status_code == 200
    assert ana.ask("PUT", "approvals", {"scope": "demo", "needed": True}).json()["needed"] is True
    return ana, ben


def test_a_release_is_live_when_another_owner_has_approved_it(
    server: Server, owners: tuple[Person, Person], skill_files: SkillFiles
) -> None:
    ana, ben = owners
    announced = ana.publish(skill_files("demo", "2.0"))
    number = announced.json()["id"]
    assert (announced.status_code, announced.json()["state"]) == (202, "waiting")
    assert ana.publish(skill_files("demo", "2.0")).json()["id"] == number  # it waits already

    assert server.versions("demo") == ["1.0"]
    assert problem(ana.ask("POST", f"approvals/{number}", {"approve": True})) == (403, "own-release")
    (waiting,) = ben.ask("GET", "approvals").json()
    assert (waiting["id"], waiting["account"], waiting["version"]) == (number, "ana", "2.0")
    assert ben.ask("POST", f"approvals/{number}", {"approve": True}).json()["state"] == "live"

    assert server.versions("demo") == ["1.0", "2.0"]
    assert ben.ask("GET", "approvals").json() == []
    newest = server.client.get("/api/v1/events", params={"subject": "demo"}).json()[0]
    assert (newest["actor"], newest["action"], newest["detail"]["approved_by"]) == ("ana", "publish", "ben")
    text = server.client.get("/events?subject=demo").text
    assert "approved by ben" in text
    assert "changed the approval of" in text


def test_a_refused_release_never_goes_live(
    server: Server, owners: tuple[Person, Person], skill_files: SkillFiles
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    refused = ben.ask("POST", f"approvals/{number}", {"approve": False, "reason": "not reviewed"})
    assert refused.json()["state"] == "refused"

    for person in owners:
        assert problem(person.ask("POST", f"approvals/{number}", {"approve": True})) == (404, "unknown-upload")
    assert ana.ask("POST", f"uploads/{number}/publish").json()["state"] == "refused"
    assert server.versions("demo") == ["1.0"]
    assert not list((server.root / ".server/uploads").iterdir())
    assert "refused" in server.client.get("/events?subject=demo").text


def test_who_owns_nothing_here_neither_sees_nor_decides(
    server: Server, owners: tuple[Person, Person], skill_files: SkillFiles
) -> None:
    ana, _ = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    eve, reader = server.person("eve"), server.person("kim", Role.READER)
    ana.ask("PUT", "members", {"scope": "demo", "account": "kim", "role": "publisher"})

    for person in (eve, reader):
        assert person.ask("GET", "approvals").json() == []
        assert problem(person.ask("POST", f"approvals/{number}", {"approve": True})) == (404, "unknown-upload")
        assert problem(person.ask("PUT", "approvals", {"scope": "demo", "needed": False}))[0] == 403
    for scope in ("*", "../x", "a/b"):
        wrong = ana.ask("PUT", "approvals", {"scope": scope, "needed": True})
        assert problem(wrong) == (422, "invalid-scope")


def test_an_owner_cannot_end_what_controls_the_owners(server: Server, owners: tuple[Person, Person]) -> None:
    ana, _ = owners
    assert problem(ana.ask("PUT", "approvals", {"scope": "demo", "needed": False})) == (403, "not-a-member")
    assert server.owner.ask("PUT", "approvals", {"scope": "demo", "needed": False}).status_code == 200


def test_a_waiting_release_survives_a_restart(
    server: Server, owners: tuple[Person, Person], skill_files: SkillFiles
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0")).json()["id"]
    recover(server.services)
    assert server.versions("demo") == ["1.0"]
    assert ben.ask("POST", f"approvals/{number}", {"approve": True}).json()["state"] == "live"


def test_the_page_shows_an_owner_what_would_change_and_nobody_else(
    server: Server, owners: tuple[Person, Person], skill_files: SkillFiles
) -> None:
    ana, ben = owners
    number = ana.publish(skill_files("demo", "2.0", body="<b>Other</b> text.\n")).json()["id"]

    def see(path: str, person: Person | None) -> tuple[int, str]:
        login = base64.b64encode(f"x:{person.token}".encode()).decode() if person else ""
        answer = server.client.get(path, headers={"Authorization": f"Basic {login}"} if person else {})
        return answer.status_code, answer.text

    assert see("/approvals", None)[0] == 401
    assert server.client.get("/approvals").headers["www-authenticate"].startswith("Basic ")  # all that Chromium reads
    assert "No release waits for you." in see("/approvals", server.person("eve"))[1]
    assert f'href="/approvals/{number}">demo</a>' in see("/approvals", ben)[1]
    status, text = see(f"/approvals/{number}", ben)
    assert (status, "Changes since 1.0" in text, f"skillpm registry approve {number}" in text) == (200, True, True)
    assert "&lt;b&gt;Other&lt;/b&gt; text." in text
    assert see(f"/approvals/{number}", server.person("kim"))[0] == 404
    assert see("/approvals/..%2fx", ben)[0] == 404
