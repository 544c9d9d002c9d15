"""Rules of stages: things of another stage, stages in each other's way, and production's care."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from ucam_faas.deploy.checks.changes import Kind
from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.plan_changes import inventory_of
from ucam_faas.deploy.checks.references import references_in, shown, texts_of
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.stages import Stage, stages_of, words_of
from ucam_faas.deploy.checks.terraform.deployments import RUNS, targets
from ucam_faas.deploy.config_file import KeyPath, header_of
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.job_places import PAYLOADS, QUEUE, STORE
from ucam_faas.deploy.jobs import is_sweep
from ucam_faas.deploy.problems import STAGE
from ucam_faas.deploy.terraform_variables import Plan, PlannedTask

_NO_NAMES = {"ignore", "ingress", "log_level", "run_as", "region", "memory"}
"""Options whose texts name nothing in the cloud."""
_NAMES_A_STAGE = re.compile(r"(^|_)(env|environment|stage|deployment)$")
"""Variables and labels that hold a stage's name."""
_BY_FRAMEWORKS = ("node_env", "flask_env", "rails_env")
"""These say `production` in each stage that isn't a laptop."""
_NEVER_OF_ALL = (
    *("secrets", "kms_key", "service_account", "dead_letter_archive", "vpc_access"),
    *("existing_job_places", "invokers", "alert_channels"),
)
"""Options with things that a stage has of its own, unlike topics."""
_HOLDS_A_NAME = re.compile(
    r"(^|_)(account|address|api|app|audience|base|bucket|callers|channel|collection|database|dataset|"
    r"db|domain|dsn|email|endpoint|host|instance|issuer|key|origin|payloads|project|queue|secret|"
    r"server|service|site|socket|store|subscription|table|topic|uri|url)($|_)"
)
"""Variables that hold the name of a thing in the cloud."""
_MADE: dict[Kind, str] = {
    "service": "services",
    "worker pool": "worker pools",
    "Cloud Run job": "Cloud Run jobs",
    "subscription": "subscriptions",
    "topic": "topics",
}
_WELL_KNOWN = (
    *("production", "staging", "testing", "development", "sandbox", "preview", "integration"),
    *("acceptance", "training", "demonstration"),
)


@rule(
    "stage-mixed",
    why="The stages aren't apart: one reads, writes or pays for things of the other.",
)
def mixed(inputs: Inputs) -> Iterator[Finding]:
    """A secret, topic, key, connector, account, bucket, channel or label of another stage."""
    for stage in stages_of(inputs):
        for planned in stage.tasks_under("stage-mixed") if stage.names else ():
            for path, text in texts_of(planned):
                if path[0] not in _NO_NAMES and (why := _mixed(stage, planned, path, text)):
                    where = header_of((STAGE, stage.name))
                    yield Finding(
                        configured(planned, *path),
                        f"{shown(path, text)} of the stage {stage.name!r} {why}.",
                        f"Set the stage's own value in {where}. If it is meant to be so, "
                        'ignore = ["stage-mixed"].',
                        planned.name,
                    )

    yield from _mixed_in_terraform(inputs)


def _mixed_in_terraform(inputs: Inputs) -> Iterator[Finding]:
    """Yield the things of other stages' projects that only Terraform's code names."""
    if inputs.terraform is None or inputs.stage is None:
        return
    (stage,) = stages_of(inputs)
    configured_texts = [text for planned in stage.plan.tasks for _, text in texts_of(planned)]
    own, terraform = stage.plan.project, inputs.terraform
    for project, other in stage.projects.items():
        if any(_names_project(text, project, own) for text in configured_texts):
            continue  # its grants name it, too
        runs = terraform.of(*RUNS.values())
        if any(run.get("project") == project and targets(run) for run in runs):
            continue  # a root module of several stages
        for resource in terraform.resources:
            text = next(_texts_naming(resource.values, project, own), None)
            if text is not None:
                yield Finding(
                    resource.place,
                    f"{resource.address} has {text!r}, which names {project}, the project of the "
                    f"stage {other!r}.",
                    f"Use one of {own or 'the project of this stage'}. If it is meant to be so, "
                    'ignore = ["stage-mixed"].',
                )


def _texts_naming(value: object, project: str, own: str | None) -> Iterator[str]:
    if isinstance(value, str):
        if value == project or _names_project(value, project, own):
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name != "image":  # one that was tested may be built in another stage's project
                yield from _texts_naming(inner, project, own)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_naming(inner, project, own)


def _mixed(stage: Stage, planned: PlannedTask, path: KeyPath, text: str) -> str | None:
    """Return how a value belongs to another stage."""
    if path == ("project",) and text in stage.projects:
        return None  # two stages in one project: another rule
    for project, other in stage.projects.items():
        if _names_project(text, project, stage.plan.project):
            return f"names {project}, which is the project of the stage {other!r}"
    named = stage.word(text)
    if named is None:
        return None
    other, word = named
    if path[0] in ("environment", "labels"):
        variable = path[-1].lower()
        if _NAMES_A_STAGE.search(variable) and variable not in _BY_FRAMEWORKS:
            is_name = text.lower() == word
        else:
            is_name = path[0] == "environment" and (
                bool(_HOLDS_A_NAME.search(variable) or any(references_in(text)))
                and stage.is_name(planned, path, text)
            )
    else:
        is_name = stage.is_name(planned, path, text) or _ends_with(path, text, word)
    return f"has {word!r} in it, as the stage {other!r} would" if is_name else None


def _names_project(text: str, project: str, own: str | None) -> bool:
    """Return True if a text has a project's id, by itself or before the rest of a bucket's name."""
    if any(thing.project == project for thing in references_in(text)):
        return True
    plain = text.replace(own, "") if own else text
    distinct = "-" in project and not (own or "").startswith(project)
    end = "(?![a-z0-9])" if distinct else "(?![a-z0-9-])"
    return "-" in project and bool(re.search(rf"(?<![a-z0-9-]){re.escape(project)}{end}", plain))


def _ends_with(path: KeyPath, text: str, word: str) -> bool:
    """Return True if a name for all stages ends with one's: of a thing, not of a topic."""
    if path[0] not in _NEVER_OF_ALL:
        return False
    things = list(references_in(text))
    names = [part for thing in things for part in (thing.name, thing.project) if part]
    ends = rf"[-_.]{re.escape(word)}$"
    return any(
        re.search(ends, name.partition("/")[0].lower())
        for name in names or [text.partition(":")[0]]
    )


@rule(
    "stages-collide",
    why="Each deployment overwrites the other's, and both get each other's messages.",
)
def collide(inputs: Inputs) -> Iterator[Finding]:
    """Two stages in one project with services, subscriptions or topics of one name."""
    for first, second in itertools.combinations(sorted(inputs.stages), 2):
        if inputs.stage not in (None, first, second):
            continue
        plans = inputs.stages[first], inputs.stages[second]
        if not plans[0].project or plans[0].project != plans[1].project:
            continue
        same = sorted(_same(*plans))
        if same:
            kinds = " and ".join(dict.fromkeys(_MADE[kind] for kind, _ in same))
            yield Finding(
                _place_of_project(inputs, first, second),
                f"The stages {first!r} and {second!r} are both in the project {plans[0].project}, "
                f"with the same {kinds}, such as {same[0][1]!r}.",
                f"Give each a project of its own: project = … in {header_of((STAGE, first))} and "
                f"in {header_of((STAGE, second))}. Or give one that isn't deployed yet names of "
                f"its own, such as name_prefix = {_prefix_of(first, second)!r}.",
            )


def _prefix_of(first: str, second: str) -> str:
    """Return a prefix for the names of one of two stages: not of production."""
    stage = first if second in words_of("production") else second
    return re.sub("[^a-z0-9]+", "-", stage.lower()).strip("-0123456789")[:19] + "-"


def _same(first: Plan, second: Plan) -> Iterator[tuple[Kind, str]]:
    """Yield the kinds and names of the things that both plans make."""
    variables = first.to_json(), second.to_json()
    if not {planned.name for planned in first.tasks} & {planned.name for planned in second.tasks}:
        return
    parts = [inventory_of(each) for each in variables]
    for kind, name in parts[0].keys() & parts[1].keys():
        apart = kind not in ("subscription", "topic") and first.region != second.region
        if kind in _MADE and not apart:
            yield kind, name


def _place_of_project(inputs: Inputs, *names: str) -> Place:
    """Return the last line that puts one of the stages into its project."""
    places = [Place.of(inputs.config.origin((STAGE, name), ("project",))) for name in names]
    return max(places, key=lambda place: place.line or 0)


@rule(
    "job-store-shared",
    why="Each stage claims and removes the jobs of the other, or fails to make what the other has.",
)
def store_shared(inputs: Inputs) -> Iterator[Finding]:
    """Two stages with one store of jobs, queue of delays or bucket of payloads."""
    for stage in stages_of(inputs):
        users = {
            place: name
            for name, plan in stage.others.items()
            for planned in plan.tasks
            for place in _job_places(planned, plan)
        }
        for planned in stage.tasks_under("job-store-shared"):
            for variable, place in _job_places(planned, stage.plan):
                if (variable, place) in users:
                    option = "secrets" if variable in planned.merged["secrets"] else "environment"
                    yield Finding(
                        configured(planned, option, variable),
                        f"{variable} of the stage {stage.name!r} is also that of the stage "
                        f"{users[variable, place]!r}.",
                        "Give each stage its own.",
                        planned.name,
                    )


def _job_places(planned: PlannedTask, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the variable and the place of a task's jobs, without users and passwords.

    A queue or bucket that exists elsewhere may be everyone's. A secret's short name is one of its
    project.
    """
    secrets, existing = planned.merged["secrets"], planned.merged["existing_job_places"]
    for variable in (STORE, QUEUE, PAYLOADS):
        place = planned.merged["environment"].get(variable)
        if variable in secrets and plan.project:
            secret = secrets[variable]
            place = secret if "/" in secret else f"projects/{plan.project}/secrets/{secret}"
        is_shared = variable != STORE and place in existing
        if place and not is_shared and not place.startswith(("memory", "sqlite:", "file:")):
            yield variable, re.sub("//[^/@]*@", "//", place)


@rule(
    "protection-off",
    why="A mistake in the code or in Terraform can delete it, with all messages in it.",
)
def protection_off(inputs: Inputs) -> Iterator[Finding]:
    """A task in production without `deletion_protection`."""
    for stage in stages_of(inputs):
        for planned in stage.tasks_under("protection-off") if stage.is_production else ():
            if not planned.merged["deletion_protection"] and not is_sweep(planned.task):
                yield Finding(
                    configured(planned, "deletion_protection"),
                    f"deletion_protection is off in the stage {stage.name!r}.",
                    "Remove the line. While a change of the deployment needs it, "
                    'ignore = ["protection-off"] beside it.',
                    planned.name,
                )


@rule("stages-alike", why="Some values are in the one and some in the other: neither has all.")
def alike(inputs: Inputs) -> Iterator[Finding]:
    """Two stages with almost one name, or with two names for the same."""
    for first, second in itertools.combinations(sorted(inputs.stages), 2):
        if _is_misspelt(first, second) or words_of(first) == words_of(second):
            name, other = (first, second) if second in _WELL_KNOWN else (second, first)
            yield Finding(
                Place.of(inputs.config.origin((STAGE, name))),
                f"The stage {name!r} is declared beside {other!r}.",
                f"Correct it to {header_of((*inputs.config.prefix, STAGE, other))}, or give it a "
                "name of its own.",
            )


def _is_misspelt(*names: str) -> bool:
    """Return True if one of two names is almost the other, which is a usual one."""
    import difflib

    numbered = any(name.strip("0123456789-_") in names for name in names if name[-1:].isdigit())
    ratio = difflib.SequenceMatcher(None, names[0], names[1]).ratio()
    return bool({*names} & {*_WELL_KNOWN}) and ratio >= 0.85 and not numbered


@rule("stage-incomplete", why="Its plan is for no project: Terraform asks, or takes any.")
def incomplete(inputs: Inputs) -> Iterator[Finding]:
    """A stage without a project, beside others that have one."""
    if not any(plan.project for plan in inputs.stages.values()):
        return
    for stage in stages_of(inputs):
        if stage.plan.project is None:
            yield Finding(
                Place.of(inputs.config.origin((STAGE, stage.name))),
                f"The stage {stage.name!r} has no project.",
                f"Write project = … in {header_of((*inputs.config.prefix, STAGE, stage.name))}.",
            )


RULES = (mixed, collide, store_shared, protection_off, alike, incomplete)
