"""The data commands: arguments, output and exit status, over a transport in memory."""

import functools
import json
import sys

import httpx
import pytest
from typer import testing

import vectorfleet
from vectorfleet import cli, client
from vectorfleet.cli import output, session

STATS = {
    "namespaces": {"": {"vectorCount": 1234}},
    "dimension": 2,
    "metric": "cosine",
    "totalVectorCount": 1234,
}
MATCH = {"id": "a", "score": 0.1234567, "values": [0.1, 2, 3, 4, 5], "metadata": {"x": "[red]"}}


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs the command against answers by path; it keeps the requests."""
    requests = []

    def _run(*arguments, answers=None, **options):
        def answer(request):
            requests.append(request)
            reply = (answers or {}).get(request.url.path, httpx.Response(200, json=STATS))
            reply = reply(request) if callable(reply) else reply
            return httpx.Response(reply.status_code, content=reply.content)

        transport = httpx.MockTransport(answer)
        fake = functools.partial(vectorfleet.Client, transport=transport, retries=0)
        monkeypatch.setattr(session.client, "Client", fake)
        environment = {"VECTORFLEET_API_KEY": "key-1", "COLUMNS": "200", "TERM": "dumb"}
        return testing.CliRunner().invoke(cli.app, arguments, env=environment, **options)

    _run.requests = requests
    yield _run
    monkeypatch.undo()
    assert client.Client is vectorfleet.Client


def test_the_version_is_the_package_s(run):
    """`--version` says it and does nothing else."""
    assert run("--version").stdout == f"vectorfleet {vectorfleet.__version__}\n"


def test_stats_as_a_table_and_as_json(run):
    """People read numbers with separators, programs read JSON."""
    assert "1,234" in run("stats").stdout
    assert json.loads(run("stats", "-o", "json").stdout) == STATS


def test_no_key_is_a_usage_error(run):
    """Status 2, and what to do."""
    result = testing.CliRunner().invoke(cli.app, ["stats"], env={"VECTORFLEET_API_KEY": ""})
    assert result.exit_code == 2
    assert "VECTORFLEET_API_KEY" in result.stderr


def test_the_key_can_be_in_a_file(run, tmp_path):
    """White space around it is not part of it; a file that is given goes before the environment."""
    (tmp_path / "key").write_text("key-2\n")
    run("stats", "--api-key-file", str(tmp_path / "key"))
    assert run.requests[-1].headers["Api-Key"] == "key-2"
    assert run("stats", "--api-key-file", str(tmp_path / "none")).exit_code == 2


def test_no_help_shows_the_key(run):
    """Not even the one in the environment."""
    assert "key-1" not in run("stats", "--help").output


def test_a_refusal_is_one_line_and_status_1(run):
    """No traceback; the server's words."""
    answers = {"/describe_index_stats": httpx.Response(401, json={"message": "no such key"})}
    result = run("stats", answers=answers)
    assert result.exit_code == 1
    assert result.stderr == "vectorfleet: error: no such key (HTTP 401)\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("query",),
        ("query", "[1]", "--id", "a"),
        ("query", "[1,"),
        ("query", '["a"]'),
        ("query", "[1]", "--top-k", "0"),
        ("query", "[1]", "--vectors", "[1]"),
        ("query", "[1]", "--alpha", "0.5"),
        ("query", "[1]", "--text", "a", "--alpha", "2", "--fusion", "weighted"),
        ("query", "[1]", "--text", "a", "--fusion", "sum"),
        ("query", "[1]", "--filter", "{"),
        ("query", "[1]", "--filter", "[]"),
        ("query", "--input", "none.npy"),
        ("fetch",),
        ("delete",),
        ("delete", "a", "--all"),
        ("delete", "a", "--filter", "{}"),
        ("upsert",),
        ("upsert", "none.jsonl"),
        ("upsert", "-", "--batch-size", "1001"),
        ("upsert", "-", "--ids", "x"),
        ("stats", "--host", "localhost"),
        ("stats", "--output", "xml"),
        ("unknown",),
    ],
)
def test_a_wrong_call_is_status_2_and_sends_nothing(run, arguments):
    """What is wrong is said on standard error."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert run.requests == []


def test_a_query_says_what_was_asked(run):
    """Options become the request."""
    run("query", "[1, 2]", "-k", "3", "--filter", '{"x": 1}', "-n", "shop", "--include-values")
    assert json.loads(run.requests[-1].content) == {
        "topK": 3,
        "namespace": "shop",
        "includeValues": True,
        "includeMetadata": True,
        "vector": [1, 2],
        "filter": {"x": 1},
    }


def test_a_query_says_all_that_options_can(run):
    """Text, vector fields, weights, fusion and parameters; a text alone is enough."""
    run(
        "query", "[1]", "--text", "red", "--vectors", '{"t": [2]}', "--weights", '{"t": 3}',
        "--fusion", "weighted", "--alpha", "0.25", "--ef-search", "9", "--exact", "--explain",
    )  # fmt: skip
    asked = json.loads(run.requests[-1].content)
    assert (asked["vector"], asked["text"], asked["vectors"], asked["weights"]) == (
        [1],
        "red",
        {"t": [2]},
        {"t": 3},
    )
    assert asked["fusion"] == {"method": "weighted", "alpha": 0.25}
    assert (asked["params"], asked["explain"]) == ({"efSearch": 9, "exact": True}, True)
    run("query", "--text", "red")
    assert "vector" not in json.loads(run.requests[-1].content)


def test_a_query_may_have_sparse_values(run, tmp_path):
    """As an option beside the vector, or each row's own in a file; what is none sends nothing."""
    pairs = {"indices": [7], "values": [0.5]}
    run("query", "[1]", "--sparse", json.dumps(pairs))
    assert json.loads(run.requests[-1].content)["sparseVector"] == pairs
    (tmp_path / "q.jsonl").write_text(json.dumps({"values": [1], "sparse_values": pairs}))
    run("query", "--input", str(tmp_path / "q.jsonl"))
    assert json.loads(run.requests[-1].content)["sparseVector"] == pairs
    sent = len(run.requests)
    assert run("query", "[1]", "--sparse", '{"indices": [7]}').exit_code != 0
    assert len(run.requests) == sent


def test_sparse_values_are_shown_as_json(run):
    """Beside the values, as a line of a file has them."""
    match = MATCH | {"sparseValues": {"indices": [7], "values": [0.5]}}
    answers = {"/query": httpx.Response(200, json={"matches": [match]})}
    shown = json.loads(run("query", "[1]", "--include-values", "-o", "json", answers=answers).stdout)
    assert shown["matches"][0]["sparse_values"] == {"indices": [7], "values": [0.5]}


def test_what_a_query_did_is_shown_as_json(run):
    """The explanation of the whole, and of each match, as the API tells them; matrices as lists of lists."""
    match = MATCH | {"vectors": {"t": [[0.1, 2], [3, 4]]}, "explain": {"text": {"rank": 1, "score": 2}}}
    reply = {"matches": [match], "explain": {"fusion": {"k": 60}}}
    answers = {"/query": httpx.Response(200, json=reply)}
    shown = json.loads(run("query", "[1]", "--explain", "-o", "json", answers=answers).stdout)
    assert shown["explain"] == {"fusion": {"k": 60}}
    assert shown["matches"][0]["vectors"] == {"t": [[0.1, 2], [3, 4]]}
    assert shown["matches"][0]["explain"] == match["explain"]


def test_matches_as_a_table_and_as_json(run):
    """JSON gives every value as it was sent; the table shortens, and shows markup as it is."""
    answers = {"/query": httpx.Response(200, json={"matches": [MATCH], "namespace": "shop"})}
    table = run("query", "-", "--include-values", input="[1, 2]", answers=answers).stdout
    assert '0.123457   [0.1, 2, 3, 4, … 5 values]   {"x":"[red]"}' in table
    document = json.loads(run("query", "[1]", "-o", "json", answers=answers).stdout)
    assert document == {"matches": [MATCH], "namespace": "shop"}


def test_a_file_of_queries_gives_a_line_for_each(run, tmp_path):
    """With the id of the query; a bad line is named, and the others are asked."""
    (tmp_path / "q.jsonl").write_text('{"values":[1]}\n{"id":"q","values":[2]}\nno\n')
    answers = {"/query": httpx.Response(200, json={"matches": [MATCH]})}
    result = run("query", "--input", str(tmp_path / "q.jsonl"), "-o", "json", answers=answers)
    assert [json.loads(line)["query"] for line in result.stdout.splitlines()] == ["1", "q"]
    assert result.exit_code == 1
    assert "q.jsonl:3" in result.stderr


def test_fetch_names_what_is_missing(run):
    """What is there is shown, and the status is 1."""
    answers = {"/vectors/fetch": httpx.Response(200, json={"vectors": {"a": {"id": "a", "values": [0.1]}}})}
    result = run("fetch", "a", "b", "-o", "json", answers=answers)
    assert json.loads(result.stdout)["vectors"] == [{"id": "a", "values": [0.1]}]
    assert (result.exit_code, result.stderr) == (1, "vectorfleet: error: there is no row b\n")


def test_list_stops_at_its_limit(run):
    """No more ids, and no more pages, than were asked for."""
    page = {"vectors": [{"id": "a"}, {"id": "b\x1b[31m"}], "pagination": {"next": "t"}}
    result = run("list", "--limit", "3", answers={"/vectors/list": httpx.Response(200, json=page)})
    assert result.stdout == "a\nb\\x1b[31m\na\n"
    assert len(run.requests) == 2


def test_delete_all_asks_first(run):
    """No answer, or no, deletes nothing."""
    for answer in ("n\n", ""):
        result = run("delete", "--all", "-n", "shop", input=answer)
        assert result.exit_code == 1
        assert "every row of namespace 'shop'" in result.stderr
    assert run.requests == []
    assert run("delete", "--all", input="y\n").exit_code == 0
    assert run("delete", "--all", "--yes").exit_code == 0
    assert [json.loads(request.content)["deleteAll"] for request in run.requests] == [True, True]


def test_upsert_writes_what_is_good_and_names_the_rest(run, tmp_path):
    """Two rows in two batches, one of them refused, and one bad line: status 1, and all is counted."""

    def answer(request):
        if b'"b"' in request.content:
            return httpx.Response(400, json={"message": "no"})
        return httpx.Response(200, json={"upsertedCount": 1})

    (tmp_path / "r.jsonl").write_text('{"id":"a","values":[1]}\nno\n{"id":"b","values":[1]}\n')
    result = run(
        "upsert",
        str(tmp_path / "r.jsonl"),
        "--batch-size",
        "1",
        "-o",
        "json",
        answers={"/vectors/upsert": answer},
    )
    assert result.exit_code == 1
    assert "r.jsonl:2: " in result.stderr
    assert "row 'b' was not written: no (HTTP 400)" in result.stderr
    summary = json.loads(result.stdout)
    assert {name: summary[name] for name in ("total", "successful", "failed")} == {
        "total": 3,
        "successful": 1,
        "failed": 2,
    }


def test_an_upsert_gives_up_on_a_server_that_is_gone(run, tmp_path):
    """After 40 batches in a row that reached nobody the rest is not read, and that is said."""
    (tmp_path / "r.jsonl").write_text("".join(f'{{"id":"{row}","values":[1,2]}}\n' for row in range(500)))
    sent = []

    def answer(request):
        sent.append(request)
        if 10 < len(sent) != 30:
            raise httpx.ConnectError("Connection refused")
        return httpx.Response(200, json={"upsertedCount": 1})

    options = ("--batch-size", "1", "--concurrency", "1")
    result = run("upsert", str(tmp_path / "r.jsonl"), *options, answers={"/vectors/upsert": answer})
    assert result.exit_code == 1
    assert 70 <= len(sent) <= 72
    assert "gave up: 40 batches in a row did not reach the index; later rows were not read" in result.stderr


def test_a_wrong_key_stops_an_upsert_before_it_begins(run, tmp_path):
    """One complaint, not one for each batch."""
    (tmp_path / "r.jsonl").write_text('{"id":"a","values":[1]}\n')
    refusal = httpx.Response(401, json={"message": "no such key"})
    result = run("upsert", str(tmp_path / "r.jsonl"), answers={"/describe_index_stats": refusal})
    assert (result.exit_code, result.stderr) == (1, "vectorfleet: error: no such key (HTTP 401)\n")


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        ((), "", "VECTORFLEET_API_KEY"),
        (("--language", "klingon"), "k", "'klingon' is none of arabic, "),
        (("--vector-field", "title"), "k", "'title' is not NAME:DIMENSIONS"),
        (("--engine", "tree"), "k", "tree"),
        (("--field", "year:int"), "k", "'year:int' is not NAME:TYPE"),
        (("--metric", "manhattan"), "k", "manhattan"),
        (("--dimensions", "0"), "k", "--dimensions"),
        (("--dimensions", "20001"), "k", "--dimensions"),
        (("--profile", "fast"), "k", "fast"),
        (("--api-key-file", "/nowhere"), "k", "can't read /nowhere"),
    ],
)
def test_serve_called_wrongly_does_not_start(tmp_path, options, key, message):
    """No key, no start: status 2, what is wrong is said, and no folder is made."""
    arguments = ["serve", "--data-dir", str(tmp_path / "data"), "--dimensions", "3", *options]
    result = testing.CliRunner().invoke(
        cli.app, arguments, env={"VECTORFLEET_API_KEY": key, "COLUMNS": "200"}
    )
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "data").exists()


def test_serve_without_its_extra_says_which(tmp_path, monkeypatch):
    """The SDK alone lacks the servers; the command that brings them is named."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.delitem(sys.modules, "vectorfleet.cli.serving", raising=False)
    arguments = ["serve", "--data-dir", str(tmp_path), "--dimensions", "3", "--api-key", "k"]
    result = testing.CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1
    assert "pip install 'vectorfleet[all]'" in result.stderr


@pytest.mark.parametrize(
    ("text", "shown"), [("é 日", "é 日"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\u202e", "\\u202e")]
)
def test_no_row_steers_the_terminal(text, shown):
    """Control characters are shown as escapes, letters of any script as they are."""
    assert output.printable(text) == shown
