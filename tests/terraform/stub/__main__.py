"""Serves the stand-in: `python -m tests.terraform.stub SCHEMA.json`, until standard input ends.

Prints what goes into TF_REATTACH_PROVIDERS. So one process serves every run of Terraform.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from tf.gen import tfplugin_pb2_grpc as rpc  # type: ignore[import-not-found]  # see `attached`

from .invention import load_identities
from .provider import Provider
from .validation import load_rules

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


def main() -> None:
    schema = json.loads(Path(sys.argv[1]).read_text())
    provider = Provider(schema=schema, rules=load_rules(), identities=load_identities())
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8),
        options=[("grpc.max_send_message_length", MAX_MESSAGE_BYTES)],
    )
    rpc.add_ProviderServicer_to_server(provider, server)
    with tempfile.TemporaryDirectory(prefix="ucam-faas-") as folder:
        socket = str(Path(folder) / "provider")
        server.add_insecure_port(f"unix://{socket}")
        server.start()
        print(json.dumps({"hashicorp/google": _attachment(socket)}), flush=True)
        sys.stdin.read()
        server.stop(grace=0).wait()


def _attachment(socket: str) -> dict[str, object]:
    return {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "unix", "String": socket},
    }


main()
