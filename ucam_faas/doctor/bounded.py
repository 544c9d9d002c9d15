"""A call that may hang, with a limit of time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

ValueT = TypeVar("ValueT")


def call(function: Callable[[], ValueT], seconds: float) -> ValueT:
    """Return what a function returns.

    Raises:
        TimeoutError: it takes longer. Its thread runs on.
        Exception: of the function.
    """
    result: dict[str, Any] = {}

    def run() -> None:
        try:
            result["value"] = function()
        except BaseException as error:
            result["error"] = error

    thread = threading.Thread(target=run, daemon=True, name="ucam-faas-doctor")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
    if "error" in result:
        raise result["error"]
    return result["value"]  # type: ignore[no-any-return]
