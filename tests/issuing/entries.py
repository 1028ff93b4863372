"""Files of keys, as a Secret or a folder holds them."""

import json

from vectorfleet_runtime import grants


def entry(key, **granted):
    """Return a file that grants this to whoever holds a key, and does not hold the key itself."""
    return json.dumps({"sha256": grants.digest_of(key).hex()} | granted).encode()
