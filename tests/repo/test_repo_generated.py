"""Generated files equal what their sources give, so that nobody edits one by hand."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
API = pathlib.Path("vectorfleet_shardnode/api")


def test_grpc_stubs_are_those_of_the_proto_file(tmp_path):
    """The committed stubs are what `make generate` writes."""
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *outputs, str(API / "shard.proto")]
    subprocess.run(command, cwd=ROOT / "shardnode", check=True)
    generated = sorted((tmp_path / API).iterdir())

    assert [path.name for path in generated] == ["shard_pb2.py", "shard_pb2.pyi", "shard_pb2_grpc.py"]
    assert [path.read_text() for path in generated] == [
        (ROOT / "shardnode" / API / path.name).read_text() for path in generated
    ]
