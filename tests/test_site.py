"""The documents as a web site: it is built strictly, and leads to every document."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs/site"))

from documents import NAVIGATION, Documents, navigation  # noqa: E402


def test_every_page_is_in_the_navigation() -> None:
    sections = navigation((ROOT / NAVIGATION).read_text())
    listed = [name for names in sections.values() for name in names]
    pages = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")}

    missing = pages - {NAVIGATION, *listed}

    assert missing == set(), f"Add it to a section of {NAVIGATION}, which is the navigation."
    assert len(set(listed)) == len(listed)


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
@pytest.mark.xdist_group("site")
def test_each_document_is_a_page_of_the_site(site: Path) -> None:
    expected = {Path(place).with_suffix(".html") for place in Documents(ROOT).places.values()}

    pages = {path.relative_to(site) for path in site.rglob("*.html")}

    assert expected <= pages


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "tutorial.html").read_text()

    loaded = re.findall(r"<(?:script|link|img)\b[^>]*?(?:src|href)=\"([^\"]+)", page)

    assert len(loaded) > 5
    assert [address for address in loaded if ":" in address or address.startswith("//")] == []
