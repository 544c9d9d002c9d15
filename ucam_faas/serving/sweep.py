"""The source of the sweep: FUNCTION_SOURCE names it where an application's jobs are swept."""

from __future__ import annotations

from ucam_faas.config import Settings
from ucam_faas.job_runs.sweep_task import sweep_task

sweep = sweep_task(Settings.from_environ().app)
