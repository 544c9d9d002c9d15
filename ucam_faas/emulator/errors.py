"""The one error that RPC methods raise; gRPC and REST each turn it into their own answer."""

from __future__ import annotations

from collections.abc import Mapping

from ucam_faas.exceptions import UCAMFAASException


class RpcError(UCAMFAASException):
    """An RPC that fails.

    Args:
        code: the canonical gRPC code, such as "NOT_FOUND".
        message: the value found, the value expected, and the fix.
        reason: of an ErrorInfo detail, if there is one.
        metadata: of the ErrorInfo detail.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})


def invalid(message: str) -> RpcError:
    """Return the error for a request that can never succeed."""
    return RpcError("INVALID_ARGUMENT", message)


def not_found(name: str) -> RpcError:
    """Return the error for a resource that does not exist."""
    return RpcError("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")


def missing(message: str) -> RpcError:
    """Return the error for a part of a resource that does not exist."""
    return RpcError("NOT_FOUND", message)


def already_exists(name: str) -> RpcError:
    """Return the error for a name that is taken."""
    short = name.rpartition("/")[2]
    return RpcError("ALREADY_EXISTS", f"Resource already exists in the project (resource={short}).")


def unsupported(feature: str) -> RpcError:
    """Return the error for a part of the API that this emulator lacks."""
    return RpcError("UNIMPLEMENTED", f"{feature} are not supported by the ucam-faas emulator.")
