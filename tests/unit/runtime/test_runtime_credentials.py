"""Who is let in over gRPC: real servers and channels on loopback."""

import contextlib

import grpc
import pytest

from vectorfleet_runtime import certificates, credentials, parties

METHOD = "/test.Service/Ask"
STREAM = "/test.Service/Stream"
CODE = grpc.StatusCode


@contextlib.asynccontextmanager
async def serving(own, allowed):
    """Serve an echo, and a stream of it, behind a gate; gives the target."""

    async def ask(request, _):
        return request

    async def stream(request, _):
        yield request
        yield request

    async def written(request, context):
        await context.write(request)

    handlers = {
        "Ask": grpc.unary_unary_rpc_method_handler(ask),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Written": grpc.unary_stream_rpc_method_handler(written),
    }
    server = grpc.aio.server(interceptors=[credentials.gate(own, allowed)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = own.listen(server, "127.0.0.1", 0)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def let_in(*roles):
    """Return what lets these roles call."""
    named = frozenset(map(parties.Role, roles))
    return {METHOD: named, STREAM: named, "/test.Service/Written": named}


async def ask(own, target, role="shard", method=METHOD, metadata=None):
    """Call once over a new channel; return the answer, or the status."""
    async with own.channel(target, parties.Role(role)) as channel:
        try:
            sent = own.metadata if metadata is None else metadata
            return await channel.unary_unary(method)(b"hello", timeout=5, metadata=sent)
        except grpc.aio.AioRpcError as error:
            return error.code()


@pytest.fixture
def make(folders):
    """Make the certificates of a role."""

    def make(role, index="products", namespace="shop", **options):
        party = folders.party(role, index, namespace)
        return credentials.Certified(folders.write(f"{role}-{index}-{namespace}", party, **options), party)

    return make


async def test_the_right_certificate_is_let_in(make):
    """A gateway calls what gateways may."""
    async with serving(make("shard"), let_in("gateway")) as target:
        assert await ask(make("gateway"), target) == b"hello"


@pytest.mark.parametrize("role", ["gateway", "shard"])
async def test_a_role_does_what_it_may_alone(make, role):
    """An operator's certificate is none of a gateway or a replica, nor theirs one of an operator."""
    async with serving(make("shard"), let_in(role)) as target:
        for other in parties.Role:
            expected = b"hello" if other == role else CODE.UNAUTHENTICATED
            assert await ask(make(other), target) == expected


async def test_a_method_that_nobody_may_call_is_refused(make):
    """What is not allowed by name is not allowed, whether it exists or not."""
    async with serving(make("shard"), {}) as target:
        for method in (METHOD, "/test.Service/None", "/grpc.reflection.v1.ServerReflection/Info"):
            assert await ask(make("gateway"), target, method=method) is CODE.UNAUTHENTICATED


async def test_streams_are_guarded_too(make):
    """Not one message goes to whoever may not call, however the method answers."""
    async with serving(make("shard"), let_in("operator")) as target:
        for method in (STREAM, "/test.Service/Written"):
            for role, count in (("operator", 1 + (method == STREAM)), ("gateway", 0)):
                got = []
                async with make(role).channel(target, parties.Role.SHARD) as channel:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        async for message in channel.unary_stream(method)(b"x", timeout=5):
                            got.append(message)  # noqa: PERF401  # it may end with an error
                assert len(got) == count


@pytest.mark.parametrize("where", [{"index": "other"}, {"namespace": "other"}])
async def test_another_index_is_not_let_in(make, where):
    """Not even where the same authority has signed for both, as cert-manager's may."""
    async with serving(make("shard"), let_in("gateway")) as target:
        party = {"index": "products", "namespace": "shop"} | where
        stranger = make("gateway", **party)
        # It would not speak to this shard either; here it is told to.
        stranger._own = make("gateway")._own
        assert await ask(stranger, target) is CODE.UNAUTHENTICATED


async def test_another_authority_is_not_let_in(make, folders):
    """Whatever the certificate says."""
    async with serving(make("shard"), let_in("gateway")) as target:
        stranger = make("gateway", by=folders.create(), trust=folders.trusted.certificate)
        assert await ask(stranger, target) is CODE.UNAVAILABLE


async def test_an_expired_certificate_is_not_let_in(make):
    """It is as good as none."""
    async with serving(make("shard"), let_in("gateway")) as target:
        assert await ask(make("gateway", days=-1), target) is CODE.UNAVAILABLE


async def test_a_caller_without_a_certificate_is_not_let_in(make, folders):
    """Neither in the clear nor by TLS alone; no header changes that."""
    forged = (("authorization", "Bearer token"), ("api-key", "key"), ("x-role", "gateway"))
    async with serving(make("shard"), let_in("gateway")) as target:
        assert await ask(credentials.Trusted("token"), target, metadata=forged) is CODE.UNAVAILABLE
        alone = grpc.ssl_channel_credentials(folders.trusted.certificate.encode())
        override = ("grpc.ssl_target_name_override", folders.party("shard").name)
        async with grpc.aio.secure_channel(target, alone, options=[override]) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(METHOD)(b"x", timeout=5, metadata=forged)
        assert refused.value.code() is CODE.UNAVAILABLE


@pytest.mark.parametrize("role", ["gateway", "operator"])
async def test_a_caller_demands_a_shard(make, role):
    """A gateway's certificate can't stand in for a shard's: rows would go to whoever has it."""
    async with serving(make(role), let_in("gateway")) as target:
        assert await ask(make("gateway"), target) is CODE.UNAVAILABLE


async def test_renewed_certificates_are_shown_without_a_restart(make, folders, monkeypatch):
    """Authority and all: the next handshake is by the new ones; what is connected goes on."""
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0)
    shard, gateway = make("shard"), make("gateway")
    async with (
        serving(shard, let_in("gateway")) as target,
        gateway.channel(target, parties.Role.SHARD) as kept,
    ):
        call = kept.unary_unary(METHOD)
        assert await call(b"before", timeout=5) == b"before"
        number, other = gateway.number, folders.create()
        for role in ("shard", "gateway"):
            make(role, by=other)
        assert gateway.number > number
        assert await call(b"after", timeout=5) == b"after"
        assert await ask(gateway, target) == b"hello"
        stale = make("gateway", by=folders.trusted, trust=other.certificate)
        assert await ask(stale, target) is CODE.UNAVAILABLE


async def test_a_token_is_asked_for_in_each_call():
    """Without certificates, the token lets in whoever has it, and nobody else."""
    async with serving(credentials.Trusted("token"), let_in("gateway")) as target:
        assert await ask(credentials.Trusted("token"), target) == b"hello"
        for other in ("", "toke", "token2", "Bearer token"):
            assert await ask(credentials.Trusted(other), target) is CODE.UNAUTHENTICATED
        assert await ask(credentials.Trusted("token"), target, metadata=()) is CODE.UNAUTHENTICATED


def test_credentials_are_found(folders, tmp_path):
    """Certificates where a folder is given, else the token; what can't be used is said."""
    party = folders.party("gateway")
    folder = folders.write("gateway", party)
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    assert isinstance(credentials.find(party, folder, token), credentials.Certified)
    found = credentials.find(party, None, token)
    assert found.metadata == (("authorization", "Bearer t0ken"),)
    with pytest.raises(credentials.UnsafeError, match="certificates"):
        credentials.find(party, tmp_path / "none", token)
    for content in ("", "\n", "a\nb", "é"):
        token.write_text(content)
        with pytest.raises(credentials.UnsafeError, match="token"):
            credentials.find(party, None, token)
    with pytest.raises(credentials.UnsafeError, match="token"):
        credentials.find(party, None, tmp_path / "none")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_is_known(host):
    """Only this machine reaches these."""
    assert credentials.is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", ""])
def test_what_is_not_loopback_is_known(host):
    """Others may reach these."""
    assert not credentials.is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1"])
async def test_a_token_does_not_suffice_where_others_reach(host):
    """It would travel in the clear, and whoever has it may do everything."""
    server = grpc.aio.server()
    with pytest.raises(credentials.UnsafeError, match="loopback"):
        credentials.Trusted("token").listen(server, host, 0)
