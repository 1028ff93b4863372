"""Generated files equal what their sources give, so that nobody edits one by hand."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
API = pathlib.Path("vectorfleet_shardnode/api")


def test_grpc_stubs_are_those_of_the_proto_files(tmp_path):
    """The committed stubs are what `make generate` writes."""
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    sources = [str(API / name) for name in ("shard.proto", "replication.proto")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *outputs, *sources]
    subprocess.run(command, cwd=ROOT / "shardnode", check=True)
    generated = sorted((tmp_path / API).iterdir())

    endings = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")
    assert [path.name for path in generated] == [
        name + end for name in ("replication", "shard") for end in endings
    ]
    assert [path.read_text() for path in generated] == [
        (ROOT / "shardnode" / API / path.name).read_text() for path in generated
    ]
