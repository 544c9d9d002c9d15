"""Output that the verbs of `ucam-faas dlq` share."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ucam_faas.cli._letter_texts import MOST_LINES
from ucam_faas.cli._messages import say
from ucam_faas.logs.columns import printable

reveal_option = click.option(
    "--reveal",
    is_flag=True,
    help="Show payloads and attributes also elsewhere than on the local cloud; the journal has it.",
)
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def say_diff(lines: Sequence[str]) -> None:
    """Print a difference, with an indent."""
    for line in lines[:MOST_LINES]:
        colour = None if line.startswith(("---", "+++")) else _COLOURS.get(line[:1])
        say(f"  {printable(line)}", colour)
    if len(lines) > MOST_LINES:
        say(f"  … {len(lines) - MOST_LINES:,} more lines")
