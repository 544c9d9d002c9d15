"""Code that cannot be served yet: `ucam-faas dev` waits for it, and serves the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.processes import free_port, request, wait_until

from .cloud import Dev, descendants, starting
from .conftest import StartDev
from .test_reload import task, write

pytestmark = pytest.mark.slow

NEEDS_A_KEY = """
def connect():
    if not os.path.exists(os.environ["EFFECTS"] + ".key"):
        os.environ["API_KEY"]
"""


BROKEN = ["def broken(:", "import no_such_module_of_mine", "1 / 0", "x = 1"]


def test_a_first_load_that_fails_is_loaded_again_when_a_file_is_saved(tmp_path: Path) -> None:
    """Until then, requests are answered 503."""
    main, port = tmp_path / "main.py", free_port()
    main.write_text(BROKEN[0])
    dev = starting(tmp_path, "--port", str(port), EFFECTS=str(tmp_path / "effects"))
    try:
        refused = []
        for number, broken in enumerate(BROKEN, 1):
            if number > 1:
                main.write_text(broken)
            error = dev.wait_shown("error", count=number)[-1]
            dev.wait_shown("waiting", "save a file to try again", count=number)
            assert "main.py" in error or "no_such_module_of_mine" in error
            refused.append(request(port, "POST", "/work", b"{}"))

        write(main, task("work"))

        wait_until(lambda: "Control-C ends.\n\n" in dev.stdout, "it serves")
        assert "  work  bytes  topic work" in dev.stdout
        assert [response.status for response in refused] == [503] * 4
        assert b"could not be loaded" in refused[0].body
        assert request(port, "GET", "/healthy").status == 200
    finally:
        dev.kill()


def test_control_c_ends_the_wait_for_a_save(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def broken(:")
    dev = starting(tmp_path)
    try:
        dev.wait_shown("waiting")

        assert dev.end() == 0
        assert descendants(dev.popen.pid) == []
    finally:
        dev.kill()


@pytest.fixture
def half(start_dev: StartDev, tmp_path: Path) -> Dev:
    """Two tasks, one of which needs a secret when it starts."""
    write(tmp_path / "main.py", NEEDS_A_KEY, task("bad", init="[connect]"), task("good"))
    return start_dev(folder=tmp_path)


def test_a_task_whose_start_up_code_fails_costs_no_other_task(half: Dev) -> None:
    wait_until(lambda: "Control-C ends." in half.stdout, "it shows lines to paste")
    assert "  ucam-faas publish good " in half.stdout
    half.rest.publish("good", b"a")

    half.wait_effects("good", data="a")
    (error,) = half.wait_shown("error", "bad")
    assert "The start-up code of task 'bad' failed: connect: KeyError: 'API_KEY'" in error
    assert request(half.port, "POST", "/bad", b"{}").status == 500


def test_its_messages_wait_until_it_can_start(half: Dev) -> None:
    half.rest.publish("bad", b"a")
    half.rest.publish("good", b"b")
    half.wait_effects("good", data="b")
    delivered = half.shown("delivered", "bad")
    half.say("effects.key")

    write(half.folder / "main.py", NEEDS_A_KEY, task("good"), task("bad", init="[connect]"))

    half.wait_effects("bad", data="a")
    assert delivered == []
