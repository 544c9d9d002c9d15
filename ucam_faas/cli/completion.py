"""`ucam-faas completion`: the script that completes the words of `ucam-faas` in a shell."""

from __future__ import annotations

from pathlib import Path

import click

from ucam_faas.cli._group import Verb
from ucam_faas.completion.scripts import SCRIPTS


@click.command("completion", cls=Verb, context_settings={"ignore_unknown_options": True})
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(shell: str, words: tuple[str, ...]) -> None:
    """Print the script that completes commands, options and names of tasks in SHELL.

    With WORDS, print the candidates for the last of them instead, as the script does. Tasks are
    those that `ucam-faas dev` served last in this directory or above it.
    """
    if not words:
        click.echo(SCRIPTS[shell], nl=False)
        return
    from ucam_faas.completion import candidates, commands
    from ucam_faas.completion.scripts import answer, words_of

    chosen = candidates.complete(commands.read(), words_of(shell, words), Path.cwd())
    click.echo(answer(shell, chosen), nl=False)
