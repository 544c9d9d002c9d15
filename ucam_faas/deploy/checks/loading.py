"""From files to what the rules look at; what is wrong on the way is a finding, if it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from ucam_faas.deploy import layers, plan
from ucam_faas.deploy.checks import names, plan_file
from ucam_faas.deploy.checks.subject import Subject
from ucam_faas.deploy.checks.terraform import plan as terraform_plan, run
from ucam_faas.deploy.checks.terraform.plan import TerraformPlan
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.problems import Problem, ProblemsError, check_stage, check_tasks
from ucam_faas.deploy.source import decide_in
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is to be read.

    Args:
        start: where the search for the configuration begins.
        on_disk: the plan's file; it need not be there.
        against: the last plan's; None: the plan's.
        terraform: folder of a root module, or a plan as JSON.
    """

    start: Path
    source: str | None = None
    stage: str | None = None
    on_disk: Path = Path(plan.FILE_NAME)
    against: Path | None = None
    terraform: Path | None = None


def load(given: Sources, today: date) -> Subject:
    """Read everything.

    Raises:
        UCAMFAASException: something cannot be read at all.
    """
    config = ConfigFile()
    try:
        config = layers.read(given.start)
        check_stage(config, given.stage)
        where = decide_in(config, stage=given.stage, named=given.source)
    except ProblemsError as error:
        return Subject(today=today, config=config, problems=error.problems)
    tasks = registry.load(where)
    problems = list(_problems(config, tasks, given.stage))
    subject = Subject(today=today, config=config, problems=problems, tasks=tasks)
    if problems or any(True for rule in names.OF_CODE for _ in rule.search(subject)):
        return subject
    on_disk = plan_file.read(given.on_disk) if given.on_disk.is_file() else None
    return Subject(
        today=today,
        config=config,
        tasks=tasks,
        stage=given.stage,
        plan=plan.make(tasks, config, given.stage),
        on_disk=on_disk,
        last=on_disk if given.against is None else plan_file.read(given.against),
        terraform=None if given.terraform is None else _terraform(given.terraform),
    )


def _problems(config: ConfigFile, tasks: Sequence[Task], stage: str | None) -> Iterator[Problem]:
    yield from _caught(lambda: check_tasks(config, [task.name for task in tasks]))
    for task in tasks:
        yield from _caught(partial(layers.merge_task, config, task, stage))


def _caught(read: Callable[[], object]) -> Sequence[Problem]:
    try:
        read()
    except ProblemsError as error:
        return error.problems
    return ()


def _terraform(path: Path) -> TerraformPlan:
    return run.plan_of(path) if path.is_dir() else terraform_plan.read(path)
