"""The description of the API: made of what the gateway decodes by, and true of what it answers."""

import html.parser
import re

import grpc
import msgspec
import pytest

from vectorfleet_gateway import answers, consistency, errors, openapi, operations, page, policy, schemas
from vectorfleet_gateway.routes import table
from vectorfleet_shardnode.api import config

GENERATION = config.Generation(
    dimensions=3,
    vectors=[
        {"name": "title", "dimensions": 2},
        {"name": "tokens", "dimensions": 2, "lateInteraction": True},
    ],
)
DOCUMENT = openapi.describe(operations.OPERATIONS, GENERATION, "1.2.3")


def resolve(reference):
    """Return what a reference of the document points at."""
    found = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def references(node):
    """Yield every reference of a part of the document."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_route_is_described_and_every_description_has_a_route():
    """Method by method."""
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    routes = {(route.method, route.path) for route in table.ROUTES}
    assert described == routes
    ids = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]
    assert sorted(ids) == sorted(set(ids))


def test_every_reference_leads_somewhere():
    """And every schema is used by something."""
    used = set(references(DOCUMENT))
    assert all(resolve(one) for one in used)
    assert {one.rsplit("/", 1)[-1] for one in used} == set(DOCUMENT["components"]["schemas"])


def test_bodies_are_those_that_are_decoded():
    """Each field of a body's struct is in its schema, and no other."""
    for operation in operations.OPERATIONS:
        if operation.body is None:
            continue
        told = DOCUMENT["paths"][operation.path]["post"]["requestBody"]["content"]
        kind = openapi.LINES if operation.lines else openapi.JSON
        schema = resolve(told[kind]["schema"]["$ref"])
        assert tuple(schema["properties"]) == schemas.names_of(operation.body)
        # What a record has beside its id is its text and metadata.
        assert schema.get("additionalProperties", True) is operation.lines


def test_the_index_s_own_shape_is_told():
    """How long vectors are, and which vector fields there are."""
    schemas_ = DOCUMENT["components"]["schemas"]
    values = schemas_["Vector"]["properties"]["values"]["anyOf"][0]
    assert (values["minItems"], values["maxItems"]) == (3, 3)
    fields = schemas_["Query"]["properties"]["vectors"]["anyOf"][0]
    assert set(fields["properties"]) == {"title", "tokens"}
    assert fields["additionalProperties"] is False
    tokens = fields["properties"]["tokens"]["anyOf"][0]
    assert (tokens["items"]["minItems"], tokens["maxItems"]) == (2, 512)


async def test_answers_are_as_described(make_gateway, refused):
    """Each kind of reply has all fields of its kind of answer that must be there, and no other."""
    gateway = make_gateway(
        dimensions=2,
        schema={"text": ["t"]},
        vectors=[
            {"name": "title", "dimensions": 2},
            {"name": "tokens", "dimensions": 2, "lateInteraction": True},
        ],
    )
    vectors = {"title": [1.0, 0.0], "tokens": [[1.0, 0.0], [0.0, 1.0]]}
    rows = [{"id": f"r{number}", "values": [1, number], "vectors": vectors} for number in range(5)]
    rows += [{"id": "plain", "values": [1, 1], "metadata": {"t": "word"}}]
    asked = {"topK": 3, "vector": [1, 0], "text": "word", "explain": True, "includeValues": True}
    tried = [
        (answers.Upserted, "POST", "/vectors/upsert", {"vectors": rows}, ""),
        (answers.Nothing, "POST", "/vectors/update", {"id": "r0", "setMetadata": {"t": "x"}}, ""),
        (answers.Fetched, "GET", "/vectors/fetch", None, "ids=r0&ids=plain&ids=none"),
        (answers.Listed, "GET", "/vectors/list", None, "limit=2"),
        (answers.Listed, "GET", "/vectors/list", None, ""),
        (answers.Matches, "POST", "/query", {"topK": 3, "vector": [1, 0]}, ""),
        (answers.Matches, "POST", "/query", asked | {"includeMetadata": True}, ""),
        (answers.Statistics, "POST", "/describe_index_stats", {}, ""),
        (answers.Namespaces, "GET", "/namespaces", None, "limit=1"),
        (answers.Namespace, "GET", "/namespaces/__default__", None, ""),
        (answers.Problem, "GET", "/namespaces/none", None, ""),
        (answers.Problem, "GET", "/none", None, ""),
        (answers.Nothing, "POST", "/vectors/delete", {"ids": ["r0"]}, ""),
    ]
    for kind, method, path, body, query in tried:
        answer = await gateway.ask(method, path, body, query)
        strictly(kind, answer.json)
    gateway.shards[0].failure = refused(grpc.StatusCode.UNAVAILABLE, "gone")
    part = await gateway.ask("POST", "/query", {"topK": 3, "vector": [1, 0], "allowPartial": True})
    assert part.json["partial"]
    strictly(answers.Matches, part.json)
    assert (await gateway.ask("DELETE", "/namespaces/__default__")).status == 503
    gateway.shards[0].failure = None
    strictly(answers.Nothing, (await gateway.ask("DELETE", "/namespaces/__default__")).json)


def strictly(kind, told):
    """Check an answer against its kind: it decodes, and has no field that the kind has not."""
    decoded = msgspec.convert(told, kind)
    known = msgspec.to_builtins(decoded)
    assert missing(told, known) == [], kind


def missing(told, known, where=""):
    """Return the paths of fields that were told and are not known."""
    if isinstance(told, dict) and isinstance(known, dict):
        return [
            path
            for name, inner in told.items()
            for path in (
                missing(inner, known[name], f"{where}.{name}") if name in known else [f"{where}.{name}"]
            )
        ]
    if isinstance(told, list) and isinstance(known, list):
        return [
            path
            for number, (one, other) in enumerate(zip(told, known, strict=True))
            for path in missing(one, other, f"{where}[{number}]")
        ]
    return []


async def test_the_routes_need_a_key(gateway):
    """As every route does, unless they are opened."""
    for path in ("/openapi.json", "/docs"):
        assert (await gateway.ask("GET", path, headers={"api-key": None})).status == 401
        assert (await gateway.ask("GET", path)).status == 200


async def test_opened_routes_open_nothing_else(make_gateway):
    """The description is for whoever asks, a wrong key included; the rest is as it was."""
    gateway = make_gateway(open_docs=True)
    for key in (None, "wrong"):
        for path in ("/openapi.json", "/docs"):
            assert (await gateway.ask("GET", path, headers={"api-key": key})).status == 200
        for method, path in (
            ("GET", "/vectors/list"),
            ("GET", "/docs/"),
            ("POST", "/docs"),
            ("GET", "/none"),
            ("GET", "/namespaces/docs"),
            ("POST", "/query"),
        ):
            assert (await gateway.ask(method, path, headers={"api-key": key})).status == 401, path


async def test_unknown_query_fields_are_refused(gateway):
    """Here as elsewhere."""
    assert (await gateway.ask("GET", "/docs", query="theme=dark")).status == 400


class Page(html.parser.HTMLParser):
    """Collects what a page links to, and the tags that it leaves open."""

    VOID = frozenset({"meta", "br", "input", "img", "link", "th"})

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.tags, self.open = set(), [], set(), []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.ids.add(attributes.get("id"))
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


async def test_the_page_stands_alone(gateway):
    """No script, nothing from elsewhere, every link leads somewhere, and the policy says so too."""
    answer = await gateway.ask("GET", "/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    found = Page()
    found.feed(answer.body.decode())
    assert found.open == []
    assert found.tags.isdisjoint({"script", "img", "link", "iframe"})
    assert "url(" not in answer.body.decode()
    anchors = [link.removeprefix("#") for link in found.links if link.startswith("#")]
    assert set(found.links) - {f"#{one}" for one in anchors} == {"openapi.json"}
    assert set(anchors) <= found.ids
    assert len(anchors) > 20


def test_the_page_says_what_the_document_says():
    """Every operation with its summary, every field of every schema."""
    text = html.unescape(re.sub("<[^>]*>", "", page.render(DOCUMENT)))
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert operation["summary"] in text
    for schema in DOCUMENT["components"]["schemas"].values():
        assert all(field in text for field in schema.get("properties", ()))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x>', "a&b"])
def test_what_the_index_names_is_escaped(name):
    """A page can't be steered by a description."""
    rendered = page.render(DOCUMENT | {"info": {"title": name, "version": name, "description": name}})
    assert name not in rendered
    assert html.escape(name) in rendered


def test_header_fields_are_described():
    """What a request may say of what it must see, where a write stands, and when to come again."""
    asked = {consistency.CONSISTENCY_HEADER, consistency.AT_LEAST_HEADER, consistency.WRITE_ID_HEADER}
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            fields = {one["name"]: one for one in operation["parameters"] if one["in"] == "header"}
            assert asked <= fields.keys()
            assert all(one["description"] and not one.get("required") for one in fields.values())
            for status, answer in operation["responses"].items():
                told = answer.get("headers", {}).keys()
                assert ("retry-after" in told) is (status in {"429", "503"})
                writes = status < "300" and operation["operationId"] in WRITES
                assert (consistency.POSITION_HEADER in told) is writes
                reads = status < "300" and operation["operationId"] in READS
                assert (consistency.STALE_HEADER in told) is reads


READS = {one.name for one in operations.OPERATIONS if not one.writes and not one.describes}
WRITES = {one.name for one in operations.OPERATIONS if one.writes}


def test_what_writes_tells_where_it_stands_whoever_may_ask_it():
    """An operation for admins alone writes too; its route and its description go by the same rule."""
    drop = operations.Operation("drop", "POST", "/drop", policy.Role.ADMIN, "Drop all", answers.Nothing)
    told = openapi.describe([*operations.OPERATIONS, drop], GENERATION, "")["paths"]["/drop"]["post"]
    assert consistency.POSITION_HEADER in told["responses"]["200"]["headers"]
    assert table.Route(drop, None).writes


@pytest.mark.parametrize(
    ("header", "right", "wrong"),
    [
        (consistency.CONSISTENCY_HEADER, "strong", "weak"),
        (consistency.AT_LEAST_HEADER, "0:1:17,1:1:3", "0:1"),
        (consistency.WRITE_ID_HEADER, "0123456789abcdef" * 2, "0123"),
    ],
)
def test_header_fields_are_described_as_they_are_read(header, right, wrong):
    """What fits is taken, what does not is refused."""
    (schema,) = {
        msgspec.json.encode(one["schema"])
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for one in operation["parameters"]
        if one["name"] == header
    }
    told = msgspec.json.decode(schema)
    names = (consistency.CONSISTENCY_HEADER, consistency.AT_LEAST_HEADER, consistency.WRITE_ID_HEADER)
    for value, fits in ((right, True), (wrong, False)):
        described = value in told["enum"] if "enum" in told else bool(re.search(told["pattern"], value))
        assert described is fits
        given = [value if name == header else None for name in names]
        if fits:
            assert consistency.parse(*given) is not None
        else:
            with pytest.raises(errors.InvalidArgumentError):
                consistency.parse(*given)


def test_what_the_server_refuses_has_a_body_too():
    """A URL that is too long is answered as everything else that is wrong."""
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert operation["responses"]["414"]["content"] == operation["responses"]["400"]["content"]
