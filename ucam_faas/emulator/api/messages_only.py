"""Google's message classes without its clients, for a process that needs no clients.

`google.pubsub_v1` imports its clients, and with them requests, google.auth and cryptography: 25 MB
and a fifth of a second. What the emulator needs is in `google.pubsub_v1.types`.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


def prepare() -> None:
    """Make `google.pubsub_v1` a package that holds its submodules alone.

    Only for a process of our own: who imports a client after this does not find it.
    """
    spec = importlib.util.find_spec("google.pubsub_v1")
    if spec is not None and "google.pubsub_v1" not in sys.modules:
        package = ModuleType("google.pubsub_v1")
        package.__spec__ = spec
        package.__path__ = list(spec.submodule_search_locations or ())
        sys.modules["google.pubsub_v1"] = package
