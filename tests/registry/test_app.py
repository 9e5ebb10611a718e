"""Every parameter of every route: whatever stands in its place is an answer of 4xx, never a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from tests.registry.conftest import Server

WRONG = ("9" * 20, "-1", str(2**63 - 1), "x", "%")


def addresses(app: FastAPI, value: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield method, path and parameters of every route, with one value for every parameter in turn."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            continue
        names = [field.alias for field in route.dependant.path_params]
        path = context.path or route.path
        for name in names:
            path = path.replace(f"{{{name}:path}}", value).replace(f"{{{name}}}", value)
        for method in sorted(route.methods or ()):
            if names:
                yield method, path, {}
            for field in route.dependant.query_params:
                yield method, path, {field.alias: value}


@pytest.mark.attack(78)
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_no_value_of_a_parameter_is_a_defect(
    serve: Callable[..., Server], request: pytest.FixtureRequest, database: str
) -> None:
    server = serve(rate="", database=request.getfixturevalue(database) if database == "postgresql" else "")
    headers = {"Authorization": f"Bearer {server.owner.token}"}
    values = WRONG if database == "sqlite" else (*WRONG, "\0")  # PostgreSQL cannot hold it
    asked = [item for value in values for item in addresses(server.client.app, value) if item[1].isprintable()]  # type: ignore[arg-type]
    answers = [
        (method, path, query, server.client.request(method, path, params=query, headers=headers).status_code)
        for method, path, query in asked
    ]
    assert len(answers) > 40 * len(WRONG)
    assert [answer for answer in answers if answer[-1] >= 500] == []
