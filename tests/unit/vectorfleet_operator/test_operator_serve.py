"""The operator outlives the API server's absence: it neither ends nor waits long."""

import itertools

from vectorfleet_operator import errors, handlers, serve


class Away:
    """An API server that does not answer, then knows one kind after the other."""

    def __init__(self):
        self.answers = [errors.Transient("away"), False, True, errors.Transient("away"), True]

    async def serves(self, kind):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_start_waits_for_the_api_server(monkeypatch):
    """And for the definitions of our kinds."""
    monkeypatch.setattr(serve, "_LOOK_AGAIN_SECONDS", 0)
    cluster = Away()
    await serve._wait_for_definitions(cluster)

    assert cluster.answers == []


def test_watches_are_tried_without_an_end():
    """Every few seconds, however long the server was away, and anew for each request."""
    pauses = handlers.build_settings().networking.error_backoffs
    first, again = (list(itertools.islice(pauses, 1000)) for _ in range(2))

    assert first == again
    assert max(first) <= 5
