"""Looks up known vulnerabilities of what the images hold, by pip-audit in the databases of PyPI and OSV.

Ends with 1 where there are any, and with 2 where packages could not be looked up: nothing is said to be safe
that nobody has looked at.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LOCKS = ("data-plane.lock", "operator.lock")
DATABASES = ("pypi", "osv")
SECONDS = 600


def main() -> int:
    """Look all up; return the exit status."""
    findings, unknown = 0, 0
    for lock in LOCKS:
        found = next((answer for answer in (look_up(lock, one) for one in DATABASES) if answer), None)
        if found is None:
            print(f"{lock}: none of {', '.join(DATABASES)} can be reached; NOTHING of it was looked up")
            unknown += 1
            continue
        skipped = [one["name"] for one in found if "skip_reason" in one]
        wrong = [(one, flaw) for one in found for flaw in one.get("vulns", ())]
        for one, flaw in wrong:
            fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
            print(f"{lock}: {one['name']} {one['version']}: {flaw['id']}, fixed in {fixed}")
        if skipped:
            print(f"{lock}: not looked up: {', '.join(skipped)}")
        print(
            f"{lock}: {len(found) - len(skipped)} of {len(found)} packages looked up, {len(wrong)} findings"
        )
        findings, unknown = findings + len(wrong), unknown + len(skipped)
    return 1 if findings else 2 if unknown else 0


def look_up(lock: str, database: str) -> list[dict[str, object]] | None:
    """Return what a database knows of a lock's packages, None where it knows of none of them."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(HERE / lock), "--disable-pip"]
    options = ["--vulnerability-service", database, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        found: list[dict[str, object]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return None if all("skip_reason" in one for one in found) else found


if __name__ == "__main__":
    sys.exit(main())
