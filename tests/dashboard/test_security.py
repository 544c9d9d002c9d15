"""The requests that the dashboard answers: those of its own pages, of links and of programs."""

from __future__ import annotations

import pytest

from ucam_faas.dashboard.security import own_name, refusal

HERE = "127.0.0.1:8088"


def is_refused(method: str, *, allowed: frozenset[str] = frozenset(), **headers: str) -> bool:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(method, {"host": HERE, **names}, allowed) is not None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_name_that_may_lead_here_by_dns_rebinding_is_refused(method: str) -> None:
    evil = {"host": "evil.example:8088", "origin": "http://evil.example:8088"}

    assert is_refused(method, **evil, sec_fetch_site="same-origin")
    assert is_refused(method, host="localhost.evil.example")
    assert not is_refused(method, host="localhost:8088", sec_fetch_site="same-origin")
    assert not is_refused(method, host="192.168.1.5:8088", sec_fetch_site="same-origin")


def test_an_allowed_name_is_answered_at_any_port() -> None:
    allowed = frozenset({"faas.example.org"})

    assert not is_refused("GET", host="faas.example.org", allowed=allowed)
    assert not is_refused("GET", host="FAAS.example.org:8443", allowed=allowed)
    assert is_refused("GET", host="other.example.org", allowed=allowed)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_can_link_here_and_nothing_else(site: str) -> None:
    """Another port of this machine is `same-site`."""
    assert not is_refused("GET", sec_fetch_site=site, sec_fetch_mode="navigate")
    assert is_refused("GET", sec_fetch_site=site, sec_fetch_mode="cors")
    assert is_refused("GET", sec_fetch_site=site, sec_fetch_mode="no-cors")
    assert is_refused("POST", sec_fetch_site=site, sec_fetch_mode="navigate")
    assert is_refused("POST", sec_fetch_site=site, origin=f"http://{HERE}")


def test_a_form_of_its_own_page_is_taken() -> None:
    assert not is_refused("POST", sec_fetch_site="same-origin", origin=f"http://{HERE}")
    assert not is_refused("POST", sec_fetch_site="none")


def test_without_fetch_metadata_the_origin_decides() -> None:
    """Browsers leave `Sec-Fetch-Site` out over plain HTTP to another machine."""
    assert not is_refused("POST", origin=f"http://{HERE}")
    assert is_refused("POST", origin="http://127.0.0.1:3000")
    assert is_refused("POST", origin="https://evil.example")
    assert is_refused("POST", origin="null")
    assert is_refused("POST", origin="http://[x")


def test_a_program_sends_neither_header_and_is_answered() -> None:
    assert not is_refused("GET")
    assert not is_refused("POST")


def test_the_end_of_a_name_may_be_allowed() -> None:
    allowed = frozenset({".run.app"})

    assert not is_refused("GET", host="dashboard-1.europe-west2.run.app", allowed=allowed)
    assert is_refused("GET", host="run.app", allowed=allowed)
    assert is_refused("GET", host="run.app.evil.example", allowed=allowed)


def test_this_machine_has_a_name_on_its_network() -> None:
    allowed = frozenset({own_name()})

    assert own_name()
    assert not is_refused("GET", host=f"{own_name()}:8088", allowed=allowed)
