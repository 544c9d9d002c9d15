"""Exports all prices: a job, which may take long and gets no message.

`PRICES_DATABASE` names an SQLite file, and `PRICES_EXPORT` the CSV file to write.
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


def connect() -> sqlite3.Connection:
    """Open the database, which must be there: a new one would be exported empty."""
    path = Path(os.environ["PRICES_DATABASE"]).resolve()
    if not path.is_file():
        raise ucam_faas.UCAMFAASException("PRICES_DATABASE names no file")
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)


@ucam_faas.raw_event(
    run_as="job",
    timeout=timedelta(hours=2),
    schedule=Schedule("0 2 * * SUN", time_zone="Europe/London"),
    memory="1Gi",
)
def export_prices(body: bytes) -> None:
    """Export all prices as CSV."""
    target = Path(os.environ["PRICES_EXPORT"])
    partial = target.with_name(f"{target.name}.part")
    with closing(connect()) as connection, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sku", "pence"])
        writer.writerows(connection.execute("SELECT sku, pence FROM prices ORDER BY sku"))
    partial.replace(target)  # whole or not at all, however often it is started
