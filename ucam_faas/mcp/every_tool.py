"""All tools, in the order in which an agent sees them."""

from __future__ import annotations

from ucam_faas.mcp.dead_letters import (
    ListDeadLetters,
    PlanReplay,
    RunPlan,
    ShowDeadLetter,
    ShowPlan,
)
from ucam_faas.mcp.jobs import ActOnJob, ListJobs, ShowJob
from ucam_faas.mcp.messages import ExplainMessage, ListMessages
from ucam_faas.mcp.schedules import ListSchedules, RunSchedule
from ucam_faas.mcp.sending import CheckPayload, Publish, SendJob
from ucam_faas.mcp.tasks import ListTasks, ShowTask
from ucam_faas.mcp.tools import Tool

TOOLS: tuple[type[Tool], ...] = (
    *(ListTasks, ShowTask, ListMessages, ExplainMessage),
    *(ListDeadLetters, ShowDeadLetter, PlanReplay, ShowPlan, RunPlan),
    *(CheckPayload, Publish, SendJob),
    *(ListJobs, ShowJob, ActOnJob, ListSchedules, RunSchedule),
)
