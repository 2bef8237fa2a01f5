"""How a camera's page is opened: basic and digest authentication, redirects within its host."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from edge.sources.address import Address, with_password

# urllib has no SHA-256, which newer cameras offer beside MD5 or alone (RFC 7616).
HASHES: dict[str, Callable[[bytes], Any]] = {
    "MD5": hashlib.md5,
    "SHA": hashlib.sha1,
    "SHA-256": hashlib.sha256,
}


def opener(address: Address, password: str) -> tuple[urllib.request.OpenerDirector, str]:
    """Return what opens the page, and its URL without the user.

    The password is for all pages of the camera, which may redirect from one to another, and to
    https.
    """
    url = with_password(address, password) if "{password}" in address.text else address.text
    parts = urlsplit(url)
    handlers: list[urllib.request.BaseHandler] = [_NoOtherHost()]
    if parts.username is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        host = parts.netloc.rpartition("@")[2]
        url = parts._replace(netloc=host).geturl()
        pages = [f"{parts.scheme}://{host}/", f"https://{host}/"]
        known.add_password(None, pages, unquote(parts.username), password)
        handlers += [_Digest(known), urllib.request.HTTPBasicAuthHandler(known)]
    return urllib.request.build_opener(*handlers), url


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Comes before the basic handler, and sends a password once: cameras lock after a few."""

    def http_error_401(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        """Repeat the request with the password, by the first method offered that is known.

        Raises: HTTPError: the password is wrong; URLError: no method is known.
        """
        fp.close()  # which urllib leaves open
        offers = headers.get_all("www-authenticate", [])
        digests = [offer for offer in offers if _is_digest(offer)]
        if req.has_header(self.auth_header) and not any("stale=true" in o.lower() for o in digests):
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)
        if digests:
            only = http.client.HTTPMessage()
            only["www-authenticate"] = digests[0]
            return super().http_error_401(req, fp, code, msg, only)
        schemes = [offer.split()[0] for offer in offers if offer.strip()]
        if "basic" not in map(str.lower, schemes):
            methods = ", ".join(schemes) or "no method"
            raise urllib.error.URLError(f"requires a password by {methods}, which is not supported")
        return None

    def get_algorithm_impls(
        self, algorithm: str
    ) -> tuple[Callable[[str], str], Callable[[str, str], str]]:
        """Return the hash of a text, and that of a secret and a text."""

        def digest(text: str) -> str:
            return str(HASHES[algorithm.upper()](text.encode()).hexdigest())

        return digest, lambda secret, text: digest(f"{secret}:{text}")


def _is_digest(offer: str) -> bool:
    """Whether it is a digest by a known hash."""
    scheme, _, rest = offer.partition(" ")
    if scheme.lower() != "digest":
        return False
    parts = urllib.request.parse_keqv_list(
        [part for part in urllib.request.parse_http_list(rest) if "=" in part]
    )
    return parts.get("algorithm", "MD5").upper() in HASHES


class _NoOtherHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the camera's host: not to a file, nor into another network."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Raises: URLError."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if before.hostname != after.hostname or after.scheme not in ("http", "https"):
            fp.close()
            raise urllib.error.URLError("redirects to another host")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
