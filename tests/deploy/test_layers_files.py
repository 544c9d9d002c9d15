"""Finding and reading the configuration, and the line of each key."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ucam_faas.deploy import layers
from ucam_faas.deploy.config_file import ConfigFile, find, lines_of
from ucam_faas.exceptions import ConfigurationError

from .conftest import Project

# --- finding


def test_without_a_file_the_configuration_is_empty(project: Project) -> None:
    config = find(project.root)

    assert config == ConfigFile()


def test_the_table_of_pyproject_is_read(project: Project) -> None:
    project.write("pyproject.toml", "[project]\nname = 'x'\n[tool.ucam-faas]\nregion = 'r'")

    config = find(project.root)

    assert (config.name, dict(config.table)) == ("pyproject.toml", {"region": "r"})


def test_the_top_level_of_ucam_faas_toml_is_read(project: Project) -> None:
    project.write("ucam-faas.toml", "region = 'r'")
    project.write("pyproject.toml", "[project]\nname = 'x'")

    config = find(project.root)

    assert (config.name, dict(config.table)) == ("ucam-faas.toml", {"region": "r"})


def test_the_nearest_directory_with_a_configuration_counts(project: Project) -> None:
    """A pyproject.toml without our table isn't a configuration file."""
    project.write("ucam-faas.toml", "region = 'far'")
    project.write("a/ucam-faas.toml", "region = 'near'")
    project.write("a/b/pyproject.toml", "[project]\nname = 'x'")

    config = find(project.root / "a/b")

    assert dict(config.table) == {"region": "near"}


def test_nothing_above_a_git_directory_is_read(project: Project) -> None:
    project.write("ucam-faas.toml", "region = 'far'")
    (project.root / "a/.git").mkdir(parents=True)

    assert find(project.root / "a") == ConfigFile()
    assert find(project.root).path is not None


def test_two_configurations_in_one_directory_are_an_error_that_names_both(
    project: Project,
) -> None:
    project.write("ucam-faas.toml", "")
    project.write("pyproject.toml", "[tool.ucam-faas]")

    with pytest.raises(ConfigurationError, match=r"pyproject\.toml and ucam-faas\.toml.*delete"):
        find(project.root)


@pytest.mark.parametrize("rest", ["", "[tool.ucam-faas]"])
@pytest.mark.parametrize("key", ["task", "stage"])
def test_a_table_of_ours_outside_of_tool_is_an_error(key: str, rest: str, project: Project) -> None:
    project.write("pyproject.toml", f"[{key}.a]\nmin_instances = 1\n{rest}")

    with pytest.raises(ConfigurationError, match=rf"write \[tool\.ucam-faas\.{key}\.…\]"):
        find(project.root)


@pytest.mark.parametrize("content", [b"a = ", b"a = '\xff'"])
def test_a_file_that_is_no_toml_is_an_error_that_names_it(content: bytes, project: Project) -> None:
    (project.root / "pyproject.toml").write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"^pyproject\.toml cannot be read as TOML"):
        find(project.root)


def test_a_table_of_ours_that_is_none_is_an_error(project: Project) -> None:
    project.write("pyproject.toml", "[tool]\nucam-faas = 3")

    with pytest.raises(ConfigurationError, match="expected a table"):
        find(project.root)


# --- lines


def test_each_key_has_the_line_of_its_statement(project: Project) -> None:
    file = project.write(
        "pyproject.toml",
        '''
        # [tool.ucam-faas]
        text = """
        [tool.ucam-faas]
        region = 1
        """
        [tool.ucam-faas]   # ours
        labels = { team = "a", "cost.centre" = "b" }
        publishes_to = [
          "one",  # ]
          "two",
        ]
        environment.MODE = "x"

        [tool.ucam-faas.task."a b"]
        memory = "1Gi"
        [[other]]
        memory = "2Gi"
        ''',
    )

    lines = find(file.parent).lines

    assert lines == {
        (): 6,
        ("labels",): 7,
        ("labels", "team"): 7,
        ("labels", "cost.centre"): 7,
        ("publishes_to",): 8,
        ("environment",): 12,
        ("environment", "MODE"): 12,
        ("task",): 14,
        ("task", "a b"): 14,
        ("task", "a b", "memory"): 15,
    }


KEYS = st.text('ab-_ ."\\é', max_size=3)
SCALARS = st.one_of(st.integers(), st.booleans(), st.text("a\n\r\t [}]{\"'=#,\\", max_size=6))
TABLES: Any = st.recursive(
    st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(SCALARS, inner), max_size=3),
    max_leaves=8,
)


class Writer:
    """Writes TOML in many shapes, and records the line of each key."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = lambda *choices: data.draw(st.sampled_from(choices))
        self.newline = self.draw("\n", "\r\n")
        self.text, self.lines = "", {}

    def table(self, table: dict[str, Any], path: tuple[str, ...] = ()) -> None:
        inner = {name: value for name, value in table.items() if isinstance(value, dict)}
        for name, value in table.items():
            if name not in inner:
                self.put(f"{self.key(name)} = {self.value(value)}", (*path, name))
        for name, value in inner.items():
            self.put(f"[{'.'.join(map(self.key, (*path, name)))}]", (*path, name))
            self.table(value, (*path, name))

    def put(self, statement: str, path: tuple[str, ...]) -> None:
        self.text += self.draw("", self.newline, f"  # [x]{self.newline}", " ")
        self.lines[path] = self.text.count("\n") + 1
        self.text += statement + self.draw("", " # a = [") + self.newline

    def key(self, name: str) -> str:
        return json.dumps(name, ensure_ascii=False)

    def value(self, value: Any) -> str:
        if isinstance(value, list):
            gap = self.draw("", " ", self.newline, f" # ]{self.newline}")
            return f"[{gap}{f',{gap}'.join(map(self.value, value))}{gap}]"
        if isinstance(value, str) and self.draw(True, False):
            quoted = json.dumps(value, ensure_ascii=False)[1:-1]
            return f'"""{self.newline}{quoted}"""'
        return json.dumps(value, ensure_ascii=False)


@pytest.mark.slow
@given(TABLES, st.data())
def test_lines_are_found_in_any_layout(table: dict[str, Any], data: st.DataObject) -> None:
    writer = Writer(data)
    writer.table(table)
    assert tomllib.loads(writer.text) == table

    assert lines_of(writer.text) == writer.lines


def test_reading_checks_the_file(project: Project) -> None:
    project.write("ucam-faas.toml", "regoin = 'europe-west2'")

    with pytest.raises(ConfigurationError, match=r"^ucam-faas\.toml:1 top level: .*'region'\?"):
        layers.read(project.root)
