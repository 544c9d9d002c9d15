"""Exports all prices: a job, which may take long and gets no message.

`PRICES_DATABASE` names an SQLite file, which `import_prices` makes;
`PRICES_EXPORT` names the CSV file to write.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import ucam_faas
from ucam_faas import Schedule


def named(variable: str) -> Path:
    """Return the file that a variable names."""
    if not (name := os.environ.get(variable)):
        raise ucam_faas.UCAMFAASException(f"set {variable} to the path of a file")
    return Path(name)


def connect() -> sqlite3.Connection:
    """Open the database, which must be there: a new one would be exported empty."""
    path = named("PRICES_DATABASE").resolve()
    if not path.is_file():
        raise ucam_faas.UCAMFAASException("PRICES_DATABASE names no file")
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)


@ucam_faas.raw_event(
    run_as="cloud-run-job",
    timeout=timedelta(hours=2),
    schedule=Schedule("0 2 * * SUN", time_zone="Europe/London"),
    memory="1Gi",
)
def export_prices() -> None:
    """Export all prices as CSV."""
    target = named("PRICES_EXPORT")
    partial = target.with_name(f"{target.name}.part")
    with closing(connect()) as connection, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sku", "pence"])
        writer.writerows(connection.execute("SELECT sku, pence FROM prices ORDER BY sku"))
    partial.replace(target)  # whole or not at all, however often it is started
