"""The folder of `vectorfleet serve`: one process at a time, and never another index's data."""

import pytest

from vectorfleet.cli import errors, folder


def wanted(path, dimensions=None, metric=None, profile=None):
    """Return what a command line asks for."""
    return folder.Wanted(path, dimensions, metric, profile)


def test_a_new_folder_needs_its_dimensions(tmp_path):
    """Nothing is written for an index that can't be."""
    with pytest.raises(errors.FolderError, match="say its --dimensions"):
        folder.settle(wanted(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_remembers_dimensions_and_metric(tmp_path):
    """They are needed once; cosine is what a new index has unless told."""
    assert folder.settle(wanted(tmp_path / ".", 3)).serving.metric == "cosine"
    again = folder.settle(wanted(tmp_path)).serving
    assert (again.dimensions, again.metric) == (3, "cosine")


@pytest.mark.parametrize(("dimensions", "metric"), [(4, None), (None, "cosine"), (4, "cosine")])
def test_another_index_is_refused_with_both_named(tmp_path, dimensions, metric):
    """The message says what is there and what was asked, and the folder stays as it is."""
    folder.settle(wanted(tmp_path, 3, "euclidean"))
    before = (tmp_path / "index.json").read_bytes()
    message = (
        "3 dimensions and metric euclidean, "
        f"not of {dimensions or 3} dimensions and metric {metric or 'euclidean'}"
    )
    with pytest.raises(errors.FolderError, match=message):
        folder.settle(wanted(tmp_path, dimensions, metric))
    assert (tmp_path / "index.json").read_bytes() == before


def test_another_profile_is_welcome(tmp_path):
    """It changes how the index is built from now on, not what its vectors mean."""
    first = folder.settle(wanted(tmp_path, 3, profile="latency"))
    second = folder.settle(wanted(tmp_path, profile="recall"))
    assert first.serving.hnsw.m < second.serving.hnsw.m
    assert folder.settle(wanted(tmp_path)) == second


def test_a_damaged_configuration_is_not_replaced(tmp_path):
    """Guessing could serve old vectors under a new meaning."""
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(errors.FolderError, match="is not the configuration of an index"):
        folder.settle(wanted(tmp_path, 3))


def test_a_folder_has_one_process(tmp_path):
    """A second one is refused, until the first lets go."""
    with (
        folder.claim(tmp_path / "new" / "folder"),
        pytest.raises(errors.FolderError, match="another process serves"),
        folder.claim(tmp_path / "new" / "folder"),
    ):
        pass
    with folder.claim(tmp_path / "new" / "folder"):
        pass


def test_a_folder_that_can_t_be_made_is_told(tmp_path):
    """A file in its place, for example."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.FolderError, match="can't use"), folder.claim(tmp_path / "file"):
        pass
