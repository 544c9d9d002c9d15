"""Errors in a configuration file name the line, the value that was found, and the fix."""

from __future__ import annotations

import pytest

from ucam_faas.deploy import layers
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.keys import keys
from ucam_faas.deploy.problems import ProblemsError, check_stage, check_tasks
from ucam_faas.deploy.secret_names import is_in_sight, looks_secret

from .conftest import Project

EVERY_KEY = """
    project = "my-project"
    region = "europe-west2"
    source = "tasks"
    existing_topics = ["orders"]
    name_prefix = "test-"
    kept_topics = ["welcome-dead-letter"]
    existing_job_places = ["gs://their-payloads"]
    longest_delay_days = 90
    cpu_quota = 200
    memory = "1Gi"
    cpu = 0.5
    min_instances = 0
    max_instances = 3
    service_account = "run@my-project.iam.gserviceaccount.com"
    ingress = "internal-and-cloud-load-balancing"
    log_level = "DEBUG"
    message_retention_seconds = 600
    topic_retention_seconds = 600
    alerting = { monitoring_scoping_project = "my-monitoring", error_ratio = 0.5 }
    allowed_persistence_regions = ["europe-west2"]
    topic_schema = { definition = "order.proto", encoding = "BINARY" }
    deletion_protection = false
    kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    dead_letter_archive = "my-archive"
    alert_channels = ["projects/p/notificationChannels/1"]
    cpu_idle = true
    custom_audiences = ["https://welcome.example.org"]
    annotations = { "example.org/owner" = "post-room" }
    task_count = 4
    parallelism = 2
    cloud_sql = ["my-project:europe-west2:shop"]
    roles = ["storage.objectUser on gs://reports", "cloudtrace.agent on projects/my-project"]
    publishes_to = ["orders", "projects/p/topics/parcels"]
    environment = { MODE = "fast" }
    secrets = { API_KEY = "api-key:3" }
    labels = { team = "a-team", "größe" = "" }
    invokers = ["group:team@example.org", "allUsers"]
    ignore = ["schedule-rare"]

    [sidecars.proxy]
    image = "proxy:1"

    [telemetry]
    collector = "collector.yaml"
    image = "otel:1"
    cpu = 0.5
    memory = "256Mi"

    [volumes]
    "/mnt/scratch" = "128Mi"

    [vpc_access]
    network = "default"
    subnetwork = "projects/p/regions/r/subnetworks/s"
    tags = ["web"]
    egress = "all-traffic"

    [stage.production]
    project = "my-project-2"

    [task.welcome]
    memory = "2Gi"
    vpc_access.connector = "projects/p/locations/r/connectors/c"

    [task.welcome.stage.production]
    cpu = "1"
"""


def test_a_file_with_every_key_is_right(project: Project) -> None:
    """The tests below and the documented table rely on this."""
    project.write("ucam-faas.toml", EVERY_KEY)

    config = layers.read(project.root)

    in_files = {name for name, key in keys().items() if key.configurable != "shown"}
    assert config.table.keys() - {"stage", "task"} == in_files
    task = config.layer(("task", "welcome", "vpc_access"))
    assert config.table["vpc_access"].keys() | task.keys() == keys()["vpc_access"].options.keys()


def problems(project: Project, text: str) -> list[str]:
    """Return the problems of a file."""
    project.write("ucam-faas.toml", text)
    with pytest.raises(ProblemsError) as caught:
        layers.read(project.root)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("memry = '1Gi'", "1 top level: there is no key 'memry'. Did you mean 'memory'?"),
        ("min-instances = 1", "1 top level: there is no key 'min-instances'. Did you mean 'min_in"),
        (
            "xyz = 1",
            "1 top level: there is no key 'xyz'. Known are: memory, cpu, min_in",
        ),
        ("[task.a]\nprojct = 1", "2 [task.a]: there is no key 'projct'. Known are: memory, cpu"),
        ("[stages.a]", "1 top level: there is no key 'stages'. Did you mean 'stage'?"),
        ("[vpc_access]\nnetwrk = 1", "2 top level: vpc_access has no key 'netwrk'. Did you mean '"),
        ("[tool.ucam-faas]\nregion = 1", "1 top level: ucam-faas.toml has the keys at the top"),
        ("timeout = 3", "1 top level: 'timeout' belongs in the code: write timeout=… on the"),
        ("[task.a]\nrun_as = 'cloud-run-job'", "2 [task.a]: 'run_as' belongs in the code"),
        (
            "[task.a]\nproject = 'my-project'",
            "2 [task.a]: 'project' is for all tasks: write it at the top level or in [stage.NAME].",
        ),
        ("[stage.a]\n[stage.a.stage.b]", "2 [stage.a]: 'stage' cannot be here: expected [stage"),
        ("[stage.a.task.b]", "1 [stage.a]: 'task' cannot be here: expected [task.NAME]."),
    ],
)
def test_a_misplaced_key_is_an_error_with_the_right_place(
    text: str, expected: str, project: Project
) -> None:
    (problem,) = problems(project, text)

    assert problem.startswith(f"ucam-faas.toml:{expected}")


def test_the_tables_for_all_tasks_are_named_as_pyproject_has_them(project: Project) -> None:
    project.write("pyproject.toml", "[tool.ucam-faas.task.a]\nregion = 'europe-west2'")

    with pytest.raises(ProblemsError) as caught:
        layers.read(project.root)

    tables = "write it in [tool.ucam-faas] or in [tool.ucam-faas.stage.NAME]."
    assert str(caught.value).endswith(tables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stage = 3", "expected a table of tables; found a number"),
        ("task = ['a']", "expected a table of tables; found a list"),
        ("stage.a = 'b'", "expected a table for each stage; found text"),
        ("task.a = true", "expected a table for each task; found true or false"),
        ("publishes_to = 'orders'", "publishes_to: expected a list; found text"),
        ("labels = ['a']", "labels: expected a table; found a list"),
        ("secrets = 'hunter2'", "secrets: expected a table; found text"),
        ("vpc_access = 1979-05-27", "vpc_access: expected a table; found a date or time"),
        ("vpc_access.tags = 'web'", "vpc_access.tags: expected a list; found text"),
        ("[[labels]]\na = 'b'", "labels: expected a table; found a list"),
        ("environment.A = 3", "level: environment: the value of 'A' is of type int: expected text"),
        ("deletion_protection = 'no'", 'expected true or false; found "no"'),
        ("region = 3", "expected a region, such as europe-west2; found 3"),
    ],
)
def test_a_wrong_type_is_an_error_with_the_right_type(
    text: str, expected: str, project: Project
) -> None:
    (problem,) = problems(project, text)

    assert expected in problem


@pytest.mark.parametrize(
    "text",
    [
        "project = 'My Project'",
        "region = 'London'",
        "source = ''",
        "memory = '512'",
        "memory = 512",
        "cpu = 3",
        "cpu = true",
        "min_instances = -1",
        "max_instances = 0",
        "max_instances = 1.5",
        "service_account = 'someone@example.org'",
        "ingress = 'INGRESS_TRAFFIC_ALL'",
        "log_level = 'debug'",
        "message_retention_seconds = 599",
        "message_retention_seconds = 2678401",
        "message_retention_seconds = true",
        "topic_retention_seconds = 599",
        "roles = ['storage.objectUser']",
        "roles = ['storage.objectUser on reports']",
        "roles = ['storage.objectUser on projects/my-project']",
        "roles = ['owner on gs://reports']",
        "alerting = { auto_close_seconds = 1799 }",
        "alerting = { auto_close_seconds = 604801 }",
        "alerting = { error_ratio = 1 }",
        "alerting = { oldest_message_seconds = 0 }",
        "alerting = { monitoring_scoping_project = 'My project' }",
        "allowed_persistence_regions = ['europe']",
        "topic_schema.definition = 'order.json'",
        "topic_schema.encoding = 'json'",
        "kms_key = 'my-key'",
        "dead_letter_archive = 'gs://my-archive'",
        "alert_channels = ['someone@example.org']",
        "existing_topics = ['projects/p/topics/orders']",
        "kept_topics = ['no']",
        "cpu_quota = 0.5",
        "invokers = ['team@example.org']",
        "invokers = ['user:team']",
        "invokers = ['everyone']",
        "publishes_to = ['o']",
        "publishes_to = ['goog-orders']",
        "environment = { 'A B' = '' }",
        "environment = { PORT = '80' }",
        "environment = { K_SERVICE = 'x' }",
        "secrets = { A = 'no such form' }",
        "labels = { Team = 'a' }",
        "labels = { 1st = 'a' }",
        "labels = { '' = 'a' }",
        "labels = { team = 'A Team' }",
        "labels = { team = 3 }",
        f"labels = {{ team = '{'a' * 64}' }}",
        f"labels = {{ {'a' * 64} = '' }}",
        "vpc_access.egress = 'ALL_TRAFFIC'",
        "vpc_access.connector = 'my-connector'",
        "vpc_access.tags = ['My Tag']",
        "vpc_access.network = 3",
    ],
)
def test_a_value_that_google_would_refuse_is_refused_at_its_line(
    text: str, project: Project
) -> None:
    (problem,) = problems(project, f"\n[task.a]\n[stage.b]\n{text}")

    assert problem.startswith("ucam-faas.toml:3 [stage.b]: ")
    assert "expected" in problem or "cannot be given" in problem


def test_a_secret_that_was_written_down_is_not_repeated(project: Project) -> None:
    (problem,) = problems(project, "secrets.DB_PASSWORD = 'correct horse'")

    assert "DB_PASSWORD" in problem
    assert "horse" not in problem


def test_a_variable_that_is_also_a_secret_is_refused(project: Project) -> None:
    (problem,) = problems(project, "environment.A = 'b'\nsecrets.A = 'c'")

    assert problem == (
        "ucam-faas.toml:2 top level: 'A' is in environment and in secrets: keep one of them."
    )


def test_a_topic_cannot_be_made_elsewhere_and_kept_here(project: Project) -> None:
    project.tasks("welcome")
    project.write("ucam-faas.toml", 'existing_topics = ["old"]\nkept_topics = [\n  "old"]')

    error = project.error("plan")

    assert error.startswith("ucam-faas: ucam-faas.toml:2 top level: 'old' is in existing_topics")


def test_all_problems_are_kept_and_the_first_is_reported(project: Project) -> None:
    project.write("ucam-faas.toml", "a = 1\n[stage.x]\nb = 2\n[task.y]\nc = 3")

    with pytest.raises(ProblemsError) as caught:
        layers.read(project.root)

    assert [problem.origin.line for problem in caught.value.problems] == [1, 3, 5]
    assert str(caught.value).endswith("(And 2 more problems.)")


def test_a_tasks_stage_must_be_one_of_the_app(project: Project) -> None:
    """Otherwise a misspelt stage would be ignored silently."""
    (problem,) = problems(project, "[stage.production]\n[task.a.stage.prodution]")

    assert problem == (
        "ucam-faas.toml:2 [task.a.stage.prodution]: the stage 'prodution' is not declared. "
        "Did you mean 'production'? A stage has a table, if empty: [stage.prodution]."
    )


def test_an_unknown_stage_is_an_error_with_the_known_stages(project: Project) -> None:
    project.write("pyproject.toml", "[tool.ucam-faas.stage.production]\n[tool.ucam-faas.stage.dev]")
    config = layers.read(project.root)

    with pytest.raises(ProblemsError, match=r"no stage 'prod'.*'dev', 'production'"):
        check_stage(config, "prod")
    check_stage(config, "dev")
    check_stage(config, None)


def test_a_stage_without_a_configuration_is_unknown() -> None:
    with pytest.raises(ProblemsError, match=r"no stage 'dev'.*Found none.*\[stage\.dev\]"):
        check_stage(ConfigFile(), "dev")


def test_a_table_of_an_unknown_task_is_an_error_with_the_known_tasks(project: Project) -> None:
    project.write("ucam-faas.toml", "[task.welcom]\n[task.report]")
    config = layers.read(project.root)

    with pytest.raises(ProblemsError) as caught:
        check_tasks(config, ["report", "welcome"])

    assert str(caught.value) == (
        "ucam-faas.toml:1 [task.welcom]: there is no task 'welcom'. Did you mean 'welcome'? "
        "Found: 'report', 'welcome'."
    )


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("API_KEY", True),
        ("password", True),
        ("GITHUB_TOKEN", True),
        ("SECRET_KEY_BASE", True),
        ("MONKEY", False),
        ("KEYBOARD", False),
        ("AWS_ACCESS_KEY_ID", False),
        ("TOKEN_URL", False),
        ("PUBLIC_KEY", False),
        ("STORE_PASSWORD", True),
        ("SMTP_PASS", True),
        ("PASS", False),
        ("API_KEY_HEADER", False),
        ("TOKEN_ENDPOINT", False),
        ("PASSWORD_FILE", False),
        ("SECRET_NAME", False),
        ("PARTITION_KEY", False),
        ("MAX_TOKENS", False),
    ],
)
def test_names_of_secrets_are_recognised(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


@pytest.mark.parametrize(
    ("value", "in_sight"),
    [
        ("hunter2", True),
        ("Abc/def+gh==", True),
        ("k3y.json.secret", True),
        ("X-Api-Key", False),
        ("https://idp.example.org/token", False),
        ("/run/secrets/key", False),
        ("keys/signing.pem", False),
        ("projects/p/secrets/api-key", False),
        ("app@p.iam.gserviceaccount.com", False),
        ("30 seconds", False),
        ("PT15M", False),
        ("true", False),
        ("4096", False),
        ("${API_KEY}", False),
    ],
)
def test_a_value_that_says_where_or_how_is_no_secret(value: str, in_sight: bool) -> None:
    assert is_in_sight("API_KEY", value) is in_sight


@pytest.mark.parametrize(
    ("value", "in_sight"),
    [
        ("postgresql://shop:hunter2@db/shop", True),
        ("postgresql://db/shop?user=shop&password=hunter2", True),
        ("Server=db;Pwd=hunter2;", True),
        ("-----BEGIN RSA PRIVATE KEY-----", True),
        ("https://hooks.slack.com/services/T0/B0/x", True),
        ("glpat-" + "x" * 20, True),
        ("postgresql://db/shop?sslmode=require", False),
        ("sk-SK", False),
        ("https://example.org/reset?token=", False),
    ],
)
def test_some_values_are_secret_whatever_their_name(value: str, in_sight: bool) -> None:
    assert is_in_sight("SETTING", value) is in_sight


def test_only_plain_values_have_defaults() -> None:
    assert [key.name for key in keys().values() if key.merge != "value" and key.default] == []
