"""How processes of one index prove to each other who they are, over gRPC.

`Certified` is the rule: both sides show a certificate that names a role in this index, see `parties`. The
files may be replaced at any time: the next handshake shows the new ones, and no call is dropped. `Trusted`
is for processes that somebody starts by hand on one machine: a token in each call, and loopback alone.

A server refuses whatever it was not told to let in:

    credentials.gate(own, {"/vectorfleet.Shard/Report": frozenset({Role.OPERATOR})})
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from . import certificates, parties

Allowed = Mapping[str, frozenset[parties.Role]]
"""The roles that may call a method, by its full name: `/package.Service/Method`."""
Options = Sequence[tuple[str, Any]]
Metadata = tuple[tuple[str, str], ...]

ALIVE: Options = (
    # A node that loses its power closes nothing: its connections would be used for a quarter of an hour, by
    # calls that all run out of time, while the same pod answers at another address.
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # else a minute, whatever the one above says
    ("grpc.http2.max_pings_without_data", 0),
)
"""By which a channel notices that its connection is dead, and makes another one."""
ANSWERS_PINGS: Options = (
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.http2.max_ping_strikes", 0),
)
"""By which a server does not take that for abuse."""

_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
_WRAP = {kind: getattr(grpc, f"{kind}_rpc_method_handler") for kind in _KINDS}


class UnsafeError(Exception):
    """The credentials do not suffice for where they are to be used."""


class Credentials(Protocol):
    """What a process shows, and what it demands.

    Attributes:
        metadata: goes with each call that is made.
    """

    metadata: Metadata

    @property
    def number(self) -> int:
        """Grows when the files change; a channel made before shows what was in force then."""
        ...

    def channel(self, target: str, role: parties.Role, options: Options = ()) -> grpc.aio.Channel:
        """Return a channel to a process of this index that has to prove to be of `role`."""
        ...

    def listen(self, server: grpc.aio.Server, host: str, port: int) -> int:
        """Make a server listen, and return its port.

        Raises:
            UnsafeError: not there, with these credentials.
            RuntimeError: the address can't be listened on.
        """
        ...

    async def refusal(self, metadata: Mapping[str, Any], context: Any, roles: frozenset[parties.Role]) -> str:
        """Return why a caller is not let in, empty where it is one of `roles`."""
        ...


class Certified:
    """Certificates on both sides.

    Args:
        folder: of this process's certificate, key and authorities.
        own: who it is; others have to be of the same index.

    Raises:
        certificates.UnusableError: the files can't be used.
    """

    metadata: Metadata = ()

    def __init__(self, folder: Path, own: parties.Party) -> None:
        self._files = certificates.Certificates(folder)
        self._own = own
        self._served = 0

    @property
    def number(self) -> int:
        """Grows when the files change."""
        return self._files.current().number

    def channel(self, target: str, role: parties.Role, options: Options = ()) -> grpc.aio.Channel:
        """Return a channel to a process that shows a certificate of `role`."""
        return connect(self._files.current(), self._own.other(role).name, target, options)

    def listen(self, server: grpc.aio.Server, host: str, port: int) -> int:
        """Listen for callers that have a certificate."""
        first = self._files.current()
        self._served = first.number
        secure = grpc.dynamic_ssl_server_credentials(
            _configuration(first), self._renewed, require_client_authentication=True
        )
        return server.add_secure_port(_address(host, port), secure)

    async def refusal(self, _: Mapping[str, Any], context: Any, roles: frozenset[parties.Role]) -> str:
        """Return why a caller's certificate does not let it in."""
        named = context.auth_context().get("x509_subject_alternative_name", ())
        if any(self._own.other(role).name.encode() in named for role in roles):
            return ""
        return "the caller's certificate does not allow this call"

    def _renewed(self) -> Any:
        """Return what to show from the next handshake on, None where it is what was shown before."""
        now = self._files.latest()
        if now.number == self._served:
            return None
        self._served = now.number
        return _configuration(now)


class Trusted:
    """One token that all know, on loopback; whoever has it may do everything."""

    number = 1

    def __init__(self, token: str) -> None:
        self.metadata: Metadata = (("authorization", f"Bearer {token}"),)
        self._expected = f"Bearer {token}".encode()

    def channel(self, target: str, _: parties.Role, options: Options = ()) -> grpc.aio.Channel:
        """Return a channel; each call on it needs `metadata`."""
        return grpc.aio.insecure_channel(target, options=[*ALIVE, *options])

    def listen(self, server: grpc.aio.Server, host: str, port: int) -> int:
        """Listen, in the clear."""
        if not is_loopback(host):
            raise UnsafeError(
                f"a token does not suffice on {host}, which others reach: give certificates "
                "(VECTORFLEET_INTERNAL_TLS_DIR), or listen on loopback"
            )
        return server.add_insecure_port(_address(host, port))

    async def refusal(self, metadata: Mapping[str, Any], _: Any, __: frozenset[parties.Role]) -> str:
        """Return why a call's token does not let it in."""
        sent = metadata.get("authorization", "")
        given = sent.encode() if isinstance(sent, str) else bytes(sent)
        if hmac.compare_digest(given, self._expected):
            return ""
        return "the internal token is missing or wrong"


def connect(
    shown: certificates.Loaded, demanded: str, target: str, options: Options = ()
) -> grpc.aio.Channel:
    """Return a channel by which a certificate is shown, to whoever shows one for the name `demanded`."""
    secure = grpc.ssl_channel_credentials(shown.authorities, shown.key, shown.certificate)
    override = ("grpc.ssl_target_name_override", demanded)
    return grpc.aio.secure_channel(target, secure, options=[*ALIVE, *options, override])


def gate(own: Credentials, allowed: Allowed) -> grpc.aio.ServerInterceptor:
    """Return what a server has to be made with: it refuses every call of a method or role not allowed."""
    return _Gate(own, allowed)


class _Gate(grpc.aio.ServerInterceptor):
    def __init__(self, own: Credentials, allowed: Allowed) -> None:
        self._own = own
        self._allowed = allowed

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Answer with the method behind a check of its caller."""
        handler = await continuation(details)
        if handler is None:
            return _refusing("there is no such method")
        roles = self._allowed.get(details.method, frozenset())
        metadata = dict(details.invocation_metadata or ())

        async def check(context: Any) -> None:
            if why := await self._own.refusal(metadata, context, roles):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, why)

        return _behind(check, handler)


def _refusing(why: str) -> Any:
    async def refuse(_: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, why)

    return grpc.unary_unary_rpc_method_handler(refuse)


def _behind(check: Any, handler: Any) -> Any:
    """Return a method's handler that checks its caller first, whether it streams or not."""
    kind = next(kind for kind in _KINDS if getattr(handler, kind) is not None)
    answer = getattr(handler, kind)

    async def once(request: Any, context: Any) -> Any:
        await check(context)
        return await answer(request, context)

    async def streaming(request: Any, context: Any) -> Any:
        await check(context)
        replies = answer(request, context)
        if hasattr(replies, "__aiter__"):
            async for reply in replies:
                yield reply
        else:
            await replies

    checked = streaming if handler.response_streaming else once
    return _WRAP[kind](checked, handler.request_deserializer, handler.response_serializer)


def find(own: parties.Party, folder: Path | None, token_file: Path) -> Credentials:
    """Return the credentials of a process: the certificates in `folder`, or the token where none is given.

    Raises:
        UnsafeError: what they are to be read from can't be used; the message says why.
    """
    if folder is not None:
        try:
            return Certified(folder, own)
        except certificates.UnusableError as unusable:
            raise UnsafeError(f"the internal certificates can't be used: {unusable}") from None
    try:
        token = token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnsafeError(f"the internal token can't be read: {error}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise UnsafeError(f"the internal token in {token_file} is no line of printable ASCII characters")
    return Trusted(token)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address. Pure."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _configuration(shown: certificates.Loaded) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(shown.key, shown.certificate)], shown.authorities)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
