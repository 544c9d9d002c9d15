"""The inputs of the rules: tasks, configuration, plan, the last plan, and Terraform's plan."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ucam_faas.deploy.checks.changes import Change
from ucam_faas.deploy.checks.plan_file import PlanFile
from ucam_faas.deploy.checks.terraform.resources import TerraformPlan
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.findings import Place
from ucam_faas.deploy.problems import Problem, stages
from ucam_faas.deploy.terraform_variables import Plan, PlannedTask
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """The inputs. After an error that prevents the plan, only those before it are there.

    Args:
        today: the first day for which schedules are computed.
        problems: of the configuration.
        plan: None: problems or names prevent it.
        on_disk: the plan's file, which Terraform reads; None: it is not written yet.
        last: the plan that is deployed, as far as it is known.
        changes: the deletions that Terraform plans; without Terraform, those since the last plan.
        stage: the value of --stage.
        stages: the plans of the stages of the configuration, by name; those that can be planned.
        misplaced: files with the plan of another stage, each with the stage's name: nothing is
            compared with them.
    """

    today: date
    config: ConfigFile = field(default_factory=ConfigFile)
    problems: Sequence[Problem] = ()
    tasks: Sequence[Task] = ()
    plan: Plan | None = None
    on_disk: PlanFile | None = None
    last: PlanFile | None = None
    changes: Sequence[Change] = ()
    terraform: TerraformPlan | None = None
    stage: str | None = None
    stages: Mapping[str, Plan] = field(default_factory=dict)
    misplaced: Sequence[tuple[PlanFile, str]] = ()

    @property
    def planned(self) -> Sequence[PlannedTask]:
        """The tasks of the plan."""
        return self.plan.tasks if self.plan else ()

    def planned_task(self, name: str | None) -> PlannedTask | None:
        """Return the task of a name, if there is one."""
        return next((planned for planned in self.planned if planned.name == name), None)

    @property
    def receivers(self) -> Iterator[PlannedTask]:
        """The tasks that get messages."""
        return (planned for planned in self.planned if planned.gets_messages)

    @property
    def retried(self) -> Iterator[PlannedTask]:
        """Those whose retries the deployment sets, and not the owner of the subscription."""
        return (planned for planned in self.receivers if planned.needs.subscription is None)

    @property
    def plan_again(self) -> str:
        """The fix of an old plan; without --stage, a plan of a stage must not be overwritten."""
        known = stages(self.config)
        if self.stage is not None or not known:
            return "Run: ucam-faas plan, with the same options."
        named = " or ".join(f"--stage {shlex.quote(name)}" for name in known)
        return (
            f"Name the stage that was planned, with {named}. If it was none, run: ucam-faas plan, "
            "with the same options."
        )


def decorated(task: Task) -> Place:
    """Return the place of a task's decorator."""
    file, line = task.place
    return Place(os.path.relpath(file), line)


def configured(planned: PlannedTask, *path: str) -> Place:
    """Return the place of a configured value; of a default value, the task's."""
    origin = planned.merged.origin(*path)
    return Place.of(origin) if origin.file else decorated(planned.task)
