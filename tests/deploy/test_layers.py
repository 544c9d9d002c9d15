"""Layers merge in order, and each value records its layer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from ucam_faas.deploy import layers
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.keys import keys
from ucam_faas.deploy.layers import Merged, merge
from ucam_faas.deploy.problems import ProblemsError

from .conftest import Project

ORDER = (
    "collection",
    "top level",
    "[stage.live]",
    "decorator",
    "[task.welcome]",
    "[task.welcome.stage.live]",
)
SCALARS = ("service_account", "log_level", "dead_letter_archive")
LISTS = ("publishes_to", "alert_channels")
NAMES = st.sampled_from("ABC")
LAYER: Any = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(SCALARS, NAMES),
        **dict.fromkeys(LISTS, st.lists(NAMES, max_size=4)),
        "labels": st.dictionaries(NAMES, NAMES),
        "environment": st.dictionaries(NAMES, NAMES),
        "vpc_access": st.fixed_dictionaries(
            {"network": NAMES}, optional={"egress": NAMES, "tags": st.lists(NAMES)}
        ),
    },
)
LAYERS = st.tuples(*[LAYER] * len(ORDER))
Given = tuple[dict[str, Any], ...]


def config_of(layers: Given, *, others: dict[str, Any] | None = None) -> ConfigFile:
    """Return the file that has these layers."""
    _, app, stage, _, task, task_stage = layers
    own = {**task, "stage": {"live": task_stage}}
    rest = others or {}
    table = {**app, "stage": {"live": stage, "test": rest}, "task": {"welcome": own, "bye": rest}}
    return ConfigFile(table=table)


def merged(layers: Given, *, stage: str | None = "live", **options: Any) -> Merged:
    return merge(
        config_of(layers, **options),
        task="welcome",
        stage=stage,
        collection=layers[0],
        decorator=layers[3],
    )


def parts(table: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return each value, entry and item of a layer by its path."""
    leaves: dict[tuple[str, ...], Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            leaves |= parts(value, (*path, name))
        elif isinstance(value, list):
            leaves |= {(*path, name, item): item for item in value}
        else:
            leaves[*path, name] = value
    return leaves


def in_list(path: tuple[str, ...]) -> bool:
    return path[0] in LISTS or path[:2] == ("vpc_access", "tags")


@pytest.mark.slow
@given(LAYERS)
def test_the_last_layer_that_says_something_wins(layers: Given) -> None:
    result = merged(layers)

    last = {path: value for layer in layers for path, value in parts(layer).items()}
    said = {path: value for path, value in parts(result.values).items() if path in result.origins}
    assert said == last


@pytest.mark.slow
@given(LAYERS)
def test_lists_concatenate_without_repeats_and_keep_first_places(layers: Given) -> None:
    result = merged(layers)

    for name in LISTS:
        items = [item for layer in layers for item in layer.get(name, [])]
        assert result[name] == list(dict.fromkeys(items))


@pytest.mark.slow
@given(LAYERS)
def test_an_origin_is_the_layer_that_supplied_the_value(layers: Given) -> None:
    result = merged(layers)

    suppliers: dict[tuple[str, ...], list[str]] = {}
    for name, layer in zip(ORDER, layers, strict=True):
        for path in parts(layer):
            suppliers.setdefault(path, []).append(name)
    for path, names in suppliers.items():
        assert result.origin(*path).layer == names[0 if in_list(path) else -1]
    assert result.origins.keys() == suppliers.keys()


@pytest.mark.slow
@given(LAYERS)
def test_merging_is_deterministic_and_changes_no_layer(layers: Given) -> None:
    before = repr(layers)

    first, second = merged(layers), merged(layers)

    assert first == second
    assert list(first.origins) == list(second.origins)
    assert repr(layers) == before


def test_a_layers_values_are_in_the_order_of_the_keys() -> None:
    """Otherwise two processes would print different text."""
    layer = dict.fromkeys(reversed(SCALARS), "A") | {name: ["A"] for name in reversed(LISTS)}

    result = merge(ConfigFile(), task="welcome", collection=layer, decorator={})

    assert [path[0] for path in result.origins] == [name for name in keys() if name in layer]


@pytest.mark.slow
@given(LAYERS, LAYER)
def test_other_stages_and_tasks_change_nothing(layers: Given, others: dict[str, Any]) -> None:
    assert merged(layers, others=others) == merged(layers)


@pytest.mark.slow
@given(LAYERS)
def test_without_a_stage_no_stage_counts(layers: Given) -> None:
    collection, app, _, decorator, task, _ = layers

    result = merged(layers, stage=None)

    without = merged((collection, app, {}, decorator, task, {}))
    assert (result.values, result.origins) == (without.values, without.origins)


@pytest.mark.slow
@given(LAYER, LAYER)
def test_an_empty_file_changes_nothing(collection: Any, decorator: Any) -> None:
    code = {"collection": collection, "decorator": decorator}

    empty = merged((collection, {}, {}, decorator, {}, {}), stage=None)

    assert merge(ConfigFile(), task="welcome", **code) == empty


VARIABLES: Any = st.fixed_dictionaries(
    {}, optional=dict.fromkeys("ABC", st.sampled_from(["environment", "secrets"]))
)


@pytest.mark.slow
@given(st.tuples(*[VARIABLES] * len(ORDER)))
def test_the_last_layer_decides_a_variable(kinds: tuple[dict[str, str], ...]) -> None:
    """A stage may put a secret where the code has a plain value, and the other way round."""
    layers = tuple(
        {
            kind: {name: f"v-{number}" for name in layer if layer[name] == kind}
            for kind in ("environment", "secrets")
        }
        for number, layer in enumerate(kinds)
    )

    result = merged(layers)

    last = {name: (kind, number) for number, at in enumerate(kinds) for name, kind in at.items()}
    for kind in ("environment", "secrets"):
        expected = {name: f"v-{number}" for name, (k, number) in last.items() if k == kind}
        assert result[kind] == expected
        for name in expected:
            assert result.origin(kind, name).layer == ORDER[last[name][1]]
    assert len(result.origins) == len(last)


def test_an_unset_key_has_its_default() -> None:
    result = merge(ConfigFile(), task="welcome", collection={}, decorator={})

    assert result.origins == {}
    assert result.origin("memory").layer == "default"
    defaults = {key.name: key.default for key in keys().values() if key.merge == "value"}
    defaults["max_instances"] = 20  # as many as the quota allows
    assert {name: result[name] for name in defaults} == defaults
    assert {repr(result[name]) for name in keys().keys() - defaults.keys()} == {"[]", "{}"}


# --- values that do not fit together


def clash(project: Project, text: str, **decorator: Any) -> str:
    project.write("ucam-faas.toml", text)
    config = layers.read(project.root)
    with pytest.raises(ProblemsError) as caught:
        merge(config, task="welcome", stage="live", collection={}, decorator=decorator)
    return str(caught.value)


def test_an_error_about_a_pair_of_values_names_both_origins(project: Project) -> None:
    line = clash(project, "[stage.live]\nmemory = '16Gi'", cpu=2)

    assert line == (
        "ucam-faas.toml:2 [stage.live]: the task 'welcome': memory='16Gi' needs more CPUs (Cloud "
        "Run's rule): cpu=2 has room for 8Gi (memory from ucam-faas.toml:2 [stage.live], cpu from "
        "decorator)."
    )


def test_an_error_about_an_entry_of_a_map_names_its_line(project: Project) -> None:
    text = "[task.welcome.volumes]\n'/data' = 'gs://files'\n'/tmp' = '512Mi'\n[stage.live]"

    line = clash(project, text, memory="512Mi")

    assert line.startswith("ucam-faas.toml:3 [task.welcome]: the task 'welcome': memory='512Mi' ")
    assert line.endswith("volumes./tmp from ucam-faas.toml:3 [task.welcome]).")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", 20),
        ("cpu_quota = 200", 100),
        ("cpu_quota = 200\ncpu = 4\nmemory = '2Gi'", 50),
        ("cpu_quota = 3\ncpu = 4\nmemory = '2Gi'", 1),
        ("cpu = 0.08", 80),
        ("memory = '4Gi'", 10),
        ("cpu_quota = 10\nmax_instances = 30", 30),
        ("telemetry.collector = 'google-cloud'", 10),
        ("sidecars.proxy = { image = 'proxy:1', cpu = 4, memory = '2Gi' }", 4),
    ],
)
def test_the_most_instances_are_those_of_the_quota_by_default(
    options: str, expected: int, project: Project
) -> None:
    project.write("ucam-faas.toml", options)

    config = layers.read(project.root)
    values = merge(config, task="welcome", collection={}, decorator={}).values

    assert values["max_instances"] == expected


def test_min_instances_above_the_default_maximum_is_an_error_with_the_default(
    project: Project,
) -> None:
    line = clash(project, "stage.live.min_instances = 101")

    assert "min_instances=101 is more than max_instances=20" in line
    assert "max_instances from default" in line


def test_a_job_is_held_to_the_rules_of_jobs(project: Project) -> None:
    line = clash(project, "[stage.live]\n[task.welcome]\ncpu = 0.5", run_as="cloud-run-job")

    assert line.startswith("ucam-faas.toml:3 [task.welcome]: ")
    assert "run_as from decorator" in line


def test_more_labels_than_google_takes_are_refused(project: Project) -> None:
    some, others = ("\n".join(f"{c}{n} = ''" for n in range(33)) for c in "ab")

    line = clash(project, f"[labels]\n{some}\n[stage.live.labels]\n{others}")

    assert "it has 66 labels: expected at most 64" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("egress = 'all-traffic'", "leads nowhere"),
        ("connector = 'projects/p/locations/r/connectors/c'\nnetwork = 'n'", "its own network"),
    ],
)
def test_a_vpc_access_that_cannot_work_is_refused(
    text: str, expected: str, project: Project
) -> None:
    line = clash(project, f"[stage.live.vpc_access]\n{text}")

    assert line.startswith("ucam-faas.toml:2 [stage.live]: the task 'welcome': vpc_access ")
    assert expected in line
