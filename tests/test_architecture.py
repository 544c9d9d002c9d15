"""The folders are the architecture: imports point down, or sideways without a circle.

Imports are read from the syntax trees, wherever they are: at the top of a module, inside a
function, under TYPE_CHECKING, or by name (`import_module`, `require`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = "ucam_faas"
ROOT = Path(__file__).parent.parent / PACKAGE

LEVELS = (
    {
        "exceptions",
        "config",
        "clock",
        "forks",
        "_optional",
        "local_state",
        "project",
        "gcp",
        "logs",
        "net",
    },
    {"outcomes", "events"},
    {"tasks", "telemetry"},
    {"publishing", "jobs", "history"},
    {"execution"},
    {"sending"},
    {"job_runs", "decorators", "task_types", "collection", "function", "http_jobs"},
    {"serving", "worker", "emulator", "actions", "dead_letters", "backends", "dashboard", "mcp"},
    {
        *("dev", "completion", "deploy", "doctor", "scaffold", "testing", "upgrade", "cli"),
        *("_pytest_plugin", "__main__"),
    },
)
"""The rooms of docs/architecture.md: a folder and its contents, or a top-level module.
`__init__` is just above level 6."""

SUFFIXES = {".py", ".typed", ".sql", ".json", ".html", ".css", ".js", ".svg", ".template"}

OLD_NAMES = {
    *("cloud_events", "contexts", "execution_info", "gcp_pubsub"),
    *("handler_execution", "messages"),
    "local_testing",
}
"""Modules that only re-export the names of earlier versions: no room imports them."""

UPWARD = {
    ("function", "serving.functions_framework"): (
        "by name, as an entry point: a decorated function answers when functions-framework calls it"
    ),
}
"""Imports that point up the table, each with its reason."""

ANNOTATIONS_ONLY = {
    ("__init__", "worker.worker"): "a worker is a front door that may be started in code",
    ("__init__", "worker.options"): "and has a result",
    ("exceptions", "events.execution_info"): "ExecutionAbortedException carries a report",
    ("tasks.middleware", "tasks.task"): "a task's deliveries name it",
}
"""Imports under TYPE_CHECKING that would break a rule, each with its reason."""


@dataclass(frozen=True)
class Owner:
    """The modules that may import a library."""

    anywhere: frozenset[str] = frozenset()
    in_functions: frozenset[str] = frozenset()
    for_types: frozenset[str] = frozenset()
    """Under TYPE_CHECKING."""


def owner(*anywhere: str, in_functions: str = "", for_types: str = "") -> Owner:
    return Owner(frozenset(anywhere), frozenset(in_functions.split()), frozenset(for_types.split()))


_FLASK = ("serving.flask_tasks", "serving.responses", "serving.functions_framework")
HEAVY = {
    "flask": owner(
        *_FLASK,
        in_functions="testing.of_1_0 execution.http_responses tasks.outer_decorators",
        for_types="_pytest_plugin testing.of_1_0 execution.http_responses",
    ),
    "werkzeug": owner(*_FLASK),
    "google.pubsub_v1": owner(
        "emulator.api.protos", "worker.protos", in_functions="emulator.api.messages_only"
    ),
    "google.protobuf": owner(
        "emulator.api.protos",
        "worker.protos",
        "emulator.schemas.protobuf",
        "emulator.schemas.proto_names",
        "emulator.schemas.proto_parser",
        in_functions="dashboard.forms.protobuf http_jobs.payloads tasks.payload_types "
        "tasks.protobuf_schemas tasks.samples.protobuf",
    ),
    "google.iam": owner("emulator.api.protos"),
    "google.rpc": owner("emulator.api.protos"),
    "google.cloud.pubsub_v1": owner(in_functions="dev.external"),
    "google.api_core": owner(in_functions="dev.external jobs.payloads.bucket"),
    "google.cloud.scheduler_v1": owner(in_functions="emulator.scheduler.messages"),
    "google.cloud.tasks_v2": owner(in_functions="emulator.cloud_tasks.messages"),
    "google.cloud.location": owner(in_functions="emulator.targets.names"),
    "grpc": owner("emulator.wire.grpc", "worker.connection", in_functions="emulator.emulator"),
    "cryptography": owner(in_functions="emulator.push.tokens serving.signing_keys"),
    "httptools": owner("net.http_protocol", "emulator.push.client"),
    "fastavro": owner(in_functions="emulator.schemas.avro"),
    "watchfiles": owner(in_functions="dev.changes"),
    "dotenv": owner(in_functions="dev.env_file"),
    "google.cloud.storage": owner(in_functions="serving.run_once jobs.payloads.bucket"),
    "google.auth": owner(
        in_functions="serving.token_auth serving.signing_keys net.google_rest worker.connection"
    ),
    "google.oauth2": owner(in_functions="serving.token_auth net.google_rest"),
    "requests": owner("telemetry.connection", in_functions="serving.token_auth net.google_rest"),
    "cloudevents": owner(
        in_functions="testing.of_1_0 events.deliveries testing.events",
        for_types="events.context task_types events.deliveries function testing.events",
    ),
    "functions_framework": owner(in_functions="function"),
    "gunicorn": owner("serving.server"),
    "uvicorn": owner(
        *("net.http_protocol", "serving.worker", "testing.serving", "emulator.emulator"),
        "dashboard.server",
    ),
    "starlette": owner("dashboard.app", "dashboard.render", "dashboard.streams"),
    "mcp": owner("mcp.server", in_functions="cli.mcp"),
    "mcp_types": owner("mcp.server"),
    "anyio": owner("mcp.server"),
    "jinja2": owner("dashboard.render"),
    "markupsafe": owner("dashboard.render"),
    "packaging": owner(
        in_functions="doctor.packages upgrade.in_packages",
        for_types="doctor.packages upgrade.in_packages",
    ),
    "uvicorn_worker": owner("serving.worker"),
    "click": owner("cli", "dev.session", "dev.stream"),
    "uvloop": owner(in_functions="cli.worker"),
    "psycopg": owner("jobs.stores.postgresql_connection"),
    "opentelemetry": owner(
        *(f"telemetry.{name}" for name in ("context", "metrics", "providers", "span_queue")),
        "telemetry.telemetry",
        in_functions="telemetry.switch",
    ),
    "polyfactory": owner(in_functions="testing.of_1_0", for_types="testing"),
    "pytest": owner("_pytest_plugin"),
}
"""Libraries that cost time or memory to import, and the modules that own them."""

ALLOWED = {"pydantic", "pydantic_core"}
"""Third-party libraries that any module may import."""

UNUSED = {"structlog"}
"""Libraries that tasks may install: no module imports them."""


@dataclass(frozen=True)
class Import:
    """One import of one name."""

    importer: str
    imported: str
    """A module of this package without the package's name, or another's full name."""
    line: int
    in_function: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_names() -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        names[name] = path
    return names


MODULES = module_names()


def test_the_package_holds_code_and_nothing_left_over() -> None:
    """An editor's or a patch's leftover files would be in the wheel."""
    files = [path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    assert [path.name for path in files if path.suffix not in SUFFIXES] == []


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imports_of(
    importer: str, node: ast.AST, *, in_function: bool = False, for_types: bool = False
) -> Iterator[tuple[str, Import]]:
    """Yield `("own" | "other", import)` for each import of a module."""
    for name in _imported(importer, node):
        own = name == PACKAGE or name.startswith(f"{PACKAGE}.")
        short = _module_of(name) if own else name
        statement = Import(importer, short, getattr(node, "lineno", 0), in_function, for_types)
        yield ("own" if own else "other"), statement
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        for child in node.body:
            yield from imports_of(importer, child, in_function=in_function, for_types=True)
        for child in node.orelse:
            yield from imports_of(importer, child, in_function=in_function, for_types=for_types)
        return
    inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from imports_of(
            importer, child, in_function=in_function or inside, for_types=for_types
        )


def _imported(importer: str, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, f"{importer}:{node.lineno}: relative imports are not used here"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args:
        called = getattr(node.func, "attr", getattr(node.func, "id", None))
        if called in ("import_module", "require", "check", "find_spec"):
            return _names_in(node.args[0])
    return []


def _names_in(argument: ast.expr) -> list[str]:
    """Return the module that an argument names; of an f-string, its fixed beginning."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        fixed = str(argument.values[0].value).rstrip(".")
        return [fixed] if fixed else []
    return []


def _module_of(name: str) -> str:
    """Return the longest part of a name that is a module; `__init__` for the package itself."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts) or "__init__"


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


@cache
def all_imports(kind: str) -> list[Import]:
    return [statement for which, statement in _imports_of_the_package() if which == kind]


@cache
def _imports_of_the_package() -> list[tuple[str, Import]]:
    return [pair for module in MODULES for pair in imports_of(module, tree_of(module))]


def level(module: str) -> float:
    room = module.partition(".")[0]
    if room == "__init__" or room in OLD_NAMES:
        return 6.5 if room == "__init__" else 8
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


ROOMS = [room for rooms in LEVELS for room in rooms]


def test_the_rooms_are_the_folders_and_modules_of_the_package() -> None:
    there = {name.partition(".")[0] for name in MODULES}

    assert there == {*ROOMS, *OLD_NAMES, "__init__"}
    assert len(ROOMS) == len(set(ROOMS))


def test_every_room_says_what_it_holds() -> None:
    folders = {path.parent for path in MODULES.values()}

    silent = [
        str(folder.relative_to(ROOT))
        for folder in folders
        if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    ]

    assert silent == []


def test_old_names_are_for_users_only() -> None:
    assert [
        str(statement) for statement in all_imports("own") if statement.imported in OLD_NAMES
    ] == []


def test_owners_of_libraries_are_modules() -> None:
    assert {name for owner in HEAVY.values() for name in owner.anywhere} <= set(MODULES)
    assert {name for owner in HEAVY.values() for name in owner.in_functions} <= set(MODULES)


def test_imports_point_down_the_table_or_sideways() -> None:
    upward = [
        f"{statement} (level {level(statement.importer)} to {level(statement.imported)})"
        for statement in all_imports("own")
        if level(statement.imported) > level(statement.importer)
        and (statement.importer, statement.imported) not in UPWARD
        and not (
            statement.for_types and (statement.importer, statement.imported) in ANNOTATIONS_ONLY
        )
    ]

    assert upward == []


def test_the_emulator_does_not_import_the_rooms_of_tasks() -> None:
    """It delivers over HTTP, as the cloud does."""
    beyond = [
        str(statement)
        for statement in all_imports("own")
        if statement.importer.partition(".")[0] == "emulator"
        and statement.imported.partition(".")[0] != "emulator"
        and level(statement.imported) > 1
    ]

    assert beyond == []


PURE = (
    *("emulator.core", "emulator.scheduler.engine", "emulator.scheduler.jobs"),
    *("emulator.cloud_tasks.engine", "emulator.cloud_tasks.backlog", "emulator.cloud_tasks.tasks"),
    "emulator.targets.target",
    *("emulator.errors", "gcp"),
)
"""They hold state and take the time as an argument. `emulator.core.storage.sqlite` does I/O."""
INPUT_OUTPUT = {"asyncio", "socket", "sqlite3", "threading", "time", "os", "subprocess", "ssl"}


def is_pure(module: str) -> bool:
    return module != "emulator.core.storage.sqlite" and any(_is_in(module, room) for room in PURE)


def test_the_pure_rooms_do_no_input_or_output() -> None:
    impure = [
        str(statement)
        for statement in all_imports("other")
        if is_pure(statement.importer) and statement.imported.partition(".")[0] in INPUT_OUTPUT
    ]
    outside = [
        str(statement)
        for statement in all_imports("own")
        if is_pure(statement.importer)
        and not is_pure(statement.imported)
        and level(statement.imported) > 1
    ]

    assert impure + outside == []


def test_intervals_are_not_measured_by_the_wall_clock() -> None:
    """It may be set back. The emulator's schedules and the times of files use wall time; `clock`
    has it for the times of events."""
    readers = [
        name
        for name in MODULES
        if not name.startswith("emulator") and name not in ("clock", "dev.changes")
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "time.time_ns")
    ]

    assert readers == []


def test_no_constant_has_lost_its_docstring_to_the_next_one() -> None:
    """A name that is put between the two takes it, and then two stand together."""
    assert [
        f"{name}:{after.lineno}"
        for name in MODULES
        for before, after in pairwise(tree_of(name).body)
        if _is_text(before) and _is_text(after)
    ] == []


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_every_exception_is_needed() -> None:
    pairs = {(statement.importer, statement.imported) for statement in all_imports("own")}

    assert (UPWARD.keys() | ANNOTATIONS_ONLY.keys()) <= pairs


def test_imports_make_no_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for statement in all_imports("own"):
        pair = (statement.importer, statement.imported)
        if (
            statement.importer != statement.imported
            and pair not in UPWARD.keys() | ANNOTATIONS_ONLY.keys()
        ):
            graph[statement.importer].add(statement.imported)

    assert circle_in(graph) is None


def circle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """Return the modules of an import circle."""
    done: set[str] = set()

    def search(module: str, path: list[str]) -> list[str] | None:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return None
        for other in sorted(graph[module]):
            circle = search(other, [*path, module])
            if circle:
                return circle
        done.add(module)
        return None

    return next((circle for module in sorted(graph) if (circle := search(module, []))), None)


FRONT_DOORS = {"worker.worker", "worker.options"}
"""Modules above level 6 whose names the package exports: a worker may be started in code."""


def test_the_package_exports_names_of_level_6_or_below() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    homes = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "_HOMES"
    )

    assert {home for home in homes.values() if level(home) > 6} == FRONT_DOORS


@pytest.mark.parametrize("library", HEAVY)
def test_a_heavy_library_is_imported_by_its_owner_only(library: str) -> None:
    allowed = HEAVY[library]

    strangers = [
        str(statement)
        for statement in all_imports("other")
        if _is_in(statement.imported, library)
        and not any(_is_in(statement.importer, place) for place in allowed.anywhere)
        and not (statement.in_function and statement.importer in allowed.in_functions)
        and not (statement.for_types and statement.importer in allowed.for_types)
    ]

    assert strangers == []


@pytest.mark.parametrize("library", UNUSED)
def test_no_module_imports_a_library_that_tasks_install(library: str) -> None:
    assert [
        str(statement) for statement in all_imports("other") if _is_in(statement.imported, library)
    ] == []


def test_every_third_party_library_is_known() -> None:
    unknown = [
        str(statement)
        for statement in all_imports("other")
        if statement.imported.partition(".")[0] not in sys.stdlib_module_names | ALLOWED
        and not any(_is_in(statement.imported, library) for library in HEAVY)
    ]

    assert unknown == [], "Name the owners of these libraries in HEAVY"


def _is_in(name: str, library: str) -> bool:
    return f"{name}.".startswith(f"{library}.")


SOURCE = """
import os
from typing import TYPE_CHECKING
from ucam_faas.tasks import policies
from ucam_faas.tasks.task import Task
if TYPE_CHECKING:
    from flask import Request
def load():
    import grpc
    import_module(f"ucam_faas.cli.{name}")
    require("google.auth", extra="auth")
"""


def test_imports_are_found_anywhere_in_a_module() -> None:
    """If the reader missed imports, every rule would pass."""
    imports = [item for _, item in imports_of("sample", ast.parse(SOURCE))]

    seen = {item.imported: (item.in_function, item.for_types) for item in imports}
    assert seen == {
        "os": (False, False),
        "typing.TYPE_CHECKING": (False, False),
        "tasks.policies": (False, False),
        "tasks.task": (False, False),
        "flask.Request": (False, True),
        "grpc": (True, False),
        "cli": (True, False),
        "google.auth": (True, False),
    }


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None
