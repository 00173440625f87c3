"""Are the locks made from today's pyproject.toml and package.json, with a hash for every version?"""

import json
import sys
from pathlib import Path

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
    check_packages()
    print("locks: up to date, every version with its hashes")


def check_packages() -> None:
    """Exit 1 when a package-lock.json lacks a hash, or a package that another machine needs (npm forgets some)."""
    for folder in (ROOT, ROOT / "bench" / "peers"):
        check_folder(folder)


def check_folder(folder: Path) -> None:
    """The same for one folder with a package.json."""
    declared_ = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    if any(packages[""].get(kind) != declared_.get(kind) for kind in ("dependencies", "devDependencies")):
        sys.exit(f"{folder}: package-lock.json is older than package.json: run npm install --package-lock-only")
    bare = [name for name, entry in packages.items() if name and "integrity" not in entry]
    wanted = {name for entry in packages.values() for name in entry.get("optionalDependencies", {})}
    missing = [name for name in wanted if not any(path.endswith(f"node_modules/{name}") for path in packages)]
    if bare or missing:
        sys.exit(f"{folder / 'package-lock.json'}: no hash or no entry for {', '.join(sorted([*bare, *missing]))}")


if __name__ == "__main__":
    main()
