"""The variables of a `.env` file, for `ucam-faas dev` and tests; production never reads one.

The syntax is python-dotenv's. A variable that is set already wins over the file.
"""

from __future__ import annotations

import io
from collections.abc import MutableMapping
from pathlib import Path

from ucam_faas._optional import require
from ucam_faas.exceptions import ConfigurationError

NAME = ".env"


class EnvFile:
    """A file of variables, and those of them that are set in an environment.

    Args:
        path: of the file, which may not be there.
        environ: the environment.
    """

    def __init__(self, path: Path, environ: MutableMapping[str, str]) -> None:
        self.path = path
        self.loaded: dict[str, str] = {}
        """The variables that were set from the file."""
        self._environ = environ

    def load(self) -> None:
        """Set the file's variables that the environment lacks, and unset those of the last load.

        Raises:
            ConfigurationError: the file can't be read, or a line of it isn't a variable.
            MissingExtraError: python-dotenv isn't installed, and there is a file.
        """
        self.unload()
        for name, value in _read(self.path).items():
            if name not in self._environ:
                self._environ[name] = self.loaded[name] = value

    def unload(self) -> None:
        """Unset the variables that the file has set, unless they were changed since."""
        for name, value in self.loaded.items():
            if self._environ.get(name) == value:
                del self._environ[name]
        self.loaded = {}


def _read(path: Path) -> dict[str, str]:
    """Return the variables of a file; none, if there is no file, or a folder of this name."""
    try:
        text = path.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} isn't UTF-8 text: save it as that.") from error
    needs = {"extra": "local", "purpose": f"read {path}"}
    dotenv, parser = require("dotenv", **needs), require("dotenv.parser", **needs)
    for binding in parser.parse_stream(io.StringIO(text)):
        if binding.error or "\0" in (binding.value or ""):
            # The line isn't shown: it may hold a secret.
            raise ConfigurationError(
                f"{path}, line {binding.original.line}: expected NAME=VALUE, with quotes around a "
                "value of several lines, or a comment that begins with #."
            )
    values = dotenv.dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in values.items() if value is not None}
