"""Clients of other managers publish: what passes is what skillpm itself could publish, and nothing else."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from skillpm.errors import StorageError
from skillpm_registry.membership import Role
from skillpm_registry.protocols import clawhub
from tests.registry.conftest import Person, Server, problem

SKILL = b"---\nname: weather\ndescription: Tells the weather. Use when somebody leaves.\n---\nLook outside.\n"
FILES = {"SKILL.md": SKILL, "README.md": b"# Weather\nTested by hand.\n"}


def ask(person: Person, method: str, path: str, **more: Any) -> Response:
    headers = {"Authorization": f"Bearer {person.token}"} if person.token else {}
    return person.client.request(method, f"/clawhub/api/v1/{path}", headers=headers, **more)


def claw(person: Person, files: dict[str, bytes], version: str = "1.0.0", **form: Any) -> Response:
    """Publish as clawhub 0.23 does: each file by its ticket, then the list of them."""
    sent = []
    for path, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        about = {"path": path, "size": len(data), "sha256": digest, "contentType": "text/plain"}
        ticket = ask(person, "POST", "skills/-/upload-url", json=about).json()
        place = ticket["uploadUrl"].partition("/clawhub/api/v1/")[2]
        kept = ask(person, "POST", place, content=data)
        sent.append({**about, **kept.json(), "uploadTicket": ticket["uploadTicket"]})
    body = {"slug": "weather", "displayName": "Weather", "version": version, "files": sent, "tags": ["latest"], **form}
    return ask(person, "POST", "skills", json=body)


def package(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


def put(person: Person, files: dict[str, bytes], name: str = "_/weather", version: str = "1.0.0") -> Response:
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/zip"}
    path = f"/apm/v1/packages/{name}/versions/{version}"
    return person.client.put(path, content=package(files), headers=headers)


def flat(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return what ``apm publish`` packs."""
    skill = {f".apm/skills/weather/{path}": data for path, data in files.items() if path != "README.md"}
    return {"apm.yml": b"name: weather\nversion: 1.0.0\n", "README.md": files["README.md"], **skill}


def test_clawhub_publishes_and_knows_what_it_has_published(server: Server) -> None:
    assert ask(server.owner, "GET", "whoami").json()["user"]["handle"] == "owner1"
    answer = claw(server.owner, FILES, ownerHandle="owner1")
    assert (answer.status_code, answer.json()["publicationStatus"]) == (200, "published")
    assert server.versions("owner1/weather") == ["1.0.0"]
    lines = "\n".join(f"{path}:{hashlib.sha256(FILES[path]).hexdigest()}" for path in sorted(FILES, key=str.casefold))
    query = {"slug": "weather", "ownerHandle": "owner1", "hash": hashlib.sha256(lines.encode()).hexdigest()}
    assert ask(server.owner, "GET", "resolve", params=query).json()["match"] == {"version": "1.0.0"}
    assert list((server.root / ".server/uploads/files-1").iterdir()) == [], "what was published is not kept"


def test_apm_publishes_the_skill_of_a_package(server: Server) -> None:
    answer = put(server.owner, flat(FILES), version="1.0.0-rc.1")
    assert answer.status_code == 201, answer.text
    assert server.versions("weather") == ["1.0.0rc1"]
    tree = server.services.catalogue.tree("weather", server.services.registry.page("weather").releases[0])  # type: ignore[union-attr]
    assert tree.paths() == ["README.md", "SKILL.md", "skill.yaml"]
    assert put(server.owner, flat({**FILES, "SKILL.md": SKILL + b"More.\n"}), version="1.0.0-rc.1").status_code == 409


@pytest.mark.parametrize(
    ("files", "name", "version", "expected"),
    [
        ({"apm.yml": b"", ".apm/skills/other/SKILL.md": SKILL}, "_/weather", "1.0.0", (422, "usage")),
        ({**flat(FILES), ".apm/instructions/a.md": b"x"}, "_/weather", "1.0.0", (422, "usage")),
        ({**flat(FILES), "adapter.json": b"{}"}, "_/weather", "1.0.0", (422, "usage")),
        ({**flat(FILES), ".apm/skills/weather/../x": b"x"}, "_/weather", "1.0.0", (422, "integrity")),
        (flat({**FILES, "skill.yaml": b"manifest: 1\nversion: 2.0.0\n"}), "_/weather", "1.0.0", (422, "usage")),
        (flat(FILES), "_/weather", "latest", (422, "usage")),
        (flat(FILES), "_/weather", "1.0.0-1", (422, "usage")),
        (flat(FILES), "_/weather", "1.0.0-post.1", (422, "usage")),
        (flat(FILES), "_/admin", "1.0.0", (422, "usage")),
        (flat({**FILES, "a.pth": b"import os"}), "_/weather", "1.0.0", (422, "integrity")),
    ],
)
def test_what_is_not_one_skill_is_refused(
    server: Server, files: dict[str, bytes], name: str, version: str, expected: tuple[int, str]
) -> None:
    assert problem(put(server.owner, files, name, version)) == expected
    assert server.versions("weather") == []


def test_other_clients_need_the_same_rights(server: Server) -> None:
    reader, nobody = server.person("ben", Role.READER), Person(server.client, "")
    assert problem(put(reader, flat(FILES)))[0] == 403
    assert problem(put(nobody, flat(FILES)))[0] == 401
    assert problem(ask(nobody, "POST", "skills", json={}))[0] == 401
    digest = "0" * 64
    assert problem(ask(server.owner, "POST", f"skills/-/files/{digest}", content=b"x"))[0] == 422
    lost = {"slug": "weather", "version": "1.0.0", "files": [{"path": "SKILL.md", "storageId": digest}]}
    assert problem(ask(server.owner, "POST", "skills", json=lost))[0] == 409
    lost["files"] = [{"path": "SKILL.md", "storageId": other} for other in (digest, "1" * 64)]
    assert problem(ask(server.owner, "POST", "skills", json=lost))[0] == 422, "one path, two contents"
    lost["files"] = [{"path": "SKILL.md", "storageId": "../../registry.sqlite3"}]
    assert problem(ask(server.owner, "POST", "skills", json=lost)) == (422, "invalid")


def test_one_large_file_under_many_names_does_not_fill_the_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawhub, "MAX_ARCHIVE", 20_000)
    large = b"x" * 9_000
    assert problem(claw(server.owner, {**FILES, **{f"{place}.txt": large for place in range(3)}}))[0] == 413
    assert server.versions("weather") == []
    assert claw(server.owner, {**FILES, "1.txt": large}).status_code == 200


def test_a_file_is_kept_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    digest = hashlib.sha256(SKILL).hexdigest()
    (tmp_path / "other").write_bytes(b"x")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError):
        clawhub._keep(tmp_path, digest, SKILL)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_file_that_another_request_removes_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "gone"]))
    clawhub._keep(tmp_path, "0" * 64, SKILL)
    assert (tmp_path / ("0" * 64)).read_bytes() == SKILL
