"""Log lines about trouble around executions; a log handler that raises does no harm."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("ucam_faas")


def log_problem(
    message: str,
    *,
    error: BaseException | None = None,
    level: int = logging.ERROR,
    **fields: Any,
) -> None:
    """Log an error that happened around an execution and changed nothing of its outcome."""
    safely(lambda: logger.log(level, message, exc_info=error, extra={"fields": fields}))


def log_loop_problem(loop: object, context: dict[str, Any]) -> None:
    """Log an event loop's report, without the words of exceptions that asyncio would log."""
    error = context.get("exception")
    log_problem("ucam_faas_background_task_failed", error=error, what=type(loop).__qualname__)


def log_foreign(path: str, detail: str) -> None:
    """Log a request that a web page of another site made a browser send."""
    extra = {"fields": {"detail": detail, "path": path[:200]}}
    safely(lambda: logger.warning("ucam_faas_cross_site_request_refused", extra=extra))


def safely(log: Callable[[], None]) -> None:
    """Log; a user's handler or filter that raises must not keep a delivery from its answer."""
    try:
        log()
    except Exception as error:
        sys.stderr.write(f"ucam_faas: a log handler raised {type(error).__qualname__}\n")
