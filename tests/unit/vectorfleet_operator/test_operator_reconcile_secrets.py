"""One pass after another over the memory cluster: keys and certificates, drawn, renewed and left alone."""

import base64
import json

from vectorfleet_operator import certificates, ports
from vectorfleet_runtime import parties


def decode(secret, entry):
    """Return a Secret's entry as text."""
    return base64.b64decode(secret["data"][entry]).decode()


SECRETS = ("products-api-key", "products-ca", *(f"products-{role}-tls" for role in parties.Role))


async def secrets_of(world):
    """Return what every Secret of the index holds."""
    return {name: (await world.get(ports.SECRET, name))["data"] for name in SECRETS}


async def test_secrets_are_drawn_once(world):
    """Key and certificates are made on the first pass and do not change, whatever else does."""
    await world.submit()
    await world.settle()
    before = await secrets_of(world)

    await world.submit(resources={"requests": {"cpu": "2"}})
    await world.settle()

    assert await secrets_of(world) == before
    assert world.entropy.draws == len(SECRETS)


async def test_certificates_are_renewed_without_a_restart(world):
    """When two thirds of their time are over, pods find new ones in their Secrets, and stay."""
    await world.submit()
    await world.settle()
    before = await secrets_of(world)
    templates = [await world.get(ports.STATEFUL_SET, f"products-g1-s{n}") for n in range(2)]
    world.clock.moment += certificates.LIFE * 2 / 3

    await world.settle()

    after = await secrets_of(world)
    assert {name for name in SECRETS if after[name] != before[name]} == set(SECRETS[2:])
    fresh = [await world.get(ports.STATEFUL_SET, f"products-g1-s{n}") for n in range(2)]
    assert [one["spec"] for one in fresh] == [one["spec"] for one in templates]


async def test_the_operator_shows_its_certificate(world):
    """Shards are asked with the operator's own, and whom it trusts, and nothing else."""
    await world.submit()
    await world.settle()
    stored = (await world.get(ports.SECRET, "products-operator-tls"))["data"]
    shown = {
        json.dumps(
            {name: base64.b64decode(stored[name]).decode() for name in ("tls.crt", "tls.key", "ca.crt")}
        )
    }
    assert {token for _, token in world.shards.asked} == shown


async def test_a_lost_certificate_or_authority_comes_back(world):
    """Whatever Secret was deleted, and all at once."""
    await world.submit()
    await world.settle()
    for lost in (*((name,) for name in SECRETS[1:]), SECRETS[1:]):
        for name in lost:
            await world.cluster.delete(await world.get(ports.SECRET, name))
        await world.settle()
        assert all((await secrets_of(world)).values())


async def test_a_deleted_key_is_drawn_anew(world):
    """A Secret that somebody deleted comes back, with another key."""
    await world.submit()
    await world.settle()
    await world.cluster.delete(await world.get(ports.SECRET, "products-api-key"))

    await world.settle()

    assert decode(await world.get(ports.SECRET, "products-api-key"), "api-key") == "secret-6"


async def test_keys_that_the_user_put_in_stay(world):
    """A key that is being rotated in stays beside ours; once ours is taken out, it stays out."""
    await world.submit()
    await world.settle()
    secret = await world.get(ports.SECRET, "products-api-key")
    await world.cluster.apply(secret | {"data": {"mine": base64.b64encode(b"mine").decode()}})

    await world.settle()

    assert set((await world.get(ports.SECRET, "products-api-key"))["data"]) == {"mine"}


async def test_a_secret_made_beforehand_is_used_as_it_is(world):
    """A Secret of the key's name that does not belong to the index is neither changed nor refused."""
    given = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "products-api-key", "namespace": "shop"},
        "data": {"mine": base64.b64encode(b"mine").decode()},
    }
    stored = await world.cluster.apply(given)
    await world.submit()

    await world.settle()

    assert await world.get(ports.SECRET, "products-api-key") == stored
    assert (await world.conditions())["Ready"]["status"] == "True"
