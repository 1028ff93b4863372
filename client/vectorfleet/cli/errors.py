"""Why `vectorfleet serve` can't serve.

```
ServeError        what is asked for can't be served: port, data
└── FolderError   … because of its folder
```
"""


class ServeError(Exception):
    """It can't be served; the message says why in one line."""


class FolderError(ServeError):
    """The folder can't be used; the message says why, and what could be."""
