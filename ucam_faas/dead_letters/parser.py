"""Asks the tasks of some sources whether they take a payload, in a process of its own; and sends
them jobs, by the rules that they declare.

The code that is asked may be new, wrong or slow, and isn't imported in this process. It is imported
once, until `reload`.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget, UCAMFAASException
from ucam_faas.local_state import LocalCloud

PROGRAM = "ucam_faas.dead_letters.parsing_process"
LOAD_SECONDS = 60.0
"""For the import of the sources."""
CALL_SECONDS, RUN_SECONDS = 10.0, 60.0
"""For one payload to be read, and for a function to run."""
NOWHERE = "127.0.0.1:9"
"""Where the functions that are run find Pub/Sub: nothing listens."""


class ParserError(UCAMFAASCouldNotLoadTarget):
    """The tasks can't be asked; the message says why, such as the error of their import."""


class UnknownTaskError(ParserError):
    """The sources hold no task of the name."""

    error_code = "target-unknown"


class NotSentError(UCAMFAASException):
    """The task's rules, the store or Pub/Sub refused a job."""

    error_code = "not-sent"


class NotFormedError(UCAMFAASException):
    """Data can't be sent to a task in any form; or none could be made up."""


class StoppedError(ParserError):
    """A payload ended the process, or took too long. The next payload gets another process."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """A place in a payload that its task doesn't take.

    Args:
        path: of the field, with indexes as numbers; empty: the whole payload.
        message: for people; it may quote the payload.
        kind: pydantic's, such as `int_parsing`, or the name of another exception's type.
    """

    path: tuple[str | int, ...]
    message: str
    kind: str = ""

    @property
    def name(self) -> str:
        """The path as a text, such as `items.0.price`."""
        return ".".join(map(str, self.path))


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer of a task's parser.

    Args:
        errors: none: it takes the payload.
        payload: as the task reads it, in JSON; empty: that can't be shown.
    """

    errors: tuple[FieldError, ...] = ()
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """The end of a function.

    Args:
        outcome: its name, such as `done` or `crashed`.
        reason: of the outcome; empty: it has none.
        error: the exception, and its text.
        fingerprint: of a failure.
        published: messages that it would have published, and jobs that it would have sent.
    """

    outcome: str
    reason: str = ""
    error: str = ""
    fingerprint: str = ""
    published: int = 0

    @property
    def is_done(self) -> bool:
        """The message would be acknowledged, and nothing would follow."""
        return self.outcome in ("done", "ignore")


class Parser:
    """The parsers of the tasks of some sources. Threads may share it: calls wait for one another.

    Args:
        sources: each a file, a folder or a module, as `ucam-faas` takes it.
        may_run: `run` is possible: the process has no job store and no Pub/Sub.
        call_seconds: for one payload.
        run_seconds: for one run.
        load_seconds: for the import.
        environ: of the process; None: this one's.
        cloud: gets the jobs that `send` sends; None: the environment names their store.
    """

    def __init__(
        self,
        sources: Sequence[str],
        *,
        may_run: bool = False,
        call_seconds: float = CALL_SECONDS,
        run_seconds: float = RUN_SECONDS,
        load_seconds: float = LOAD_SECONDS,
        environ: Mapping[str, str] | None = None,
        cloud: LocalCloud | None = None,
    ) -> None:
        self.sources = list(sources)
        self.may_run = may_run
        self._load_seconds = load_seconds
        self._seconds = {"run": run_seconds, "send": run_seconds, "tasks": load_seconds}
        self._call_seconds = call_seconds
        self._environ = environ
        self._cloud = cloud
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tasks(self) -> list[dict[str, Any]]:
        """Return the tasks, as `local_state.read_tasks` does; see `check` for the errors."""
        tasks: list[dict[str, Any]] = self._ask("tasks", "", b"", None, "")["tasks"]
        return tasks

    def check(
        self,
        task: str,
        data: bytes,
        attributes: Mapping[str, str] | None = None,
        *,
        key: str = "",
    ) -> list[FieldError]:
        """Return the places of a payload that its task doesn't take; none: it takes it.

        Args:
            task: its name.
            data: of the message.
            attributes: of the message.
            key: its ordering key.

        Raises:
            UnknownTaskError: there is no such task.
            StoppedError: the parser took too long, or ended its process.
            ParserError: the sources can't be loaded.
        """
        return list(self.read(task, data, attributes, key=key).errors)

    def read(
        self,
        task: str,
        data: bytes,
        attributes: Mapping[str, str] | None = None,
        *,
        key: str = "",
    ) -> Checked:
        """Return the same with the payload that the task would get; see `check`."""
        answer = self._ask("check", task, data, attributes, key)
        errors = [FieldError(tuple(path), text, kind) for path, text, kind in answer["errors"]]
        return Checked(tuple(errors), answer["payload"])

    def formed(
        self, task: str, data: bytes | None, topic_schema: Mapping[str, str] | None = None
    ) -> bytes:
        """Return data in the form in which they are sent to a task; see `check` for the errors.

        Args:
            task: its name.
            data: such as JSON for a protobuf message; None: data that the task accepts are made up.
            topic_schema: the fields of its topic's `TopicSchema`; None: it has none.

        Raises:
            NotFormedError: the task takes no such data, or none could be made up.
        """
        answer = self._ask("form", task, data, None, "", topic_schema=topic_schema)
        if "refused" in answer:
            raise NotFormedError(answer["refused"])
        return base64.b64decode(answer["data"])

    def run(
        self,
        task: str,
        data: bytes,
        attributes: Mapping[str, str] | None = None,
        *,
        key: str = "",
    ) -> Ran:
        """Call the function with a message, here; see `check` for the arguments and the errors.

        It publishes nothing and sends no jobs. All else that it does is real.
        """
        assert self.may_run, "Parser(may_run=True)"
        return Ran(**self._ask("run", task, data, attributes, key))

    def send(
        self,
        task: str,
        data: bytes,
        attributes: Mapping[str, str] | None = None,
        *,
        key: str = "",
        lane: str = "",
        id: str = "",
        delay_seconds: float = 0.0,
    ) -> str:
        """Send a job as the task's own `send` does, and return its id; see `check` for the others.

        Args:
            lane: empty: the default.
            id: empty: by the task's `id=`, or a new one.
            delay_seconds: until it may start.

        Raises:
            NotSentError: the task's rules, the store or Pub/Sub refused it.
            StoppedError: it took too long, or ended its process; it isn't known whether the job
                was sent.
        """
        assert not self.may_run, "its process has no store"
        options = {"lane": lane, "id": id, "delay_seconds": delay_seconds}
        cloud = None if self._cloud is None else asdict(self._cloud)
        try:
            answer = self._ask("send", task, data, attributes, key, options=options, cloud=cloud)
        except StoppedError as error:
            raise StoppedError(f"{error} It isn't known whether the job was sent.") from error
        if "refused" in answer:
            raise NotSentError(answer["refused"])
        return str(answer["id"])

    def reload(self) -> None:
        """Let the next call import the sources again: they have changed."""
        with self._lock:
            self._end()

    def close(self) -> None:
        """End the process. A later call starts another."""
        self.reload()

    def _ask(
        self,
        act: str,
        task: str,
        data: bytes | None,
        attributes: Mapping[str, str] | None,
        key: str,
        **more: Any,
    ) -> dict[str, Any]:
        question = {
            "act": act,
            "task": task,
            "data": None if data is None else base64.b64encode(data).decode(),
            "attributes": dict(attributes or {}),
            "key": key,
            **more,
        }
        with self._lock:
            try:
                child = self._child or self._import()
                answer = child.ask(question, self._seconds.get(act, self._call_seconds))
            except UnknownTaskError:
                raise
            except BaseException:
                self._end()
                raise
        return answer

    def _import(self) -> _Child:
        self._child = child = _Child(self.sources, self._surroundings())
        try:
            child.hear(self._load_seconds, "Importing the sources")
        except StoppedError as error:  # another payload would fare no better
            raise ParserError(str(error)) from error
        return child

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _surroundings(self) -> dict[str, str]:
        environ = dict(os.environ if self._environ is None else self._environ)
        if self.may_run:
            environ |= {"PUBSUB_EMULATOR_HOST": NOWHERE, "UCAM_FAAS_JOB_STORE": "memory"}
        return environ


class _Child:
    """The process, and the socket to it."""

    def __init__(self, sources: Sequence[str], environ: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._unread = b""
        descriptors = (theirs.fileno(), lifeline)
        try:
            self._process = subprocess.Popen(
                # -P: a user's file in this directory must not shadow Python's library.
                [sys.executable, "-P", "-m", PROGRAM, *map(str, descriptors), *sources],
                stdin=subprocess.DEVNULL,
                stdout=2,  # ours may be a command's result
                pass_fds=descriptors,
                env=dict(environ),
                start_new_session=True,  # Control-C is for this process
            )
        except BaseException:
            self._socket.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline)

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer to a question; see `Parser.check` for the errors."""
        self._socket.settimeout(seconds)
        with suppress(OSError):  # `hear` says that the process ended
            self._socket.sendall(json.dumps(question).encode() + b"\n")
        return self.hear(seconds, f"The task {question['task']!r}")

    def hear(self, seconds: float, what: str) -> dict[str, Any]:
        """Return the next line of the process.

        Raises:
            ParserError: it says one.
            StoppedError: it ended, or said nothing.
        """
        end = time.monotonic() + seconds
        parts = [self._unread]  # joined once: a payload may have 10 MB
        while b"\n" not in parts[-1]:
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                part = self._socket.recv(1 << 20)
            except TimeoutError:
                raise StoppedError(
                    f"{what} took more than {seconds:g} s, and was stopped."
                ) from None
            except OSError:
                part = b""
            if not part:
                raise StoppedError(f"{what} ended the process; its output says why.")
            parts.append(part)
        line, _, self._unread = b"".join(parts).partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "failure" in answer:
            raise (UnknownTaskError if answer.get("unknown") else ParserError)(answer["failure"])
        return answer

    def end(self) -> None:
        """Kill it, with the processes that it has started."""
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._lifeline)
