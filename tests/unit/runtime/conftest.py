"""Certificates in folders."""

import pytest
from issuing import folders as folders_


@pytest.fixture
def folders(tmp_path):
    """Folders of one authority."""
    return folders_.Folders(tmp_path)
