"""A gateway and shards that know each other by certificates, as real processes."""

import asyncio
import threading

import grpc
import httpx
import pytest

from vectorfleet_runtime import certificates, credentials, parties
from vectorfleet_shardnode.api import shard_pb2, shard_pb2_grpc

SEEN_SECONDS = certificates.LOOK_SECONDS + 0.5


@pytest.fixture(scope="module")
def certified(make_fleet):
    """Two shards and a gateway, without a token anywhere."""
    fleet = make_fleet(certified=True)
    (fleet.folder / "token").unlink()
    return fleet


def write(client, name):
    """Upsert a row; raise unless it was taken."""
    body = {"vectors": [{"id": name, "values": [1, 2, 3, 4]}]}
    client.post("/vectors/upsert", json=body).raise_for_status()


def test_rows_go_to_and_fro(certified):
    """What is written is found."""
    with certified.http() as client:
        for number in range(20):
            write(client, f"r{number}")
        found = client.post("/query", json={"vector": [1, 2, 3, 4], "topK": 100}).json()
    assert len(found["matches"]) == 20


class Load:
    """Clients that write and read without a pause; what failed is kept."""

    def __init__(self, fleet, clients=4):
        self._stop, self.failed, self.done = threading.Event(), [], 0
        self._threads = [threading.Thread(target=self._run, args=(fleet, n)) for n in range(clients)]

    def _run(self, fleet, number):
        with fleet.http() as client:
            while not self._stop.is_set():
                try:
                    write(client, f"load-{number}")
                    client.post("/query", json={"vector": [1, 2, 3, 4], "topK": 3}).raise_for_status()
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                self.done += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_r33_certificates_and_authority_are_replaced_under_load(certified):
    """First both authorities are trusted, then the new one signs, then the old one goes: no request fails."""
    made = certified.certificates
    old, new = made.trusted, made.create()
    both = old.certificate + new.certificate
    with Load(certified) as load:
        for by, trust in ((old, both), (new, both), (new, new.certificate)):
            before = load.done
            certified.issue(by=by, trust=trust)
            threading.Event().wait(2 * SEEN_SECONDS)
            assert load.done > before
    made.trusted = new
    assert load.failed == []
    for process in (certified.gateway, *certified.shards):
        assert process.log.count("certificates changed") >= 3
        assert "PRIVATE KEY" not in process.log
    asyncio.run(_refuses(certified, by=old, trust=both))


async def _refuses(fleet, **options):
    """Assert that a shard does not let in a gateway with such a certificate."""
    party = fleet.certificates.party("gateway", "test", "default")
    folder = fleet.certificates.write("stale", party, **options)
    assert await call(fleet, credentials.Certified(folder, party)) is grpc.StatusCode.UNAVAILABLE


async def call(fleet, own, method="Stats"):
    """Call the first shard; return its answer, or the status."""
    async with own.channel(f"127.0.0.1:{fleet.ports[0]}", parties.Role.SHARD) as channel:
        request = shard_pb2.ReportRequest() if method == "Report" else shard_pb2.StatsRequest()
        try:
            stub = shard_pb2_grpc.ShardStub(channel)
            return await getattr(stub, method)(request, timeout=5, metadata=own.metadata)
        except grpc.aio.AioRpcError as error:
            return error.code()


def own(fleet, role, index="test"):
    """Return credentials of a role, by the authority that is in force."""
    party = fleet.certificates.party(role, index, "default")
    return credentials.Certified(fleet.certificates.write(f"own-{role}-{index}", party), party)


async def test_each_role_does_its_own(certified):
    """A gateway reads and writes, an operator asks for the report alone, a shard neither."""
    answers = {
        (role, method): await call(certified, own(certified, role), method)
        for role in ("gateway", "operator", "shard")
        for method in ("Stats", "Report")
    }
    refused = {what for what, answer in answers.items() if answer is grpc.StatusCode.UNAUTHENTICATED}
    assert refused == {("operator", "Stats"), ("shard", "Stats"), ("shard", "Report")}
    assert answers["operator", "Report"].rows >= 0


async def test_no_key_opens_a_shard(certified):
    """Neither an API key nor a token nor a header, in the clear or by TLS without a certificate."""
    forged = (("api-key", "integration-key"), ("authorization", "Bearer integration-token"))
    clear = credentials.Trusted("integration-token")
    clear.metadata = forged
    assert await call(certified, clear) is grpc.StatusCode.UNAVAILABLE
