"""The options that `serve`, `run` and `ucam-faas` without a verb share; those given last win."""

from __future__ import annotations

from typing import Any

import click

target = click.option(
    "--target", help="Tasks to serve, comma-separated. [FUNCTION_TARGET; default: all]"
)
host = click.option("--host", help="Address to listen on. [HOST; default: 0.0.0.0]")
port = click.option(
    "--port", type=int, help="Port to listen on; 0 picks a free one. [PORT; default: 8080]"
)
debug = click.option(
    "--debug", is_flag=True, default=None, help="Log more, for people to read. [DEBUG]"
)
input_bucket = click.option("--input-bucket", help="Bucket of the input file. [INPUT_BUCKET]")
input_file = click.option(
    "--input-file",
    help="Input file of a task that runs once; a local path, or a name in the bucket. [INPUT_FILE]",
)


def merged(**options: Any) -> dict[str, Any]:
    """Return the options before and after a verb, by the names of settings."""
    before = dict(click.get_current_context().obj or {})
    return before | {name: value for name, value in options.items() if value is not None}
