"""Looks up known vulnerabilities of what the images hold, by pip-audit in the databases of PyPI and OSV.

Ends with 1 where there are any, and with 2 where packages could not be looked up: nothing is said to be safe
that nobody has looked at. What could not be told, and why, is said. With --lenient that is a warning, and the
status 0: a check of every change must not fail because a database is away.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LOCKS = ("data-plane.lock", "operator.lock")
DATABASES = ("pypi", "osv")
SECONDS = 120
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a database knows of a lock's packages: an entry for each; none where it could not be asked."""

    packages: tuple[dict[str, object], ...] = ()
    why: str = ""
    """Why it could not be asked."""


def main(arguments: list[str]) -> int:
    """Look all up; return the exit status."""
    parser = argparse.ArgumentParser(description="Look up known vulnerabilities of what the images hold.")
    parser.add_argument("--lenient", action="store_true", help="end with 0 where it can't be told")
    lenient = parser.parse_args(arguments).lenient
    findings, unknown = 0, 0
    for lock in LOCKS:
        found = look_up_anywhere(lock)
        if not found:
            unknown += 1
            continue
        skipped = [f"{one['name']} ({one['skip_reason']})" for one in found if "skip_reason" in one]
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
    if findings:
        return 1
    if unknown:
        print("whether the images are free of known vulnerabilities CAN'T BE TOLD (status 2)")
        if lenient:
            print(
                "WARNING: nothing is known to be wrong, and not all was looked up; status 0, as was asked for"
            )
    return 2 if unknown and not lenient else 0


def look_up_anywhere(lock: str) -> tuple[dict[str, object], ...]:
    """Return the packages of the first database that knows of any; none, and say why, where no one does."""
    reasons = []
    for database in DATABASES:
        answer = look_up(lock, database)
        if answer.packages:
            return answer.packages
        reasons.append(f"  {database}: {answer.why}")
    count = len(_PINNED.findall((HERE / lock).read_text()))
    print(f"{lock}: none of {', '.join(DATABASES)} told; NOTHING of its {count} packages was looked up:")
    print("\n".join(reasons))
    return ()


def look_up(lock: str, database: str) -> Answer:
    """Return what a database knows of a lock's packages."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(HERE / lock), "--disable-pip"]
    options = ["--vulnerability-service", database, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(why=f"no answer within {SECONDS} s")
    try:
        found: list[dict[str, object]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Answer(why=reason_of(done.stderr))
    told = [one for one in found if "skip_reason" not in one]
    if not told:
        reasons = sorted({str(one["skip_reason"]).partition(":")[0] for one in found})
        return Answer(why=f"it knows none of them: {'; '.join(reasons[:3]) or 'there are none'}")
    return Answer(tuple(found))


def reason_of(stderr: str) -> str:
    """Return the last line that a failed program said, which names the error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it failed without a word"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
