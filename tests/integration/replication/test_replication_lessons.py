"""What others fell to, tried where replicas copy from each other: no name that a caller gives is a path."""

import threading

import grpc
import pytest
from replicated import router
from replicated.asking import upsert

from vectorfleet_shardnode.api import replication_pb2 as rpb
from vectorfleet_shardnode.segments import manifest

SECRET = b"a secret beside the data"


@pytest.fixture
def copied(make_group):
    """A replica, its checkpoint, and a segment of it beside whose files lie a secret and links to others."""
    group = make_group()
    write = router.Router(group.stubs, threading.Event()).Write
    for first in range(0, 600, 100):
        write(upsert(first, 100))
    data = group.replicas[0].data
    group.wait_for(lambda: list(data.glob("segments/*/segment.json")))
    asked = rpb.CheckpointRequest(index="crashing", generation="g1", shard=0, epoch=1)
    made = group.stubs[0].Checkpoint(asked)
    listed = manifest.parse(made.manifest).segments
    folder = next(path for one in listed if (path := data / "segments" / one.name).is_dir())
    for place in (data, data.parent, folder):
        (place / "secret").write_bytes(SECRET)
    (folder / "link.bin").symlink_to(data.parent / "secret")
    (folder / "columns2.arrow").symlink_to("/etc/passwd")
    return group, made.id, folder


def read(group, checkpoint, segment, file, offset=0):
    """Return a file's bytes as another replica reads them."""
    asked = rpb.ReadFileRequest(checkpoint=checkpoint, segment=segment, file=file, offset=offset)
    return b"".join(chunk.data for chunk in group.stubs[0].ReadFile(asked))


def refusal(group, *names):
    """Return how it is refused to read a file."""
    with pytest.raises(grpc.RpcError) as refused:
        read(group, *names)
    return refused.value.code()


def files_that_are_none(folder, file):
    """Return names that lead, or would lead, to something that the checkpoint does not have."""
    data, name = folder.parent.parent, folder.name
    climbing = [
        "..",
        ".",
        "",
        "../secret",
        "../../secret",
        "../../../secret",
        f"../{name}/{file}",
        f"./{file}",
    ]
    absolute = ["/etc/passwd", str(data / "secret"), str(folder / file), "file:///etc/passwd", "~/secret"]
    links = ["secret", "link.bin", "columns2.arrow"]
    encoded = ["..%2fsecret", "%2e%2e/secret", "..%252fsecret", "..\\secret", "..\u2215secret"]
    ended = [f"{file}\0", f"{file}\0.txt", "\0", f"{file}/", f"{file}/.", f" {file}", f"{file} "]
    return [*climbing, *absolute, *links, *encoded, *ended, file.upper(), f"{file}*", "a" * 5000]


def segments_that_are_none(folder):
    """Return names that lead, or would lead, to a folder that the checkpoint does not have."""
    name = folder.name
    climbing = ["..", ".", "", f"../segments/{name}", f"{name}/../{name}", "../../secret"]
    return [*climbing, "/etc", str(folder), f"/{name}", f"{name}/", f"{name}\0", f"%2e%2e%2f{name}", "0" * 12]


def test_names_of_a_copied_file_are_never_paths(copied):
    """`..`, absolute names, links, NULs, encoded slashes: each is a file that the checkpoint has not."""
    group, made, folder = copied
    file = "vectors.bin"
    assert read(group, made, folder.name, file) == (folder / file).read_bytes()

    pairs = [(folder.name, one) for one in files_that_are_none(folder, file)]
    pairs += [(one, file) for one in segments_that_are_none(folder)] + [("/etc", "passwd")]
    for pair in pairs:
        assert refusal(group, made, *pair) is grpc.StatusCode.INVALID_ARGUMENT, pair
    for other in ("", "..", f"../{made}", f"{made}/", f"{made}\0", f"/{made}", "../../checkpoints"):
        assert refusal(group, other, folder.name, file) is grpc.StatusCode.FAILED_PRECONDITION, other
    assert read(group, made, folder.name, file) == (folder / file).read_bytes(), "it serves on"
