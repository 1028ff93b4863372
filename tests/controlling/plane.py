"""A control plane with its keys, on a cluster that is data only, and an HTTP client of it."""

import contextlib

import httpx
from issuing import entries

from vectorfleet_operator.adapters import memory
from vectorfleet_operator.control import app, audit, indexes, listening
from vectorfleet_runtime import grants, keys

ADMIN, READER, TENANT = "key-of-admin", "key-of-reader", "key-of-tenant"
BODY = {
    "name": "films",
    "dimension": 3,
    "metric": "cosine",
    "spec": {"serverless": {"cloud": "a", "region": "b"}},
}


def granted(name, key, **entry):
    """Return what an entry with a key's digest grants."""
    return grants.parse(name, entries.entry(key, **entry))


class World:
    """A control plane, its cluster and an HTTP client."""

    def __init__(self, cluster, client):
        self.cluster, self.client = cluster, client

    async def ask(self, method, path, key=ADMIN, **more):
        """Return the answer to a request by a key."""
        headers = {} if key is None else {"Api-Key": key}
        return await self.client.request(method, path, headers=headers | more.pop("headers", {}), **more)


@contextlib.asynccontextmanager
async def served(cluster=None, most=3, template=None, tls_dir=None, verify=True, others=()):
    """Give a control plane of the namespace `search`; `others` are keys beside the usual ones."""
    cluster = cluster or memory.MemoryCluster()
    ring = keys.Ring(
        [
            grants.plain("boss", ADMIN),
            granted("reader", READER, role="read"),
            granted("tenant", TENANT, role="admin", namespaces=["shop"]),
            granted("gone", "key-of-gone", expires="2020-01-01T00:00:00Z"),
            *others,
        ]
    )
    terms = indexes.Terms("search", template or {}, most)
    made = indexes.Indexes(cluster, terms, lambda one: f"http://{one['metadata']['name']}.example")
    listener = await listening.listen(app.App(made, ring, audit.Level.CHANGES), "127.0.0.1", 0, tls_dir)
    try:
        async with httpx.AsyncClient(base_url=listener.url, verify=verify) as client:
            yield World(cluster, client)
    finally:
        await listener.close()
