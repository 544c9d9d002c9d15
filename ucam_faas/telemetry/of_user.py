"""The providers that user code has set, if it has imported OpenTelemetry. Without importing it."""

from __future__ import annotations

import sys
from typing import Any


def provider_of_user(signal: str) -> Any:
    """Return the global provider that user code has set; None: it has set none.

    Args:
        signal: "trace" or "metrics".
    """
    api = sys.modules.get(f"opentelemetry.{signal}")
    if api is None:  # then no code can have set one
        return None
    provider = api.get_tracer_provider() if signal == "trace" else api.get_meter_provider()
    own = type(provider).__module__.startswith(f"opentelemetry.{signal}")  # of the API: no-ops
    return None if own or getattr(provider, "is_of_ucam_faas", False) else provider
