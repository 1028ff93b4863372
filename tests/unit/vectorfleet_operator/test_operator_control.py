"""The control plane's API over HTTP, on a cluster that is data only: who may, and what comes of it."""

import asyncio
import base64
import json
import logging
import ssl
import subprocess
import zlib

import pytest
from controlling import plane

from vectorfleet.cli import control
from vectorfleet_operator import errors, ports
from vectorfleet_operator.adapters import memory
from vectorfleet_operator.control import calls, settings
from vectorfleet_operator.desired import names
from vectorfleet_runtime import grants


def path_of(route):
    """Return a path that a route matches."""
    return route.path.replace("{name}", "films")


@pytest.mark.parametrize("route", calls.CALLS, ids=lambda route: route.action)
async def test_who_may_do_what(route):
    """Without a valid key 401, and 403 for less than the route's role or for a key of namespaces."""
    async with plane.served() as world:
        for key in (None, "", "wrong", "key-of-gone"):
            answer = await world.ask(route.method, path_of(route), key)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        assert (await world.ask(route.method, path_of(route), plane.TENANT)).status_code == 403
        by_reader = (await world.ask(route.method, path_of(route), plane.READER)).status_code
        assert (by_reader == 403) is (route.role is grants.Role.ADMIN)
        assert (await world.ask(route.method, path_of(route))).status_code not in (401, 403)


async def test_routes_are_told_to_those_with_a_key_alone():
    """Whoever has none learns not even which paths exist; others are told which calls there are."""
    async with plane.served() as world:
        for path in ("/", "/collections", "/indexes/a/b", "/indexes/films"):
            assert (await world.ask("GET", path, None)).status_code == 401
        answer = await world.ask("GET", "/collections")
        assert answer.status_code == 404
        assert "PATCH /indexes/{name}" in answer.json()["error"]["message"]
        assert (await world.ask("PUT", "/indexes")).status_code == 405
        assert answer.headers["server"] == "vectorfleet"


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2fsecrets%2fx", "a%2fstatus", "a%00", "A", "-a", "a" * 60, "a?x=1", "%ff"]
)
async def test_what_is_no_name_reaches_no_cluster(name):
    """No path of the API server is made of it: it is looked up nowhere."""

    class Watched(memory.MemoryCluster):
        async def get(self, kind, namespace, name):
            assert name == "a", "only a name is asked for"
            return await super().get(kind, namespace, name)

    async with plane.served(Watched()) as world:
        for method in ("GET", "DELETE", "PATCH"):
            content = b"{}" if method == "PATCH" else None
            answer = await world.ask(method, f"/indexes/{name}", content=content)
            assert answer.status_code in (400, 404, 405), answer.text


async def test_an_index_is_made_of_the_template_and_the_request():
    """The request wins; where the template says nothing, rows go with their index, as Pinecone's do."""
    template = {"metric": "euclidean", "storage": {"size": "5Gi"}} | settings.keyed("our-keys")
    async with plane.served(template=template) as world:
        answer = await world.ask("POST", "/indexes", json=plane.BODY | {"tags": {"a": "b", "c": ""}})
        assert answer.status_code == 201
        assert answer.json() == {
            "name": "films", "dimension": 3, "metric": "cosine", "host": "http://films.example",
            "spec": plane.BODY["spec"], "status": {"ready": False, "state": "Initializing"},
            "vector_type": "dense", "deletion_protection": "disabled", "tags": {"a": "b"},
        }  # fmt: skip

        made = await world.cluster.get(ports.VECTOR_INDEX, "search", "films")
        assert made["spec"] == {
            "model": {"name": "unnamed", "dimensions": 3},
            "metric": "cosine",
            "storage": {"size": "5Gi", "deletionPolicy": "Delete"},
            "gateway": {"auth": {"secretRef": {"name": "our-keys"}}},
        }


async def test_no_more_indexes_than_there_may_be():
    """Those that a manifest made count too; a name that is taken is 409."""
    async with plane.served(most=2) as world:
        assert (await world.ask("POST", "/indexes", json=plane.BODY)).status_code == 201
        assert (await world.ask("POST", "/indexes", json=plane.BODY)).status_code == 409
        assert (await world.ask("POST", "/indexes", json=plane.BODY | {"name": "two"})).status_code == 201
        refused = await world.ask("POST", "/indexes", json=plane.BODY | {"name": "three"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_an_index_of_a_manifest_is_described_and_changed():
    """Whoever made it: its size is told as pods, its state by its conditions; replicas can be changed."""
    manifest = {
        "apiVersion": ports.VECTOR_INDEX.api_version,
        "kind": "VectorIndex",
        "metadata": {
            "name": "films",
            "namespace": "search",
            "annotations": {names.TAGS: "spoilt", "own": "1"},
        },
        "spec": {"model": {"name": "m", "dimensions": 3}, "shards": 2},
    }
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "serves"}
    async with plane.served() as world:
        world.cluster.put(manifest, {"conditions": [ready], "readyReplicas": 1})
        described = (await world.ask("GET", "/indexes/films", plane.READER)).json()
        assert described["status"] == {"ready": True, "state": "Ready"}
        assert described["spec"]["pod"] == {
            "environment": "kubernetes", "pod_type": "vectorfleet", "replicas": 1, "shards": 2, "pods": 2,
        }  # fmt: skip
        assert described["tags"] is None

        body = {"spec": {"pod": {"replicas": 3}}}
        scaled = (await world.ask("PATCH", "/indexes/films", json=body)).json()
        assert scaled["status"] == {"ready": True, "state": "ScalingUp"}
        kept = await world.cluster.get(ports.VECTOR_INDEX, "search", "films")
        assert (kept["spec"]["replicas"], kept["metadata"]["annotations"]["own"]) == (3, "1")


@pytest.mark.parametrize(
    ("conditions", "more", "state"),
    [
        ([("Stalled", "True")], {}, "InitializationFailed"),
        ([("Stalled", "True"), ("Ready", "True")], {}, "Ready"),
        ([("Ready", "False")], {"readyShards": 1}, "Initializing"),
    ],
)
async def test_states(conditions, more, state):
    """Only what a person has to mend, and never served, has failed."""
    async with plane.served() as world:
        await world.ask("POST", "/indexes", json=plane.BODY)
        [made] = await world.cluster.list(ports.VECTOR_INDEX, "search", {})
        told = [{"type": kind, "status": is_so, "reason": "R", "message": "m"} for kind, is_so in conditions]
        world.cluster.set_status(made, {"conditions": told} | more)
        assert (await world.ask("GET", "/indexes/films")).json()["status"]["state"] == state


async def test_a_change_of_others_is_kept():
    """What somebody wrote between the read and the write is not overwritten: it is read again."""

    class Busy(memory.MemoryCluster):
        writes = 0

        async def replace(self, manifest):
            if self.writes < 2:
                self.writes += 1
                other = {**manifest["spec"], "paused": True}
                await self.apply({**manifest, "spec": other})
            return await super().replace(manifest)

    async with plane.served(Busy()) as world:
        await world.ask("POST", "/indexes", json=plane.BODY)
        answer = await world.ask("PATCH", "/indexes/films", json={"tags": {"a": "b"}})
        assert answer.status_code == 200
        kept = await world.cluster.get(ports.VECTOR_INDEX, "search", "films")
        assert (kept["spec"]["paused"], json.loads(kept["metadata"]["annotations"][names.TAGS])) == (
            True,
            {"a": "b"},
        )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"spec": {"pod": {"pod_type": "p2"}}}, "spec.pod.pod_type"),
        ({"embed": {"model": "m"}}, "embed"),
        ({"spec": {"pod": {"replicas": "2"}}}, "spec.pod.replicas"),
        ({"spec": {"pod": {"replicas": 10}}}, "spec.pod.replicas"),
        ({"dimension": 4}, "dimension"),
        ({"tags": {str(n): "x" for n in range(21)}}, "tags"),
    ],
)
async def test_changes_that_can_not_be_are_refused_by_name(body, field):
    """With the field, and nothing is changed."""
    async with plane.served() as world:
        await world.ask("POST", "/indexes", json=plane.BODY)
        before = world.cluster.objects()
        answer = await world.ask("PATCH", "/indexes/films", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(field)
        assert world.cluster.objects() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"[" * 50_000, b'{"name": 1e999}', b"\xff", b'{"name": "' + b"x" * 70_000 + b'"}'],
)
async def test_bodies_that_are_none(content):
    """400, or 413 where it is too long; never a fault of ours."""
    async with plane.served() as world:
        for method, path in (("POST", "/indexes"), ("PATCH", "/indexes/films")):
            answer = await world.ask(method, path, content=content)
            assert answer.status_code in (400, 404, 413), answer.text


async def test_a_compressed_body_is_not_unpacked():
    """A kilobyte that would become a gigabyte is refused as it comes."""
    bomb = zlib.compress(b" " * 2**24)
    async with plane.served() as world:
        headers = {"Content-Encoding": "deflate"}
        answer = await world.ask("POST", "/indexes", content=bomb, headers=headers)
        assert (answer.status_code, "not compressed" in answer.text) == (415, True)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (errors.Transient("the API server is at 10.0.0.1"), 503),
        (errors.Rejected("spec.shards: no"), 400),
        (ValueError("deep inside"), 500),
    ],
)
async def test_what_goes_wrong_behind_it(failure, status, caplog):
    """Is told by its kind; what only we need to know stays in the log."""

    class Failing(memory.MemoryCluster):
        async def create(self, manifest):
            raise failure

    caplog.set_level(logging.CRITICAL, "vectorfleet_operator.control.app")
    async with plane.served(Failing()) as world:
        answer = await world.ask("POST", "/indexes", json=plane.BODY)
        assert answer.status_code == status
        assert (str(failure) in answer.text) is (status == 400)


async def test_the_audit_log(caplog, monkeypatch):
    """One line for each change and each refusal: who, what, which index; never a key, never tags."""
    monkeypatch.setattr(logging.getLogger("vectorfleet_operator.control.audit"), "handlers", [caplog.handler])
    async with plane.served() as world:
        await world.ask("POST", "/indexes", json=plane.BODY | {"tags": {"t": "secret-tag"}})
        await world.ask("GET", "/indexes")
        await world.ask("DELETE", "/indexes/films", plane.READER, headers={"x-request-id": "mine"})
        await world.ask("DELETE", "/indexes/films", "wrong")
        await world.ask("DELETE", "/indexes/films")

    said = [(one.principal, one.action, one.index, one.status) for one in caplog.records]
    assert said == [
        ("boss", "create_index", "films", 201),
        ("reader", "delete_index", "films", 403),
        ("", "none", "", 401),
        ("boss", "delete_index", "films", 202),
    ]
    assert caplog.records[1].request_id == "mine"
    assert not any(
        word in str(vars(one)) for one in caplog.records for word in (plane.ADMIN, plane.READER, "secret-tag")
    )


async def test_a_new_certificate_is_shown(tmp_path):
    """To the next connection, without a restart; a pair that does not fit changes nothing."""
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]

    def issue(name):
        files = ["-keyout", tmp_path / "tls.key", "-out", tmp_path / "tls.crt"]
        subprocess.run([*make, "-subj", f"/CN={name}", *files], check=True, capture_output=True)

    issue("first")
    async with plane.served(tls_dir=tmp_path, verify=False) as world:
        port = world.client.base_url.port
        assert (await world.ask("GET", "/indexes")).status_code == 200
        first = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        issue("second")
        await asyncio.sleep(1.1)
        second = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        assert first != second
        (tmp_path / "tls.key").write_text("no key")
        await asyncio.sleep(1.1)
        assert await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) == second


def test_a_secrets_entries_are_keys():
    """What `vectorfleet up --control-plane` keeps is one key of an admin."""
    [(name, value)] = control.build_secret()["data"].items()
    parsed = grants.parse(name, base64.b64decode(value))
    assert parsed.principal == grants.Principal("api-key")
