"""What the rules look at: tasks, configuration, plan, the last plan, and Terraform's plan."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ucam_faas.deploy.checks.plan_file import PlanFile
from ucam_faas.deploy.checks.terraform.plan import TerraformPlan
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.findings import Place
from ucam_faas.deploy.plan import Plan, PlannedTask
from ucam_faas.deploy.problems import Problem, stages
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What is known. A fault that prevents the plan leaves only what comes before it.

    Args:
        problems: of the configuration.
        plan: None: there is none, because of the problems or of names.
        on_disk: the plan's file, which Terraform reads; None: it is not written yet.
        last: the plan that is deployed, as far as anybody knows.
        today: schedules are looked at from this day on.
        stage: the one that was named.
    """

    today: date
    config: ConfigFile = field(default_factory=ConfigFile)
    problems: Sequence[Problem] = ()
    tasks: Sequence[Task] = ()
    plan: Plan | None = None
    on_disk: PlanFile | None = None
    last: PlanFile | None = None
    terraform: TerraformPlan | None = None
    stage: str | None = None

    @property
    def planned(self) -> Sequence[PlannedTask]:
        """The tasks of the plan."""
        return self.plan.tasks if self.plan else ()

    @property
    def services(self) -> Iterator[PlannedTask]:
        """Those that messages are pushed to."""
        return (one for one in self.planned if one.needs.topic and one.task.run_as == "service")

    @property
    def plan_again(self) -> str:
        """What to do about an old plan: one of a stage is not to be overwritten by one of none."""
        known = stages(self.config)
        if self.stage is not None or not known:
            return "Run: ucam-faas plan, with the same options."
        named = " or ".join(f"--stage {shlex.quote(name)}" for name in known)
        return (
            f"Name the stage that was planned, with {named}. If it was none, run: ucam-faas plan, "
            "with the same options."
        )

    def variables(self, one: PlannedTask) -> dict[str, Any]:
        """Return what the plan says of a task."""
        assert self.plan is not None, "a planned task is of a plan"
        found: dict[str, Any] = self.plan.variables["tasks"][one.task.name]
        return found


def decorated(task: Task) -> Place:
    """Return where a task is decorated."""
    file, line = task.place
    return Place(os.path.relpath(file), line)


def configured(one: PlannedTask, *path: str) -> Place:
    """Return where a value of the configuration comes from; of a default, where the task is."""
    origin = one.merged.origin(*path)
    return Place.of(origin) if origin.file else decorated(one.task)
