"""Gateways before a group of replicas, as processes."""

import json

from crashing import node


def start(make_fleet, replicas, order, *, seconds=8, **named):
    """Start a gateway.

    Args:
        make_fleet: makes it, see the fixture.
        replicas: the group.
        order: in which it asks the replicas while it is idle.
        seconds: that a request may take.
        named: more of the index's configuration, such as `cache`.
    """
    fleet = make_fleet(start=False, REQUEST_TIMEOUT_SECONDS=seconds)
    settled = json.loads(replicas.config.model_dump_json(by_alias=True))
    [shard] = settled["serving"]["shards"]
    shard["replicas"] = [shard["replicas"][number] for number in order]
    (fleet.folder / "index.json").write_text(json.dumps(settled | named))
    lines = [f"127.9.0.{10 + number} r{number}.group.test\n" for number in range(replicas.count)]
    (fleet.folder / "hosts").write_text("".join(lines))
    (fleet.folder / "token").write_text(node.TOKEN)
    return fleet.start(alone=True)
