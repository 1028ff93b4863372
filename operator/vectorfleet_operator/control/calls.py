"""Every call of the control plane there is: method, path, who may, what goes in and what comes out. PURE.

Reading needs a key of role read: a client looks up an index's host by its name.
"""

import dataclasses

from pydantic import BaseModel

from vectorfleet_runtime import grants

from . import answers, wire


@dataclasses.dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        method: of HTTP.
        path: `{name}` stands for an index's name.
        action: its name, in the audit log too.
        role: the least that a key must allow.
        summary: for people.
        status: of the answer where all goes well.
        body: what the request carries; None for nothing.
        answer: what the answer carries; None for nothing, or for what is no object of ours.
        offered: whether it is ever carried out.
    """

    method: str
    path: str
    action: str
    role: grants.Role
    summary: str
    status: int = 200
    body: type[wire.Create] | type[wire.Configure] | None = None
    answer: type[BaseModel] | None = None
    offered: bool = True

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.role is grants.Role.ADMIN


_READ, _ADMIN = grants.Role.READ, grants.Role.ADMIN
_ONE = "/indexes/{name}"
CALLS = (
    Call("GET", "/indexes", "list_indexes", _READ, "List the indexes", answer=answers.Indexes),
    Call("POST", "/indexes", "create_index", _ADMIN, "Make an index", 201, wire.Create, answers.Index),
    Call("POST", "/indexes/create-for-model", "create_for_model", _ADMIN, "Make an index", offered=False),
    Call("GET", _ONE, "describe_index", _READ, "Describe an index", answer=answers.Index),
    Call("PATCH", _ONE, "configure_index", _ADMIN, "Change an index", 200, wire.Configure, answers.Index),
    Call("DELETE", _ONE, "delete_index", _ADMIN, "Delete an index, and its rows", 202),
    Call("GET", "/openapi.json", "openapi", _READ, "Describe these calls"),
)
