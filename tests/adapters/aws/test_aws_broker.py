"""The loopback broker: who gets credentials from it, and until when."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from ops_agent.adapters.aws.broker import Broker
from ops_agent.adapters.aws.sts import Credentials
from ops_agent.model.errors import AwsError


def credentials(name: str = "first", seconds: float = 1800) -> Credentials:
    return Credentials(access_key=name, secret_key="s" * 20, session_token="t" * 20, expires_at=time.time() + seconds)


def ask(variables: Mapping[str, str], *, token: str | None = None, path: str = "") -> tuple[int, dict]:
    address = urlsplit(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    wanted = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] if token is None else token
    connection.request("GET", path or address.path, headers={"Authorization": wanted} if wanted else {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def never() -> Credentials:
    raise AssertionError("minted without need")


def test_the_holder_of_the_token_gets_credentials_in_the_sdks_format():
    with Broker(never, credentials()) as broker:
        status, body = ask(broker.variables)
    assert status == 200
    assert set(body) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert body["Expiration"].endswith("Z")


@pytest.mark.parametrize(
    ("token", "path"), [("", ""), ("wrong", ""), ("ünicode", ""), (None, "/"), (None, "/credentials/x")]
)
def test_no_token_a_wrong_token_or_another_path_gives_nothing(token, path):
    with Broker(never, credentials()) as broker:
        status, body = ask(broker.variables, token=token.encode().decode("latin-1") if token else token, path=path)
    assert status == 403
    assert body == {"code": "AccessDenied", "message": "denied"}


def test_the_broker_listens_on_loopback_only_and_is_closed_with_its_context():
    """Refused after the end."""
    with Broker(never, credentials()) as broker:
        assert urlsplit(broker.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]).hostname == "127.0.0.1"
    with pytest.raises(OSError):
        ask(broker.variables)


def test_every_broker_has_a_token_of_its_own():
    with Broker(never, credentials()) as one, Broker(never, credentials()) as other:
        assert (
            one.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] != other.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        )


def test_fresh_credentials_are_made_when_less_than_five_minutes_remain():
    minted = iter([credentials("second", 290), credentials("third")])
    with Broker(lambda: next(minted), credentials("first", 290)) as broker:
        assert [ask(broker.variables)[1]["AccessKeyId"] for _ in range(3)] == ["second", "third", "third"]


def test_a_failed_renewal_is_kept_for_the_run_and_the_child_learns_no_reason():
    def broken() -> Credentials:
        raise AwsError("the trust policy refuses")

    with Broker(broken, credentials(seconds=1)) as broker:
        status, body = ask(broker.variables)
    assert status == 500
    assert "trust" not in json.dumps(body)
    assert isinstance(broker.failure, AwsError)
