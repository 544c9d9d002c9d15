"""The pages of the Python API: the names of api.toml, as directives of Sphinx's autodoc."""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sphinx.pycode import ModuleAnalyzer

import ucam_faas
from ucam_faas import local_testing, testing

_PAGES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["page"]
_INTRODUCTION = """Import the names from `ucam_faas`, unless another module is before them.
Names that aren't here can change in any release."""
_OF_ERRORS = "error_code, exit_code"
"""Each error has them; the root documents them."""

Reread = Callable[[str], str]


def names() -> list[str]:
    """Return the names on all pages, with their modules."""
    return [
        _parts_of(entry)[0]
        for page in _PAGES
        for entries in page["parts"].values()
        for entry in entries
    ]


def public_names() -> set[str]:
    """Return the names that must be on a page, with their modules."""
    modules = (ucam_faas, testing, local_testing)
    twice = {"ucam_faas.local_testing.NotIdleError"}
    return {f"{module.__name__}.{name}" for module in modules for name in module.__all__} - twice


def value_of(name: str) -> Any:
    """Return the object that a name with its module is of."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def pages(reread: Reread) -> dict[str, str]:
    """Return the Markdown of the pages, by the path of each from the root.

    Args:
        reread: makes reStructuredText of a docstring.
    """
    texts = {f"docs/api/{page['name']}.md": _page(page, reread) for page in _PAGES}
    items = [f"- [{page['title']}]({page['name']}.md): {_links(page)}" for page in _PAGES]
    index = ["# Python API", _INTRODUCTION, "\n".join(items), ""]
    return {"docs/api/README.md": "\n\n".join(index), **texts}


def _links(page: Mapping[str, Any]) -> str:
    names = [_parts_of(entry)[0] for entries in page["parts"].values() for entry in entries]
    return ", ".join(
        f"{{py:obj}}`{name.rpartition('.')[2]} <{name}>`"
        for name in names
        if "_pytest_plugin" not in name
    )


def _page(page: Mapping[str, Any], reread: Reread) -> str:
    lines = [f"# {page['title']}", page["text"].strip()]
    for heading, entries in page["parts"].items():
        directives = "\n".join(_directive(*_parts_of(entry), reread) for entry in entries)
        lines += [f"## {heading}", f"```{{eval-rst}}\n{directives}\n```"]
    return "\n\n".join([*lines, ""])


def _parts_of(entry: str) -> tuple[str, str]:
    """Return the name of an entry with its module, and its signature, if it has one."""
    name, mark, rest = entry.partition("(")
    return name if name.startswith("ucam_faas.") else f"ucam_faas.{name}", mark + rest


def _directive(name: str, signature: str, reread: Reread) -> str:
    value, short = value_of(name), name.rpartition(".")[2]
    if inspect.ismethod(value):
        return f".. autodecorator:: {name}{_arguments(value)}\n"
    if getattr(value, "__name__", "") != short or "_pytest_plugin" in name:
        return _data(name, value, reread)
    if not isinstance(value, type):
        return f".. autofunction:: {name}{signature}\n"
    options = list(_class_options(value))
    if ":undoc-members:" in options:
        signature = "()"  # its fields are below
    lines = [f".. autoclass:: {name}{signature}", *(f"   {option}" for option in options), ""]
    return "\n".join(lines)


def _class_options(value: type) -> Iterator[str]:
    yield ":members:"
    has_documented_fields = "Args:" in (value.__doc__ or "")
    if issubclass(value, (BaseModel, enum.Enum)) and not has_documented_fields:
        yield ":undoc-members:"
    if issubclass(value, BaseException):
        yield ":show-inheritance:"
        if value is not ucam_faas.UCAMFAASException:
            yield f":exclude-members: {_OF_ERRORS}"
    if getattr(value, "_is_protocol", False):
        yield ":inherited-members: Generic, Protocol"


def _data(name: str, value: Any, reread: Reread) -> str:
    """Describe a constant, another name of a type, or a fixture."""
    module, _, short = name.rpartition(".")
    is_fixture = "_pytest_plugin" in name
    options = [] if is_fixture else [f":module: {module}"]
    options += [f":value: {value!r}"] if isinstance(value, str) else []
    doc = inspect.getdoc(value) if is_fixture else _comment_of(short, value)
    below = textwrap.indent("\n".join([*options, "", reread(doc or "")]), "   ")
    return f".. py:data:: {short}\n{below}\n"


def _comment_of(short: str, value: Any) -> str:
    """Return the text below an assignment, in the module that has it.

    Raises:
        LookupError: there is none.
    """
    for module, contents in sorted(sys.modules.items()):
        if module.startswith("ucam_faas.") and vars(contents).get(short) is value:
            comments = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", short) in comments:
                return "\n".join(comments["", short])
    raise LookupError(f"{short} is public, and has no docstring")


def _arguments(decorator: Any) -> str:
    """Return a decorator's arguments, without the types, which its overloads have."""
    texts = ["*"]
    for parameter in inspect.signature(decorator).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            is_optional = parameter.default is not parameter.empty
            texts.append(f"{parameter.name}=..." if is_optional else parameter.name)
    return f"({', '.join([*(texts if texts[1:] else []), '**options'])})"
