"""`jobs_over_http` in the code, and in the plan of a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from tests.http_jobs import tasks
from ucam_faas import testing
from ucam_faas.config import Settings
from ucam_faas.deploy import layers
from ucam_faas.deploy.plan import make
from ucam_faas.exceptions import ConfigurationError, TaskDefinitionError
from ucam_faas.execution import runtime
from ucam_faas.tasks import registry

CRM = "serviceAccount:crm@crm-project.iam.gserviceaccount.com"
FIRESTORE = """
environment.UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"
environment.UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west2/queues/delays"
"""


def service(*functions: Any, **options: Any) -> Any:
    return ucam_faas.jobs_over_http(*functions, **{"name": "crm", **options})


def planned(folder: Path, *functions: Any, configuration: str) -> dict[str, Any]:
    (folder / "ucam-faas.toml").write_text(configuration)
    plan = make([function.task for function in functions], layers.read(folder), None, app="shop")
    variables: dict[str, Any] = plan.to_json()["tasks"]
    return variables


def test_it_is_named_after_its_variable_and_found_where_it_is_written() -> None:
    (api,) = registry.load("tests.http_jobs.tasks", "api")

    file, line = api.place
    assert file == tasks.__file__
    assert Path(file).read_text().splitlines()[line - 1].startswith("api = ")
    assert (api.module, api.function_name) == ("tests.http_jobs.tasks", "api")


def test_without_tasks_there_is_nothing_to_send_to() -> None:
    with pytest.raises(TaskDefinitionError, match="without tasks"):
        ucam_faas.jobs_over_http()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("charge", "expected the task itself"),
        (len, "expected tasks"),
        (tasks.Order, "expected tasks"),
        (ucam_faas.http(path="/x")(lambda: "x"), "HTTP task"),
        (
            ucam_faas.message_handler(run_as="cloud-run-job", schedule="0 3 * * *")(lambda: None),
            "Cloud Run job",
        ),
    ],
    ids=["a name", "a function", "a class", "an HTTP task", "a Cloud Run job"],
)
def test_a_task_that_cant_be_sent_to_is_refused(target: Any, message: str) -> None:
    with pytest.raises(TaskDefinitionError, match=message):
        service(target)


def test_two_services_have_paths_of_their_own() -> None:
    first, second = service(tasks.charge), service(tasks.ship, name="shop", path="/shop/jobs/")

    with testing.jobs(tasks.charge, tasks.ship, first, second) as jobs:
        charged = jobs.client.post("/jobs/charge", json={"id": 1})
        shipped = jobs.client.post("/shop/jobs/ship", json={"id": 1})
        other = jobs.client.post("/shop/jobs/charge", json={"id": 1})

    assert (charged.status, shipped.status, other.status) == (202, 202, 404)
    assert shipped.headers["location"].startswith("/shop/jobs/ship/")


def test_it_doesnt_start_without_a_store() -> None:
    with pytest.raises(ConfigurationError, match="'crm' serves jobs over HTTP"):
        runtime.build(Settings(), [service(tasks.charge).task])


def test_the_plan_gives_it_callers_the_inboxes_of_its_tasks_and_the_store(tmp_path: Path) -> None:
    api = service(tasks.charge, tasks.ship, invokers=[CRM])

    variables = planned(
        tmp_path, tasks.charge, tasks.private, tasks.ship, api, configuration=FIRESTORE
    )

    crm = variables["crm"]
    assert crm["function"]["invokers"] == [CRM]
    assert crm["function"]["publishes_to"] == ["charge-inbox", "ship-inbox"]
    assert crm["triggers"] == {"cron_schedules": {}, "subscriptions": {}}
    assert crm["jobs"]["firestore"] == "projects/my-project/databases/jobs"
    assert crm["jobs"]["queue"] == "projects/my-project/locations/europe-west2/queues/delays"
    assert (
        "invokers" not in variables["charge"]["function"]
        or not variables["charge"]["function"]["invokers"]
    )


def test_the_configuration_names_its_callers(tmp_path: Path) -> None:
    configuration = f'{FIRESTORE}[task.crm]\ninvokers = ["{CRM}"]\ningress = "all"\n'

    crm = planned(tmp_path, tasks.charge, service(tasks.charge), configuration=configuration)["crm"]

    assert crm["function"]["invokers"] == [CRM]
    assert crm["function"]["ingress"] == "INGRESS_TRAFFIC_ALL"
