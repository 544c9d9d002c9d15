"""The cost of a million jobs, and of a task's month, on Google Cloud: their use at list prices.

    python benchmarks/costs.py
    python benchmarks/costs.py --a-day 50000 --run-seconds 2
    python benchmarks/costs.py --run-seconds 2 --at-a-time 8 --price "Firestore write=0.09"

Pure but for the command line. Storage, logs and network between regions are left out; free quotas
count for a month, and not for a million jobs.
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
_QUOTED = "Cloud Run pricing, quoted by public repositories in 2025 and 2026; us-central1"
PRICES: Mapping[str, Price] = {
    "Pub/Sub data": Price(40.0, "TiB", "Pub/Sub pricing; all regions"),
    "Cloud Tasks operation": Price(0.40, "million", "Cloud Tasks pricing; all regions"),
    "Cloud Run request": Price(0.40, "million", "Cloud Run pricing; request-based billing"),
    "Cloud Run CPU": Price(24.0, "million vCPU-seconds", "Cloud Run pricing; Tier 1 regions"),
    "Cloud Run memory": Price(2.5, "million GiB-seconds", "Cloud Run pricing; Tier 1 regions"),
    "idle instance CPU": Price(2.5, "million vCPU-seconds", _QUOTED),
    "idle instance memory": Price(2.5, "million GiB-seconds", _QUOTED),
    "instance-based CPU": Price(18.0, "million vCPU-seconds", _QUOTED),
    "instance-based memory": Price(2.0, "million GiB-seconds", _QUOTED),
    "worker pool CPU": Price(11.244, "million vCPU-seconds", _QUOTED),
    "worker pool memory": Price(1.235, "million GiB-seconds", _QUOTED),
    "Firestore read": Price(0.06, "100,000", "Cloud Firestore pricing; multi-region, 2020"),
    "Firestore write": Price(0.18, "100,000", "Cloud Firestore pricing; multi-region, 2020"),
    "Firestore delete": Price(0.02, "100,000", "Cloud Firestore pricing; multi-region, 2020"),
    "Cloud SQL CPU": Price(0.0413, "vCPU-hour", "usage.ai, May 2026; us-central1, Enterprise"),
    "Cloud SQL memory": Price(0.007, "GB-hour", "usage.ai, May 2026; us-central1, Enterprise"),
}
ALWAYS_ON: Mapping[str, str] = {
    "`min_instances`, while it has no request": "idle instance",
    "`min_instances`, while it always has one": "Cloud Run",
    "`cpu_idle = false` (instance-based billing), and a Cloud Run job": "instance-based",
    "worker pool": "worker pool",
}
"""Kinds of instances that run all the time: the names of their prices, without the resource."""
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


DAYS = 30
FREE: Mapping[str, float] = {
    "Pub/Sub data": 10 * 2**30,
    "Cloud Run request": 2 * MILLION,
    "Cloud Run CPU": 180_000,
    "Cloud Run memory": 360_000,
    "Firestore read": 50_000 * DAYS,
    "Firestore write": 20_000 * DAYS,
    "Firestore delete": 20_000 * DAYS,
}
"""A month's free use, of a billing account or a database; those of Firestore are daily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A task with `min_instances=0`, for 30 days.

    Args:
        a_day: messages, or jobs.
        load: of an attempt.
        jobs: they are jobs in Firestore.
        message_bytes: of a message.
    """

    a_day: float
    load: Load
    jobs: bool = False
    message_bytes: int = LEAST_BYTES


MONTHS: Mapping[str, Month] = {
    "a schedule that runs 5 minutes each night": Month(
        a_day=1, load=Load(run_seconds=300, at_a_time=1, retries=0)
    ),
    "10,000 messages a day, 0.5 s, 1 at a time": Month(a_day=10_000, load=Load(at_a_time=1)),
    "10,000 jobs a day, 0.5 s, 1 at a time": Month(a_day=10_000, load=Load(at_a_time=1), jobs=True),
    "1 million messages a day, 0.5 s, 4 at a time": Month(a_day=MILLION, load=Load()),
    "10 million jobs a day, 0.5 s, 4 at a time": Month(a_day=10 * MILLION, load=Load(), jobs=True),
}


def month_usage(month: Month) -> dict[str, float]:
    """Return what a month uses, by the names of the prices."""
    millions = month.a_day * DAYS / MILLION
    use = {name: number * millions for name, number in usage(month.load).items()}
    if not month.jobs:
        size = max(LEAST_BYTES, month.message_bytes)
        # a message is published once, and Pub/Sub itself pushes it again
        use = {name: number for name, number in use.items() if name.startswith("Cloud Run")}
        use["Pub/Sub data"] = (2 + month.load.retries) * size * millions * MILLION
    return use


def month_costs(
    month: Month, prices: Mapping[str, Price] = PRICES, free: Mapping[str, float] = FREE
) -> float:
    """Return the USD of a month, beyond free quotas."""
    return sum(
        max(0.0, number - free.get(name, 0.0))
        * prices[name].usd
        / _PER[prices[name].unit.split(" ")[0]]
        for name, number in month_usage(month).items()
    )


def month_table(months: Mapping[str, Month] = MONTHS, prices: Mapping[str, Price] = PRICES) -> str:
    """Return what months use and cost as a table in Markdown."""
    rows = [
        "| a month of | requests | vCPU-seconds | GiB-seconds | Pub/Sub, GiB | USD | USD beyond "
        "free quotas |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, month in months.items():
        use = month_usage(month)
        numbers = [use[f"Cloud Run {each}"] for each in ("request", "CPU", "memory")]
        cells = [f"{number:,.0f}" for number in numbers]
        cells += [f"{use['Pub/Sub data'] / 2**30:,.2f}"]
        cells += [f"{month_costs(month, prices, free):,.2f}" for free in ({}, FREE)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def always_on_table(prices: Mapping[str, Price] = PRICES) -> str:
    """Return the cost of instances that run all the time as a table in Markdown."""
    rows = [
        "| an instance that runs all the time | USD for a million vCPU-seconds | for a million "
        "GiB-seconds | USD a month: 1 vCPU, 512 MiB |",
        "|---|---|---|---|",
    ]
    for name, billed in ALWAYS_ON.items():
        cpu, memory = (prices[f"{billed} {resource}"].usd for resource in ("CPU", "memory"))
        month = HOURS_A_MONTH * 3600 / MILLION * (cpu + 0.5 * memory)
        rows.append(f"| {name} | {cpu:g} | {memory:g} | {month:.2f} |")
    return "\n".join(rows) + "\n"


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
    parser.add_argument("--a-day", type=float, metavar="NUMBER", help="print a month of this")
    parser.add_argument("--jobs", action="store_true", help="with --a-day: of jobs in Firestore")
    parser.add_argument("--message-bytes", type=int, default=LEAST_BYTES, metavar="NUMBER")
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
    a_day, jobs, size = (options.pop(name) for name in ("a_day", "jobs", "message_bytes"))
    values = {name: value for name, value in options.items() if value is not None}
    if a_day is not None:
        load = replace(Load(), **values)
        month = Month(a_day=a_day, load=load, jobs=jobs, message_bytes=size)
        print(month_table({"yours": month}, prices))
        return
    loads = {"yours": replace(Load(), **values)} if values else LOADS
    print(table(loads, prices), servers(prices), sep="\n")


if __name__ == "__main__":
    main()
