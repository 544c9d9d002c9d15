"""Every kind of source is loaded; one that can't be is a single error with the fix."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.sources import Sources
from ucam_faas.exceptions import TaskDefinitionError, UCAMFAASCouldNotLoadTarget
from ucam_faas.tasks import registry


def names(source: str, target: str | None = None) -> list[str]:
    return [task.name for task in registry.load(source, target)]


def error(source: str, target: str | None = None) -> str:
    with pytest.raises(UCAMFAASCouldNotLoadTarget) as caught:
        registry.load(source, target)
    return str(caught.value)


# --- kinds of sources


def test_a_file_is_loaded(sources: Sources) -> None:
    source = sources.write("main.py", "second", "first")

    assert names(source) == ["second", "first"]


def test_a_file_may_have_any_name(sources: Sources) -> None:
    source = sources.write("my tasks-2.py", "one")

    assert names(source) == ["one"]


def test_a_relative_path_is_loaded(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.write("main.py", "one")
    monkeypatch.chdir(sources.root)

    assert names("./main.py") == ["one"]
    assert names("main.py") == ["one"]


def test_a_file_without_a_package_may_import_its_neighbours(sources: Sources) -> None:
    sources.write("neighbour_one.py", "other")
    sources.write("neighbour_two.py", before="VALUE = 1")
    before = "from .neighbour_one import other\nimport neighbour_two"
    source = sources.write("main.py", "one", before=before)

    assert sorted(names(source)) == ["one", "other"]


def test_a_file_in_a_package_may_import_from_it(sources: Sources) -> None:
    sources.write("outer_pkg/__init__.py")
    sources.write("outer_pkg/shared.py", before="VALUE = 1")
    sources.write("outer_pkg/inner/__init__.py")
    before = "from ..shared import VALUE\nfrom . import __name__ as package"
    source = sources.write("outer_pkg/inner/main.py", "one", before=before)

    (task,) = registry.load(source)

    assert (task.name, task.module) == ("one", "outer_pkg.inner.main")


def test_a_package_directory_is_loaded_with_its_main(sources: Sources) -> None:
    sources.write("some_pkg/__init__.py", "in_init")
    sources.write("some_pkg/other.py", "in_other")
    sources.write("some_pkg/unused.py", "in_unused")
    sources.write("some_pkg/main.py", "in_main", before="from .other import in_other as _renamed")

    assert sorted(names(sources.path("some_pkg"))) == ["in_init", "in_main", "in_other"]


def test_a_package_without_a_main_is_loaded(sources: Sources) -> None:
    sources.write("some_pkg/__init__.py", before="from .other import in_other")
    sources.write("some_pkg/other.py", "in_other")

    assert names(sources.path("some_pkg")) == ["in_other"]


def test_a_directory_with_a_main_is_loaded(sources: Sources) -> None:
    sources.write("folder/events.py", before="VALUE = 1")
    sources.write("folder/main.py", "one", before="from .events import VALUE")

    assert names(sources.path("folder")) == ["one"]
    assert names(sources.path("folder") + "/") == ["one"]


def test_a_folder_of_packages_is_loaded(sources: Sources) -> None:
    sources.write("tasks/with_init/__init__.py")
    sources.write("tasks/with_init/main.py", "one", before="from .events import VALUE")
    sources.write("tasks/with_init/events.py", before="VALUE = 1")
    sources.write("tasks/without-init/main.py", "two", before="from .events import VALUE")
    sources.write("tasks/without-init/events.py", before="VALUE = 2")
    sources.write("tasks/no_tasks/data.txt")
    sources.write("tasks/readme.py", before="raise AssertionError('not imported')")

    assert sorted(names(sources.path("tasks"))) == ["one", "two"]


@pytest.mark.parametrize("file", ["linked_one/__init__.py", "linked_two/main.py"])
def test_folders_may_be_symbolic_links(file: str, sources: Sources) -> None:
    sources.write(f"elsewhere/{file}", "one")
    name = file.partition("/")[0]
    (sources.root / "tasks").mkdir()
    (sources.root / "tasks" / name).symlink_to(sources.root / "elsewhere" / name)

    assert names(sources.path("tasks")) == ["one"]
    assert names(sources.path(f"tasks/{name}")) == ["one"]


def test_a_source_that_was_imported_through_a_link_is_the_same(sources: Sources) -> None:
    import importlib

    source = sources.write("real/linked_main.py", "one")
    (sources.root / "link").symlink_to(sources.root / "real")
    sys.path.insert(0, sources.path("link"))
    importlib.import_module("linked_main")

    assert names(source) == ["one"]


def test_a_module_that_is_reloaded_has_its_new_tasks(sources: Sources) -> None:
    import importlib

    source = sources.write("reloaded_main.py", "one")
    (first,) = registry.load(source)
    sources.write("reloaded_main.py", "one", before="\n\nVALUE = 1  # the task has moved")

    importlib.reload(sys.modules["reloaded_main"])

    (second,) = registry.load(source)
    assert second is not first


def test_a_dotted_module_is_loaded(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.write("dotted_pkg/__init__.py")
    sources.write("dotted_pkg/jobs.py", "one")
    sources.write("dotted_pkg/main.py", "two")
    monkeypatch.chdir(sources.root)

    assert names("dotted_pkg.jobs") == ["one"]
    assert "two" in names("dotted_pkg")


def test_an_installed_module_is_loaded(sources: Sources) -> None:
    sources.write("installed/installed_jobs.py", "one")
    sys.path.append(sources.path("installed"))

    assert names("installed_jobs") == ["one"]


def test_tasks_that_a_module_imports_are_its_tasks(sources: Sources) -> None:
    sources.write("library_tasks.py", "theirs", "not_imported")
    source = sources.write("main.py", "own", before="from library_tasks import theirs as renamed")

    assert sorted(names(source)) == ["own", "theirs"]


def test_a_source_is_imported_once(sources: Sources) -> None:
    source = sources.write("main.py", "one")

    first, second = registry.load(source), registry.load(source)

    assert first == second


def test_two_sources_of_one_name_do_not_mix(sources: Sources) -> None:
    source = sources.write("one/main.py", "first")
    other = sources.write("two/main.py", "second")

    loaded = names(source), names(other)

    assert loaded == (["first"], ["second"])


def test_two_sources_with_a_task_of_one_name_do_not_mix(sources: Sources) -> None:
    source = sources.write("one/main.py", "same")
    other = sources.write("two/main.py", "same")

    (first,), (second,) = registry.load(source), registry.load(other)

    assert first is not second


@pytest.mark.parametrize(
    "line",
    [
        "from flask import request, g, current_app, session",
        "import structlog; log = structlog.get_logger()",
        "from unittest.mock import MagicMock; thing = MagicMock()",
        "class Lazy:\n    def __getattr__(self, name): raise RuntimeError(name)\nlazy = Lazy()",
    ],
    ids=["flask", "structlog", "mock", "lazy"],
)
def test_whatever_else_a_module_holds_does_no_harm(sources: Sources, line: str) -> None:
    source = sources.write("main.py", "one", before=line)

    assert names(source) == ["one"]


# --- targets


def test_a_target_is_one_task(sources: Sources) -> None:
    source = sources.write("main.py", "one", "two")

    assert names(source, "two") == ["two"]


def test_targets_are_in_the_order_that_was_asked_for(sources: Sources) -> None:
    source = sources.write("main.py", "one", "two", "three")

    assert names(source, "three, one,three,") == ["three", "one"]


def test_a_missing_target_is_an_error_that_names_the_tasks(sources: Sources) -> None:
    source = sources.write("main.py", "one", "two")

    assert (
        error(source, "tow")
        == f"No task named 'tow' in {source}. Did you mean 'two'? Found: 'one', 'two'."
    )


def test_a_missing_target_of_a_source_without_tasks_is_an_error(sources: Sources) -> None:
    source = sources.write("main.py")

    assert error(source, "one") == f"No task named 'one' in {source}. Found: none."


def test_a_target_that_is_no_task_is_an_error_that_says_so(sources: Sources) -> None:
    source = sources.write("main.py", "one", before="def plain(data): ...")

    message = error(source, "plain")

    assert "'plain'" in message
    assert "is not a task" in message
    assert "@ucam_faas." in message


@pytest.mark.parametrize("target", ["", ",", " , "])
def test_a_target_that_names_nothing_is_an_error(sources: Sources, target: str) -> None:
    source = sources.write("main.py", "one")

    assert error(source, target)


# --- what cannot be loaded


def test_two_tasks_of_one_name_are_an_error_that_names_both_modules(sources: Sources) -> None:
    for package in ("clash_a", "clash_b"):
        sources.write(f"tasks/{package}/__init__.py")
        sources.write(f"tasks/{package}/main.py", "same")

    message = error(sources.path("tasks"))

    assert "'same'" in message
    assert "clash_a.main" in message
    assert "clash_b.main" in message


def test_two_tasks_of_one_name_in_one_file_are_an_error(sources: Sources) -> None:
    source = sources.write("main.py", "same", "same")

    assert "'same'" in error(source)


def test_a_source_without_tasks_is_an_error_that_says_how_to_make_one(sources: Sources) -> None:
    source = sources.write("main.py", before="def plain(data): ...")

    message = error(source)

    assert source in message
    assert "@ucam_faas." in message


@pytest.mark.parametrize("source", ["missing.py", "./missing/main.py", "/no/such/folder"])
def test_a_source_that_is_not_there_is_an_error_that_says_where_it_looked(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(sources.root)

    message = error(source)

    assert source in message
    assert str(Path.cwd()) in message
    assert "`ucam-faas dev FILE`" in message
    assert "--source" in message


@pytest.mark.parametrize("source", ["no_such_module_here", "no_such.module", "json.no_such"])
def test_a_module_that_is_not_there_is_an_error_that_names_it(
    sources: Sources, source: str
) -> None:
    message = error(source)

    assert "no module named" in message.lower()
    assert source.partition(".")[0] in message


def test_an_empty_folder_is_an_error_with_the_expected_content(sources: Sources) -> None:
    (sources.root / "empty").mkdir()

    assert "main.py" in error(sources.path("empty"))


def test_a_file_that_is_not_python_is_an_error(sources: Sources) -> None:
    (sources.root / "tasks.txt").write_text("hello")

    assert ".py" in error(sources.path("tasks.txt"))


def test_a_syntax_error_is_an_error_with_file_and_line(sources: Sources) -> None:
    source = sources.write("main.py", before="\n\ndef broken(:")

    message = error(source)

    assert "SyntaxError" in message
    assert "main.py, line 4" in message


def test_a_missing_import_is_an_error_that_names_the_module(sources: Sources) -> None:
    source = sources.write("main.py", before="import no_such_module_here")

    message = error(source)

    assert "'no_such_module_here'" in message
    assert source in message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("raise ValueError('of their own')", "ValueError: of their own"),
        ("from json import no_such_name", "ImportError"),
        ("raise SystemExit('no')", "SystemExit: no"),
        ("undefined_name", "NameError"),
    ],
)
def test_an_exception_of_an_import_is_an_error_with_file_and_line(
    sources: Sources, line: str, expected: str
) -> None:
    source = sources.write("main.py", before=line)

    message = error(source)

    assert expected in message
    assert f"{source}:2" in message


def test_an_exception_of_a_nested_import_is_located_there(sources: Sources) -> None:
    deep = sources.write("deep_module.py", before="\n\n1 / 0")
    source = sources.write("main.py", before="import deep_module")

    assert f"{deep}:4" in error(source)


def test_a_wrong_decorator_is_an_error_of_its_own_words(sources: Sources) -> None:
    source = sources.write("main.py", before="@ucam_faas.raw_event\ndef bad(one, two): ...")

    with pytest.raises(TaskDefinitionError, match="bad"):
        registry.load(source)


def test_a_failed_import_can_be_tried_again(sources: Sources) -> None:
    source = sources.write("main.py", before="1 / 0")
    error(source)
    sources.write("main.py", "fixed")

    assert names(source) == ["fixed"]


def test_a_failed_import_leaves_a_module_of_that_name_alone(sources: Sources) -> None:
    import json

    source = sources.write("json.py", before="1 / 0")

    error(source)

    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tasks/json/__init__.py", "tasks"),
        ("tasks/json/main.py", "tasks"),
        ("tasks/calendar/main.py", "tasks"),
        ("json/__init__.py", "json"),
        ("email/__init__.py", "email"),
    ],
)
def test_a_folder_named_like_a_module_of_the_standard_library_is_an_error_that_says_rename(
    sources: Sources, file: str, source: str
) -> None:
    sources.write(file, "one")

    message = error(sources.path(source))

    assert "Rename the folder" in message
    assert str((sources.root / file).parent) in message


def test_a_folder_that_cannot_be_a_module_is_an_error_that_says_rename(sources: Sources) -> None:
    sources.write("tasks/v1.0/main.py", "one")

    message = error(sources.path("tasks"))

    assert "v1.0" in message
    assert "Rename the folder" in message


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "not loaded"])
def test_a_file_named_like_a_module_of_the_standard_library_is_an_error_that_says_rename(
    loaded: bool, sources: Sources
) -> None:
    # In its place it would break what imports that module later.
    import queue

    source = sources.write("queue.py", "one")
    if not loaded:
        del sys.modules["queue"]

    message = error(source)

    assert source in message
    assert "Rename the file" in message
    assert sys.modules.get("queue") is (queue if loaded else None)


def test_a_function_without_a_task_has_none() -> None:
    assert registry.task_of(len) is None
    assert registry.task_of(None) is None


# --- code that was written for functions-framework


@pytest.mark.parametrize("of", ["sibling_pkg", "sibling_pkg/main.py"])
def test_a_main_in_a_package_may_import_its_siblings_as_under_1_0(
    of: str, sources: Sources
) -> None:
    sources.write("sibling_pkg/__init__.py")
    sources.write("sibling_pkg/shared_by_siblings.py", before="VALUE = 1")
    before = "from shared_by_siblings import VALUE"
    sources.write("sibling_pkg/main.py", "one", before=before)

    assert names(sources.path(of)) == ["one"]


@pytest.mark.parametrize(
    ("decorator", "advice"),
    [("http", "put @ucam_faas.raw_event"), ("cloud_event", "put @ucam_faas.cloud_event.")],
)
def test_a_function_of_functions_framework_is_refused_with_the_right_decorator(
    decorator: str, advice: str, sources: Sources
) -> None:
    before = f"import functions_framework\n\n@functions_framework.{decorator}\ndef hook(x): ..."
    source = sources.write(f"of_{decorator}.py", "one", before=before)

    text = error(source, "hook")

    assert f"'hook' in {source} is not a task. In place of @functions_framework.{decorator}" in text
    assert advice in text


def test_an_error_of_a_decorator_names_the_line_in_the_users_file(sources: Sources) -> None:
    wrong = "@ucam_faas.message_handler(memory='1 GB')\ndef wrong(data: bytes): ..."
    source = sources.write("main.py", before=wrong)

    with pytest.raises(TaskDefinitionError) as caught:
        registry.load(source, None)

    lines = Path(source).read_text().splitlines()
    line = lines.index("@ucam_faas.message_handler(memory='1 GB')") + 1
    assert f"(at {source}:{line})" in str(caught.value)
