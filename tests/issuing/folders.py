"""An authority, and folders with certificates of it, as Kubernetes mounts Secrets."""

import datetime
import secrets

from vectorfleet_operator import pki
from vectorfleet_runtime import parties

DAY = datetime.timedelta(days=1)


class Folders:
    """Folders as a Secret is mounted, and the authority behind them."""

    def __init__(self, root):
        self.root = root
        self.now = datetime.datetime.now(datetime.UTC)
        self.trusted = self.create()

    def create(self):
        """Return another authority."""
        return pki.create(secrets.token_hex(), "test", pki.Span(self.now - 2 * DAY, self.now + 10 * DAY))

    def party(self, role, index="products", namespace="shop"):
        """Return who a role is."""
        return parties.Party(parties.Role(role), index, namespace)

    def write(self, name, party, by=None, days=1, trust=None):
        """Write the files of a party into a folder; return it."""
        return self.write_for(name, party.name, by, days, trust)

    def write_for(self, name, host, by=None, days=1, trust=None):
        """Write the files of a host into a folder; return it."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        issuer = by or self.trusted
        span = pki.Span(self.now - 2 * DAY, self.now + days * DAY)
        made = pki.issue(secrets.token_hex(), issuer, host, span)
        (folder / "tls.crt").write_text(made.certificate)
        (folder / "tls.key").write_text(made.key)
        (folder / "ca.crt").write_text(trust or issuer.certificate)
        return folder
