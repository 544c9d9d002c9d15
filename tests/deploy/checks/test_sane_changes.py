"""Ordinary changes of a collection with three stages, as pull requests have them: no finding."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import Project

from .conftest import PLAN, Shop
from .seeded import CODE, CONFIG, LAST, Edit

UNIVERSITY = Path(__file__).with_name("university")
STAGE = ("--stage", "production")
END = (CODE, '@ucam_faas.http(path="/hooks/payments")')
ENROL = (CONFIG, "[task.enrol]\n")
PROD = (CONFIG, 'memory = "1Gi"')


def new(code: str) -> Edit:
    """Add a task."""
    return (*END, f"{code}\n\n\n{END[1]}")


def of_task(name: str, lines: str) -> Edit:
    """Add a table of the configuration."""
    return (*ENROL, f"[task.{name}]\n{lines}\n\n{ENROL[1]}")


def variable(name: str, value: str) -> Edit:
    """Give `enrol` a variable."""
    return CONFIG, "environment = { DIR", f'environment = {{ {name} = "{value}", DIR'


CHANGES: dict[str, tuple[Edit, ...]] = {
    "a task on a topic of its own": (
        new('@ucam_faas.message_handler\ndef archive(notice: Notice) -> None:\n    """Archive."""'),
    ),
    "a second reader of a topic": (
        new(
            '@ucam_faas.message_handler(topic="enrolments")\n'
            'def bill(enrolment: Enrolment) -> None:\n    """Bill."""'
        ),
    ),
    "a reader with a smaller model": (
        new(
            'class Course(BaseModel):\n    """A course."""\n\n    course: str\n\n\n'
            '@ucam_faas.message_handler(topic="enrolments")\n'
            'def rank(course: Course) -> None:\n    """Rank."""'
        ),
    ),
    "another kind of audit": (
        new(
            '@ucam_faas.message_handler(topic="audit", filter=\'attributes.kind = "door"\')\n'
            'def log_door(doors: list[str]) -> None:\n    """Log."""'
        ),
    ),
    "a page for a group": (
        new(
            '@ucam_faas.http(path="/maps")\ndef show_map() -> str:\n    """Show."""\n    return ""'
        ),
        of_task("show_map", 'invokers = ["group:staff@example.ac.uk"]\ningress = "all"'),
    ),
    "a page behind a load balancer": (
        (
            CONFIG,
            'invokers = ["group:staff@example.ac.uk"]\ningress = "all"',
            'invokers = ["allUsers"]\ningress = "internal-and-cloud-load-balancing"',
        ),
    ),
    "an API for another service in the network": (
        (
            CONFIG,
            'invokers = ["group:staff@example.ac.uk"]\ningress = "all"',
            'invokers = ["serviceAccount:web@uni-prod.iam.gserviceaccount.com"]',
        ),
    ),
    "a nightly task": (
        new(
            '@ucam_faas.message_handler(schedule="15 2 * * *")\n'
            'def tidy() -> None:\n    """Tidy."""'
        ),
    ),
    "a poll each five minutes": (
        new(
            '@ucam_faas.message_handler(schedule="*/5 * * * *", timeout=timedelta(minutes=2))\n'
            'def poll() -> None:\n    """Poll."""'
        ),
    ),
    "an hourly Cloud Run job": (
        new(
            '@ucam_faas.raw_event(run_as="cloud-run-job", schedule="5 * * * *", '
            "timeout=timedelta(minutes=30))\n"
            'def index(body: object) -> None:\n    """Index."""'
        ),
    ),
    "a rarer schedule": ((CODE, "*/30 8-18", "0 8-18"),),
    "a schedule that is paused for a while": (
        (CODE, 'schedule="0 4 * * SUN"', 'schedule=Schedule("0 4 * * SUN", paused=True)'),
    ),
    "a longer timeout": ((CODE, "timedelta(seconds=60)", "timedelta(seconds=90)"),),
    "a shorter timeout": ((CODE, "timedelta(hours=4)", "timedelta(hours=3)"),),
    "more attempts": ((CODE, "max_attempts=10", "max_attempts=15"),),
    "fewer attempts": ((CODE, "max_attempts=10", "max_attempts=6"),),
    "attempts that come sooner": (
        (CODE, "max_attempts=10", "max_attempts=10, min_backoff=timedelta(seconds=2)"),
    ),
    "more instances": ((CODE, "max_instances=3", "max_instances=8"),),
    "a limit of instances for several tasks": (
        of_task("log_login", "max_instances = 5"),
        of_task("log_grade", "max_instances = 5"),
        of_task("count_places", "max_instances = 10"),
    ),
    "warm instances in production": ((*PROD, f"{PROD[1]}\nmin_instances = 1"),),
    "more memory and CPUs": (of_task("count_places", 'memory = "4Gi"\ncpu = 2'),),
    "more at a time": ((CODE, "concurrency=10", "concurrency=40"),),
    "an optional field": (
        (CODE, "    credits: int = 0\n", "    credits: int = 0\n    term: str | None = None\n"),
    ),
    "a constant with the name of a header": (variable("API_KEY_HEADER", "X-Api-Key"),),
    "the address of tokens": (variable("TOKEN_ENDPOINT", "https://idp.example.ac.uk/token"),),
    "a limit of tokens, and a key of a cache": (
        variable("MAX_TOKENS", "4096"),
        (CONFIG, "TOKEN_TTL", 'CACHE_KEY = "courses", TOKEN_TTL'),
    ),
    "another secret": (
        (
            CODE,
            '{"SMTP_PASSWORD": "smtp-password"}',
            '{"SMTP_PASSWORD": "smtp-password", "API_KEY": "sms-api-key"}',
        ),
    ),
    "a new version of a secret": ((CONFIG, '"payment-signing-key"', '"payment-signing-key:4"'),),
    "a label": ((CONFIG, 'team = "teaching"', 'team = "teaching", cost-centre = "it"'),),
    "shorter retention of a fortnight's": ((CONFIG, "= 1209600", "= 345600"),),
    "a second alert channel": (
        (
            CONFIG,
            'notificationChannels/42"',
            'notificationChannels/42", "projects/uni-prod/notificationChannels/43"',
        ),
    ),
    "publishing to another topic": (of_task("log_grade", 'publishes_to = ["enrolments"]'),),
    "a topic of another team": (
        of_task("log_grade", 'publishes_to = ["projects/library/topics/loans"]'),
    ),
    "dead letters of two tasks in one topic": (
        new(
            '@ucam_faas.message_handler(dead_letter_topic="failed")\n'
            'def one(notice: Notice) -> None:\n    """One."""\n\n\n'
            '@ucam_faas.message_handler(dead_letter_topic="failed")\n'
            'def two(audit: Audit) -> None:\n    """Two."""'
        ),
    ),
    "a function that is renamed, with its name in the cloud": (
        (
            CODE,
            '"audit", filter=\'attributes.kind = "login"\')\ndef log_login',
            '"audit", filter=\'attributes.kind = "login"\', name="log_login")\ndef write_login',
        ),
    ),
    "a VPC network": (
        (
            *PROD,
            f"{PROD[1]}\nvpc_access = {{ connector = "
            '"projects/uni-prod/locations/europe-west2/connectors/vpc" }',
        ),
    ),
    "an account of the team's own": (
        of_task(
            "log_grade.stage.production",
            'service_account = "grades@uni-prod.iam.gserviceaccount.com"',
        ),
    ),
    "a customer's key": (
        (
            *PROD,
            f'{PROD[1]}\nkms_key = "projects/uni-prod/locations/europe-west2/'
            'keyRings/r/cryptoKeys/k"',
        ),
    ),
    "jobs that run once": (
        (CODE, 'secrets={"SMTP', 'idempotent=True, retention=timedelta(days=30), secrets={"SMTP'),
    ),
    "lanes": ((CODE, 'secrets={"SMTP', 'lanes=["bulk"], secrets={"SMTP'),),
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The plan of production, made in a separate process."""
    root = tmp_path_factory.mktemp("university")
    shutil.copytree(UNIVERSITY, root, dirs_exist_ok=True)
    plan = [sys.executable, "-m", "ucam_faas", "plan", "--output", PLAN, *STAGE]
    subprocess.run(plan, cwd=root, check=True, capture_output=True)
    return (root / PLAN).read_text()


@pytest.fixture
def university(project: Project) -> Shop:
    """The collection in the working directory."""
    return Shop(project, UNIVERSITY)


@pytest.mark.parametrize("stage", ["dev", "staging", "production"])
def test_no_stage_has_a_finding(university: Shop, stage: str) -> None:
    assert university.check("--stage", stage) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_an_ordinary_change_has_no_finding(university: Shop, deployed: str, name: str) -> None:
    university.path(LAST).write_text(deployed)
    for edit in CHANGES[name]:
        university.edit(*edit)

    assert university.check(*STAGE, "--against", LAST) == []
