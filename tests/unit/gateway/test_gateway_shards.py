"""Statuses, safe repeats, and where a shard listens."""

import asyncio

import grpc
import pytest

from vectorfleet_gateway import errors
from vectorfleet_gateway.shards import divided, inprocess, statuses
from vectorfleet_shardnode.api import shard_pb2

CODE = grpc.StatusCode


@pytest.mark.parametrize("code", [code for code in CODE if code is not CODE.OK])
def test_every_status_is_an_error_of_the_api(code):
    """None is left to chance, and none tells the caller that his own key is wrong."""
    error = statuses.error_of(code, "words", 3)
    assert isinstance(error, errors.ApiError)
    assert error.status not in {401, 403}


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (CODE.INVALID_ARGUMENT, 400, "words"),
        (CODE.UNAVAILABLE, 503, "shard 3 can't be reached"),
        (CODE.FAILED_PRECONDITION, 503, "shard 3: words"),
        (CODE.RESOURCE_EXHAUSTED, 429, "shard 3: words"),
        (CODE.DEADLINE_EXCEEDED, 504, "shard 3 did not answer in time"),
        (CODE.DATA_LOSS, 500, "shard 3: words"),
        (CODE.UNAUTHENTICATED, 500, "shard 3 does not take the gateway's credentials"),
    ],
)
def test_what_a_status_means(code, status, said):
    """The shard is named where the fault is its own."""
    error = statuses.error_of(code, "words", 3)
    assert (error.status, str(error)) == (status, said)


def test_a_write_that_was_lost_is_not_looked_for_elsewhere():
    """Its reader is told, and no other replica is asked, as it would be by one that is only behind."""
    lost = statuses.error_of(CODE.FAILED_PRECONDITION, "it is lost", 3, {"vectorfleet-refused": "lost"})
    assert isinstance(lost, errors.LostWriteError)
    assert (lost.status, lost.code, str(lost), lost.is_the_servers) == (410, 15, "shard 3: it is lost", False)
    behind = statuses.error_of(CODE.FAILED_PRECONDITION, "this replica is at seq 3; seq 4 was demanded", 3)
    assert isinstance(behind, errors.NotReadyError)


def test_a_lost_quorum_is_an_error_of_its_own():
    """The shard can be reached, and says why it writes nothing."""
    error = statuses.error_of(CODE.UNAVAILABLE, "quorum lost", 3, {"vectorfleet-refused": "quorum"})
    assert isinstance(error, errors.QuorumLostError)
    assert (error.status, str(error), error.headers) == (503, "shard 3: quorum lost", {"retry-after": "2"})


@pytest.mark.parametrize(
    ("code", "said", "counts_as"),
    [
        (CODE.INTERNAL, "Internal error from Core", CODE.UNAVAILABLE),
        (CODE.INTERNAL, "Received RST_STREAM with error code 2", CODE.UNAVAILABLE),
        (CODE.INTERNAL, "KeyError: 'a'", CODE.INTERNAL),
        (CODE.DATA_LOSS, "Internal error from Core", CODE.DATA_LOSS),
    ],
)
def test_a_call_that_broke_is_one_that_did_not_arrive(code, said, counts_as):
    """GRPC calls that an internal error now and then; another replica is to be asked."""
    assert statuses.code_of(code, said) is counts_as


def test_a_full_shard_asks_to_be_asked_again():
    """In a second, by when a replica with room may lead: four tries at once would all be too early."""
    assert statuses.error_of(CODE.RESOURCE_EXHAUSTED, "no room", 3).headers == {"retry-after": "1"}


def test_braces_in_a_message_are_just_text():
    """A shard's words may quote a filter."""
    assert str(statuses.error_of(CODE.INVALID_ARGUMENT, "{shard} {0}", 3)) == "{shard} {0}"


def test_an_answer_beyond_the_message_limit_is_the_callers_to_shorten():
    """GRPC calls it exhausted, as it does a full disk."""
    error = statuses.error_of(CODE.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 8)", 0)
    assert isinstance(error, errors.InvalidArgumentError)
    assert "64 MiB" in str(error)


def write(**operation):
    """Return a write."""
    return shard_pb2.WriteRequest(namespace="n", **operation)


@pytest.mark.parametrize(
    ("request_", "repeatable"),
    [
        (shard_pb2.SearchRequest(), True),
        (shard_pb2.StatsRequest(), True),
        (write(upsert=shard_pb2.Upsert()), True),
        (write(update=shard_pb2.Update(id="a")), True),
        (write(delete=shard_pb2.Delete(ids=shard_pb2.Ids(ids=["a"]))), True),
        (write(delete=shard_pb2.Delete(filter=b"{}")), False),
        (write(delete=shard_pb2.Delete(all=True)), False),
    ],
)
def test_what_may_be_sent_again(request_, repeatable):
    """A delete that is not by id could take what was written in between."""
    assert statuses.is_repeatable(request_) is repeatable


class Service:
    """A shard in process that fails as told."""

    def __init__(self, failure=None):
        self.failure = failure

    async def list(self, _):
        if self.failure:
            raise self.failure
        await asyncio.Event().wait()


async def test_errors_in_process_are_those_of_the_wire(refused):
    """The same status gives the same error without a hop."""
    shard = inprocess.InProcessShard(4, Service(refused(CODE.FAILED_PRECONDITION, "not the primary")))
    with pytest.raises(errors.NotReadyError, match="shard 4: not the primary"):
        await shard.list(shard_pb2.ListRequest(), 5)


async def test_faults_in_process_stay_faults():
    """An exception that is no refusal is not dressed up as one."""
    with pytest.raises(ZeroDivisionError):
        await inprocess.InProcessShard(0, Service(ZeroDivisionError())).list(shard_pb2.ListRequest(), 5)


async def test_deadlines_hold_in_process():
    """A shard that does not answer is late, here as over the wire."""
    with pytest.raises(errors.DeadlineExceededError, match="shard 2"):
        await inprocess.InProcessShard(2, Service()).list(shard_pb2.ListRequest(), 0.001)


class Place:
    """Where a shard is asked; it tells by whom it was."""

    width = 1

    def __init__(self):
        self.asked = []

    def __getattr__(self, method):
        async def ask(*_):
            self.asked.append(method)

        return ask


async def test_a_divided_shard_is_read_in_one_place_and_written_in_another():
    """What says how it is goes where it is written; both are closed."""
    reads, writes = Place(), Place()
    shard = divided.DividedShard(reads, writes)
    for method in ("search", "fetch", "list", "stats", "write", "report"):
        await getattr(shard, method)(None, 1.0)
    await shard.close()
    assert reads.asked == ["search", "fetch", "list", "stats", "close"]
    assert writes.asked == ["write", "report", "close"]
