# The container form. GitHub wants root and no WORKDIR; the children that run Terraform get a uid of their own (docs/architecture.md).
# Terraform comes as a library from the package index, installed on the machine that builds this image; REQUIREMENTS=runtime leaves it
# out, for an image that is published (docs/upgrading.md).
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
ARG REQUIREMENTS=container
RUN [ "$REQUIREMENTS" = runtime ] || [ "$(uname -m)" = x86_64 ] || { echo "The embedded Terraform of this image needs x86-64: use the composite action on an arm64 runner." >&2; exit 1; }
COPY requirements/${REQUIREMENTS}.txt /opt/ops-agent/requirements.txt
COPY requirements/mcp.txt /opt/ops-agent/mcp.txt
RUN PIP_CONFIG_FILE=/dev/null python3 -I -m pip --isolated install --quiet --no-cache-dir --no-input --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: -r /opt/ops-agent/requirements.txt -r /opt/ops-agent/mcp.txt \
    && python3 -I -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && find / -xdev -perm /6000 -type f -exec chmod a-s {} +
COPY src /opt/ops-agent/src
RUN python3 -I -c 'import pathlib, sysconfig; (pathlib.Path(sysconfig.get_path("purelib")) / "ops_agent.pth").write_text("/opt/ops-agent/src\n")' \
    && python3 -I -m compileall -q /opt/ops-agent/src && python3 -I -m ops_agent --version
# env replaces itself by Python, in a directory that is not the workspace: Python is process 1 and gets the signals.
ENTRYPOINT ["/usr/bin/env", "-C", "/opt/ops-agent", "/usr/local/bin/python3", "-I", "-m", "ops_agent"]
CMD ["run"]
