"""A gateway and a shard that are tried by whoever should not get in."""

import contextlib
import http.client
import json
import pathlib

KEY, TOKEN = "integration-key", "integration-token"
READER, TENANT, METADATA = "reader-key", "tenant-key", "only-in-metadata"
ROW = {"id": "a", "values": [1, 2, 3, 4]}


class Target:
    """The gateway and the shard that are tried."""

    def __init__(self, fleet, temporary):
        self.fleet, self.temporary = fleet, temporary

    def ask(self, method, path, body=None, key=KEY, headers=None, port=None):
        """Return an answer's status and JSON; `path` goes out as it is, `body` as JSON or as bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.fleet.port, timeout=20)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host=False, skip_accept_encoding=True)
        sent = ({"Api-Key": key} if key else {}) | (headers or {})
        if content is not None:
            sent = {"Content-Length": str(len(content))} | sent
        for name, value in sent.items():
            connection.putheader(name, value)
        try:
            connection.endheaders()
            if content:
                with contextlib.suppress(ConnectionError):  # it may be refused while it is being sent
                    connection.send(content)
            answer = connection.getresponse()
            text = answer.read()
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(text)
            return answer.status, text
        finally:
            connection.close()

    def refused(self, path, body, said=""):
        """Assert that a body is refused by 400, in words, and that the row that was there is still alone."""
        status, told = self.ask("POST", path, body)
        assert status == 400, told
        assert said in told["message"]
        assert self.rows() == 1

    def rows(self):
        """Return how many rows the index has."""
        status, told = self.ask("POST", "/describe_index_stats", {})
        assert status == 200, told
        return told["totalVectorCount"]

    def memory(self):
        """Return the gateway's resident memory, MiB."""
        statm = pathlib.Path(f"/proc/{self.fleet.gateway.process.pid}/statm").read_text()
        return int(statm.split()[1]) // 256
