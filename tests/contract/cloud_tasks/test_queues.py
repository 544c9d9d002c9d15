"""Queues of Cloud Tasks."""

from __future__ import annotations

from google.cloud.tasks_v2 import Queue

from tests.contract.behaviours import Group
from tests.contract.pubsub.backends import refused
from tests.contract.pubsub.sink import Sink

from .cloud_tasks import CloudTasks, after, seconds

queues = Group("Cloud Tasks: queues")


@queues("A new queue runs.", docs="API: Queue")
def test_state(tasks: CloudTasks) -> None:
    assert tasks.call("get_queue", name=tasks.queue).state is Queue.State.RUNNING


@queues("A queue's id has letters, digits and hyphens, at most 100.", docs="API: Queue")
def test_names(tasks: CloudTasks) -> None:
    tasks.create_queue(f"{tasks.location}/queues/{'a-Z' * 33}0")

    for id in ("a_b", "a.b", "q" * 101, ""):
        with refused():
            tasks.create_queue(f"{tasks.location}/queues/{id}")


@queues("A queue that exists is ALREADY_EXISTS to create.", docs="API: CloudTasks")
def test_twice(tasks: CloudTasks) -> None:
    with refused("ALREADY_EXISTS"):
        tasks.create_queue(tasks.queue)


@queues("A queue that does not exist is NOT_FOUND.", docs="API: CloudTasks")
def test_missing(tasks: CloudTasks) -> None:
    for method in ("get_queue", "delete_queue", "pause_queue", "resume_queue", "purge_queue"):
        with refused("NOT_FOUND"):
            tasks.call(method, name=f"{tasks.location}/queues/none")


@queues("An update creates a queue that does not exist.", docs="API: CloudTasks")
def test_update_creates(tasks: CloudTasks) -> None:
    tasks.call("delete_queue", name=tasks.queue)

    updated = tasks.update("retry_config", retry_config={"max_attempts": 7})

    assert updated.retry_config.max_attempts == 7
    assert tasks.call("get_queue", name=tasks.queue) == updated


@queues("An update changes the fields of its mask only.", docs="API: UpdateQueueRequest")
def test_mask(tasks: CloudTasks) -> None:
    limits = {"max_dispatches_per_second": 7, "max_concurrent_dispatches": 7}

    updated = tasks.update("rate_limits.max_concurrent_dispatches", rate_limits=limits)

    assert updated.rate_limits.max_concurrent_dispatches == 7
    assert updated.rate_limits.max_dispatches_per_second != 7


@queues("An update without a mask changes all fields.", docs="API: UpdateQueueRequest")
def test_no_mask(tasks: CloudTasks) -> None:
    tasks.update("retry_config", retry_config={"max_attempts": 7})

    updated = tasks.update(rate_limits={"max_concurrent_dispatches": 7})

    assert updated.rate_limits.max_concurrent_dispatches == 7
    assert updated.retry_config.max_attempts != 7


@queues("An update ignores output only fields: it cannot pause.", docs="API: UpdateQueueRequest")
def test_output_only(tasks: CloudTasks) -> None:
    assert tasks.update("state", state="PAUSED").state is Queue.State.RUNNING


@queues("A queue dispatches at most 500 tasks per second.", docs="API: RateLimits")
def test_rate(tasks: CloudTasks) -> None:
    assert tasks.update(rate_limits={"max_dispatches_per_second": 500})
    with refused():
        tasks.update(rate_limits={"max_dispatches_per_second": 501})


@queues("A queue has at most 5,000 tasks dispatched at once.", docs="API: RateLimits")
def test_concurrency(tasks: CloudTasks) -> None:
    assert tasks.update(rate_limits={"max_concurrent_dispatches": 5000})
    with refused():
        tasks.update(rate_limits={"max_concurrent_dispatches": 5001})


@queues("The burst size is output only, and at least the rate.", docs="API: RateLimits")
def test_burst(tasks: CloudTasks) -> None:
    limits = tasks.update(
        rate_limits={"max_dispatches_per_second": 7, "max_burst_size": 1}
    ).rate_limits

    assert limits.max_burst_size >= 7


@queues("`max_attempts` is -1, for no limit, or more.", docs="API: RetryConfig")
def test_attempts(tasks: CloudTasks) -> None:
    assert tasks.update(retry_config={"max_attempts": -1}).retry_config.max_attempts == -1
    with refused():
        tasks.update(retry_config={"max_attempts": -2})


@queues("Backoffs and the retry duration are truncated to seconds.", docs="API: RetryConfig")
def test_truncated(tasks: CloudTasks) -> None:
    config = tasks.update(
        retry_config={
            "min_backoff": seconds(2.9),
            "max_backoff": seconds(7.9),
            "max_retry_duration": seconds(9.9),
        }
    ).retry_config

    assert config.min_backoff == seconds(2)
    assert config.max_backoff == seconds(7)
    assert config.max_retry_duration == seconds(9)


@queues("Google picks what a new queue leaves out.", docs="API: RetryConfig")
def test_defaults(tasks: CloudTasks) -> None:
    queue = tasks.call("get_queue", name=tasks.queue)

    assert queue.retry_config.max_attempts > 1
    assert queue.retry_config.max_backoff > queue.retry_config.min_backoff > seconds(0)
    assert queue.rate_limits.max_dispatches_per_second > 0
    assert queue.rate_limits.max_concurrent_dispatches > 0


@queues("Queues are listed by name, a page at a time.", docs="API: CloudTasks")
def test_list(tasks: CloudTasks) -> None:
    for id in ("c", "a", "b"):
        tasks.create_queue(f"{tasks.location}/queues/{id}")

    pages = tasks.call("list_queues", parent=tasks.location, page_size=3).pages

    ids = [[queue.name.rpartition("/")[2] for queue in page.queues] for page in pages]
    assert ids == [["a", "b", "c"], ["q"]]


@queues("A queue is deleted with its tasks.", docs="API: CloudTasks")
def test_delete(tasks: CloudTasks, sink: Sink) -> None:
    task = tasks.create(sink, schedule_time=after(hours=1))

    tasks.call("delete_queue", name=tasks.queue)

    with refused("NOT_FOUND"):
        tasks.get(task)


@queues("A purge deletes all tasks, and says when it was.", docs="API: CloudTasks")
def test_purge(tasks: CloudTasks, sink: Sink) -> None:
    tasks.create(sink, schedule_time=after(hours=1))

    purged = tasks.call("purge_queue", name=tasks.queue)

    assert abs((purged.purge_time - after()).total_seconds()) < 60
    assert not tasks.list().tasks


@queues("A page has at most 9,800 queues.", docs="API: ListQueuesRequest")
def test_page_size(tasks: CloudTasks) -> None:
    response = tasks.call("list_queues", parent=tasks.location, page_size=100_000)

    assert [queue.name for queue in response] == [tasks.queue]
    with refused():
        tasks.call("list_queues", parent=tasks.location, page_size=-1)


@queues("A queue has an access policy; an empty one if none was set.", docs="API: CloudTasks")
def test_policy(tasks: CloudTasks) -> None:
    assert not tasks.call("get_iam_policy", resource=tasks.queue).bindings
    binding = {"role": "roles/cloudtasks.enqueuer", "members": ["user:a@example.com"]}

    tasks.call("set_iam_policy", resource=tasks.queue, policy={"bindings": [binding]})

    (kept,) = tasks.call("get_iam_policy", resource=tasks.queue).bindings
    assert (kept.role, list(kept.members)) == (binding["role"], binding["members"])


@queues("The permissions for a queue that does not exist are none.", docs="API: CloudTasks")
def test_permissions(tasks: CloudTasks) -> None:
    def allowed(queue: str) -> list[str]:
        wanted = ["cloudtasks.tasks.create"]
        answer = tasks.call("test_iam_permissions", resource=queue, permissions=wanted)
        return list(answer.permissions)

    assert allowed(tasks.queue) == ["cloudtasks.tasks.create"]
    assert allowed(f"{tasks.queue}-none") == []


queues.only_in_the_cloud(
    "A deleted queue's name may stay taken for 3 days.", docs="API: CloudTasks"
)
queues.only_in_the_cloud("A purge may take a minute.", docs="API: CloudTasks")
queues.only_in_the_cloud("A page token is valid for 2 hours.", docs="API: ListQueuesRequest")
queues.only_in_the_cloud(
    "A project has at most 1,000 queues in a region.", docs="Cloud Tasks quotas and limits"
)
