"""Which requests a browser sends for a page of elsewhere."""

from __future__ import annotations

import pytest

from ucam_faas.net.cross_site import refusal


def is_refused(any_host: bool = False, **headers: str) -> bool:
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return refusal(pairs, any_host=any_host) is not None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost", "app.localhost:1", "[::1]:8080", "192.168.1.5:8080", ""],
)
def test_names_that_no_name_server_can_point_here_are_taken(host: str) -> None:
    assert not is_refused(host=host)
    assert not is_refused()


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "[x", "a.b"]
)
def test_other_names_are_refused_unless_other_machines_may_call(host: str) -> None:
    assert is_refused(host=host)
    assert not is_refused(host=host, any_host=True)


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080"])
def test_pages_of_this_machine_may_call(origin: str) -> None:
    """Whatever the browser calls it: localhost and 127.0.0.1 are two sites to it."""
    assert not is_refused(host="127.0.0.1:8080", origin=origin, sec_fetch_site="cross-site")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://[x"])
def test_pages_of_elsewhere_may_not(origin: str) -> None:
    assert is_refused(host="127.0.0.1:8080", origin=origin)
    assert is_refused(host="127.0.0.1:8080", origin=origin, any_host=True)


def test_a_page_that_was_served_here_may_call() -> None:
    origin = "http://192.168.1.5:8080"

    assert not is_refused(host="192.168.1.5:8080", origin=origin, any_host=True)
    assert is_refused(host="192.168.1.5:8081", origin=origin, any_host=True)


def test_an_image_in_a_page_of_elsewhere_is_refused() -> None:
    """Browsers send no Origin with it."""
    assert is_refused(host="127.0.0.1:8080", sec_fetch_site="cross-site")
    assert not is_refused(host="127.0.0.1:8080", sec_fetch_site="same-origin")
    assert not is_refused(host="127.0.0.1:8080", sec_fetch_site="none")


def test_a_refusal_says_what_to_do() -> None:
    said = refusal([(b"host", b"evil.example")], any_host=False)

    assert said is not None
    assert "'evil.example'" in said
    assert "--host 0.0.0.0" in said
