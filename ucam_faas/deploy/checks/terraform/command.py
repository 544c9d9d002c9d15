"""Run the installed `terraform` to plan a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path

from ucam_faas.deploy.checks.terraform.resources import TerraformPlan, parse, read
from ucam_faas.exceptions import ConfigurationError

_PLAN = ("plan", "-input=false", "-lock=false", "-no-color")
_SHOWN = 400
_SOURCE_LINE = re.compile(r"^ +\d+: .*$", re.MULTILINE)
_UNSET = re.compile(r'input variable "(\S+)" is not set')


def plan_at(path: Path) -> TerraformPlan:
    """Return the plan of a folder, or in the output of `terraform show -json PLAN`.

    Raises:
        ConfigurationError: Terraform cannot plan the folder, or the file isn't a plan.
    """
    return plan_of(path) if path.is_dir() else read(path)


def plan_of(directory: Path) -> TerraformPlan:
    """Run `terraform plan` in a folder, which changes nothing, and return the plan.

    Raises:
        ConfigurationError: Terraform cannot plan the folder.
    """
    name = os.path.relpath(directory)
    terraform = shutil.which("terraform")
    if terraform is None:
        raise ConfigurationError(
            f"The Terraform in {name} cannot be checked: terraform is not on PATH. Install it, or "
            "give the output of `terraform show -json PLAN`, or leave out --terraform."
        )
    if not (directory / ".terraform").is_dir():
        raise ConfigurationError(
            f"The Terraform in {name} cannot be checked: it is not initialised. Run: "
            f"terraform -chdir={name} init"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "plan"))
        _run(terraform, directory, *_PLAN, f"-out={file}")
        shown = _run(terraform, directory, "show", "-json", file)
    return parse(shown, name=name, directory=directory)


def _run(terraform: str, directory: Path, *arguments: str) -> str:
    process = subprocess.run(
        [terraform, f"-chdir={directory}", *arguments], capture_output=True, text=True, check=False
    )
    if process.returncode != 0:
        exit_code = f"exit code {process.returncode}"
        text = process.stderr.strip() or process.stdout.strip() or exit_code
        raise ConfigurationError(
            f"terraform {arguments[0]} failed in {os.path.relpath(directory)}: "
            f"{_first_error(text)} {_advice(text)}"
        )
    return process.stdout


def _first_error(text: str) -> str:
    """Return the first error as one sentence, without the lines of the source."""
    _, marker, after = text.partition("Error: ")
    error = after.partition("\nError: ")[0] if marker else text
    summary, _, rest = error.partition("\n\n")
    rest = _SOURCE_LINE.sub("", rest).strip()
    joint = " " if not rest or rest.startswith(("on ", "with ")) else ": "
    short = textwrap.shorten(f"{summary}{joint}{rest}", _SHOWN, placeholder=" …")
    return short if short.endswith(("…", ".")) else f"{short.rstrip(':')}."


def _advice(text: str) -> str:
    names = dict.fromkeys(_UNSET.findall(" ".join(text.split())))
    variables = " ".join(f"TF_VAR_{name}=…" for name in names)
    first = f"Set {variables} in the environment" if names else "Fix that"
    return f"{first}, or plan yourself and give the output of `terraform show -json PLAN`."
