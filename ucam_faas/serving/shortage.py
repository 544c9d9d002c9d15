"""A process that can open no more files or sockets: its signs, and the advice.

asyncio reports the failed `accept`, again and again; uvloop closes the connection without a word.
So the event loop's reports are looked through, and descriptors are tried for now and then.
"""

from __future__ import annotations

import errno
import os

_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def reason_of(error: object) -> str | None:
    """Return the advice for an error that means a shortage, or None."""
    if not isinstance(error, OSError) or error.errno not in _SHORT:
        return None
    return (
        f"{errno.errorcode[error.errno]}: {os.strerror(error.errno)}. Does a task leave files or "
        "connections open? Close them, or raise the limit (ulimit -n)."
    )


def reason() -> str | None:
    """Return the same if no file can be opened now."""
    try:
        os.close(os.open("/", os.O_RDONLY))
    except OSError as error:
        return reason_of(error)
    return None
