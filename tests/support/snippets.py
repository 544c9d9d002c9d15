"""The fenced blocks of the documents, and a check for each language.

Python that is a fragment, or another system's, is fenced as `py`: it is parsed, and its names of
ucam_faas exist.
"""

from __future__ import annotations

import ast
import configparser
import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import yaml

from ucam_faas import cli
from ucam_faas.deploy import layers
from ucam_faas.exceptions import ConfigurationError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs/site"))

from documents import Documents  # noqa: E402

DOCUMENTS = ["README.md", *Documents(ROOT).places]
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^ *```$", re.M | re.S)

RUN_BY = {
    "README.md": "tests/test_documents.py",
    "docs/coming-from.md": "tests/testing/test_coming_from.py",
    "docs/dead-letters.md": "tests/dev/test_dlq.py",
    "docs/dependencies.md": "tests/tasks/test_dependencies_guide.py",
    "docs/deployment-configuration.md": "tests/deploy/test_config_verb.py",
    "docs/http-jobs.md": "tests/http_jobs/test_guide.py",
    "docs/http.md": "tests/test_documents.py",
    "docs/job-events.md": "tests/jobs/test_guide.py",
    "docs/jobs.md": "tests/jobs/test_guide.py",
    "docs/lanes.md": "tests/jobs/test_guide.py",
    "docs/limits.md": "tests/jobs/test_guide.py",
    "docs/operations.md": "tests/terraform/changes/page.py",
    "docs/running-jobs.md": "tests/jobs/test_guide.py",
    "docs/tasks.md": "tests/test_documents.py",
    "docs/testing.md": "tests/testing/test_testing_guide.py",
    "docs/transactions.md": "tests/jobs/test_guide.py",
    "docs/tutorial.md": "tests/dev/test_tutorial.py",
    "docs/worker.md": "tests/worker/test_guide.py",
    "docs/workflows.md": "tests/jobs/test_workflows_guide.py",
    "example_tasks/order_pipeline/README.md": "example_tasks/order_pipeline/test_order_pipeline.py",
}
"""The tests that run the Python of documents. That of the others runs below, from the top."""

PROGRAMS = (
    ". cat cd cosign cp curl docker export functions-framework gcloud gh git head mkdir pip pytest"
    " python3 release ruff sed sha256sum terraform unset uv"
)
"""Those that need no check of their arguments; `release` is a function of docs/operations.md."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its document from the root, and the line of its fence from 1."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks_of(document: str, *languages: str) -> list[Block]:
    """Return the blocks of a document in these languages; none named: all."""
    text = (ROOT / document).read_text()
    blocks = [
        Block(
            document,
            text.count("\n", 0, match.start()) + 1,
            match["language"],
            textwrap.dedent(match["text"]),
        )
        for match in BLOCK.finditer(text)
    ]
    return [block for block in blocks if not languages or block.language in languages]


# --- the checks: each raises an error or yields complaints


def python(block: Block, _: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(block.text)):
        module, names = "ucam_faas", []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == module:
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ucam_faas"):
            module, names = str(node.module), [alias.name for alias in node.names]
        for name in names:
            if not hasattr(import_module(module), name):
                yield f"{module} has no {name!r}"


def toml(block: Block, folder: Path) -> None:
    data = tomllib.loads(block.text)
    name = "pyproject.toml" if {"tool", "project"} & data.keys() else "ucam-faas.toml"
    (folder / name).write_text(block.text)
    try:
        layers.read(folder)
    finally:
        (folder / name).unlink()


def of_json(block: Block, _: Path) -> None:
    json.loads(block.text)


def of_yaml(block: Block, _: Path) -> None:
    yaml.safe_load(block.text)


def ini(block: Block, _: Path) -> None:
    configparser.ConfigParser().read_string(block.text)


def of_csv(block: Block, _: Path) -> Iterator[str]:
    if len({len(row) for row in csv.reader(io.StringIO(block.text))}) != 1:
        yield "rows of different lengths"


def dockerfile(block: Block, _: Path) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("hadolint")), "--failure-threshold", "error", "-"]
    result = subprocess.run(command, input=block.text, capture_output=True, text=True, check=False)
    if result.returncode:
        yield result.stdout


def hcl(block: Block, _: Path) -> Iterator[str]:
    if shutil.which("terraform") is None:
        return
    command = ["terraform", "fmt", "-check", "-diff", "-no-color", "-"]
    result = subprocess.run(command, input=block.text, capture_output=True, text=True, check=False)
    if result.returncode:
        yield result.stderr or result.stdout


def shell(block: Block, _: Path) -> Iterator[str]:
    text = block.text
    if block.language == "console":
        text = "".join(line[2:] for line in text.splitlines(True) if line.startswith("$ "))
    syntax = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    yield from syntax.stderr.splitlines()
    for words in commands_of(text):
        yield from complaints_about(words)


def commands_of(text: str) -> Iterator[list[str]]:
    """Yield the words of the commands, without variables that are set for them."""
    lines = text.replace("\\\n", " ").splitlines()
    while lines:
        words = words_of(lines)
        here_document = next((word[2:] for word in words if word.startswith("<<")), None)
        if here_document:
            del lines[: lines.index(here_document) + 1]
        while words and re.match(r"[A-Za-z_]+=", words[0]):
            del words[0]
        if words and words[0] not in ("}", "release()"):
            yield words


def words_of(lines: list[str]) -> list[str]:
    """Take the lines of a command, which end where its quotes do, and return its words."""
    command = lines.pop(0).strip().removeprefix("(")
    while True:
        try:
            return shlex.split(command, comments=True)
        except ValueError:  # no closing quotation
            if not lines:
                raise
            command += "\n" + lines.pop(0)


def complaints_about(words: list[str]) -> Iterator[str]:
    program, *arguments = words
    if program == "ucam-faas":
        why = refusal_of(arguments)
        if why:
            yield f"{shlex.join(words)}: {why}"
    elif program == "make":
        target = next((word for word in arguments if "=" not in word), "help")
        if not re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M):
            yield f"the Makefile has no target {target!r}"
    elif program in ("python", ".venv/bin/python"):
        path = next((word for word in arguments if word.endswith(".py")), None)
        if path is not None and not (ROOT / path).is_file():
            yield f"{path} doesn't exist"
    elif program not in PROGRAMS.split():
        yield f"{program!r} isn't in PROGRAMS"


def refusal_of(words: list[str]) -> str:
    """Return why `ucam-faas` refuses arguments; files of the documents needn't exist here."""
    words = words[
        : min((words.index(end) for end in ("|", ">", "&", "&&") if end in words), default=99)
    ]
    command: click.Command = cli.main
    context: click.Context | None = None
    try:
        while True:
            context = command.make_context(command.name, words, parent=context)
            words = [*context._protected_args, *context.args]
            if not isinstance(command, click.Group) or not words:
                return ""
            _, verb, words = command.resolve_command(context, words)
            assert verb is not None, "click raises otherwise"
            command = verb
    except click.exceptions.Exit:  # of --help
        return ""
    except click.ClickException as error:
        text = error.format_message()
        return "" if "No such file" in text or "does not exist" in text else text


def nothing(block: Block, _: Path) -> None:
    """Output and diagrams are for people; the tests of RUN_BY compare much of it."""


def unknown(block: Block, _: Path) -> Iterator[str]:
    yield f"the fence says {block.language!r}, which isn't in CHECKS"


NOT_PARSED = (SyntaxError, ValueError, configparser.Error, yaml.YAMLError, ConfigurationError)
CHECKS: dict[str, Callable[[Block, Path], Iterator[str] | None]] = {
    "console": shell,
    "csv": of_csv,
    "dockerfile": dockerfile,
    "hcl": hcl,
    "ini": ini,
    "json": of_json,
    "py": python,
    "python": python,
    "sh": shell,
    "text": nothing,
    "toml": toml,
    "yaml": of_yaml,
}


def complaints_of(block: Block, folder: Path) -> list[str]:
    """Return what is wrong with a block; an empty folder is for its files."""
    try:
        return [
            f"{block}: {text}" for text in CHECKS.get(block.language, unknown)(block, folder) or ()
        ]
    except NOT_PARSED as error:
        return [f"{block}: {error}"]


WITH_PYTHON = [name for name in DOCUMENTS if blocks_of(name, "python")]
