"""The documents as a web site: it is built strictly, and leads to every document."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ViewportSize

from tests.browser import chromium
from tests.support import npm

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs/site"))

import api  # noqa: E402
from docstrings import reread  # noqa: E402
from documents import Documents  # noqa: E402


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with an empty page, docs/page.md."""
    for name in ("docs/page.md", "docs/other.md", "CHANGELOG.md", "terraform/README.md", "code.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# Title\n")
    return tmp_path


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("other.md#part", "other.md#part"),
        ("#part", "#part"),
        ("../CHANGELOG.md", "changes.md"),
        ("../terraform", "terraform/index.md"),
        ("../terraform/README.md#part", "terraform/index.md#part"),
        ("../README.md", "index.md"),
        ("../code.py", "https://git.example.org/code.py"),
        ("https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_lead_to_the_same_document_in_the_site(
    repository: Path, link: str, address: str
) -> None:
    text = "See [`the` page]({}).\n\n```md\n[as it is](../code.py)\n```\n"
    (repository / "docs/page.md").write_text(text.format(link))

    staged = Documents(repository, "https://git.example.org").text("docs/page.md")

    assert staged == text.format(address)


def test_without_an_address_of_the_source_a_link_to_it_is_plain_text(repository: Path) -> None:
    (repository / "docs/page.md").write_text("See [the code](../code.py).\n")

    assert Documents(repository).text("docs/page.md") == "See the code.\n"


def test_a_link_to_a_missing_file_is_refused_with_its_document(repository: Path) -> None:
    (repository / "docs/page.md").write_text("See [the code](../moved.py).\n")

    with pytest.raises(FileNotFoundError, match=r"docs/page\.md links to \.\./moved\.py"):
        Documents(repository).text("docs/page.md")


def test_generated_documents_are_listed_in_the_site_only(repository: Path) -> None:
    (repository / "docs/README.md").write_text(
        "# All\n\n## Part\n\n<!-- site: - [A](api/README.md): b -->\n"
    )
    (repository / "README.md").write_text("# Front\n")
    generated = {"docs/api/README.md": "# A\n", "docs/api/b.md": "# B\n"}

    documents = Documents(repository, generated=generated)

    assert documents.text("docs/README.md").endswith("- [A](api/index.md): b\n")
    assert ":caption: Part\n\nA <api/index>\n" in documents.text("docs/README.md")
    assert "api/b" not in Documents(repository).text("docs/README.md")
    assert documents.text("docs/api/README.md").endswith(":hidden:\n\nb\n```\n")


def test_each_public_name_is_on_one_page_of_the_api() -> None:
    names = api.names()

    assert api.public_names() - set(names) == set(), "Add it to docs/site/api.toml."
    assert len(set(names)) == len(names)
    assert [
        name
        for name in names
        if name.startswith("ucam_faas.testing.") and name not in api.public_names()
    ] == []


@pytest.mark.parametrize(
    ("docstring", "read"),
    [
        ("Of `x = 1`, and `y`s.", "Of ``x = 1``\\ , and ``y``\\ s."),
        ("See `Job`.", "See :py:obj:`Job <ucam_faas.Job>`\\ ."),
        ("See `Job.wait()`.", "See :py:obj:`Job.wait() <ucam_faas.Job.wait>`\\ ."),
        ("See `Job.walk`.", "See ``Job.walk``\\ ."),
        ("In `docs/jobs.md` and docs/http.md.", "In :doc:`/jobs` and :doc:`/http`."),
        ("So:\n\n    a = 1\n", "So::\n\n    a = 1\n"),
        ("So:\n\n    >>> `a`\n    1\n", "So:\n\n    >>> `a`\n    1\n"),
    ],
)
def test_a_docstring_is_read_as_it_was_written(docstring: str, read: str) -> None:
    assert reread(docstring) == read


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, and return the folder of its pages."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "docs/site/build.py"), "--folder", str(folder)]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    assert build.stderr == ""
    assert build.returncode == 0
    return folder / "html"


@pytest.mark.slow
def test_each_document_is_a_page_of_the_site(site: Path) -> None:
    expected = {Path(place).with_suffix(".html") for place in Documents(ROOT).places.values()}

    pages = {path.relative_to(site) for path in site.rglob("*.html")}

    assert expected <= pages


@pytest.mark.slow
def test_the_api_and_the_commands_are_in_the_site(site: Path) -> None:
    texts = [path.read_text() for path in site.glob("api/*.html")]
    anchors = set(re.findall(r'id="(ucam_faas[\w.]*)"', "".join(texts)))

    linked = set(
        re.findall(r'href="\w+\.html#(ucam_faas[\w.]*)"', (site / "api/index.html").read_text())
    )

    assert api.public_names() <= anchors
    assert api.public_names() <= linked
    assert 'id="ucam-faas-dlq"' in (site / "commands.html").read_text()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Run Chromium, and have axe-core at hand; skip the tests without them, except in CI."""
    program, problem = chromium.find(), npm.install(chromium.AXE.parents[2])
    if program is None or problem:
        reason = problem or "Chromium isn't installed: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with chromium.running(program) as browser:
        yield browser


def search(browser: Browser, site: Path, words: str) -> list[str]:
    """Search without a network; return the titles of the results."""
    page = browser.new_context(offline=True).new_page()
    page.goto((site / "index.html").as_uri())
    page.fill("input[name=q]", words)
    page.keyboard.press("Enter")
    page.get_by_text("Search finished").wait_for()
    return page.locator("#search-results li > a").all_inner_texts()


@pytest.mark.slow
def test_a_search_finds_guides_before_records(site: Path, browser: Browser) -> None:
    titles = search(browser, site, "replay a dead letter")

    assert "Dead letters" in titles[:5]
    assert [title for title in titles[:8] if re.match(r"\d{4} ", title)] == []
    assert [title for title in titles if re.match(r"\d{4} ", title)] != []


@pytest.mark.slow
def test_a_search_finds_the_page_about_the_words_first(site: Path, browser: Browser) -> None:
    assert search(browser, site, "dead letter")[0] == "Dead letters"
    assert search(browser, site, "OTEL")[0] == "Traces and metrics"


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_can_be_used_by_everyone_and_fit(
    site: Path, browser: Browser, scheme: Literal["light", "dark"], width: int
) -> None:
    size = ViewportSize(width=width, height=800)
    page = browser.new_context(color_scheme=scheme, viewport=size).new_page()
    faults = []

    for name in ("index", "tasks", "api/tasks"):
        page.goto((site / f"{name}.html").as_uri())
        faults += chromium.barriers(page)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"{name} is wider than the window")

    assert faults == []


@pytest.mark.slow
def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "tutorial.html").read_text()

    loaded = re.findall(r"<(?:script|link|img)\b[^>]*?(?:src|href)=\"([^\"]+)", page)

    assert len(loaded) > 5
    assert [address for address in loaded if ":" in address or address.startswith("//")] == []
