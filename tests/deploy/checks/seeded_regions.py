"""Faults of projects and regions, in the configuration and in Terraform's plan."""

from __future__ import annotations

from .seeded import CODE, CONFIG, Seed, setting, task, variable
from .seeded_terraform import CLEAN_SCHEDULE, COUNT, COUNT_PUSH, SERVICE, TerraformSeed, put

REGION = (CONFIG, 'region = "europe-west2"')
KEY = "projects/my-project/locations/{}/keyRings/tasks/cryptoKeys/tasks"
CONNECTOR = "projects/my-project/locations/{}/connectors/main"


def for_all(line: str) -> tuple[str, str, str]:
    """Add a line for all tasks."""
    return (*REGION, f"{REGION[1]}\n{line}")


REGION_SEEDS = [
    Seed(
        "a region that Google lacks",
        "region-unknown",
        (CONFIG, "region ="),
        ((CONFIG, '"europe-west2"', '"europe-west5"'),),
        also=("protected-deleted", "region-differs"),
        says="region is 'europe-west5'. Did you mean 'europe-west",
    ),
    Seed(
        "a misspelt region in a name",
        "region-unknown",
        (CONFIG, "kms_key"),
        (setting("count_orders", f'kms_key = "{KEY.format("europe-wset2")}"'),),
        says="is in 'europe-wset2'. Did you mean 'europe-west2'?",
    ),
    Seed(
        "a misspelt region that may store messages",
        "region-unknown",
        (CONFIG, "allowed_persistence_regions"),
        (for_all('allowed_persistence_regions = ["europe-west2", "europe-wset3"]'),),
        says="allowed_persistence_regions has 'europe-wset3'. Did you mean 'europe-west3'?",
    ),
    Seed(
        "a connector in another region",
        "region-differs",
        (CONFIG, "vpc_access"),
        (setting("count_orders", f'vpc_access.connector = "{CONNECTOR.format("europe-west1")}"'),),
        says="is in europe-west1, and the task's region is europe-west2",
    ),
    Seed(
        "a subnetwork in another region",
        "region-differs",
        (CONFIG, "vpc_access"),
        (
            setting(
                "count_orders",
                'vpc_access = { subnetwork = "projects/n-host-1/regions/us-east1/subnetworks/n" }',
            ),
        ),
        says="is in us-east1",
    ),
    Seed(
        "a key in another region",
        "region-differs",
        (CONFIG, "kms_key"),
        (setting("pay_back", f'kms_key = "{KEY.format("europe-west1")}"'),),
        says="the key",
    ),
    Seed(
        "a key in a multi-region of another continent",
        "region-differs",
        (CONFIG, "kms_key"),
        (setting("pay_back", f'kms_key = "{KEY.format("us")}"'),),
        says="is in us, and",
    ),
    Seed(
        "a queue in another region",
        "region-differs",
        (CONFIG, "environment = {"),
        (
            variable(
                "UCAM_FAAS_DELAY_QUEUE", "projects/my-project/locations/europe-west4/queues/later"
            ),
        ),
        says="environment.UCAM_FAAS_DELAY_QUEUE: the queue",
    ),
    Seed(
        "a Cloud SQL instance in another region",
        "region-differs",
        (CONFIG, "environment = {"),
        (variable("DB_SOCKET", "/cloudsql/my-project:europe-west1:orders"),),
        says="the Cloud SQL instance /cloudsql/my-project:europe-west1:orders is in europe-west1",
    ),
    Seed(
        "a bucket with the name of another region",
        "region-differs",
        (CONFIG, "environment = {"),
        (variable("EXPORTS", "gs://my-project-exports-us-east1"),),
        says="the bucket 'my-project-exports-us-east1' is in us-east1",
    ),
    Seed(
        "messages that are kept in a region that Google lacks",
        "region-unknown",
        (CONFIG, "allowed_persistence_regions"),
        (for_all('allowed_persistence_regions = ["europe-west2", "europe-wset1"]'),),
        says="has 'europe-wset1'. Did you mean 'europe-west1'?",
    ),
    Seed(
        "a zone in the name of a key",
        "region-unknown",
        (CONFIG, "kms_key"),
        (setting("count_orders", f'kms_key = "{KEY.format("europe-west2-b")}"'),),
        says="is in 'europe-west2-b'. Did you mean 'europe-west2'?",
    ),
    Seed(
        "a variable with another region",
        "region-differs",
        (CONFIG, "environment = {"),
        (variable("REGION", "europe-west1"),),
        says="REGION is europe-west1, and the task's region is europe-west2",
    ),
    Seed(
        "a variable with a time zone that there isn't",
        "time-zone-unknown",
        (CONFIG, "environment = {"),
        (variable("TZ", "Europe/Lodnon"),),
        says="the closest is 'Europe/London'",
    ),
    Seed(
        "a misspelt project",
        "project-unusable",
        (CONFIG, "secrets"),
        (setting("pay_back", 'secrets = { TOKEN = "projects/my-porject/secrets/token" }'),),
        says="has the project 'my-porject': did you mean 'my-project'",
    ),
    Seed(
        "a region as another cloud writes it",
        "configuration-unusable",
        (CONFIG, "region ="),
        ((CONFIG, '"europe-west2"', '"eu-west-2"'),),
        planned=False,
        says='found "eu-west-2". Did you mean europe-west2?',
    ),
    Seed(
        "a topic of a project that cannot be one",
        "project-unusable",
        task("pay_back"),
        ((CODE, '"failed-refunds"', '"projects/My_Project/topics/failed-refunds"'),),
        also=("dead-letters-deleted",),
        says="has the project 'My_Project': expected a project id",
    ),
    Seed(
        "a project's number in the name of a connector",
        "project-unusable",
        (CONFIG, "vpc_access"),
        (
            setting(
                "count_orders",
                'vpc_access.connector = "projects/123456/locations/europe-west2/connectors/c"',
            ),
        ),
        says="that is a number; expected the project's id",
    ),
    Seed(
        "an account of a project that cannot be one",
        "project-unusable",
        (CONFIG, "service_account"),
        (setting("count_orders", 'service_account = "orders@PROJECT.iam.gserviceaccount.com"'),),
    ),
]

REGION_TERRAFORM_SEEDS = [
    TerraformSeed(
        "a connector of another region, by hand",
        "region-differs",
        (
            put(
                f"{COUNT}{SERVICE}",
                "template",
                "vpc_access",
                value=[{"connector": CONNECTOR.format("europe-west1")}],
            ),
        ),
        says="is in europe-west1, and module.tasks.module.task",
    ),
    TerraformSeed(
        "an image of another region",
        "region-differs",
        (
            put(
                f"{COUNT}{SERVICE}",
                "template",
                "containers",
                "image",
                value="us-east1-docker.pkg.dev/my-project/tasks/tasks:1",
            ),
        ),
        says="The image us-east1-docker.pkg.dev/my-project/tasks/tasks:1 is in us-east1, and the",
    ),
    TerraformSeed(
        "a schedule in another region",
        "terraform-differs",
        (put(CLEAN_SCHEDULE, "region", value="us-east1"),),
        says="the region is 'us-east1'; the code and the configuration say 'europe-west2'",
    ),
    TerraformSeed(
        "a subscription in another project",
        "terraform-differs",
        (put(COUNT_PUSH, "project", value="their-project"),),
        also=("push-kept-out",),
        says="the project is 'their-project'",
    ),
    TerraformSeed(
        "a service without protection, by hand",
        "terraform-differs",
        (put(f"{COUNT}{SERVICE}", "deletion_protection", value=False),),
        says="deletion_protection is False; the code and the configuration say True",
    ),
]
