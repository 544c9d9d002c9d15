"""What a test with a task is: it serves the task, publishes, waits, and asserts."""

from __future__ import annotations

from collections.abc import Callable

from ucam_faas.local_testing import EmbeddedCloud
from ucam_faas.testing import ManualClock

Serve = Callable[..., EmbeddedCloud]
"""`ucam_faas_local`, perhaps with options."""
Case = Callable[[Serve, ManualClock], None]
