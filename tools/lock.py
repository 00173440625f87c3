"""Write requirements/*.lock from pyproject.toml, with hashes. Needs `uv` (https://docs.astral.sh/uv/) on the PATH.

    python3 tools/lock.py            lock again what has changed
    python3 tools/lock.py --upgrade  take the newest versions

Only whoever changes a dependency runs this; setting up needs pip alone.
"""

import hashlib
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
# node: run, and Node for building the pages; bench: dev, and what we are measured against
LOCKS = {"run": ("build",), "node": ("build", "node"), "dev": ("dev",), "bench": ("bench",)}


def declared() -> str:
    """SHA-256 of the lines of pyproject.toml that name dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = repr((project["requires-python"], project["dependencies"], project["optional-dependencies"]))
    return hashlib.sha256(named.encode()).hexdigest()


def main() -> None:
    """Compile both locks; the first line of each names the declaration that it was made from."""
    for name, extras in LOCKS.items():
        command = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url"]
        command += [word for extra in extras for word in ("--extra", extra)]
        command += ["pyproject.toml", *sys.argv[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            sys.exit(done.stderr)
        (ROOT / "requirements" / f"{name}.lock").write_text(f"# declared {declared()}\n{done.stdout}", encoding="utf-8")
        print(f"requirements/{name}.lock: {done.stdout.count('==')} packages")


if __name__ == "__main__":
    main()
