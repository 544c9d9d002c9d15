"""`ucam-faas dlq` beside `ucam-faas dev`: docs/dead-letters.md works as written."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.integration.processes import UCAM_FAAS, wait_until
from ucam_faas.cli import main
from ucam_faas.net import google_rest
from ucam_faas.net.rest import Rest

from .cloud import ENDS_WITHIN, PROJECT, Dev, running
from .conftest import StartDev
from .test_terminal import COLOUR, Terminal

pytestmark = pytest.mark.slow

GUIDE = (Path(__file__).parents[2] / "docs/dead-letters.md").read_text()
WALK = GUIDE.partition("## From a failure to its replay\n")[2].partition("\n## ")[0]
(CODE,) = re.findall(r"```python\n(.*?)```", WALK, re.DOTALL)
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^ucam-faas .*", WALK, re.MULTILINE)]
(PLAN,) = set(re.findall(r"dlq replay --plan (\S+)", WALK))
SHOWN = re.findall(r"```text\n(.*?)```", WALK, re.DOTALL)


class Walk:
    """Runs the commands of the guide, one after the other.

    Args:
        dev: to run them beside.
    """

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self._commands = iter(COMMANDS)

    def next(self, *start: str, **placeholders: str) -> subprocess.CompletedProcess[str]:
        """Run the next command, which begins with these words."""
        command = next(self._commands)
        assert command[: len(start)] == [*start]
        return self.dev.run(*(placeholders.get(word, word) for word in command))

    def is_over(self) -> bool:
        """Return True if there is no further command."""
        return next(self._commands, None) is None


def test_a_failure_is_found_and_fixed_and_what_is_fixed_is_sent_again(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CODE)
    with running(tmp_path) as dev:
        walk = Walk(dev)
        walk.next("publish", "charge")
        dev.wait_shown("done", "message 1")
        for number, message in enumerate((2, 4), 1):
            walk.next("publish", "charge")
            dev.wait_shown("dead", f"message {message} is now", count=1)
            assert len(dev.shown("dead")) == number
        walk.next("send", "charge")
        dev.wait_shown("dead", "job order-4, FAILURE")
        walk.next("publish", "--topic", "charge")
        dev.wait_shown("dead", count=4)

        causes = walk.next("dlq")
        assert columns(causes.stdout) == columns(SHOWN[0])
        listed = walk.next("dlq", "list", "--each").stdout
        assert {line.split()[0] for line in listed.splitlines()[1:]} == {
            *("charge-dead-letter/3", "charge-dead-letter/5", "charge-dead-letter/8"),
            "job:charge/order-4",
        }
        result = walk.next("dlq", "show", "order-4")
        shown = result.stdout
        assert "ucam-faas jobs show order-4 --task charge --traceback" in result.stderr
        assert "failed job of charge: new" in shown
        assert '"item": "coffee"' in shown

        (tmp_path / "main.py").write_text(CODE.replace('"tea": 3}', '"tea": 3, "coffee": 4}'))
        dev.wait_shown("reload", "main.py")
        tried = walk.next("dlq", "try")
        assert tried.returncode == 1
        assert columns(tried.stdout.partition("\n\n")[0]) == columns(SHOWN[1].partition("\n\n")[0])
        assert "Still failing:\n  charge-dead-letter/5  KeyError: 'cake'\n" in tried.stdout
        (plan,) = re.findall(r"dlq replay --plan (\S+)", tried.stderr)
        replayed = walk.next("dlq", "replay", "--plan", **{PLAN: plan})
        assert replayed.stdout == "Sent 2 letters again; all are acknowledged.\n"
        assert replayed.returncode == 0
        assert dev.run("jobs", "wait", "order-4").stdout == "400\n"

        walk.next("dlq", "edit")
        assert walk.next("dlq", "replay").returncode == 0
        assert walk.next("dlq", "handled").stdout == "1 letter is handled.\n"
        assert "There are no dead letters" in walk.next("dlq").stdout
        journal = walk.next("dlq", "journal").stdout
        assert "handled charge-dead-letter/5" in journal
        assert walk.is_over()
        assert states(dev) == {"replayed": 3, "handled": 1}
        assert len(dev.rest.pull("charge-dead-letter")) == 1, "what is handled stays in Pub/Sub"


def dead_orders(dev: Dev, count: int) -> None:
    """Put dead letters of the task `store` onto their topic."""
    messages = [
        {
            "data": base64.b64encode(b'{"number": %d}' % number).decode(),
            "attributes": {"ucam_faas_task": "store", "ucam_faas_reason": "the disk is full"},
        }
        for number in range(count)
    ]
    path = f"projects/{PROJECT}/topics/store-dead-letter:publish"
    assert dev.rest.call("POST", path, {"messages": messages}).status == 200


def test_control_c_stops_a_replay_and_the_plan_goes_on_later(start_dev: StartDev) -> None:
    dev = start_dev()
    dead_orders(dev, 40)
    terminal = Terminal([UCAM_FAAS, "dlq", "replay", "--all", "--rate", "2"], dev.folder)
    wait_until(lambda: "of 40" in terminal.screen(), "it shows how far it is", ENDS_WITHIN)

    listed = dev.run("dlq")
    terminal.type("\x03")
    code = terminal.popen.wait(ENDS_WITHIN)
    screen = COLOUR.sub("", terminal.screen())
    terminal.close()

    assert listed.returncode == 0
    assert "is being sent: these are the letters as they were last copied." in listed.stderr
    assert code == 130
    assert "Finishing the letters that are under way; Control-C again ends at once." in screen
    assert re.search(
        r"\d+ of 40 letters sent and acknowledged; \d+ left\. It was cancelled\.", screen
    )
    (plan,) = re.findall(r"To go on: ucam-faas dlq replay --plan (\S+)", screen)
    assert 0 < len(dev.effects("store")) < 40
    assert "cancelled" in dev.run("dlq", "plans").stdout

    result = dev.run("dlq", "replay", "--plan", plan)

    assert result.stdout == "Sent 40 letters again; all are acknowledged.\n"
    numbers = [effect["number"] for effect in dev.wait_effects("store", 40)]
    assert sorted(numbers) == list(range(40)), "each once"


def test_googles_letters_have_a_book_of_their_own_and_hide_their_values(
    start_dev: StartDev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = start_dev()
    dead_orders(dev, 2)
    google = Rest(f"127.0.0.1:{dev.rest.port}")
    monkeypatch.setattr(google_rest, "GoogleRest", lambda url, *_, **__: google)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        command = ["dlq", *arguments, "--google", "--project", PROJECT]
        return CliRunner().invoke(main, command)

    (letter, _) = json.loads(run("list", "--each", "--task", "store", "--json").stdout)
    shown = run("show", letter["id"]).stdout
    revealed = run("show", letter["id"], "--reveal").stdout
    planned = run("plan", letter["id"]).stdout

    assert "number: number" in shown
    assert '"number": 1' in revealed
    assert "store: 1 message goes to store-inbox" in planned
    assert "revealed" in run("journal").stdout
    assert (tmp_path / ".ucam-faas" / f"dead-letters-{PROJECT}.sqlite3").exists()


def columns(table: str) -> list[list[str]]:
    """Return the words of a table but for ages, and ends that are left out."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    return [[re.sub(r"^\d+ s ago$|, ….*|, unable.*", "", text) for text in row] for row in rows]


def states(dev: Dev) -> dict[str, int]:
    """Return how many letters are in each state."""
    rows: list[Any] = json.loads(
        dev.run("dlq", "list", "--each", "--state", "any", "--json").stdout
    )
    names = [row["state"] for row in rows]
    return {name: names.count(name) for name in names}
