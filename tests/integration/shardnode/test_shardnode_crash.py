"""kill -9, over and over, under mixed writes: what was answered is there, and what was deleted is not."""

import pytest
from crashing import cold, history, node, rounds, warm

ROUNDS = 50  # of each
TUNINGS = {
    "busy": {},
    "few graphs": {"index_min_rows": 400, "unindexed_bytes": 40_000},
    "long logs": {"growing_rows": 5_000, "log_file_bytes": 400_000},
    "kept logs": {"log_retained_bytes": 200_000},
    "tiny": {"growing_rows": 15, "log_file_bytes": 9_000, "index_min_rows": 20, "unindexed_bytes": 1_000},
}


@pytest.mark.parametrize("tuned", TUNINGS)
def test_r01_answered_writes_survive_kill_9(tmp_path, tuned):
    """250 rounds in all, killed under writes, at rest and while starting: every row bit for bit."""
    server = warm.Server()
    life = rounds.Rounds(server, tmp_path, f"r01 {tuned}", **node.BUSY | TUNINGS[tuned])
    try:
        life.run(ROUNDS)
        if tuned == "busy":
            life.run_until_all_is_found(most=ROUNDS)
    finally:
        server.close()
    tally = life.tally
    assert {"upsert", "update values", "merge metadata", "delete ids"} <= set(tally.answered), tally
    assert {"starting", "writing", "resting"} <= set(tally.ends), tally
    assert sum(tally.answered.values()) > ROUNDS, tally


def test_the_program_itself_survives_kill_9(tmp_path):
    """The same with processes that were started by the program's name, and builders with theirs."""
    server = cold.Server()
    life = rounds.Rounds(server, tmp_path, "cold", **node.BUSY)
    try:
        life.run(5)
    finally:
        server.close()
    assert sum(life.tally.answered.values()) > 30


@pytest.mark.parametrize("what", ["lost", "undead", "changed", "another's"])
def test_the_check_notices(tmp_path, what):
    """One row that is wrong among all is found, and told apart."""
    server = warm.Server()
    held = node.Node(server, tmp_path, **node.BUSY)
    try:
        stub = held.serve()
        clients = history.start(stub, [{}] * 3, what)
        for client in clients:
            client.stopping.set()
            client.join()
        client = clients[1]
        while len(client.rows) < 3:
            client.step()
        history.check(stub, clients)
        spoil(what, client, clients)
        with pytest.raises(AssertionError, match="counts that pass" if what == "another's" else what):
            history.check(stub, clients)
    finally:
        server.close()


def spoil(what, client, clients):
    """Change what is expected, which is as good as changing what is stored."""
    key, row = next(iter(client.rows.items()))
    if what == "lost":
        client.rows = client.rows | {("", "w1-nothing"): row}
    elif what == "undead":
        client.rows = {other: held for other, held in client.rows.items() if other != key}
    elif what == "changed":
        client.rows = client.rows | {key: (row[0][:-1] + bytes([row[0][-1] ^ 1]), *row[1:])}
    else:
        clients.remove(client)
    client.doubt = client.rows
