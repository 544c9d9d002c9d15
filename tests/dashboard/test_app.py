"""The frame of all pages: routes, errors, forms, headers and escaping."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from tests.support import history
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard import app as dashboard
from ucam_faas.dashboard.query import Download, Page, PageNotFoundError, Query, RefusedError, See
from ucam_faas.dashboard.render import STATIC, Renderer
from ucam_faas.dashboard.routes import ROUTES, Route
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.history.reader import History

from .asgi import Answer, call

HOSTILE = "</td><script>alert(1)</script>"


def shows(query: Query, backends: Backends) -> Page:
    return Page("error.html", "Shown", {"text": f"{query.parts} {query.args.all('q')}"})


def refuses(query: Query, backends: Backends) -> Page:
    raise RefusedError("It has ended.")


def misses(query: Query, backends: Backends) -> Page:
    raise PageNotFoundError("There is no message 17.")


def acts(query: Query, backends: Backends) -> See:
    return See("/things", f"{query.form.get('name')} by {query.who}")


def downloads(query: Query, backends: Backends) -> Download:
    return Download(b"<script>", 'a"b\r\n.bin')


PAGES = (
    Route("/things", shows, name="Things"),
    Route("/things/{task}/{id}", shows),
    Route("/things/{task}/{id}/act", acts, post=True),
    Route("/reveal", acts, post=True, reads=True),
    Route("/refuses", refuses, post=True),
    Route("/misses", misses),
    Route("/downloads", downloads),
    Route("/jobs", shows, name="Jobs", needs="jobs"),
)


def ask(method: str, url: str, backends: Backends | None = None, **request: Any) -> Answer:
    made = dashboard.make_app(
        lambda: backends or Backends(place="shop"), who=lambda headers: "ann", routes=PAGES
    )
    return call(made, method, url, **request)


def test_an_id_may_hold_a_slash() -> None:
    answer = ask("GET", "/things/send/2026%2F11%2F28%3Fx")

    assert "2026/11/28?x" in answer.text
    assert ask("GET", "/things/send/2026/11/28").status == 404


def test_texts_are_escaped() -> None:
    answer = ask("GET", "/things?q=%3C%2Ftd%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")

    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


@pytest.mark.parametrize("url", ["/things", "/nothing", "/static/dashboard.js", "/downloads"])
def test_each_answer_has_the_headers_of_a_strict_site(url: str) -> None:
    headers = ask("GET", url).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in ("no-store", "max-age=31536000, immutable")


def test_a_refused_request_reaches_no_view() -> None:
    answer = ask("POST", "/things/a/1/act", form={}, headers={"sec-fetch-site": "cross-site"})

    assert (answer.status, answer.headers["x-content-type-options"]) == (403, "nosniff")


def test_an_action_leads_to_a_page_that_says_what_was_done() -> None:
    """By a cookie: a link with a sentence of its own would put words into the dashboard's mouth."""
    done = ask("POST", "/things/a/1/act", form={"name": "<b>é"})
    page = ask("GET", "/things", headers={"cookie": done.headers["set-cookie"].partition(";")[0]})

    assert (done.status, done.headers["location"]) == (303, "/things")
    assert "HttpOnly" in done.headers["set-cookie"]
    assert "&lt;b&gt;é by ann" in page.text
    assert "Max-Age=0" in page.headers["set-cookie"]


def test_refusals_and_unknown_pages_are_pages() -> None:
    assert ask("POST", "/refuses", form={}).status == 409
    assert "It has ended." in ask("POST", "/refuses", form={}).text
    assert ask("GET", "/misses").status == 404
    assert "There is no message 17." in ask("GET", "/misses").text
    assert "There is no such page." in ask("GET", "/nothing").text
    assert ask("GET", "/refuses").status == 405


def test_backends_that_cannot_be_had_are_a_page_with_their_words() -> None:
    def connect() -> Backends:
        raise ConfigurationError("The folder can't be written.")

    answer = call(dashboard.make_app(connect), "GET", "/")

    assert answer.status == 502
    assert "The folder can&#39;t be written." in answer.text


def test_a_broken_history_is_a_page_that_says_which_file_to_delete(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    history.write(path, history.realistic(big=10))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    with closing(History(path)) as reader:
        answer = call(dashboard.make_app(lambda: Backends(history=reader)), "GET", "/")

    assert answer.status == 502
    assert f"{path} can&#39;t be read" in answer.text


def test_a_read_only_dashboard_does_nothing_but_reveal() -> None:
    backends = Backends(read_only=True)

    assert ask("POST", "/things/a/1/act", backends, form={}).status == 403
    assert ask("POST", "/reveal", backends, form={}).status == 303


def test_a_page_without_its_backend_is_neither_there_nor_in_the_navigation() -> None:
    page = ask("GET", "/things").text

    assert 'href="/things"' in page
    assert 'href="/jobs"' not in page
    assert ask("GET", "/jobs").status == 404


def test_only_forms_of_a_bounded_size_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "MOST_FORM_BYTES", 100)

    assert ask("POST", "/reveal", form={"x": "y" * 200}).status == 413
    json = {"content-type": "application/json"}
    assert ask("POST", "/reveal", headers=json, body=b"{}").status == 415
    assert ask("POST", "/reveal", body=b"&".join([b"a=b"] * 11_000)).status == 413


def test_a_download_is_never_shown_as_a_page() -> None:
    answer = ask("GET", "/downloads")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22b%0D%0A.bin"


def test_a_name_that_a_template_does_not_get_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Renderer(PAGES).render(Page("error.html", "x"), Backends(), "/")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_page_answers_without_any_backend(route: Route) -> None:
    made = dashboard.make_app(Backends)
    url = route.path.replace("{", "").replace("}", "")

    answer = call(made, "POST" if route.post else "GET", url, form={} if route.post else None)

    assert answer.status in (200, 303, 404, 409)


def test_every_template_can_be_read() -> None:
    environment = Renderer(ROUTES).environment

    for name in environment.list_templates():
        environment.get_template(name)


def test_the_module_and_the_style_sheet_stay_small() -> None:
    """One module and one sheet, which a person reads in minutes."""
    lines = {path.name: len(path.read_text().splitlines()) for path in STATIC.iterdir()}

    assert lines["dashboard.js"] <= 200
    assert lines["dashboard.css"] <= 300
