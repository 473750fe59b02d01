"""One emulated account from its owner's side: buckets and objects for state, by plain requests."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlsplit


class Account:
    """`number` is the account; the front takes an access key of 12 digits for that account's owner."""

    def __init__(self, endpoint: str, number: str, region: str) -> None:
        self._address, self._number, self._region = urlsplit(endpoint).netloc, number, region

    def make_bucket(self, name: str) -> None:
        """No error when it is there already."""
        place = f"<LocationConstraint>{self._region}</LocationConstraint>"
        wanted = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>"
        self._s3("PUT", f"/{name}", wanted.encode(), fine=(409,))

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._s3("PUT", f"/{bucket}/{quote(key)}", content)

    def get(self, bucket: str, key: str) -> bytes | None:
        """The object's bytes, None when there is none."""
        return self._s3("GET", f"/{bucket}/{quote(key)}", b"")

    def _s3(self, method: str, path: str, body: bytes, fine: tuple[int, ...] = ()) -> bytes | None:
        scope = f"{self._number}/20260101/{self._region}/s3/aws4_request"
        connection = http.client.HTTPConnection(self._address, timeout=20)
        try:
            connection.request(
                method,
                path,
                body=body or None,
                headers={"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"},
            )
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status >= 300 and answer.status not in fine:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return content
