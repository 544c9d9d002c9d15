"""Size, cold start and pushes of our image against functions-framework's, all in one run.

    python benchmarks/container.py            # needs a Docker engine; about 2 minutes

All sides use the Dockerfile's base image, the same versions of shared packages and a task with the
same pydantic model, and are started by a plain `docker run`. Figures are medians of alternating
rounds, after one round that isn't counted. A changed line of code pushes the layers that a registry
lacks after the first push, as gzip packs them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

from local import HERE, free_port
from serving_sides import post

ROOT = HERE.parent
NAME = "ucam-faas-benchmark"
CLIENTS = ("google-auth[requests]", "google-cloud-storage")
SIDES = {
    "ours": (),
    "A": ("functions-framework", "pydantic"),
    "A with clients": ("functions-framework", "pydantic", *CLIENTS),
}
"""The packages installed next to the handler; our image includes Google's clients."""
REFERENCE = """\
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
ENV PYTHONUNBUFFERED=1
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt $PACKAGES
CMD ["functions-framework", "--target", "order"]
"""
OURS = """\
FROM ucam-faas-benchmark:build AS tasks
FROM ucam-faas-benchmark:run
COPY --from=tasks /packages /
COPY --from=tasks /code /
"""
ENVIRON = {"ours": {"FUNCTION_TARGET": "order"}}


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"docker {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def image_of(side: str) -> str:
    return f"{NAME}:{side.replace(' ', '-').lower()}"


def build_bases(base: str) -> None:
    for stage in ("build", "run"):
        options = ["--build-arg", f"PYTHON_IMAGE={base}", "--target", stage]
        docker("build", *options, "--tag", f"{NAME}:{stage}", str(ROOT))


def write(folder: Path, side: str) -> Path:
    """Write the project of a side, and return the file with its task."""
    task = HERE / ("ours" if side == "ours" else "functions_framework_reference") / "main.py"
    for source in (task, HERE / "payload.py"):
        (folder / source.name).write_bytes(source.read_bytes())
    lock = (ROOT / ".ci/locks/image.txt").read_text()
    (folder / "constraints.txt").write_text("\n".join(re.findall(r"^\S+==\S+", lock, re.M)))
    reference = REFERENCE.replace("$PACKAGES", " ".join(SIDES[side]))
    (folder / "Dockerfile").write_text(OURS if side == "ours" else reference)
    return folder / task.name


def build(side: str, base: str) -> float:
    """Build an image, change a line, and return the kilobytes that the second build pushes."""
    with tempfile.TemporaryDirectory() as name:
        task = write(Path(name), side)
        options = ["--build-arg", f"PYTHON_IMAGE={base}"]
        docker("build", *options, "--tag", image_of(side), name)
        task.write_text(f"{task.read_text()}\nCHANGED = True\n")
        docker("build", *options, "--tag", f"{image_of(side)}-changed", name)
    return packed(f"{image_of(side)}-changed", set(digests(image_of(side)))) / 1e3


def digests(image: str) -> list[str]:
    """The digests of the contents of an image's layers."""
    layers: list[str] = json.loads(
        docker("image", "inspect", "--format={{json .RootFS.Layers}}", image)
    )
    return layers


def packed(image: str, there: set[str]) -> int:
    """The bytes that a registry gets: the layers that aren't there, packed."""
    with tempfile.NamedTemporaryFile() as file:
        docker("save", "--output", file.name, image)
        with tarfile.open(file.name) as archive:
            manifest = archive.extractfile("manifest.json")
            assert manifest
            (described,) = json.load(manifest)
            layers = zip(digests(image), described["Layers"], strict=True)
            missing = [archive.extractfile(name) for digest, name in layers if digest not in there]
            return sum(len(gzip.compress(layer.read(), 6)) for layer in missing if layer)


def megabytes(image: str) -> float:
    return int(docker("image", "inspect", "--format={{.Size}}", image)) / 1e6


def cold_start(side: str) -> tuple[float, float]:
    """Seconds to the first 2xx: from `docker run`, and from when the engine started the process."""
    port = free_port()
    environ = [f"--env={name}={value}" for name, value in ENVIRON.get(side, {}).items()]
    called = time.time()
    id = docker("run", "--detach", f"--publish=127.0.0.1:{port}:8080", *environ, image_of(side))
    try:
        while not is_served(port):
            if time.time() - called > 60:
                raise SystemExit(f"{side} does not start:\n{docker('logs', id)}")
            time.sleep(0.002)
        answered = time.time()
        state = json.loads(docker("inspect", "--format={{json .State}}", id))
    finally:
        docker("rm", "--force", id)
    started = datetime.fromisoformat(state["StartedAt"]).timestamp()
    return answered - called, answered - started


def is_served(port: int) -> bool:
    try:
        return 200 <= post(port) < 300
    except (OSError, HTTPException):
        return False


def default_base() -> str:
    match = re.search(r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert match
    return match[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--base", default=default_base(), help="the base image of all sides")
    options = parser.parse_args()
    if shutil.which("docker") is None:
        raise SystemExit("docker is not on PATH: this needs a Docker engine.")
    build_bases(options.base)
    pushed = {side: build(side, options.base) for side in SIDES}
    starts: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for _ in range(options.rounds + 1):
        for side, times in starts.items():
            times.append(cold_start(side))
    rows = {
        "size, MB": {side: megabytes(image_of(side)) for side in SIDES},
        "over the base, MB": {
            side: megabytes(image_of(side)) - megabytes(options.base) for side in SIDES
        },
        "pushed for a line, kB": pushed,
        "docker run to 2xx, s": {s: statistics.median(t[0] for t in starts[s][1:]) for s in SIDES},
        "process to 2xx, s": {s: statistics.median(t[1] for t in starts[s][1:]) for s in SIDES},
    }
    print(f"{'':24}" + "".join(f"{side:>16}" for side in SIDES) + f"{'ours / A':>12}")
    for name, row in rows.items():
        values = "".join(f"{row[side]:16.2f}" for side in SIDES)
        print(f"{name:24}{values}{row['ours'] / row['A']:12.2f}")


if __name__ == "__main__":
    main()
