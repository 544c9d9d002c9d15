"""A saved file is served at once, whatever is in it, and no message is lost meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import request, wait_until

from .cloud import Dev, running
from .conftest import StartDev

pytestmark = pytest.mark.slow

HEAD = """
import json, os
from datetime import timedelta
import ucam_faas
from ucam_faas import RetryPolicy, Schedule

def record(effect, **fields):
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (json.dumps({"effect": effect, **fields}) + "\\n").encode())
    os.close(descriptor)

AT_ONCE = RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(seconds=1))
"""
HANG = "import time; time.sleep(600)"


def task(name: str, version: int | str = 0, **options: str) -> str:
    """Return the code of a task that records its version."""
    arguments = "".join(f", {key}={value}" for key, value in options.items())
    return (
        f"@ucam_faas.message_handler(message_type=None, retry=AT_ONCE{arguments})\n"
        f"def {name}(data):\n"
        f"    record({name!r}, data=data.decode(), version={version})\n"
    )


def http(version: int) -> str:
    """Return the code of an HTTP task that answers with its version."""
    return f'@ucam_faas.http(path="/version")\ndef version(request):\n    return "{version}"\n'


def write(path: Path, *parts: str) -> None:
    """Write a file as editors do: another one takes its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text("\n".join([HEAD, *parts]))
    beside.replace(path)


class Editor:
    """Saves files of a running `ucam-faas dev`. Each test has a task, and files, of its own name.

    `new` has the lines that were shown since the test began.
    """

    def __init__(self, dev: Dev, name: str) -> None:
        self.dev = dev
        self.name = name
        self.main = dev.folder / "main.py"
        self.before = 0

    def save(self, path: Path, *parts: str) -> None:
        """Save a file, and wait until it is served."""
        served = f"{path.name} changed; serving it"
        count = len(self.shown("reload", served))
        write(path, *parts)
        self.wait_shown("reload", served, count=count + 1)

    def shown(self, what: str, *parts: str) -> list[str]:
        """Return the texts of this test's lines."""
        return [
            line.text
            for line in self.dev.lines[self.before :]
            if line.what == what and all(part in line.text for part in parts)
        ]

    def wait_shown(self, what: str, *parts: str, count: int = 1) -> list[str]:
        """Return them when there are so many."""

        def find() -> list[str]:
            texts = self.shown(what, *parts)
            return texts if len(texts) >= count else []

        return wait_until(find, f"{count} times {what} {parts}")

    def http_version(self) -> int:
        """Return the version that an HTTP task has."""
        return int(request(self.dev.port, "GET", "/version").body)

    def version(self, data: str, name: str = "") -> int:
        """Publish a message, and return the version of the code that ran."""
        name = name or self.name
        self.dev.rest.publish(name, data.encode())
        return int(self.dev.wait_effects(name, data=data)[0]["version"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("reload")
    write(folder / "main.py", task("first"))
    with running(folder) as dev:
        yield dev


@pytest.fixture
def editor(shared: Dev, request: pytest.FixtureRequest) -> Editor:
    """Serve a task of the test's own name."""
    number = request.session.items.index(request.node)
    editor = Editor(shared, f"work{number:03}")
    editor.save(editor.main, task(editor.name))
    editor.before = len(shared.lines)
    return editor


# --- what is served


def test_each_save_of_a_file_is_served(editor: Editor) -> None:
    editor.save(editor.main, http(0))

    for number in range(1, 4):
        write(editor.main, http(number))
        wait_until(lambda n=number: editor.http_version() == n, f"version {number} answers")
        editor.wait_shown("reload", "main.py changed; serving it after", count=number + 1)


# --- nothing is lost


def test_no_message_is_lost_while_files_are_saved(editor: Editor) -> None:
    dev, name = editor.dev, editor.name
    published: set[str] = set()

    def publish_until(reloads: int) -> bool:
        data = str(len(published))
        dev.rest.publish(name, data.encode())
        published.add(data)
        return len(published) >= 50 * reloads and reloads <= len(
            editor.shown("reload", "serving it")
        )

    for number in range(1, 11):
        write(editor.main, task(name, number))
        wait_until(lambda n=number: publish_until(n), f"{number} reloads")

    wait_until(lambda: {effect["data"] for effect in dev.effects(name)} == published, "all done")
    assert editor.shown("dead") == []
    assert editor.shown("retry") == []
    assert len({effect["version"] for effect in dev.effects(name)}) > 5
    executions = len(dev.effects(name))
    print(f"{len(published)} messages, {executions} executions, 10 reloads")


def test_what_is_saved_while_the_last_change_is_loaded_is_served(editor: Editor) -> None:
    loading, go = (editor.dev.folder / f"{editor.name}.{name}" for name in ("loading", "go"))
    slow = (
        "import pathlib, time\n"
        f"pathlib.Path({str(loading)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists():\n"
        "    time.sleep(0.01)\n"
    )
    write(editor.main, slow + task(editor.name, 1))
    wait_until(loading.exists, "it is being loaded")

    write(editor.main, task(editor.name, 2))
    go.touch()

    numbers = itertools.count()
    wait_until(lambda: editor.version(str(next(numbers))) == 2, "what was saved last is served")


def test_code_that_hangs_when_it_is_loaded_is_given_up_when_it_changes(editor: Editor) -> None:
    loading = editor.dev.folder / f"{editor.name}.loading"
    write(editor.main, task(editor.name, 1), f"open({str(loading)!r}, 'w').close()", HANG)
    wait_until(loading.exists, "it is being loaded")

    editor.save(editor.main, task(editor.name, 2))

    assert editor.version("a") == 2


def test_a_save_delivers_what_waits_for_a_retry(editor: Editor) -> None:
    name = editor.name
    later = "ucam_faas.RetryPolicy(min_backoff=timedelta(seconds=500))"
    editor.save(editor.main, task(name).replace("AT_ONCE", later) + "    1 / 0\n")
    editor.dev.rest.publish(name, b"a")
    editor.wait_shown("retry", name)

    editor.save(editor.main, task(name, 2).replace("AT_ONCE", later))

    editor.dev.wait_effects(name, data="a", version=2)


def test_a_running_task_ends_in_the_code_that_it_began_in(editor: Editor) -> None:
    go, name = editor.dev.folder / f"{editor.name}.go", editor.name
    waiting = f"""
    import pathlib, time
    while not pathlib.Path({str(go)!r}).exists():
        time.sleep(0.01)
    record("went", name={name!r}, version=%d)
"""
    editor.save(editor.main, task(name, 0) + waiting % 0)
    number = editor.dev.rest.publish(name, b"a")
    editor.dev.wait_effects(name, data="a")

    editor.save(editor.main, task(name, 1) + waiting % 1)
    go.touch()

    editor.wait_shown("done", f"{name}  message {number}, attempt 1")
    assert [effect["version"] for effect in editor.dev.effects("went", name=name)] == [0]


# --- what may be saved


def test_a_syntax_error_is_shown_and_the_last_good_code_goes_on(editor: Editor) -> None:
    write(editor.main, "def broken(:")
    (error,) = editor.wait_shown("error", "main.py")
    editor.wait_shown("reload", "still serving the last code that worked")
    before = editor.version("a")
    editor.save(editor.main, task(editor.name, 1))

    assert error.startswith("Importing "), "the path is shown once"
    assert "SyntaxError" in error
    assert "(main.py, line " in error
    assert before == 0
    assert editor.version("b") == 1


def test_an_error_names_the_saved_file_that_it_is_in(editor: Editor) -> None:
    wrong, right = (editor.dev.folder / f"{name}_{editor.name}.py" for name in ("wrong", "right"))
    editor.save(wrong)
    editor.save(right)
    imports = f"import {wrong.stem}, {right.stem}\n"
    editor.save(editor.main, imports + task(editor.name, 1))

    write(wrong, "import nothing_of_this_name")
    write(right, "SAVED = True")

    error = editor.wait_shown("error", "nothing_of_this_name")[0]
    assert error.startswith(f"{wrong.name}: Importing ")
    editor.save(wrong)


def test_an_error_in_a_module_that_is_new_is_followed_too(editor: Editor) -> None:
    pack = f"pack_{editor.name}"
    module = editor.dev.folder / pack / "__init__.py"
    write(module, "raise ValueError('not yet')")
    write(editor.main, f"import {pack}", task(editor.name, 1))
    editor.wait_shown("error", "not yet")

    editor.save(module)

    assert editor.version("a") == 1


def test_a_module_beside_it_and_one_in_a_package_are_followed(editor: Editor) -> None:
    folder, name = editor.dev.folder, editor.name
    beside, deep = folder / f"beside_{name}.py", folder / f"pack_{name}" / "deep" / "__init__.py"
    write(beside, "BESIDE = 0")
    write(deep.parent.with_name("__init__.py"))
    write(deep, "DEEP = 0")
    imports = f"from beside_{name} import BESIDE\nfrom pack_{name}.deep import DEEP\n"
    editor.save(editor.main, imports + task(name, "BESIDE + DEEP"))

    editor.save(beside, "BESIDE = 1")
    first = editor.version("a")
    editor.save(deep, "DEEP = 10")
    second = editor.version("b")

    assert (first, second) == (1, 11)
    assert editor.shown("reload", f"pack_{name}/deep/__init__.py changed")


def test_a_new_folder_of_tasks_is_found(start_dev: StartDev, tmp_path: Path) -> None:
    write(tmp_path / "tasks" / "one" / "main.py", task("one"))
    editor = Editor(start_dev("tasks", folder=tmp_path), "two")

    editor.save(tmp_path / "tasks" / "two" / "main.py", task("two"))

    assert editor.version("a") == 0


def test_other_files_change_nothing(editor: Editor) -> None:
    folder = editor.dev.folder

    for name in ("notes.txt", ".#main.py", "main.pyc", "__pycache__/new.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    editor.save(editor.main, task(editor.name, 1))

    (line,) = editor.shown("reload")
    assert line.startswith("main.py changed")


# --- what the tasks ask for


def test_a_renamed_task_has_a_topic_of_its_new_name(editor: Editor) -> None:
    new = f"{editor.name}_new"

    editor.save(editor.main, task(new, 1))

    assert editor.shown("reload", f"deleted the subscriptions {editor.name}, ")
    wait_until(lambda: f"topic {new}" in editor.dev.stdout, "the table is shown again")
    assert editor.version("a", new) == 1
    assert not editor.dev.rest.exists(f"projects/local/subscriptions/{editor.name}")


def test_a_removed_task_keeps_its_messages_until_it_is_back(editor: Editor) -> None:
    name, other = editor.name, task(f"{editor.name}_other")
    editor.save(editor.main, other, task(name) + "    1 / 0\n")
    number = editor.dev.rest.publish(name, b"a")
    editor.wait_shown("retry", f"{name}  message {number}")

    editor.save(editor.main, other)
    kept = editor.shown("reload", f"kept the subscription {name} and its messages")
    editor.save(editor.main, other, task(name, 1))

    assert kept
    editor.dev.wait_effects(name, data="a", version=1)
    editor.wait_shown("done", f"{name}  message {number}")


def test_a_changed_filter_counts_from_then_on(editor: Editor) -> None:
    name, rest = editor.name, editor.dev.rest
    editor.save(editor.main, task(name, filter="'attributes:old'"))

    editor.save(editor.main, task(name, filter="'attributes:new'"))
    rest.publish(name, b"a", old="1")
    number = rest.publish(name, b"b", new="1")

    assert editor.shown("reload", f"recreated the subscription {name}: ")
    editor.wait_shown("done", f"{name}  message {number}")
    assert editor.dev.effects(name, data="a") == []
    assert rest.subscription(name)["filter"] == "attributes:new"


def test_schedules_come_and_go(editor: Editor) -> None:
    name, rest = editor.name, editor.dev.rest

    editor.save(editor.main, task(name, schedule="Schedule('5 4 * * *', data=b's')"))
    added = rest.job(name)["schedule"]
    wait_until(lambda: "5 4 * * *  Etc/UTC" in editor.dev.stdout, "the table is shown again")
    editor.save(editor.main, task(name, schedule="Schedule('6 4 * * *', data=b's')"))
    changed = rest.job(name)["schedule"]
    editor.save(editor.main, task(name))

    assert (added, changed) == ("5 4 * * *", "6 4 * * *")
    assert not rest.exists(f"projects/local/locations/local/jobs/{name}")


def test_a_name_that_no_subscription_can_have_is_refused(editor: Editor) -> None:
    write(editor.main, task(editor.name, 1), task("ab", topic="'some-topic'"))

    editor.wait_shown("error", "'ab' can be served, but Pub/Sub can't have")
    editor.wait_shown("reload", "still serving the last code that worked")
    assert editor.version("a") == 0
