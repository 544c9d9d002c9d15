"""The pages of plans: a dry run, a run with its progress, stopping it, and trying letters first."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.dashboard.asgi import Answer, call
from tests.dashboard.controls import submitted
from tests.dashboard.site import Pages
from tests.integration.processes import wait_until
from tests.support.dead_letters import dead_message
from tests.support.replays import KEEPER, Scene, refusing
from ucam_faas.backends import letter_work
from ucam_faas.backends.letter_work import FRESH_SECONDS, LetterWork
from ucam_faas.backends.ports import Backends
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import LetterState
from ucam_faas.dead_letters.parser import Checked, FieldError, StoppedError
from ucam_faas.dead_letters.targets import Replay, Unknown
from ucam_faas.dead_letters.workbench import Workbench

pytestmark = pytest.mark.slow

ALL: frozenset[LetterState] = frozenset()


@dataclass
class Site(Pages):
    scene: Scene
    bench: Workbench

    def plan(self, url: str = "/dead-letters/act", **form: str) -> str:
        """Plan a replay, of all that match unless the form has ids; return its page's URL."""
        answer = self.post(url, {"scope": "all", "do": "plan", **form})
        assert answer.status == 303, answer.text
        return answer.headers["location"]

    def run(self, plan: str, **form: str) -> Answer:
        """Run a plan to its end, and return its page."""
        self.post(f"{plan}/run", form)
        self.backends.letter_work.wait(plan.rpartition("/")[2])
        return self.get(plan)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    scene = Scene(tmp_path)
    scene.publish(*map(dead_message, range(120)))
    bench = scene.bench()
    bench.mirror()
    yield Site(Backends(workbench=bench), scene, bench)
    scene.close()


def test_a_plan_is_a_dry_run(site: Site) -> None:
    plan = site.plan("/dead-letters/act?task=charge")

    page = site.get(plan).text

    count = site.bench.count(Filter(task="charge"))
    assert f"{count} letters, and nothing is sent until you run it." in page
    assert "inbox charge" in page
    assert site.scene.targets.arrived == []


def test_a_plan_that_ended_with_a_letter_that_may_have_been_sent_says_so(site: Site) -> None:
    plan = site.plan()
    site.scene.targets.refuses = lambda replay: Unknown("Pub/Sub does not answer")
    site.run(plan)
    site.scene.targets.refuses = lambda replay: None
    del site.scene.pubsub.kept[KEEPER][:100]  # those of the batch
    site.bench.mirror()

    text = site.run(plan).text

    assert "20 of 120 letters were sent again; 100 may have been sent" in text


def test_a_plan_with_nothing_to_send_is_not_kept_and_says_why(site: Site) -> None:
    site.run(site.plan("/dead-letters/act?task=charge"))

    answer = site.post("/dead-letters/act?task=charge&state=any", {"do": "plan", "scope": "all"})

    assert answer.headers["location"] == "/dead-letters?task=charge&state=any"
    assert "Nothing%20to%20send.%20Left%20out%3A" in answer.headers["set-cookie"]
    assert "it%20was%20replayed%20already" in answer.headers["set-cookie"]
    assert len(site.bench.plans()) == 1


def test_all_that_match_are_replayed_and_leave_the_list(site: Site) -> None:
    plan = site.plan()

    page = site.run(plan)

    assert "All 120 letters were sent again." in page.text
    assert len(site.scene.targets.arrived) == 120
    assert "No dead letters" in site.get("/dead-letters").text
    assert f"{plan}/run" not in page.text


def test_edits_and_letters_that_are_left_out_are_shown_before(site: Site) -> None:
    site.bench.edit(f"{KEEPER}/0", b'{"order": "corrected"}')
    site.bench.handled([f"{KEEPER}/1"])

    plan = site.plan(scope="rows", id=f"{KEEPER}/0")
    page = site.get(plan).text
    hidden = site.get(plan, hides_payloads=True).text

    assert "<ins>+  &#34;order&#34;: &#34;corrected&#34;</ins>" in page
    assert "corrected" not in hidden


def test_a_run_is_stopped_and_goes_on(site: Site) -> None:
    """The second batch isn't sent, and no letter is sent twice."""
    site.scene.publish(*map(dead_message, range(120, 300)))
    site.bench.mirror()
    plan = site.plan()
    started, go = threading.Event(), threading.Event()

    def hold(replay: Replay) -> None:
        started.set()
        assert go.wait(60)

    site.scene.targets.refuses = hold
    site.post(f"{plan}/run")
    assert started.wait(60)
    running = site.get(plan)
    again = site.post(f"{plan}/run")
    site.post(f"{plan}/cancel")
    go.set()
    site.backends.letter_work.wait(plan.rpartition("/")[2])
    stopped = site.get(plan)
    resumed = site.run(plan)

    assert "Stop" in running.text
    assert "runs%20already" in again.headers["set-cookie"]
    assert "of 300 letters are replayed." in stopped.text
    assert "Go on: send" in stopped.text
    assert "All 300 letters were sent again." in resumed.text
    assert len({each.replay_id for each in site.scene.targets.arrived}) == 300
    assert len(site.scene.targets.arrived) == 300


def test_a_run_that_fails_says_why_and_what_is_left(site: Site) -> None:
    letters = [f"{KEEPER}/{number}" for number in range(3)]
    site.scene.targets.refuses = refusing(*letters, reason="HTTP status 500")

    page = site.run(site.plan())

    assert "HTTP status 500" in page.text
    assert "Go on: send 3" in page.text


def test_a_rate_that_is_no_number_is_refused(site: Site) -> None:
    plan = site.plan()

    assert site.post(f"{plan}/run", {"rate": "fast"}).status == 409
    assert "All 120" in site.run(plan, rate="1000").text


def test_plans_are_listed_and_paged(site: Site) -> None:
    plan = site.plan()

    first = site.get(plan).text
    more = re.search(r'href="([^"]+after=50)" rel="next"', first)
    assert more is not None

    assert plan in site.get("/dead-letters/plans").text
    assert f"{KEEPER}/50" in site.get(more[1]).text
    assert site.get("/dead-letters/plans/nothing").status == 404


def test_a_read_only_plan_has_no_buttons(site: Site) -> None:
    plan = site.plan()

    assert "/run" not in site.get(plan, read_only=True).text
    assert site.post(f"{plan}/run", read_only=True).status == 403
    assert site.scene.targets.arrived == []


def test_a_letter_is_replayed_from_its_page(site: Site) -> None:
    letter = f"/dead-letters/{quote(f'{KEEPER}/7', safe='')}"
    form = {"id": f"{KEEPER}/7", "do": "plan", "again": ""}

    assert 'value="plan"' in site.get(letter).text
    page = site.run(site.plan(scope="rows", **form))

    assert "The letter was sent again." in page.text
    assert site.scene.targets.letters == [f"{KEEPER}/7"]
    assert "replayed" in site.get(letter).text


def test_a_purge_takes_all_that_match_and_the_rest_stay(site: Site) -> None:
    count = site.bench.count(Filter(task="ship"))
    asked = site.post("/dead-letters/act?task=ship", {"do": "purge", "scope": "all"})
    url = asked.headers["location"]

    done = site.post(url, submitted(site.get(url).text))

    assert done.headers["location"] == "/dead-letters?task=ship"
    assert f"{count}%20dead%20letters%20are%20purged" in done.headers["set-cookie"]
    assert site.bench.count() == len(site.scene.pubsub.ids(KEEPER)) == 120 - count
    assert site.bench.mirror().pulled == 120 - count


def test_letters_are_saved_as_a_file(site: Site) -> None:
    answer = site.post("/dead-letters/archive?task=ship", {"scope": "all"})

    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert answer.headers["content-disposition"].endswith("dead-letters.jsonl")
    assert len(lines) == site.bench.count(Filter(task="ship"))


class Odd:
    """The code as it is now takes the letters with odd orders."""

    def read(self, task: str, data: bytes, attributes: Any, *, key: str = "") -> Checked:
        is_odd = json.loads(data)["order"] % 2
        return Checked(() if is_odd else (FieldError(("order",), "must be odd", "odd"),), "{}")


def test_just_the_letters_that_new_code_takes_are_replayed(site: Site) -> None:
    asked = site.post("/dead-letters/act?task=ship", {"do": "try", "scope": "all"}, parser=Odd())
    page = site.get(asked.headers["location"], parser=Odd())
    hidden = site.get(asked.headers["location"], parser=Odd(), hides_payloads=True)
    form = [
        ("do", "plan"),
        *re.findall(r'<input type="hidden" name="(id)" value="([^"]+)"', page.text),
    ]
    plan = call(
        site.app, "POST", "/dead-letters/act?task=ship",
        body=urlencode(form).encode(),
    ).headers["location"]  # fmt: skip
    site.run(plan)

    ship = site.bench.letters(Filter(task="ship", states=ALL), limit=500)
    rejected = {letter.id for letter in ship if letter.error.startswith("invalid_payload")}
    odd = {id for id in rejected if int(id.rpartition("/")[2]) % 2}
    assert "must be odd" in page.text
    assert "must be odd" not in hidden.text
    assert "order: odd" in hidden.text
    assert set(site.scene.targets.letters) == odd
    assert len(ship) > len(rejected) > len(odd) > 0
    assert "untested" in page.text


def test_code_that_hangs_ends_a_try_and_the_page_says_how_far_it_came(site: Site) -> None:
    clock = site.scene.clock

    class Slow(Odd):
        def read(self, *message: Any, **more: Any) -> Checked:
            clock.sleep(10)
            raise StoppedError("The task 'ship' took more than 10 s, and was stopped.")

    text = site.get("/dead-letters/try?scope=all", parser=Slow(), clock=clock).text

    assert "The first 3 of 120 were tried." in text
    assert text.count("took more than 10 s") == 3


def test_the_list_is_copied_again_when_it_is_looked_at_and_old(site: Site) -> None:
    work = LetterWork(mirrors=True, clock=site.scene.clock)
    site.scene.publish(*map(dead_message, range(500, 510)))

    new = site.get("/dead-letters", letter_work=work).text
    site.scene.publish(*map(dead_message, range(510, 520)))
    same = site.get("/dead-letters", letter_work=work).text
    site.scene.clock.advance(60 * FRESH_SECONDS)

    assert "of 130 dead letters" in new
    assert "of 130 dead letters" in same
    wait_until(lambda: "of 140" in site.get("/dead-letters", letter_work=work).text, "10 more")


def test_a_person_may_ask_for_the_letters_as_they_are_now(site: Site) -> None:
    site.scene.publish(dead_message(600))

    answer = site.post("/dead-letters/mirror?task=charge")

    assert answer.headers["location"] == "/dead-letters?task=charge"
    assert "121%20dead%20letters" in answer.headers["set-cookie"]


def test_a_run_that_waits_for_another_can_be_stopped(site: Site) -> None:
    plan = site.plan()

    with site.backends.letter_work.holding():
        site.post(f"{plan}/run")
        site.post(f"{plan}/cancel")
    site.backends.letter_work.wait(plan.rpartition("/")[2])

    assert site.scene.targets.arrived == []
    assert "All 120 letters were sent again." in site.run(plan).text


@pytest.mark.parametrize("url", ["/dead-letters/mirror", "/dead-letters/purge"])
def test_a_person_does_not_wait_for_the_end_of_a_run(
    site: Site, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """It may take hours, and there are only some threads for pages."""
    monkeypatch.setattr(letter_work, "PATIENCE_SECONDS", 0.01)

    with site.backends.letter_work.holding():
        answer = site.post(url, {"scope": "all", "count": "120"})

    assert answer.status == 409
    assert "are being copied, replayed or purged now" in answer.text
    assert site.bench.count() == 120


def test_a_list_that_cannot_be_copied_says_so_and_shows_the_last_copy(site: Site) -> None:
    site.scene.pubsub.kept.clear()

    page = site.get("/dead-letters", letter_work=LetterWork(mirrors=True)).text

    assert "of 120 dead letters" in page
