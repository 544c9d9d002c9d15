"""Faults of stages: the clean collection with three stages, each in a project of its own."""

from __future__ import annotations

from .seeded import CODE, CONFIG, LAST, Edit, Seed, setting, task

ONE = '[stage.production]\nmemory = "1Gi"\n'
_THREE = """\
[stage.test]
project = "shop-test"
alert_channels = ["projects/shop-test/notificationChannels/1"]
secrets = { TOKEN = "token-test" }
environment = { EXPORTS_BUCKET = "exports-test", STAGE = "test" }

[stage.staging]
project = "shop-staging"
alert_channels = ["projects/shop-staging/notificationChannels/2"]
secrets = { TOKEN = "token-staging" }
environment = { EXPORTS_BUCKET = "exports-staging", STAGE = "staging" }

[stage.production]
project = "shop-production"
alert_channels = ["projects/shop-production/notificationChannels/3"]
secrets = { TOKEN = "token" }
environment = { EXPORTS_BUCKET = "exports", STAGE = "production" }
memory = "1Gi"
"""
_ONE_WITH_PROJECT = f'project = "my-project"\nregion = "europe-west2"\n\n{ONE}'
THREE: Edit = (CONFIG, ONE, _THREE)
"""Three stages without a contradiction."""


def three(old: str, new: str) -> Edit:
    """Return three stages of which one has another line."""
    assert _THREE.count(old) == 1, old
    return CONFIG, ONE, _THREE.replace(old, new)


def production(line: str) -> Edit:
    """Add a line to production."""
    return three("[stage.production]\n", f"[stage.production]\n{line}\n")


def mixed(name: str, says: str, *edits: Edit, at: str) -> Seed:
    """Return a fault that mixes stages."""
    return Seed(name, "stage-mixed", (CONFIG, at), edits, says=says)


PROJECT_OF_TEST = "names shop-test, which is the project of the stage 'test'"
IN_PRODUCTION = "of the stage 'production'"
KEY = "projects/{}/locations/europe-west2/keyRings/r/cryptoKeys/k"
CONNECTOR = "projects/shop-test/locations/europe-west2/connectors/c"

STAGE_SEEDS = [
    Seed(
        "the deployed plan of another stage",
        "plan-of-another-stage",
        (LAST, '"project"'),
        (THREE, (LAST, '"project": "my-project"', '"project": "shop-test"')),
        says="is the plan of the stage 'test', for shop-test, and the check is without --stage",
    ),
    mixed(
        "another stage's secret in production, in full",
        f"secrets.TOKEN {IN_PRODUCTION} {PROJECT_OF_TEST}",
        three('"token" }', '"projects/shop-test/secrets/token" }'),
        at='TOKEN = "projects/shop-test',
    ),
    mixed(
        "another stage's secret in production, by its name",
        f"secrets.TOKEN {IN_PRODUCTION} has 'staging' in it",
        three('"token" }', '"token-staging:3" }'),
        at='TOKEN = "token-staging:3',
    ),
    mixed(
        "production's secret in another stage",
        "secrets.TOKEN of the stage 'test' names shop-production",
        three('"token-test"', '"projects/shop-production/secrets/token"'),
        at='TOKEN = "projects/shop-production',
    ),
    mixed(
        "a key of another stage for all",
        PROJECT_OF_TEST,
        THREE,
        (CONFIG, "region =", f'kms_key = "{KEY.format("shop-test")}"\nregion ='),
        at="kms_key",
    ),
    mixed(
        "a connector of another stage",
        f"vpc_access.connector {IN_PRODUCTION} {PROJECT_OF_TEST}",
        production(f'vpc_access = {{ connector = "{CONNECTOR}" }}'),
        at="vpc_access",
    ),
    mixed(
        "an account of another stage",
        f"service_account {IN_PRODUCTION} names shop-staging",
        production('service_account = "tasks@shop-staging.iam.gserviceaccount.com"'),
        at="service_account",
    ),
    mixed(
        "an account of another stage that may call",
        f"invokers {IN_PRODUCTION} {PROJECT_OF_TEST}",
        production('invokers = ["serviceAccount:web@shop-test.iam.gserviceaccount.com"]'),
        at="invokers",
    ),
    mixed(
        "a channel of another stage",
        f"alert_channels {IN_PRODUCTION} {PROJECT_OF_TEST}",
        three(
            '"projects/shop-production/notificationChannels/3"',
            '"projects/shop-test/notificationChannels/3"',
        ),
        at='["projects/shop-test/notificationChannels/3',
    ),
    mixed(
        "a topic of another stage",
        f"publishes_to {IN_PRODUCTION} {PROJECT_OF_TEST}",
        production('publishes_to = ["projects/shop-test/topics/audit"]'),
        at="publishes_to",
    ),
    Seed(
        "a topic of another stage in the code",
        "stage-mixed",
        task("cut_film"),
        (
            THREE,
            (CODE, 'topic="films"', 'topic="projects/shop-test/topics/films"'),
            (CONFIG, 'project = "my', 'ignore = ["topic-deleted"]\nproject = "my'),
        ),
        also=("subscription-deleted", "topic-deleted"),
        says="topic of the stage 'production' names shop-test",
    ),
    mixed(
        "a bucket of another stage, by its project",
        "environment.EXPORTS_BUCKET of the stage 'production' names shop-test",
        three('"exports", STAGE', '"shop-test-exports", STAGE'),
        at='EXPORTS_BUCKET = "shop-test-exports"',
    ),
    mixed(
        "a bucket of another stage, by its name",
        "environment.EXPORTS_BUCKET of the stage 'production' has 'stg' in it",
        three('"exports", STAGE', '"exports-stg", STAGE'),
        at='EXPORTS_BUCKET = "exports-stg"',
    ),
    mixed(
        "an archive of another stage",
        f"dead_letter_archive {IN_PRODUCTION} has 'test' in it",
        production('dead_letter_archive = "dead-letters-test"'),
        at="dead_letter_archive",
    ),
    mixed(
        "a secret for all stages with the name of one",
        f"secrets.MAIL {IN_PRODUCTION} has 'test' in it",
        THREE,
        setting("pay_back", 'secrets = { MAIL = "mail-key-test" }'),
        at="MAIL",
    ),
    mixed(
        "a value that one stage forgot to override",
        f"environment.API_URL {IN_PRODUCTION} has 'test' in it",
        three(
            '"exports-staging", STAGE',
            '"exports-staging", API_URL = "https://api-staging.example", STAGE',
        ),
        (
            CONFIG,
            "region =",
            'environment = { API_URL = "https://api-test.example" }\nregion =',
        ),
        at="API_URL",
    ),
    mixed(
        "a variable that says another stage",
        f"environment.STAGE {IN_PRODUCTION} has 'staging' in it",
        three('STAGE = "production"', 'STAGE = "staging"'),
        at='"exports", STAGE = "staging"',
    ),
    mixed(
        "a label that says another stage",
        f"labels.environment {IN_PRODUCTION} has 'test' in it",
        production('labels = { environment = "test" }'),
        at="labels",
    ),
    mixed(
        "a database of another stage",
        f"environment.DB_SOCKET {IN_PRODUCTION} {PROJECT_OF_TEST}",
        three('EXPORTS_BUCKET = "exports",', 'DB_SOCKET = "/cloudsql/shop-test:europe-west2:db",'),
        at="DB_SOCKET",
    ),
    Seed(
        "two stages in one project",
        "stages-collide",
        (CONFIG, 'project = "shop-test"\nmemory'),
        (
            (
                CONFIG,
                ONE,
                '[stage.test]\nproject = "shop-test"\n[stage.production]\nproject = "shop-test"\n'
                'memory = "1Gi"\n',
            ),
        ),
        says="are both in the project shop-test, with the same Cloud Run jobs and services and",
    ),
    Seed(
        "two stages in one project, whose prefixes are the same",
        "stages-collide",
        (CONFIG, 'project = "shop-production"\nname_prefix = "shop-"\nmemory'),
        (
            (
                CONFIG,
                ONE,
                '[stage.test]\nproject = "shop-production"\nname_prefix = "shop-"\n'
                '[stage.production]\nproject = "shop-production"\nname_prefix = "shop-"\n'
                'memory = "1Gi"\n',
            ),
        ),
        says="such as 'shop-",
    ),
    Seed(
        "another prefix for a deployed stage",
        "prefix-changed",
        (CONFIG, "name_prefix"),
        ((CONFIG, "region =", 'name_prefix = "shop-"\nregion ='),),
        also=(
            *("subscription-deleted", "dead-letters-deleted", "topic-deleted"),
            "protected-deleted",
        ),
        says="has the name_prefix '', and this one has 'shop-': `terraform apply` would delete",
    ),
    Seed(
        "a name that is too long with the stage's prefix",
        "name-refused",
        task("count_orders"),
        (
            (CONFIG, "region =", 'name_prefix = "acceptance-tests-a-"\nregion ='),
            (CODE, "def count_orders", "def count_orders_of_every_college_x"),
            (CONFIG, "task.count_orders]", "task.count_orders_of_every_college_x]"),
        ),
        planned=False,
        says="the Cloud Run service 'acceptance-tests-a-count-orders",
    ),
    Seed(
        "two stages without a project of their own",
        "stages-collide",
        (CONFIG, "[stage.test]"),
        ((CONFIG, ONE, f"{ONE}[stage.test]\n"),),
        says="The stages 'production' and 'test' are both in the project my-project",
    ),
    mixed(
        "an audience of another stage",
        "environment.API_AUDIENCE of the stage 'production' has 'test' in it",
        three('"exports", STAGE', '"exports", API_AUDIENCE = "https://test.example", STAGE'),
        at="API_AUDIENCE",
    ),
    mixed(
        "a network of another stage's host project, for all",
        f"vpc_access.network {IN_PRODUCTION} has 'test' in it",
        THREE,
        (
            CONFIG,
            "region =",
            'vpc_access.network = "projects/net-test/global/networks/main"\nregion =',
        ),
        at="vpc_access.network",
    ),
    Seed(
        "a stage without a project",
        "stage-incomplete",
        (CONFIG, "[stage.production]"),
        (
            (
                CONFIG,
                _ONE_WITH_PROJECT,
                'region = "europe-west2"\n\n[stage.test]\nproject = "my-test"\n'
                "[stage.production]\n",
            ),
        ),
        says="The stage 'production' has no project",
    ),
    Seed(
        "two names for production",
        "stages-alike",
        (CONFIG, "[stage.prod]"),
        (three("[stage.test]", '[stage.prod]\nproject = "shop-x"\n[stage.test]'),),
        says="The stage 'prod' is declared beside 'production'",
    ),
    Seed(
        "two stages with one bucket of payloads",
        "job-store-shared",
        (CONFIG, "UCAM_FAAS_PAYLOADS"),
        (
            THREE,
            (CONFIG, "region =", 'environment = { UCAM_FAAS_PAYLOADS = "gs://p" }\nregion ='),
        ),
        says="UCAM_FAAS_PAYLOADS of the stage 'production'",
    ),
    Seed(
        "two users of one database",
        "job-store-shared",
        (CONFIG, "postgresql://b@"),
        (
            (
                *THREE[:2],
                THREE[2]
                .replace('"exports",', '"e", UCAM_FAAS_JOB_STORE = "postgresql://a@db/jobs",')
                .replace('"exports-test",', '"e", UCAM_FAAS_JOB_STORE = "postgresql://b@db/jobs",'),
            ),
        ),
    ),
    Seed(
        "two stages with one store of jobs",
        "job-store-shared",
        (CONFIG, "UCAM_FAAS_JOB_STORE"),
        (
            THREE,
            (
                CONFIG,
                "region =",
                'environment = { UCAM_FAAS_JOB_STORE = "firestore:shop-jobs" }\nregion =',
            ),
        ),
        says="UCAM_FAAS_JOB_STORE of the stage 'production' is also that of the stage",
    ),
    Seed(
        "production without protection",
        "protection-off",
        (CONFIG, "deletion_protection"),
        (production("deletion_protection = false"),),
        says="deletion_protection is off in the stage 'production'",
    ),
    Seed(
        "a task without protection, in production too",
        "protection-off",
        (CONFIG, "deletion_protection"),
        (THREE, setting("cut_film", "deletion_protection = false")),
    ),
    Seed(
        "a misspelt stage beside the right one",
        "stages-alike",
        (CONFIG, "[stage.prodction]"),
        (three("[stage.test]", '[stage.prodction]\nproject = "shop-x"\n[stage.test]'),),
        says="The stage 'prodction' is declared beside 'production'",
    ),
]
