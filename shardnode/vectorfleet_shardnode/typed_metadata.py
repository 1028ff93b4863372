"""Checks metadata against the types that its fields were declared with. Pure.

What is already stored is never checked: a schema may change later.
"""

from collections.abc import Mapping
from typing import Any

from . import errors
from .api import field_types


def check(metadata: Mapping[str, Any], types: field_types.Types, row_id: str) -> None:
    """Check the declared fields that some metadata has.

    Raises:
        BadRequestError: a value is not of its field's type; the message names id, field and type.
    """
    if wrong := field_types.misfit(metadata, types):
        raise errors.BadRequestError(f'metadata of id "{row_id}": {wrong}')
