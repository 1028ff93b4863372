"""An authority, and folders with certificates of it, as Kubernetes mounts Secrets."""

import datetime

from vectorfleet_operator.adapters import authority
from vectorfleet_runtime import parties

DAY = datetime.timedelta(days=1)


class Folders:
    """Folders as a Secret is mounted, and the authority behind them."""

    def __init__(self, root):
        self.root = root
        self.now = datetime.datetime.now(datetime.UTC)
        self.authority = authority.Authority()
        self.trusted = self.create()

    def create(self):
        """Return another authority."""
        return self.authority.create("test", self.now - 2 * DAY, self.now + 10 * DAY)

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
        made = self.authority.issue(issuer, host, self.now - 2 * DAY, self.now + days * DAY)
        (folder / "tls.crt").write_text(made.certificate)
        (folder / "tls.key").write_text(made.key)
        (folder / "ca.crt").write_text(trust or issuer.certificate)
        return folder
