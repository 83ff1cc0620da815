"""How commands of this user find the service of a state: its address and their token, in files beside the state."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.files import write_file
from bedplate.core.json import JsonObject
from bedplate.state.database.location import StateLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFiles:
    """Files of the service in its folder."""

    folder: Path

    @classmethod
    def of(cls, location: StateLocation) -> ServiceFiles:
        """Those of the service of a state."""
        return cls(folder=location.control_folder)

    @property
    def token_file(self) -> Path:
        """The first admin's token; only its owner may read it."""
        return self.folder / "token"

    @property
    def _address_file(self) -> Path:
        return self.folder / "service.json"

    def write_address(self, address: JsonObject) -> None:
        """Say where the service listens."""
        write_file(self._address_file, json.dumps(dict(address)))

    def remove_address(self) -> None:
        """It listens no longer."""
        self._address_file.unlink(missing_ok=True)

    def url(self) -> str | None:
        """Where the service listens, or did when it was killed; None where it ended cleanly."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return str(json.loads(self._address_file.read_text(encoding="utf-8"))["url"])
        return None

    def pid(self) -> int | None:
        """Number of the process that listens, or did."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return int(json.loads(self._address_file.read_text(encoding="utf-8"))["holder"]["pid"])
        return None

    def write_token(self, token: str) -> None:
        """Keep a token for the commands of this user."""
        self.token_file.unlink(missing_ok=True)
        with open(  # the rights must hold before the first byte
            self.token_file, "x", encoding="utf-8", opener=_private
        ) as stream:
            stream.write(token + "\n")

    def token(self) -> str | None:
        """The token that is kept."""
        with contextlib.suppress(OSError):
            return self.token_file.read_text(encoding="utf-8").strip() or None
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
