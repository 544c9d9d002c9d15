"""Recovers the schema of hashicorp/google from the wheel of `cdktn-provider-google`.

The wheel is generated from the provider's own schema, and MPL-2.0: what is recovered is cached
on the machine that runs the tests, and never committed.
"""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .packages import Package, read_package
from .schema import schema_of

DATA = "data."
_FILES = ("index.js", "index.d.ts")
_PARTS = "index-structs"
_VERSION = re.compile(r"providers/hashicorp/google/([\d.]+)/")


class UnknownTypes(Exception):
    """The provider has no resource types or data sources of these names."""


def recover_schema(wheel: Path, types: Iterable[str]) -> dict[str, Any]:
    """Return the provider's schema for some types; a data source's name begins with `data.`."""
    wanted = {_folder(name): name for name in types}
    files = dict(_read(wheel, {"provider", *wanted}))
    missing = sorted(name for folder, name in wanted.items() if folder not in files)
    if missing:
        raise UnknownTypes(f"{wheel.name} has no {', '.join(missing)}")
    packages = {folder: read_package(*texts) for folder, texts in files.items()}
    provider = packages.pop("provider")
    provider.root.pop("alias", None)
    return {
        "version": _version(files["provider"][1]),
        "provider": schema_of(provider),
        "resources": _schemas(packages, wanted, data=False),
        "data_sources": _schemas(packages, wanted, data=True),
    }


def write_schema(wheel: Path, types: Iterable[str], path: Path) -> None:
    """Recover a schema, and save it as JSON."""
    path.write_text(json.dumps(recover_schema(wheel, types), indent=1, sort_keys=True))


def _folder(name: str) -> str:
    if name.startswith(DATA):
        return f"data-{name.removeprefix(DATA)}".replace("_", "-")
    return name.removeprefix("google_").replace("_", "-")


def _read(wheel: Path, folders: set[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the JavaScript and the declarations of each folder that exists."""
    texts: dict[tuple[str, str], str] = {}
    with zipfile.ZipFile(wheel) as archive:
        [inner] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
        with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|gz") as files:
            for file in files:
                _, _, folder, name, *rest = (*file.name.split("/"), "", "", "")
                if folder not in folders:
                    continue
                if name == _PARTS:  # the structures of a large resource are in files of their own
                    name = next((index for index in _FILES if _is_part(rest[0], index)), "")
                elif any(rest):
                    continue
                content = files.extractfile(file) if name in _FILES else None
                if content is not None:
                    text = texts.get((folder, name), "")
                    texts[folder, name] = f"{text}{content.read().decode()}\n"
    for folder in folders:
        if (folder, _FILES[0]) in texts:
            yield folder, (texts[folder, _FILES[0]], texts[folder, _FILES[1]])


def _is_part(name: str, index: str) -> bool:
    return name.startswith("struct") and name.endswith(index.removeprefix("index"))


def _schemas(
    packages: dict[str, Package], wanted: dict[str, str], *, data: bool
) -> dict[str, dict[str, Any]]:
    return {
        package.type_name: schema_of(package)
        for folder, package in packages.items()
        if wanted[folder].startswith(DATA) == data
    }


def _version(declarations: str) -> str:
    match = _VERSION.search(declarations)
    return match[1] if match else "unknown"
