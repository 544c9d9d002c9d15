"""Serves the stand-in: `python -m tests.terraform.stub SCHEMA.json`, until standard input ends.

Each line of standard input, `{"log": FILE, "state": FILE}`, makes a cloud; the answer is the value
of TF_REATTACH_PROVIDERS that leads to it. `log` gets the operations; `state`, which may be null,
holds the resources that exist. So one process serves every run of Terraform.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from tf.gen import tfplugin_pb2_grpc as rpc  # type: ignore[import-not-found]  # see `attached`

from .cloud import Cloud
from .invention import load_identities
from .provider import Provider
from .validation import load_rules
from .values import with_all_fields

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


def main() -> None:
    schema = json.loads(Path(sys.argv[1]).read_text())
    rules, identities = load_rules(), load_identities()
    # One for all servers: most of them rest.
    threads = ThreadPoolExecutor(max_workers=16)
    servers = []
    with tempfile.TemporaryDirectory(prefix="ucam-faas-") as folder:
        for number, line in enumerate(sys.stdin):
            cloud = _cloud(schema["resources"], **json.loads(line))
            provider = Provider(schema=schema, rules=rules, identities=identities, cloud=cloud)
            socket = str(Path(folder) / f"provider-{number}")
            servers.append(_serve(provider, socket, threads))
            print(json.dumps({"hashicorp/google": _attachment(socket)}), flush=True)
        for server in servers:
            server.stop(grace=0).wait()


def _cloud(schemas: dict[str, Any], *, log: str, state: str | None) -> Cloud:
    cloud = Cloud(Path(log))
    for resource in json.loads(Path(state).read_text())["resources"] if state else []:
        for instance in resource["instances"] if resource["mode"] == "managed" else []:
            kind, block = resource["type"], schemas[resource["type"]]["block"]
            cloud.resources[kind, instance["attributes"]["id"]] = with_all_fields(
                block, instance["attributes"]
            )
    return cloud


def _serve(provider: Provider, socket: str, threads: ThreadPoolExecutor) -> grpc.Server:
    server = grpc.server(threads, options=[("grpc.max_send_message_length", MAX_MESSAGE_BYTES)])
    rpc.add_ProviderServicer_to_server(provider, server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    return server


def _attachment(socket: str) -> dict[str, object]:
    return {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "unix", "String": socket},
    }


main()
