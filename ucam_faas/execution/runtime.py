"""What the edges need, built once at start-up and passed down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.publishing import Publisher
from ucam_faas.tasks.policies import check_topic
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings, time and the way out. `publisher` is None when nothing is ever published."""

    settings: Settings
    clock: Clock
    publisher: Publisher | None = None

    def dead_letter_topic(self, task: Task) -> str | None:
        """Return the full name of the topic that takes this task's dead letters, if any.

        Raises:
            ConfigurationError: a short name, and no project to look for it in.
        """
        topic = task.policy.dead_letter_topic or self.settings.dead_letter_topic
        if topic is None or "/" in topic:
            return topic
        if not self.settings.project:
            raise ConfigurationError(
                f"The dead-letter topic {topic!r} of task {task.name!r} names no project. "
                "Write projects/PROJECT/topics/TOPIC, or set GOOGLE_CLOUD_PROJECT."
            )
        return f"projects/{self.settings.project}/topics/{topic}"


def build(settings: Settings, tasks: list[Task]) -> Runtime:
    """Build the runtime that these tasks need.

    Raises:
        ConfigurationError: a setting cannot be used, or needs an extra that is not installed.
    """
    if settings.dead_letter_topic:
        check_topic(settings.dead_letter_topic)
    bare = Runtime(settings, SystemClock())
    topics = [bare.dead_letter_topic(task) for task in tasks]  # all of them: each is checked
    if not any(topics):
        return bare
    if settings.pubsub_emulator:
        from ucam_faas.publishing.rest import RestPublisher

        return Runtime(settings, bare.clock, RestPublisher(settings.pubsub_emulator))
    from ucam_faas.publishing.google import GooglePublisher

    return Runtime(settings, bare.clock, GooglePublisher())


@cache
def of_environment() -> Runtime:
    """Return the runtime for tasks that are called outside a front door.

    It publishes nothing: a dead letter fails, as with no topic configured.
    """
    return Runtime(Settings.from_environ(), SystemClock())
