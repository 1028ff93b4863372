"""Vectorfleet for Python: a client for an index, and the `vectorfleet` command.

`Client` is for threads, `aio.Client` for asyncio; both offer the same calls over the same wire form.
"""

from . import aio as aio
from .backoff import Retries as Retries
from .client import Client as Client
from .errors import AuthenticationError as AuthenticationError
from .errors import BadRequestError as BadRequestError
from .errors import ConnectionFailedError as ConnectionFailedError
from .errors import InvalidInputError as InvalidInputError
from .errors import NotFoundError as NotFoundError
from .errors import PermissionDeniedError as PermissionDeniedError
from .errors import RateLimitError as RateLimitError
from .errors import ReplyError as ReplyError
from .errors import RequestTimeoutError as RequestTimeoutError
from .errors import ServerError as ServerError
from .errors import StatusError as StatusError
from .errors import TooLargeError as TooLargeError
from .errors import UnavailableError as UnavailableError
from .errors import VectorfleetError as VectorfleetError
from .queries import Fusion as Fusion
from .queries import GroupBy as GroupBy
from .queries import Rerank as Rerank
from .queries import SearchParams as SearchParams
from .results import BatchFailure as BatchFailure
from .results import BatchResult as BatchResult
from .results import FetchResult as FetchResult
from .results import Group as Group
from .results import ListPage as ListPage
from .results import Match as Match
from .results import Namespace as Namespace
from .results import QueryResult as QueryResult
from .results import Stats as Stats
from .results import UpsertResult as UpsertResult
from .rows import Row as Row
from .sparse import SparseValues as SparseValues
from .version import VERSION

__version__ = VERSION
