"""`vectorfleet serve` and the commands with an embedder: texts in, texts asked, remembered, ended."""

import json
import subprocess

import pytest
from services import reranker

import vectorfleet

START = ("--dimensions", "384", "--text-field", "about")
ROWS = {"apple": "A sweet red fruit", "bus": "A big car for many people", "slate": "A grey stone for roofs"}


@pytest.fixture
def options(embedder_url):
    """What names the embedder."""
    return ("--embedder", embedder_url, "--embedder-model", "m", "--embedder-option", "query.inputType=query")


def test_texts_through_the_commands(serve, options, program, clean_environment, tmp_path):
    """Lines of text go in, lines of text are asked; `--search` says how."""
    served = serve(*START, *options).until_ready()
    lines = "".join(json.dumps({"id": row_id, "text": text}) + "\n" for row_id, text in ROWS.items())

    def run(*arguments, stdin=None):
        done = subprocess.run(
            [program, *arguments, "-o", "json"],
            check=True,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment | {"VECTORFLEET_URL": served.url, "VECTORFLEET_API_KEY": "test-key"},
        )
        return json.loads(done.stdout)

    assert run("upsert", "-", stdin=lines)["successful"] == len(ROWS)
    best = run("query", "--text", "public transport", "--search", "vector", "-k", "1")["matches"]
    assert [(match["id"], match["metadata"]) for match in best] == [("bus", {"about": ROWS["bus"]})]
    assert [match["id"] for match in run("query", "--text", "grey", "--search", "text")["matches"]] == [
        "slate"
    ]
    asked = run("query", "--input", "-", "-k", "1", stdin='{"id": "q", "text": "something to eat"}\n')
    assert (asked["query"], asked["matches"][0]["id"]) == ("q", "apple")


async def test_texts_through_the_asyncio_client(serve, options):
    """The same calls as the client for threads."""
    served = serve(*START, *options).until_ready()
    async with vectorfleet.aio.Client(served.url, "test-key") as index:
        await index.upsert([vectorfleet.Row(row_id, text=text) for row_id, text in ROWS.items()])
        await index.update("bus", text="A small yellow bird that sings")
        found = await index.query(text="an animal with feathers", search="vector", top_k=1)
        assert found.matches[0].id == "bus"


def test_the_folder_remembers_the_embedder(serve, options):
    """Started again it has it; `none` ends that, and the texts' words are still found."""
    first = serve(*START, *options).until_ready()
    with first.client() as index:
        index.upsert([{"id": row_id, "text": text} for row_id, text in ROWS.items()])
    first.stop()
    second = serve().until_ready()
    with second.client() as index:
        assert index.query(text="public transport", search="vector").matches[0].id == "bus"
    second.stop()
    third = serve("--embedder", "none").until_ready()
    with third.client() as index:
        assert [match.id for match in index.query(text="grey").matches] == ["slate"]
        with pytest.raises(vectorfleet.BadRequestError, match="the index has no embedder"):
            index.query(text="grey", search="vector")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--embedder", "http://e/v1"), "is needed beside --embedder"),
        (("--embedder", "ftp://e", "--embedder-model", "m"), "begins with http:// or https://"),
        (("--embedder", "http://u:hidden@e", "--embedder-model", "m"), "takes no user, password"),
        (("--embedder", "http://e", "--embedder-model", "m", "--embedder-option", "x"), "is not NAME=VALUE"),
        (
            ("--embedder", "http://e", "--embedder-model", "m", "--embedder-option", "batchSize=1"),
            "batchSize: Input should be greater than or equal to 4",
        ),
        (("--embedder-model", "m"), "needs --embedder"),
    ],
)
def test_options_that_make_no_embedder(serve, more, said):
    """Status 2, and what is wrong, without what may be a secret."""
    served = serve(*START, *more)
    assert served.wait() == 2
    shown = " ".join(served.stderr().replace("│", " ").split())
    assert said in shown
    assert "hidden" not in shown


def test_matches_are_reranked(serve, program, clean_environment):
    """By the options of serve, the SDK, and the command."""
    with reranker.serving() as url:
        options = ("--reranker", url, "--reranker-model", reranker.MODEL, "--reranker-option", "retries=0")
        served = serve("--dimensions", "4", "--text-field", "about", *options).until_ready()
        with served.client() as index:
            rows = enumerate(ROWS.items())
            index.upsert([(row_id, [1, n, 0, 0], {"about": text}) for n, (row_id, text) in rows])
            wanted = vectorfleet.Rerank(query="public transport", candidates=3)
            assert index.query([1, 0, 0, 0], top_k=1, rerank=wanted).matches[0].id == "bus"
            assert index.query([1, 0, 0, 0], top_k=1).matches[0].id == "apple"
        command = [program, "query", "[1, 0, 0, 0]", "--text", "car", "--rerank", "-k", "1", "-o", "json"]
        found = subprocess.run(
            [*command, "--rerank-field", "about", "--rerank-candidates", "10"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment | {"VECTORFLEET_URL": served.url, "VECTORFLEET_API_KEY": "test-key"},
        )
        assert json.loads(found.stdout)["matches"][0]["id"] == "bus"


def test_answers_are_kept(serve):
    """`--cache-mib` says how much, and is remembered; 0 ends it."""
    for option, cached in (("--cache-mib=1", True), (None, True), ("--cache-mib=0", False)):
        served = serve("--dimensions", "2", *([option] if option else [])).until_ready()
        with served.client() as index:
            index.upsert([("a", [1, 0])])
            first, second = (index.query([1, 0], explain=True).explain for _ in range(2))
            assert first.get("cache") == ({"hit": False} if cached else None)
            assert ("cache" in second and second["cache"]["hit"]) is cached
        served.stop()
