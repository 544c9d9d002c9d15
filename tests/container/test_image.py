"""The files of an image, and those that it leaves out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .engine import LOCKED_UP, NAME, ROOT, docker, run_python, serve

pytestmark = pytest.mark.slow

INSTALLERS = "pip pip3 ensurepip setuptools uv gcc cc make git"
FIND_INSTALLERS = f"""
import importlib.util, shutil
names = "{INSTALLERS}".split()
print([name for name in names if shutil.which(name) or importlib.util.find_spec(name)])
"""
FIND_FILES = """
import os
for folder, _, names in os.walk("/srv/app"):
    for name in names:
        print(os.path.relpath(os.path.join(folder, name), "/srv/app"))
"""
TRY_TO_WRITE = """
import os, sys
tops = ("/srv", "/opt/ucam-faas")
paths = [os.path.join(f, name) for top in tops for f, _, names in os.walk(top) for name in names]
print(len(paths) > 1000, [path for path in paths if os.access(path, os.W_OK)])
"""
PRIVILEGES = """
import os, re
status = open("/proc/self/status").read()
found = dict(re.findall(r"^(CapEff|CapBnd|NoNewPrivs):\\s*(\\w+)$", status, re.MULTILINE))
print(os.getuid(), os.getgid(), *(int(value, 16) for value in found.values()))
"""


LEFT_OUT = f"""
import importlib.util
names = {(ROOT / ".ci/locks/left-out.txt").read_text().split()}
print([name for name in names if importlib.util.find_spec(name.replace("-", "_"))])
"""
USE_THE_REST = """
import functions_framework, google.cloud.storage, google.oauth2.id_token, httptools, uvloop
import ucam_faas.serving.functions_framework, ucam_faas.serving.token_auth, uvicorn_worker
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
signature = crypt.RSASigner(key).sign(b"token")
print(crypt.RSAVerifier(key.public_key()).verify(b"token", signature))
"""


@pytest.mark.parametrize("program", ["python", "/usr/local/bin/python"])
def test_nothing_in_it_installs_or_compiles(image: str, program: str) -> None:
    """Neither for the virtual environment, nor for the Python that it is made from."""
    assert run_python(image, FIND_INSTALLERS, program) == "[]"


def test_what_serving_never_imports_is_left_out_and_the_rest_works(image: str) -> None:
    """Also the libraries whose symbols for debuggers have been removed."""
    assert run_python(image, LEFT_OUT) == "[]"
    assert run_python(image, USE_THE_REST) == "True"


def test_it_runs_as_a_user_without_any_right(image: str) -> None:
    assert run_python(image, PRIVILEGES).split() == ["65532", "65532", "0", "0", "1"]


def test_the_user_cannot_change_the_code(image: str) -> None:
    assert run_python(image, TRY_TO_WRITE) == "True []"


def test_of_the_project_it_holds_the_collection_alone(image: str) -> None:
    """Neither files beside the folder, nor hidden files in it: .git, .env and the like."""
    files = {Path(line) for line in run_python(image, FIND_FILES).splitlines()}

    assert {str(path) for path in files if path.suffix != ".pyc"} == {
        "orders/__init__.py",
        "orders/main.py",
        "orders/greeting.py",
        "orders/requirements.txt",
    }


def test_the_repositorys_own_image_holds_the_example_tasks_and_no_tests(bases: None) -> None:
    name = f"{NAME}:examples"
    docker("build", "--tag", name, ".")

    files = run_python(name, FIND_FILES).splitlines()

    assert "example_tasks/welcome_email/main.py" in files
    assert all(file.startswith("example_tasks/") for file in files)
    assert [file for file in files if "test_" in file] == []


def test_all_that_is_imported_has_been_compiled(image: str) -> None:
    """Python says of each module whether its code comes from a .pyc file."""
    options = ["--rm", *LOCKED_UP, "--entrypoint=sh", image]
    listing = "python -v -m ucam_faas tasks /srv/tasks 2>&1 | grep '^# code object from'"

    lines = docker("run", *options, "-c", listing).splitlines()

    assert len(lines) > 200
    assert [line for line in lines if not line.endswith(".pyc'")] == []


def test_bytecode_is_valid_whatever_the_time_of_its_source(image: str) -> None:
    """A .pyc says in its second word whether it is checked: 1 is by hash, and without looking."""
    script = """
import glob
tops = ("/srv", "/opt", "/usr")
paths = [path for top in tops for path in glob.glob(top + "/**/*.pyc", recursive=True)]
print(len(paths) > 2000, {open(path, "rb").read(8)[4] for path in paths})
"""
    assert run_python(image, script) == "True {1}"


def test_serving_writes_no_file(image: str) -> None:
    """Where the root file system is writable, as it is on Cloud Run."""
    with serve(image, "--read-only=false") as container:
        assert container.post("/store", b"{}").status == 400
        changed = docker("diff", container.id)

    assert changed == ""


def test_the_program_is_the_first_process(image: str) -> None:
    """A shell in its place would keep SIGTERM to itself."""
    entrypoint = json.loads(docker("inspect", "--format={{json .Config.Entrypoint}}", image))

    assert entrypoint == ["ucam-faas"]
