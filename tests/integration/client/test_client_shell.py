"""The data commands from a shell, against a real process."""

import json
import signal
import socket
import subprocess

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

ROW = '{"id":"%s","values":[%s,0,0,1],"metadata":{"n":%s}}\n'


def test_rows_go_in_and_come_out(shell, tmp_path):
    """upsert, stats, query, fetch, list and delete, each with status 0, and JSON that a program reads."""
    (tmp_path / "rows.jsonl").write_text("".join(ROW % (f"r{n:04}", n, n) for n in range(1200)))
    written = shell("upsert", "rows.jsonl", "-n", "all", "-o", "json")
    assert written.exit_code == 0, written.stderr
    assert written.stderr == ""
    summary = json.loads(written.stdout)
    assert (summary["total"], summary["successful"], summary["successRate"]) == (1200, 1200, 1.0)

    stats = json.loads(shell("stats", "-o", "json").stdout)
    assert stats["namespaces"]["all"]["vectorCount"] == 1200
    query = shell(
        "query", "[7, 0, 0, 1]", "-k", "2", "--filter", '{"n": {"$gte": 7}}', "-n", "all", "-o", "json"
    )
    assert [match["id"] for match in json.loads(query.stdout)["matches"]] == ["r0007", "r0008"]
    fetched = json.loads(shell("fetch", "r0003", "-n", "all", "-o", "json").stdout)
    assert fetched["vectors"] == [{"id": "r0003", "values": [3, 0, 0, 1], "metadata": {"n": 3}}]
    assert shell("list", "r1", "-n", "all").stdout.split() == [f"r{n}" for n in range(1000, 1200)]

    assert shell("delete", "r0003", "-n", "all").exit_code == 0
    assert shell("delete", "--filter", '{"n": {"$gte": 10}}', "-n", "all").exit_code == 0
    left = [json.loads(line)["id"] for line in shell("list", "-n", "all", "-o", "json").stdout.splitlines()]
    assert left == [f"r{n:04}" for n in range(10) if n != 3]
    assert shell("delete", "--all", "--yes", "-n", "all").exit_code == 0
    assert shell("list", "-n", "all").stdout == ""


@pytest.mark.parametrize("form", ["npy", "parquet", "stdin"])
def test_every_form_of_input_says_the_same(shell, tmp_path, form):
    """A matrix with ids beside it, Parquet, and JSON Lines on standard input."""
    matrix = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)
    names = [f"{form}-{number}" for number in range(5)]
    lines = [
        json.dumps({"id": name, "values": values.tolist()})
        for name, values in zip(names, matrix, strict=True)
    ]
    np.save(tmp_path / "m.npy", matrix)
    (tmp_path / "ids.txt").write_text("\n".join(names))
    parquet.write_table(pyarrow.table({"id": names, "values": list(matrix)}), tmp_path / "m.parquet")
    arguments = {"npy": ["m.npy", "--ids", "ids.txt"], "parquet": ["m.parquet"], "stdin": ["-"]}[form]

    result = shell("upsert", *arguments, "-n", form, stdin="\n".join(lines))
    assert result.exit_code == 0, result.stderr
    found = json.loads(shell("fetch", *names, "-n", form, "-o", "json").stdout)["vectors"]
    values = np.array([row["values"] for row in found], np.float32)
    assert [row["id"] for row in found] == names
    assert values.tobytes() == matrix.tobytes()


def test_what_is_wrong_is_named_and_the_rest_is_written(command, shell, tmp_path):
    """A bad line by its number, a refused row by its id and the server's words; the status is 1."""
    (tmp_path / "rows.jsonl").write_text(
        ROW % ("a", 1, 1) + "{\n" + '{"id":"short","values":[1,2]}\n' + ROW % ("b", 2, 2)
    )
    result = command("upsert", "rows.jsonl", "-n", "bad", "--batch-size", "1")
    assert result.returncode == 1
    assert "rows.jsonl:2: " in result.stderr
    assert "row 'short' was not written" in result.stderr
    assert "Traceback" not in result.stderr
    assert shell("list", "-n", "bad").stdout == "a\nb\n"


def test_failures_end_with_1_and_one_line(command):
    """A wrong key, and nobody there; the key is not shown."""
    stranger = command("stats", VECTORFLEET_API_KEY="another")
    nobody = command("stats", "--host", "http://127.0.0.1:9", "--timeout", "1")
    for result in (stranger, nobody):
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
    assert "HTTP 401" in stranger.stderr
    assert "another" not in stranger.stderr
    assert "can't be reached" in nobody.stderr


def test_ctrl_c_is_not_held_up_by_a_server_that_hangs(program, clean_environment):
    """Status 130 and one line, though a request is in flight."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [program, "stats", "--host", url, "--api-key", "k"],
            env=clean_environment,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background of a script is deaf to SIGINT, and its children with it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        with process, listener.accept()[0] as connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "vectorfleet: interrupted\n")
