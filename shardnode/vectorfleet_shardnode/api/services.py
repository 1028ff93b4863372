"""The services that an index may name, as the gateway is told of them; their keys are in files of their own.

A service's address comes from the manifest or the command line, never from a request.
"""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from . import base

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),  # AWS, Alibaba, Azure, Oracle
    )
)
"""Where clouds keep credentials beside 169.254.169.254, which is link-local."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def forbidden_address(address: _Address) -> bool:
    """Return whether no service may be at an address: link-local ones, where clouds keep keys, and such."""
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            mapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if mapped is not None:
            return forbidden_address(mapped)
    if address.is_loopback:  # ::1 counts as reserved
        return False
    if address in _METADATA:
        return True
    return address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved


def check_url(url: str) -> str:
    """Return a service's base URL without its trailing slash.

    Raises:
        ValueError: it is no http(s) URL, holds a user, a query or a fragment, or names an address where no
            service may be.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(ord(one) <= 32 for one in url):
        raise ValueError("the URL of a service begins with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            "the URL of a service takes no user, password, query or fragment; a key goes into a Secret"
        )
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("the port of the service's URL is 1 to 65535") from None
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:  # a name; what it resolves to is looked at when a connection is made
        return url.rstrip("/")
    if forbidden_address(address):
        raise ValueError(f"no service may be at {address}: link-local and special addresses are refused")
    return url.rstrip("/")


Url = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(check_url)]


class TextRole(base.Model):
    """How texts of one kind are sent to an embedder, where its model wants to know what they are.

    Attributes:
        prefix: put before each text, such as `query: ` for E5.
        input_type: sent as `input_type`; nothing is sent where it is empty.
    """

    prefix: str = Field(default="", max_length=256)
    input_type: str = Field(default="", max_length=64)


class Embedder(base.Model):
    """A service in the form of OpenAI's `/v1/embeddings`.

    Attributes:
        url: base URL, such as `http://embedder:8000/v1`.
        model: sent as `model`.
        field: the metadata field that a row's text is kept in; None is the first text field, or `text`.
        query, document: how texts of queries and of rows are sent.
        send_dimensions: whether the index's dimensions are asked for.
        batch_size: texts of one request.
        concurrency: requests in flight, of one gateway.
        requests_per_second: of one gateway; None is as fast as it answers.
        timeout_seconds: that one request may take.
        retries: how often a request is sent again.
        cache_bytes: memory for vectors of texts, of one gateway; 0 is none.
    """

    url: Url
    model: str = Field(min_length=1, max_length=256)
    field: str | None = Field(default=None, min_length=1, max_length=256)
    query: TextRole = TextRole()
    document: TextRole = TextRole()
    send_dimensions: bool = False
    batch_size: int = Field(default=32, ge=4, le=2048)
    concurrency: int = Field(default=4, ge=1, le=64)
    requests_per_second: float | None = Field(default=None, gt=0, le=10_000)
    timeout_seconds: float = Field(default=10, gt=0, le=600)
    retries: int = Field(default=2, ge=0, le=10)
    cache_bytes: int = Field(default=32 * 1024 * 1024, ge=0, le=2**40)


class Reranker(base.Model):
    """A service in the form that Cohere's, Jina's and vLLM's `/v1/rerank` share.

    Attributes:
        url: base URL, such as `http://reranker:8000/v1`.
        model: sent as `model`.
        field: the metadata field that is judged; None is the one that texts of rows are kept in.
        batch_size: texts of one request.
        max_characters: of a text; what is longer is cut.
        concurrency: requests in flight, of one gateway.
        requests_per_second: of one gateway; None is as fast as it answers.
        timeout_seconds: that one request may take.
        retries: how often a request is sent again.
    """

    url: Url
    model: str = Field(min_length=1, max_length=256)
    field: str | None = Field(default=None, min_length=1, max_length=256)
    batch_size: int = Field(default=100, ge=1, le=1000)
    max_characters: int = Field(default=8192, ge=1, le=65_536)
    concurrency: int = Field(default=4, ge=1, le=64)
    requests_per_second: float | None = Field(default=None, gt=0, le=10_000)
    timeout_seconds: float = Field(default=10, gt=0, le=600)
    retries: int = Field(default=2, ge=0, le=10)
