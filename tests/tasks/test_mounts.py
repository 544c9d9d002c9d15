"""Volumes and files of secrets are refused where Cloud Run could not mount them."""

from __future__ import annotations

from typing import Any

import pytest

import ucam_faas
from ucam_faas import TaskDefinitionError
from ucam_faas.tasks.mounts import Volume, check_mounts, check_secrets, check_volumes, volume_of


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("256Mi", Volume("256Mi", None)),
        ("gs://reports", Volume(None, "reports")),
        ("gs://reports:ro", Volume(None, "reports", read_only=True)),
    ],
)
def test_a_text_names_a_volume(text: str, volume: Volume) -> None:
    assert volume_of(text, "/mnt/data") == volume


@pytest.mark.parametrize("text", ["256", "0Mi", "reports", "gs://reports:rw", "gs://R", 256])
def test_other_texts_name_none(text: object) -> None:
    with pytest.raises(TaskDefinitionError, match="is not a volume: expected memory such as"):
        volume_of(text, "/mnt/data")


@pytest.mark.parametrize(
    "path", ["mnt", "/mnt/", "/mnt/../etc", "/", "/etc", "/usr/lib", "/proc/1", "/srv/app", 7]
)
def test_a_volume_has_a_folder_of_its_own(path: object) -> None:
    with pytest.raises(TaskDefinitionError, match="volumes:"):
        check_volumes({path: "64Mi"})


def test_a_volume_may_be_at_common_folders() -> None:
    check_volumes({"/tmp": "64Mi", "/mnt/reports": "gs://r-1", "/srv/data": "64Mi"})


@pytest.mark.parametrize("path", ["/key", "/etc/key", "/etc/keys/", "/usr/keys/api", "/etc//key"])
def test_a_file_of_a_secret_is_in_a_folder_of_its_own(path: str) -> None:
    with pytest.raises(TaskDefinitionError, match="secrets:"):
        check_secrets({path: "api-key"})


def test_secrets_are_variables_and_files() -> None:
    check_secrets({"API_KEY": "api-key", "/etc/keys/api": "api-key:3"})

    with pytest.raises(TaskDefinitionError, match="not a name of an environment variable"):
        check_secrets({"etc/keys": "api-key"})
    with pytest.raises(TaskDefinitionError, match="is not the name of a secret"):
        check_secrets({"/etc/keys/api": "api key"})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"secrets": {"/k/a": "a", "/k/b": "b"}}, "files of two secrets in /k"),
        ({"secrets": {"/k/a": "a"}, "volumes": {"/k": "64Mi"}}, "both mount /k"),
        ({"memory": "256Mi", "volumes": {"/tmp": "256Mi"}}, "memory='256Mi' has no room"),
        ({"cpu": 0.5, "volumes": {"/mnt": "gs://b-1"}}, "second generation"),
        ({"cpu": 1, "memory": "256Mi", "volumes": {"/mnt": "gs://b-1"}}, "second generation"),
    ],
)
def test_mounts_that_exclude_each_other(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(TaskDefinitionError, match=problem):
        check_mounts(options)


def test_mounts_that_fit() -> None:
    check_mounts(
        {
            "cpu": 1,
            "memory": "512Mi",
            "secrets": {"/k/a": "a", "/k/old": "a:1", "/l/b": "b", "B": "b"},
            "volumes": {"/tmp": "64Mi", "/mnt": "gs://b-1"},
        }
    )


def test_a_task_with_files_of_two_secrets_in_a_folder_fails_its_import() -> None:
    secrets = {"/etc/keys/a": "a", "/etc/keys/b": "b"}

    with pytest.raises(TaskDefinitionError, match=r"task 'send'.*files of two secrets"):

        @ucam_faas.raw_event(secrets=secrets)
        def send(body: object) -> None: ...
