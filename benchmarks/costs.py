"""The cost of a million jobs on Google Cloud: what a job uses, times the list prices.

    python benchmarks/costs.py
    python benchmarks/costs.py --run-seconds 2 --at-a-time 8 --price "Firestore write=0.09"

Pure but for the command line. Free quotas, storage, logs and network between regions are left out.
The requests, reads, writes and deletes of a job are those that tests count:
`tests/integration/test_costs.py` and `tests/jobs/test_firestore_costs.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

MILLION = 1_000_000
HOURS_A_MONTH = 730
TIB = 2**40

FIRESTORE_SENT = {"writes": 1}
FIRESTORE_ATTEMPT = {"reads": 1, "writes": 2}
FIRESTORE_REMOVED = {"deletes": 1}
FIRESTORE_SWEPT = {"reads": 1, "writes": 1}
"""A job that the sweep wakes."""
LEAST_BYTES = 1000
"""The least that Pub/Sub charges for, in each publish or push request."""


class Price(NamedTuple):
    """A list price.

    Args:
        usd: for the unit.
        unit: its number and its name.
        source: the page, and the place where the price holds.
    """

    usd: float
    unit: str
    source: str


READ = "2026-11-28"
"""When the sources were read, in stored copies: they may be older."""
PRICES: Mapping[str, Price] = {
    "Pub/Sub data": Price(40.0, "TiB", "Pub/Sub pricing; all regions"),
    "Cloud Tasks operation": Price(0.40, "million", "Cloud Tasks pricing; all regions"),
    "Cloud Run request": Price(0.40, "million", "Cloud Run pricing; request-based billing"),
    "Cloud Run CPU": Price(24.0, "million vCPU-seconds", "Cloud Run pricing; Tier 1 regions"),
    "Cloud Run memory": Price(2.5, "million GiB-seconds", "Cloud Run pricing; Tier 1 regions"),
    "Firestore read": Price(0.06, "100,000", "Cloud Firestore pricing; multi-region, 2020"),
    "Firestore write": Price(0.18, "100,000", "Cloud Firestore pricing; multi-region, 2020"),
    "Firestore delete": Price(0.02, "100,000", "Cloud Firestore pricing; multi-region, 2020"),
    "Cloud SQL CPU": Price(0.0413, "vCPU-hour", "usage.ai, May 2026; us-central1, Enterprise"),
    "Cloud SQL memory": Price(0.007, "GB-hour", "usage.ai, May 2026; us-central1, Enterprise"),
}
_PER = {"TiB": TIB, "million": MILLION, "100,000": 100_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A million jobs.

    Args:
        run_seconds: of one attempt, from the push to its answer.
        at_a_time: the attempts that an instance runs at a time, on average while it runs any: at
            most `concurrency=`, and less with little load.
        cpu: of an instance.
        memory_gib: of an instance.
        retries: further attempts for each job.
        delayed: the share of jobs sent with a delay.
        queue: UCAM_FAAS_DELAY_QUEUE is set; without it the sweep wakes delayed jobs.
    """

    run_seconds: float = 0.5
    at_a_time: float = 4.0
    cpu: float = 1.0
    memory_gib: float = 0.5
    retries: float = 0.02
    delayed: float = 0.0
    queue: bool = True


LOADS: Mapping[str, Load] = {
    "0.1 s, 4 at a time": Load(run_seconds=0.1),
    "0.5 s, 4 at a time": Load(),
    "0.5 s, 1 at a time": Load(at_a_time=1),
    "5 s, async, 60 at a time": Load(run_seconds=5, at_a_time=60),
    "60 s, 2 vCPU, 4 GiB, 1 at a time": Load(run_seconds=60, cpu=2, memory_gib=4, at_a_time=1),
}


def usage(load: Load) -> dict[str, float]:
    """Return what a million jobs use, by the names of the prices."""
    attempts, later = 1 + load.retries, load.delayed + load.retries
    steps = (
        (1.0, FIRESTORE_SENT),
        (attempts, FIRESTORE_ATTEMPT),
        (0.0 if load.queue else later, FIRESTORE_SWEPT),
        (1.0, FIRESTORE_REMOVED),
    )
    firestore = {
        kind: sum(number * step.get(kind, 0) for number, step in steps)
        for kind in ("reads", "writes", "deletes")
    }
    seconds = attempts * load.run_seconds / load.at_a_time
    each = {
        # each wake is published and pushed in a request of its own: `send_many` needs less
        "Pub/Sub data": 2 * attempts * LEAST_BYTES,
        "Cloud Tasks operation": 2 * later if load.queue else 0.0,
        "Cloud Run request": attempts,
        "Cloud Run CPU": seconds * load.cpu,
        "Cloud Run memory": seconds * load.memory_gib,
        "Firestore read": firestore["reads"],
        "Firestore write": firestore["writes"],
        "Firestore delete": firestore["deletes"],
    }
    return {name: MILLION * number for name, number in each.items()}


def costs(load: Load, prices: Mapping[str, Price] = PRICES) -> dict[str, float]:
    """Return the USD for a million jobs, by the names of the prices."""
    return {
        name: number * prices[name].usd / _PER[prices[name].unit.split(" ")[0]]
        for name, number in usage(load).items()
    }


def server_month(cpu: float, memory_gb: float, prices: Mapping[str, Price] = PRICES) -> float:
    """Return the USD for a month of a PostgreSQL server of Cloud SQL, without storage."""
    hour = cpu * prices["Cloud SQL CPU"].usd + memory_gb * prices["Cloud SQL memory"].usd
    return HOURS_A_MONTH * hour


def table(loads: Mapping[str, Load] = LOADS, prices: Mapping[str, Price] = PRICES) -> str:
    """Return the costs of loads as a table in Markdown."""
    rows = [
        "| USD for a million jobs | Pub/Sub | Cloud Tasks | Cloud Run | Firestore | together |",
        "|---|---|---|---|---|---|",
    ]
    for name, load in loads.items():
        usd = costs(load, prices)
        services = ("Pub/Sub", "Cloud Tasks", "Cloud Run", "Firestore")
        sums = [sum(usd[key] for key in usd if key.startswith(service)) for service in services]
        cells = [f"{amount:.2f}" for amount in (*sums, sum(sums))]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def price_table(prices: Mapping[str, Price] = PRICES) -> str:
    """Return the prices as a table in Markdown."""
    rows = ["| price | USD | for | source |", "|---|---|---|---|"]
    rows += [f"| {name} | {p.usd:g} | {p.unit} | {p.source} |" for name, p in prices.items()]
    return "\n".join(rows) + "\n"


def servers(prices: Mapping[str, Price] = PRICES) -> str:
    """Return the number of jobs from which PostgreSQL servers cost less than Firestore."""
    usd = costs(Load(), prices)
    firestore = sum(usd[name] for name in usd if name.startswith("Firestore"))
    rows = [
        "| a PostgreSQL server of Cloud SQL | USD a month | jobs a month for which Firestore costs "
        "as much |",
        "|---|---|---|",
    ]
    for cpu, memory in ((1, 3.75), (2, 7.5), (4, 15)):
        month = server_month(cpu, memory, prices)
        rows.append(
            f"| {cpu} vCPU, {memory:g} GB | {month:.2f} | {month / firestore:.1f} million |"
        )
    return "\n".join(rows) + "\n"


def main() -> None:
    """Print the costs of one load, or of several."""
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Load):
        if field.name != "queue":
            flag = f"--{field.name.replace('_', '-')}"
            parser.add_argument(flag, type=float, metavar="NUMBER")
    parser.add_argument("--no-queue", dest="queue", action="store_const", const=False)
    parser.add_argument("--price", action="append", default=[], metavar="NAME=USD")
    options = vars(parser.parse_args())
    prices = dict(PRICES)
    for text in options.pop("price"):
        name, _, usd = text.partition("=")
        if name not in prices:
            parser.error(f"there is no price {name!r}. Found: {', '.join(prices)}.")
        try:
            prices[name] = prices[name]._replace(usd=float(usd))
        except ValueError:
            parser.error(f"--price {text!r} has no number. Expected: {name}=0.09")
    values = {name: value for name, value in options.items() if value is not None}
    loads = {"yours": replace(Load(), **values)} if values else LOADS
    print(table(loads, prices), servers(prices), sep="\n")


if __name__ == "__main__":
    main()
