"""The checks of the documents' blocks refuse wrong ones; tests/test_documents.py applies them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.snippets import Block, complaints_of


@pytest.mark.parametrize(
    ("language", "text", "complaint"),
    [
        ("console", "$ ucam-faas jobs lsit\nThe jobs\n", "No command 'lsit'"),
        ("csv", "a,b\n1\n", "different lengths"),
        ("dockerfile", "FROM base AS\n", "unexpected"),
        ("ini", "key = value\n", "no section headers"),
        ("json", "{'a': 1}", "double quotes"),
        ("py", "def f(:\n", "invalid syntax"),
        ("py", "ucam_faas.mesage_handler\n", "ucam_faas has no 'mesage_handler'"),
        ("python", "from ucam_faas.testing import runn\n", "ucam_faas.testing has no 'runn'"),
        ("rust", "fn", "isn't in CHECKS"),
        ("sh", "ucam-faas serve --prot 80 # it's\n", "No such option '--prot'"),
        ("sh", "A=1 make tset\n", "no target 'tset'"),
        ("sh", "(cd x\n", "syntax error"),
        ("sh", "python docs/generat.py\n", "docs/generat.py doesn't exist"),
        ("sh", "cat <<END\nucam-faas x\nEND\nucam-fass dev\n", "'ucam-fass' isn't in PROGRAMS"),
        ("toml", "[tool.ucam-faas]\nmemroy = '1Gi'\n", "memroy"),
        ("toml", "key = \n", "Invalid value"),
        ("yaml", "a: [1\n", "expected"),
    ],
)
def test_a_wrong_block_is_refused(language: str, text: str, complaint: str, tmp_path: Path) -> None:
    (refusal,) = complaints_of(Block("page.md", 3, language, text), tmp_path)[:1]

    assert refusal.startswith("page.md:3: ")
    assert complaint in refusal
