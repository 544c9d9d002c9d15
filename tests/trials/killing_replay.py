"""`ucam-faas` with short leases of dead letters and small batches, to be killed at any moment."""

from __future__ import annotations

from ucam_faas.cli import main
from ucam_faas.dead_letters import leases, runs

if __name__ == "__main__":
    leases.LEASE_SECONDS = 3
    leases.RENEWAL_SECONDS = 1.0
    leases.ENDED_SECONDS = 2.5
    runs.BATCH = 5
    main()
