"""docs/words.py finds refused words and names where people read them, and no others."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def words() -> ModuleType:
    """docs/words.py, imported."""
    spec = importlib.util.spec_from_file_location("words", ROOT / "docs/words.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["words"] = module
    spec.loader.exec_module(module)
    del sys.modules["words"]
    return module


def texts(words: ModuleType, name: str, source: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.text) for hit in words.hits_of(Path(name), source)]


@pytest.mark.parametrize(
    ("sentence", "refused"),
    [
        ("Nobody reads it.", "Nobody"),
        ("The line was mended by hand.", "mended"),
        ("It begins anew.", "anew"),
        ("It waits for ever.", "for ever"),
        ("It asks in vain.", "in vain"),
        ("Tell whether it is open.", "Tell whether"),
        ("A topic of ours.", "of ours"),
        ("Besides, it is slow.", "Besides"),
        ("It says what becomes of it.", "what becomes of"),
        ("It waits so long.", "so long"),
        ("The value stands in a table.", "stands in"),
        ("That is no topic.", "is no"),
        ("It has not the role.", "has not the"),
        ("A list of what failed.", "of what"),
        ("What failed is retried.", "What failed is retried."),
        ("Who publishes needs a role.", "Who publishes needs a role."),
    ],
)
def test_a_refused_phrase_is_found_in_prose(words: ModuleType, sentence: str, refused: str) -> None:
    assert texts(words, "page.md", f"# Title\n\n{sentence}\n") == [(3, refused)]


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no topic, and it is no longer made.",
        "Amend the commit; the body is forever lost.",
        "What is a task? A function with a decorator.",
        "It keeps a message as long as you like, so long as it fits.",
        "Read about what to do next.",
        "`T` stands for the topic.",
    ],
)
def test_ordinary_english_passes(words: ModuleType, sentence: str) -> None:
    assert texts(words, "page.md", f"# What it costs\n\n{sentence}\n") == []


def test_comments_docstrings_texts_and_names_of_python_are_read(words: ModuleType) -> None:
    source = (
        '"""What comes in."""\n'
        "# for\n# ever\n"
        "def f(given: int) -> str:\n"
        "    found = f'nobody has {given}'\n"
        "    return found\n"
    )

    hits = texts(words, "module.py", source)

    assert sorted(hits) == [
        (1, "What comes in."),
        (2, "for ever"),
        (4, "given"),
        (5, "found"),
        (5, "nobody"),
    ]


def test_generated_parts_of_documents_are_left_to_their_source(words: ModuleType) -> None:
    page = "one\n<!-- generated: rules -->\nnobody\n<!-- end -->\nanew\n"

    assert texts(words, "page.md", page) == [(5, "anew")]


@pytest.mark.parametrize(("text", "code"), [("It begins again.\n", 0), ("It begins anew.\n", 1)])
def test_a_refused_word_fails(
    words: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    code: int,
) -> None:
    (tmp_path / "page.md").write_text(text)
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "files", lambda: [Path("page.md")])

    assert words.main() == code

    assert ("page.md:1: 'anew'" in capsys.readouterr().out) == bool(code)
