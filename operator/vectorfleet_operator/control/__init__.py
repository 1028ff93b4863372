"""The control plane's API: indexes made, listed, changed and deleted by Pinecone's calls. Off by default.

    wire.py       PURE: the bodies of requests, checked; what can't be had is refused by name
    mapping.py    PURE: from a request to a VectorIndex, and from a VectorIndex to Pinecone's description
    answers.py    PURE: the bodies of answers
    calls.py      PURE: every call there is, and who may; openapi.py: their description
    indexes.py    the calls, on the port `Catalog`
    app.py        HTTP: who may, what was asked, what is answered; audit.py: who did what
    listening.py  the socket, and HTTPS whose certificate may be replaced
    process.py    a process of its own on Kubernetes; settings.py: what it is told
    embedded.py   the same inside of the supervisor of `vectorfleet up`

It holds no data and decides nothing of how an index is run: it writes VectorIndexes, as `kubectl apply` does,
and the operator does the rest. Its rights end there.
"""
