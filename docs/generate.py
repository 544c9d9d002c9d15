"""Write the generated parts of the documents, or check that they are up to date.

python docs/generate.py            # write
python docs/generate.py --check    # exit 1 if a document is out of date
"""

from __future__ import annotations

import functools
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import command_page
import command_tree
import costs
from simulation import tables

from ucam_faas import exceptions
from ucam_faas.cli import main as cli
from ucam_faas.cli._errors import CODES
from ucam_faas.completion.commands import FILE as COMMANDS
from ucam_faas.config import Settings
from ucam_faas.deploy.checks import FAMILIES
from ucam_faas.deploy.keys import keys as deployment_keys
from ucam_faas.doctor.findings import KINDS
from ucam_faas.mcp.every_tool import TOOLS
from ucam_faas.outcomes import ANSWERS
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.option_table import COLLECTION, OPTIONS
from ucam_faas.upgrade.changes import TABLES

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "benchmarks/README.md",
    ROOT / "docs/check.md",
    ROOT / "docs/configuration.md",
    ROOT / "docs/costs.md",
    ROOT / "docs/deployment-configuration.md",
    ROOT / "docs/doctor.md",
    ROOT / "docs/json.md",
    ROOT / "docs/mcp.md",
    ROOT / "docs/outcomes.md",
    ROOT / "docs/scale.md",
    ROOT / "docs/tasks.md",
    ROOT / "docs/upgrading.md",
]
_PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def outcomes() -> str:
    rows = ["| outcome | when | HTTP | Pub/Sub | log | exit |", "|---|---|---|---|---|---|"]
    for kind, answer in ANSWERS.items():
        does = "acknowledges" if answer.acknowledges else "retries"
        rows.append(
            f"| {kind.__name__} | {_when(kind)}{' *permanent*' if answer.permanent else ''} "
            f"| {answer.http_status} | {does} | {answer.severity} | {answer.exit_code} |"
        )
    return "\n".join(rows) + "\n"


def tools() -> str:
    rows = ["| tool | for | arguments |", "|---|---|---|"]
    for tool in TOOLS:
        arguments = ", ".join(f"`{name}`" for name in tool.model_fields)
        text = tool.description().partition("\n\n")[0].replace("\n", " ")
        writes = " *With `--allow-writes` only.*" if tool.writes else ""
        rows.append(f"| `{tool.tool_name()}` | {text}{writes} | {arguments} |")
    return "\n".join(rows) + "\n"


def _when(kind: type[Any]) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split()).rstrip(".") + "."


def variables() -> str:
    rows = ["| variable | default | description |", "|---|---|---|"]
    for spec in fields(Settings):
        name, what = spec.metadata["variable"], spec.metadata["doc"]
        default = spec.default
        shown = {"THREADS": "4 for each core"}.get(name, "" if default is None else f"`{default}`")
        rows.append(f"| `{name}` | {shown} | {what} |")
    return "\n".join(rows) + "\n"


def keys(options: Iterable[Option]) -> str:
    rows = ["| key | takes | default | description |", "|---|---|---|---|"]
    for option in options:
        shape = f"{option.merge} of " if option.merge in ("list", "map") else ""
        where = "; not for one task" if option.configurable == "for all tasks" else ""
        cells = [f"`{option.name}`", f"{shape}{option.takes}", _default(option)]
        rows.append(f"| {' | '.join(cells)} | {option.doc}{where} |")
    return "\n".join(rows) + "\n"


def options() -> str:
    rows = [
        "| option | description | takes | default | decorators | also |",
        "|---|---|---|---|---|---|",
    ]
    for option in OPTIONS.values():
        on = "not `http`" if "batch_handler" in option.taken_by else "not `http`, `batch_handler`"
        on = on if "raw_event" in option.taken_by else "handlers"
        also = ["collections"] * (COLLECTION in option.taken_by)
        also += ["configuration"] * (option.configurable == "anywhere")
        cells = [f"`{option.name}=`", option.doc, option.takes, _default(option)]
        cells += ["all" if "http" in option.taken_by else on, ", ".join(also)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _default(option: Option) -> str:
    return "" if option.default is None else f"`{json.dumps(option.default)}`"


def rules() -> str:
    rows = ["| rule | finds | why it matters |", "|---|---|---|"]
    for family, rules in FAMILIES.items():
        rows.append(f"| **{family}** | | |")
        rows += [f"| `{rule.name}` | {rule.finds} | {rule.why} |" for rule in rules]
    return "\n".join(rows) + "\n"


def changes_since_1_0(table: str) -> str:
    """Return a table of `ucam-faas check --from 1.0`; a column that is empty is left out."""
    headings = {
        "Behaviour": ("what", "in 1.0", "here, and why", "what to do", "rule"),
        "Logs": ("what", "in 1.0", "here, and why", "what to do", "rule"),
        "Names": ("gone", "", "because", "instead", "rule"),
        "Packages": ("package", "", "here", "what to do", "rule"),
        "Terraform": ("what", "in 1.0", "here", "what to do", "rule"),
    }[table]
    rows = [[*headings], ["---"] * len(headings)]
    for each in TABLES[table]:
        rule = f"`{each.rule}`" if each.rule else ""
        rows.append([each.what, each.before, each.here, each.do, rule])
    kept = [number for number, heading in enumerate(headings) if heading]
    lines = ["| " + " | ".join(row[number] for number in kept) + " |" for row in rows]
    return "\n".join(lines).replace("| --- ", "|---").replace("|--- |", "|---|") + "\n"


def troubles() -> str:
    rows = ["| code | level | finding | remedy |", "|---|---|---|---|"]
    rows += [
        f"| `{code}` | {kind.level.value} | {kind.when} | {kind.remedy} |"
        for code, kind in KINDS.items()
    ]
    return "\n".join(rows) + "\n"


def ratios() -> str:
    ratios = tomllib.loads((ROOT / "benchmarks/ratios.toml").read_text())["ratios"]
    rows = ["| benchmark | times better | at least |", "|---|---|---|"]
    rows += [f"| {name} | {ratio:.3g} | {0.6 * ratio:.2g} |" for name, ratio in ratios.items()]
    return "\n".join(rows) + "\n"


def error_codes() -> str:
    rows = ["| code | error |", "|---|---|"]
    context = click.Context(cli)
    for verb in cli.list_commands(context):  # with their errors
        cli.get_command(context, verb)
    texts = dict(CODES)
    for kind in _errors(exceptions.UCAMFAASException):
        if "error_code" in vars(kind):
            texts.setdefault(kind.error_code, _when(kind))
    rows += [f"| `{code}` | {text} |" for code, text in sorted(texts.items())]
    return "\n".join(rows) + "\n"


def _errors(root: type[exceptions.UCAMFAASException]) -> Iterator[type[Any]]:
    """Yield the errors of the package."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith("ucam_faas."):
            yield from _errors(kind)


PARTS: dict[str, Callable[[], str]] = {
    "outcomes": outcomes,
    "variables": variables,
    "always on": costs.always_on_table,
    "costs": costs.table,
    "months": costs.month_table,
    "prices": costs.price_table,
    "servers": costs.servers,
    "simulated days": lambda: tables.days(tables.recorded("days")),
    "simulated day": lambda: tables.chart(tables.recorded("days")["20 instances, an outage"]),
    "simulated day with more instances": lambda: tables.chart(
        tables.recorded("days")["60 instances, an outage"]
    ),
    "validation": lambda: tables.validation(tables.recorded("validation")),
    "deployment keys": lambda: keys(
        option for option in deployment_keys().values() if option.configurable != "shown"
    ),
    "alerting keys": lambda: keys(deployment_keys()["alerting"].options.values()),
    "vpc keys": lambda: keys(deployment_keys()["vpc_access"].options.values()),
    "schema keys": lambda: keys(deployment_keys()["topic_schema"].options.values()),
    "telemetry keys": lambda: keys(deployment_keys()["telemetry"].options.values()),
    "options": options,
    "error codes": error_codes,
    "ratios": ratios,
    "rules": rules,
    "troubles": troubles,
    **{f"changes of {name.lower()}": functools.partial(changes_since_1_0, name) for name in TABLES},
    "tools": tools,
}


def render(text: str) -> str:
    return _PART.sub(lambda match: match[1] + "\n" + PARTS[match[2]]() + "\n" + match[3], text)


def commands() -> str:
    text = json.dumps(command_tree.tree(), indent=1, ensure_ascii=False)
    return re.sub(r"[{[]\s[^{}[\]]*[]}]", lambda leaf: " ".join(leaf[0].split()), text) + "\n"


def main() -> int:
    texts = {path: path.read_text() for path in DOCUMENTS}
    new = {path: render(text) for path, text in texts.items()}
    new |= {COMMANDS: commands(), ROOT / "docs/commands.md": command_page.page()}
    stale = [path for path, text in new.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run python docs/generate.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(new[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
