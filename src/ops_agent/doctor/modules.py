"""The doctor's look at modules from outside: which root calls which, whether a token for the host is given, and whether they come."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.core.sources.module_sources import ModuleCall, SourceKind, module_calls, module_files, read_module_source, shown_source
from ops_agent.doctor.diagnosis import Diagnosis, Health, Patient
from ops_agent.domain.verification import CheckStatus
from ops_agent.wiring import module_credentials

_MOST = 20


def check_modules(patient: Patient) -> Iterator[Diagnosis]:
    """One line for each root with remote modules, then what a fetch of them gives. Raises ToolchainError, NoSpace.

    A source that is refused is so everywhere. What this laptop cannot fetch, a job with other tokens perhaps can.
    """
    if patient.layout is None or patient.tree is None:
        return
    paths = [path for path, entry in patient.tree.entries().items() if entry.is_regular]
    for root in patient.layout.roots:
        files = module_files(root, paths, patient.tree.read)
        if not files:
            continue
        remote = [call for call in module_calls(root, files, files.__getitem__) if call.is_remote]
        named = "; ".join(_named(call, patient) for call in remote[:_MOST])
        more = f"; and {len(remote) - _MOST} more" if len(remote) > _MOST else ""
        check = patient.world.terraform.fetch_modules(root, files)
        came = check.status is CheckStatus.PASSED
        refused = any(read_module_source(call.source or "").kind is SourceKind.REFUSED for call in remote)
        health = Health.OK if came else Health.FAIL if patient.on_runner or refused else Health.WARN
        yield Diagnosis(subject="modules", health=health, what=f"root module `{root.path}` calls modules from outside: {named}{more}")
        if came:
            yield Diagnosis(subject="modules", health=health, what=f"those of `{root.path}` were fetched in {check.seconds:.1f} s")
        for finding in check.findings:
            yield Diagnosis(subject="modules", health=health, what=f"{finding.place}: {finding.what}", hint=finding.remedy)


def _named(call: ModuleCall, patient: Patient) -> str:
    source = read_module_source(call.source or "")
    credentials = module_credentials(patient.settings, patient.environment)
    given = "refused" if source.kind is SourceKind.REFUSED else "token given" if credentials.serve(source) else "no token"
    return f"`{call.key}` from `{shown_source(call.source or '')}` ({given})"
