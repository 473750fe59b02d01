"""The harness file of the demo and the tests: where the emulated AWS is. It can only ever point at this machine.

`OPS_AGENT_HARNESS` names a JSON file; every URL in it must be loopback, else the run stops. Without it (every real run)
all fields are empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ops_agent.model.errors import ConfigError

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'\\]+", re.IGNORECASE)
_TRUST = ("GIT_SSL_CAINFO", "SSL_CERT_FILE")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """Overrides for emulated services. `terraform_overlay` are files laid into each root, `backend_settings` an HCL
    backend file, `module_variables` name the certificate of an emulated module host."""

    aws_endpoint: str = ""
    engine: str = ""
    provider_mirror: str = ""
    terraform_overlay: dict[str, bytes] = field(default_factory=dict)
    terraform_variables: dict[str, str] = field(default_factory=dict)
    backend_settings: bytes = b""
    module_variables: dict[str, str] = field(default_factory=dict)


def read_harness(environment: Mapping[str, str]) -> Harness:
    """The harness of `environment`, empty without `OPS_AGENT_HARNESS`.

    Raises ConfigError for an unreadable file or a URL off this machine.
    """
    name = environment.get("OPS_AGENT_HARNESS", "")
    if not name:
        return Harness()
    try:
        text = Path(name).read_text(encoding="utf-8")
        document = json.loads(text)
        harness = Harness(
            aws_endpoint=str(document.get("aws_endpoint", "")),
            engine=str(document.get("engine", "")),
            provider_mirror=str(document.get("provider_mirror", "")),
            terraform_overlay={str(k): str(v).encode() for k, v in document.get("terraform_overlay", {}).items()},
            terraform_variables={str(k): str(v) for k, v in document.get("terraform_variables", {}).items()},
            backend_settings=str(document.get("backend_settings", "")).encode(),
            module_variables={str(k): str(v) for k, v in document.get("module_variables", {}).items() if k in _TRUST},
        )
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"OPS_AGENT_HARNESS={name} cannot be read: {error}", hint="Unset it; only the demo and the tests use it."
        ) from error
    strays = [url for url in _URL.findall(text) if urlsplit(url).hostname not in _LOOPBACK]
    if strays:
        raise ConfigError(
            f"OPS_AGENT_HARNESS names {strays[0]}, which is not this machine",
            hint="Unset it; only the demo and the tests use it.",
        )
    return harness
