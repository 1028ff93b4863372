"""Where the vectors come from: Debian's fashion-mnist, or digits that scikit-learn ships.

Fashion-MNIST: 60,000 images of clothes to store and 10,000 to ask for, 28 x 28 grey values each; the set
fashion-mnist-784 of ANN-benchmarks. It is looked for where its Debian package puts it, then in a cache, and
else fetched with apt into that cache, which needs no root.
"""

import dataclasses
import gzip
import os
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np
from numpy.typing import NDArray

PACKAGE = "dataset-fashion-mnist"
INSTALLED = pathlib.Path("/usr/share/datasets/fashion-mnist")
STORED, ASKED = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"
KINDS = {"stored": "train-labels-idx1-ubyte.gz"}
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


NAMES = ("auto", "fashion-mnist", "digits")


class Missing(Exception):  # noqa: N818  it tells of the state of things
    """A set that was asked for can't be had; the message says what would be right."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Vectors to store and to ask for, float32, shape (n, dimensions); a kind for each stored one."""

    title: str
    stored: NDArray[np.float32]
    asked: NDArray[np.float32]
    kinds: tuple[str, ...]

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return int(self.stored.shape[1])


def load(name: str = "auto") -> Dataset:
    """Return the set of that name, one of `NAMES`.

    `auto` is Fashion-MNIST, or, where it can't be had, scikit-learn's digits; the title says which.

    Raises:
        Missing: Fashion-MNIST was asked for by name, and can't be had.
    """
    if name == "digits":
        return digits()
    folder = find() or fetch()
    if folder is not None:
        return fashion_mnist(folder)
    if name == "auto":
        return digits(f", because apt could not give {PACKAGE}")
    raise Missing(f"Fashion-MNIST is not on this machine, and apt could not give {PACKAGE}; try digits")


def find() -> pathlib.Path | None:
    """Return the folder of Fashion-MNIST on this machine, None where it is not here."""
    return next((folder for folder in (INSTALLED, cache()) if (folder / STORED).exists()), None)


def fetch() -> pathlib.Path | None:
    """Download Debian's package with apt and unpack it into the cache; None where that can't be done."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="vectorfleet-") as name:
        place = pathlib.Path(name)
        (place / "lists" / "partial").mkdir(parents=True)
        options = [
            f"-oDir::State::Lists={place}/lists",
            f"-oDir::Cache={place}/cache",
            "-oAPT::Sandbox::User=",
        ]
        for command in (["update"], ["download", PACKAGE]):
            done = subprocess.run(
                ["apt-get", "-qq", *options, *command], cwd=place, capture_output=True, check=False
            )
            if done.returncode:
                return None
        package = next(place.glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, place / "unpacked"], check=True)
        source = place / "unpacked" / INSTALLED.relative_to("/")
        cache().parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, cache(), dirs_exist_ok=True)
    return cache()


def fashion_mnist(folder: pathlib.Path) -> Dataset:
    """Read Fashion-MNIST from its files."""
    labels = read_idx(folder / KINDS["stored"])
    return Dataset(
        f"Fashion-MNIST, from Debian's {PACKAGE}",
        read_idx(folder / STORED).reshape(-1, 784).astype(np.float32),
        read_idx(folder / ASKED).reshape(-1, 784).astype(np.float32),
        tuple(CLOTHES[label] for label in labels),
    )


def digits(why: str = "") -> Dataset:
    """Return the handwritten digits that scikit-learn ships: 1,797 of 8 x 8; each fifth one is asked for."""
    from sklearn import datasets  # noqa: PLC0415  slow to import, and seldom needed

    every = datasets.load_digits()
    is_asked = np.arange(len(every.data)) % 5 == 0
    return Dataset(
        f"scikit-learn's digits{why}",
        every.data[~is_asked].astype(np.float32),
        every.data[is_asked].astype(np.float32),
        tuple(str(kind) for kind in every.target[~is_asked]),
    )


def read_idx(path: pathlib.Path) -> NDArray[np.uint8]:
    """Read a file of the IDX format, the one that MNIST came in: bytes, with their shape in the header."""
    data = gzip.decompress(path.read_bytes())
    ranks = data[3]
    shape = np.frombuffer(data, dtype=">u4", count=ranks, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * ranks).reshape(shape)


def cache() -> pathlib.Path:
    """Return the cache's folder for the set."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "vectorfleet" / "datasets" / "fashion-mnist"
