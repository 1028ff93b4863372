"""What parsers are given: rubbish, any JSON, changed bytes; and how they are asked."""

import json

import hypothesis
from hypothesis import strategies as st

fuzz = hypothesis.settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
texts = st.text(max_size=6) | st.sampled_from(["\0", "ö" * 400, "$and", "$eq"])
numbers = st.integers(-(2**70), 2**70) | st.floats()
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
documents = json_values.map(lambda value: json.dumps(value).encode())
rubbish = st.binary(max_size=200) | documents
DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b'{"manifest":' + b"[" * 900 + b"]" * 900 + b',"sha256":""}']


@st.composite
def changed(draw, content):
    """Draw a change of some bytes: flipped, cut, put in, or said twice."""
    whole = draw(content)
    at, end = sorted((draw(st.integers(0, len(whole))), draw(st.integers(0, len(whole)))))
    match draw(st.sampled_from(["flip", "cut", "insert", "repeat", "end"])):
        case "flip" if at < len(whole):
            return whole[:at] + bytes([whole[at] ^ 1 << draw(st.integers(0, 7))]) + whole[at + 1 :]
        case "cut":
            return whole[:at] + whole[end:]
        case "insert":
            return whole[:at] + draw(st.binary(max_size=50)) + whole[at:]
        case "repeat":
            return whole[:end] + whole[at:end] + whole[end:]
    return whole[:at]


def ask(error, function, *arguments):
    """Call; returns the answer, or None and what was refused with this error."""
    try:
        return function(*arguments), ""
    except error as refusal:
        said = str(refusal)
    assert said.encode(), "a refusal can be sent as UTF-8"
    return None, said
