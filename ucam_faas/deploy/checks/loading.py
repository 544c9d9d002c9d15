"""Load the inputs of the rules from files; errors of the configuration become findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from ucam_faas.deploy import layers, plan
from ucam_faas.deploy.checks import plan_changes, plan_file
from ucam_faas.deploy.checks.changes import Change
from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.plan_file import PlanFile
from ucam_faas.deploy.checks.rules import names
from ucam_faas.deploy.checks.terraform import command, deletions, resources
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.problems import (
    Problem,
    ProblemsError,
    check_stage,
    check_tasks,
    stages,
)
from ucam_faas.deploy.source import decide_in
from ucam_faas.deploy.terraform_variables import Plan
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Task


def load(
    start: Path,
    today: date,
    *,
    source: str | None = None,
    stage: str | None = None,
    on_disk: Path = Path(plan.FILE_NAME),
    against: Path | None = None,
    terraform: Path | None = None,
) -> Inputs:
    """Load everything.

    Args:
        start: the folder in which the search for the configuration begins.
        today: the first day for which schedules are computed.
        source: of the tasks; None: the environment or the configuration says it.
        stage: of the configuration.
        on_disk: the plan's file, which need not exist.
        against: the last plan's file; None: the plan's.
        terraform: folder of a root module, or the JSON of a plan.

    Raises:
        UCAMFAASException: something cannot be read at all.
    """
    try:
        config = layers.read(start)
    except ProblemsError as error:
        return Inputs(today=today, problems=error.problems)
    misspelt = _caught(lambda: check_stage(config, stage))
    if misspelt:  # the rest is checked without a stage, and compared with nothing
        stage = against = terraform = None
    try:
        where = decide_in(config, stage=stage, named=source)
        tasks = registry.load(where)
    except UCAMFAASException:
        if misspelt:  # the stage may name other tasks
            return Inputs(today=today, config=config, problems=misspelt)
        raise
    problems = list(_problems(config, tasks, stage))
    inputs = Inputs(
        today=today, config=config, problems=[*misspelt, *problems], tasks=tasks, stage=stage
    )
    if problems or any(True for rule in names.OF_CODE for _ in rule.search(inputs)):
        return inputs
    app = plan.app_of(start)
    new = plan.make(tasks, config, stage, app=app)
    plan_stage = partial(_plan_of_stage, tasks, config, app, named=source, source=where)
    others = {name: plan_stage(name) for name in stages(config) if name != stage}
    planned = {name: other for name, other in others.items() if other}
    file = plan_file.read(on_disk) if on_disk.is_file() and not misspelt else None
    last = file if against is None else plan_file.read(against)
    misplaced = list(_misplaced(new, planned, file, last))
    if any(last is each for each, _ in misplaced):
        last = None
    terraform_plan = None if terraform is None else command.plan_at(terraform)
    return replace(
        inputs,
        plan=new,
        on_disk=file,
        last=last,
        changes=_changes(new, last, terraform_plan),
        terraform=terraform_plan,
        stages=({} if stage is None else {stage: new}) | planned,
        misplaced=misplaced,
    )


def _misplaced(
    new: Plan, others: Mapping[str, Plan], *files: PlanFile | None
) -> Iterator[tuple[PlanFile, str]]:
    """Yield the files with the plan of another stage, each once."""
    stages_by_home = {
        _home(other.to_json()): name for name, other in others.items() if other.project
    }
    for file in {id(file): file for file in files if file}.values():
        home = _home(file.variables)
        if home != _home(new.to_json()) and home in stages_by_home:
            yield file, stages_by_home[home]


def _home(variables: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a plan's project and prefix, by which stages are known."""
    prefixes = [task.get("name_prefix", "") for task in variables["tasks"].values()]
    return variables.get("project"), prefixes[0] if prefixes else ""


def _plan_of_stage(
    tasks: Sequence[Task],
    config: ConfigFile,
    app: str | None,
    stage: str,
    *,
    named: str | None,
    source: str,
) -> Plan | None:
    """Return the plan of another stage; None: it has other tasks, or no plan.

    Args:
        named: the source that an option names.
        source: of the tasks.
    """
    try:
        if decide_in(config, stage=stage, named=named) != source:
            return None
        return plan.make(tasks, config, stage, app=app)
    except UCAMFAASException:
        return None  # a check of that stage says why


def against_baseline(new: Plan, last: PlanFile, config: ConfigFile, today: date) -> Inputs:
    """Return the inputs of the rules that compare a plan with the one that it would overwrite."""
    return Inputs(
        today=today,
        config=config,
        tasks=[planned.task for planned in new.tasks],
        plan=new,
        last=last,
        changes=_changes(new, last, None),
    )


def _changes(
    new: Plan, last: PlanFile | None, terraform: resources.TerraformPlan | None
) -> Sequence[Change]:
    if terraform is not None:
        return deletions.changes_of(terraform)
    return () if last is None else tuple(plan_changes.changes_between(last, new.to_json()))


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
