"""The harness file of the demo and the tests: where the emulated AWS is. It can only ever point at this machine.

`OPS_AGENT_HARNESS` names a JSON file; every URL in it must be loopback, else the run stops. Without it (every real run)
all fields are empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from ops_agent.config.inputs import LOOPBACK
from ops_agent.model.errors import ConfigError

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'\\]+", re.IGNORECASE)
_Trust = Annotated[str, Field(pattern=r"^(GIT_SSL_CAINFO|SSL_CERT_FILE)$")]
_HINT = "Unset it; only the demo and the tests use it."


class Harness(BaseModel):
    """Overrides for emulated services. `terraform_overlay` are files laid into each root, `backend_settings` an HCL
    backend file, `module_variables` name the certificate of an emulated module host.
    """

    model_config = ConfigDict(frozen=True)

    aws_endpoint: str = ""
    engine: str = ""
    provider_mirror: str = ""
    terraform_overlay: dict[str, bytes] = {}
    terraform_variables: dict[str, str] = {}
    backend_settings: bytes = b""
    module_variables: dict[_Trust, str] = {}


def read_harness(environment: Mapping[str, str]) -> Harness:
    """The harness of `environment`, empty without `OPS_AGENT_HARNESS`.

    Raises ConfigError for an unreadable file or a URL off this machine.
    """
    name = environment.get("OPS_AGENT_HARNESS", "")
    if not name:
        return Harness()
    try:
        text = Path(name).read_text(encoding="utf-8")
        harness = Harness.model_validate_json(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"OPS_AGENT_HARNESS={name} cannot be read: {error}", hint=_HINT) from error
    strays = [url for url in _URL.findall(text) if urlsplit(url).hostname not in LOOPBACK]
    if strays:
        raise ConfigError(f"OPS_AGENT_HARNESS names {strays[0]}, which is not this machine", hint=_HINT)
    return harness
