"""Stop an execution from outside, as its deadline or a shutdown does."""

from __future__ import annotations

from ucam_faas.execution import pipeline
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.outcomes import Outcome


def stop(execution: Execution, outcome: Outcome) -> Conclusion | None:
    """Conclude without waiting for the function; None if it is concluding by itself."""
    return pipeline.stopped(execution, outcome) if execution.claim() else None
