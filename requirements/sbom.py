"""Lists what the images hold beside their base image, as CycloneDX: one file for each image.

The locks name every Python package with its hashes, and images are built from them with --require-hashes, so
what is listed is what is there. The base image's own packages are in its publisher's list.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
IMAGES = ("data-plane", "operator")


def main(target: pathlib.Path) -> None:
    """Write the lists into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(HERE / f"{image}.lock")]
        about = ["--pyproject", str(HERE.parent / "pyproject.toml"), "--mc-type", "application"]
        form = ["--output-reproducible", "--output-format", "JSON", "--spec-version", "1.6"]
        path = target / f"{image}.cdx.json"
        subprocess.run([*command, *about, *form, "--output-file", str(path)], check=True)
        print(path)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
