"""The description of the API, and a stranger's program that tries everything that it allows and forbids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from skillpm_registry.configuration import Configuration
from skillpm_registry.identity import Right, new_token
from skillpm_registry.membership import Role, new_account
from skillpm_registry.services import open_services
from tests.registry.conftest import Server, listening
from tests.shop import publish, skill_files

SCHEMATHESIS = "schemathesis==4.32.5"


def test_every_operation_says_how_it_fails_and_who_needs_a_token(server: Server) -> None:
    paths = server.client.get("/api/v1/openapi.json").json()["paths"]
    operations = {f"{method} {path}": item for path, methods in paths.items() for method, item in methods.items()}

    assert "get /skill/{place}" not in operations
    for name, operation in operations.items():
        assert "application/problem+json" in operation["responses"]["4XX"]["content"], name
        assert "422" not in operation["responses"], name
    secured = {name for name, operation in operations.items() if operation.get("security")}
    assert {"post /api/v1/uploads", "get /api/v1/whoami", "get /metrics", "get /api/v1/approvals"} <= secured
    assert not {"get /api/v1/events", "get /search.json", "get /marketplace.json", "post /api/v1/reports"} & secured


def test_a_wrong_method_is_answered_with_the_right_ones(server: Server) -> None:
    right = {
        "/api/v1/approvals": "GET, HEAD, PUT", "/api/v1/releases/yank": "POST", "/skills/demo.json": "GET, HEAD",
        "/api/v1/trusted-publishers/token": "POST", "/skill/demo": "GET, HEAD", "/": "GET, HEAD",
        "/api/v1/approvals/needed": "GET, HEAD", "/api/v1/approvals/0f": "POST",
    }  # fmt: skip
    answers = {path: server.client.request("PATCH", path) for path in right}

    assert {answer.status_code for answer in answers.values()} == {405}
    assert {path: answer.headers["allow"] for path, answer in answers.items()} == right
    assert server.client.head("/").status_code == 200
    assert server.client.head("/skill/demo").status_code == 404
    assert server.client.get("/api/v1/uploads").headers["allow"] == "POST"
    assert server.client.get("/clawhub/api/v1/skills/none").status_code == 404  # it has that route, and not the skill


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "tools"], check=True)
    subprocess.run([tmp_path / "tools/bin/pip", "install", "-q", SCHEMATHESIS], check=True, capture_output=True)
    root = publish(tmp_path / "shop", skill_files("demo"))
    services = open_services(Configuration(data=root))
    with services.database.writing() as session:
        token = new_token(session, new_account(session, "test", "ana", Role.OWNER).id, "first", Right)[0]
    services.close()
    with listening(root, rate="") as address:
        words = ["run", f"{address}/api/v1/openapi.json", "--header", f"Authorization: Bearer {token}", "--seed", "1"]
        words += [
            "--exclude-checks",
            "positive_data_acceptance",
            "--max-examples",
            "25",
            "--suppress-health-check",
            "all",
        ]
        program = tmp_path / "tools/bin/schemathesis"
        done = subprocess.run([program, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:]
