"""Are the locks made from today's pyproject.toml, with a hash for every version?"""

import sys

from lock import LOCKS, ROOT, declared


def main() -> None:
    """Exit 1, naming the lock and what to do, when one is out of date or has an entry without a hash."""
    for name in LOCKS:
        text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        if not text.startswith(f"# declared {declared()}\n"):
            sys.exit(f"requirements/{name}.lock is older than pyproject.toml: run python3 tools/lock.py")
        entries = text.split("\n", 1)[1].replace("\\\n", " ").splitlines()
        bare = [entry.split()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry]
        if bare:
            sys.exit(f"requirements/{name}.lock: no hash for {', '.join(bare)}")
    print("locks: up to date, every version with its hashes")


if __name__ == "__main__":
    main()
