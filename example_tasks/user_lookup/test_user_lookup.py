from __future__ import annotations

from collections.abc import Callable

import pytest

from ucam_faas import testing

from . import main
from .main import User, create_user, get_user

GRACE = {"user_id": "grace", "name": "Grace Hopper"}


@pytest.fixture(autouse=True)
def _one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "USERS", {"ada": User(user_id="ada", name="Ada Lovelace")})


@pytest.fixture
def client(ucam_faas_client: Callable[..., testing.Client]) -> testing.Client:
    return ucam_faas_client(get_user, create_user)


def test_the_task_is_a_function_of_the_user_id() -> None:
    assert get_user("ada") == {"user_id": "ada", "name": "Ada Lovelace"}


def test_a_known_user_is_found(client: testing.Client) -> None:
    response = client.get("/users/ada")

    assert response.status == 200
    assert response.json() == {"user_id": "ada", "name": "Ada Lovelace"}


def test_an_unknown_user_is_not_found(client: testing.Client) -> None:
    assert client.get("/users/unknown").status == 404


def test_a_user_that_was_created_is_found(client: testing.Client) -> None:
    response = client.post("/users", json=GRACE)

    assert response.status == 201
    assert client.get(response.headers["location"]).json() == GRACE


def test_creating_a_user_twice_is_as_good_as_once(client: testing.Client) -> None:
    statuses = [client.post("/users", json=GRACE).status for _ in range(2)]

    assert statuses == [201, 201]


def test_a_user_id_is_given_once(client: testing.Client) -> None:
    response = client.post("/users", json={"user_id": "ada", "name": "Another Ada"})

    assert response.status == 409
    assert client.get("/users/ada").json()["name"] == "Ada Lovelace"


@pytest.mark.parametrize("body", ["", "{}", '{"user_id": "a/b", "name": "A"}'])
def test_a_body_that_is_no_user_is_refused(body: str, client: testing.Client) -> None:
    assert client.post("/users", body=body).status == 400


def test_another_method_is_refused(client: testing.Client) -> None:
    assert client.request("DELETE", "/users/ada").status == 405
