"""From where a shard's replicas listen to a client of the shard."""

from pathlib import Path

from vectorfleet_runtime import credentials
from vectorfleet_shardnode.api import config

from . import ShardClient, remote, replicas


def dial(shard: config.ShardAddress, own: credentials.Credentials, hosts_file: Path | None) -> ShardClient:
    """Return a client of a shard; where there is one replica, it is waited for when it is away."""
    several = len(shard.replicas) > 1
    ways = [
        (address, remote.RemoteShard(remote.Dial(shard.number, address, own, hosts_file, waits=not several)))
        for address in shard.replicas
    ]
    return replicas.ReplicatedShard(shard.number, ways) if several else ways[0][1]
