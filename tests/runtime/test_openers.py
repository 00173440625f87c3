"""Confirmation that a destroyed key was dropped, by real processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime import openers
from runtime.keyring import KeyGone, KeyRing
from runtime.root import FileRoot

HOLDER = """
import sys, time
from pathlib import Path
from runtime.keyring import KeyGone, KeyRing
from runtime.root import FileRoot
home = Path(sys.argv[1])
ring = KeyRing.open(home, FileRoot(home / "root.key"))
ring.opener(5, 1)
print("holds", flush=True)
for line in sys.stdin:
    try:
        ring.opener(5, 1)
        print("opens", flush=True)
    except KeyGone:
        print("gone", flush=True)
"""


class Holder:
    """Another process that holds bucket 5, epoch 1."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "holds"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    ring = KeyRing.create(tmp_path, FileRoot.create(tmp_path / "root.key"), "did:web:example.com")
    ring.current(5)
    ring.begin_rotation(5)
    return ring


@pytest.fixture
def holder(ring: KeyRing) -> Iterator[Holder]:
    holder = Holder(ring._directory)
    yield holder
    holder.end()


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_key_counts_as_dropped_once_the_other_process_has_dropped_it(ring: KeyRing, holder: Holder) -> None:
    assert not ring.dropped(5, 1)
    assert holder.ask() == "opens"
    ring.destroy(5, 1)
    assert within(5, lambda: ring.dropped(5, 1))
    assert holder.ask() == "gone"


def test_a_process_that_stands_still_has_confirmed_nothing(ring: KeyRing, holder: Holder) -> None:
    holder.process.send_signal(signal.SIGSTOP)
    ring.destroy(5, 1)
    time.sleep(4 * openers.POLL)
    assert not ring.dropped(5, 1)
    holder.process.send_signal(signal.SIGCONT)
    assert within(5, lambda: ring.dropped(5, 1))
    assert holder.ask() == "gone"


def test_a_killed_process_holds_nothing_and_its_registration_is_removed(ring: KeyRing, holder: Holder) -> None:
    holder.process.send_signal(signal.SIGSTOP)
    ring.destroy(5, 1)
    assert not ring.dropped(5, 1)
    holder.end()
    assert within(5, lambda: ring.dropped(5, 1))
    directory = ring._directory / "openers"
    assert not list(directory.glob(f"{holder.process.pid}-*"))


def test_a_key_that_still_exists_is_not_dropped_even_if_nobody_holds_it(ring: KeyRing) -> None:
    ring.close()
    assert not ring.dropped(5, 1)


def test_closing_a_ring_ends_its_registration(ring: KeyRing) -> None:
    directory = ring._directory / "openers"
    assert list(directory.iterdir())
    ring.close()
    assert not list(directory.iterdir())


def test_a_registration_without_a_readable_list_counts_as_holding(ring: KeyRing) -> None:
    directory = ring._directory / "openers"
    (directory / f"{next(directory.glob('*.lock')).stem}.json").unlink()
    assert openers.held(directory, {(5, 1), (5, 2)}) >= {(5, 1)}


def test_the_list_is_published_before_the_key_is_read(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Destroy strikes between publishing and reading: the loader then finds no key, so that the list may say so."""
    other = KeyRing.open(ring._directory, FileRoot(ring._directory / "root.key"))
    publish = openers.Opener.publish

    def strike(self: openers.Opener, held: object) -> None:
        publish(self, held)  # type: ignore[arg-type]
        if other._opener is self and (5, 1) in self._published:  # type: ignore[operator]
            monkeypatch.setattr(openers.Opener, "publish", publish)
            ring.destroy(5, 1)

    other.warm([6])
    other.current(6)
    monkeypatch.setattr(openers.Opener, "publish", strike)
    with pytest.raises(KeyGone):
        other.opener(5, 1)
    assert ring.dropped(5, 1)
    other.close()


def test_a_disk_that_fails_makes_the_list_say_too_much_until_it_is_well_again(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = KeyRing.open(ring._directory, FileRoot(ring._directory / "root.key"))
    other.opener(5, 1)
    publish = openers.Opener.publish

    def failing(self: openers.Opener, held: object) -> None:
        if self is other._opener:
            raise OSError("disk")
        publish(self, held)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(openers.Opener, "publish", failing)
        ring.destroy(5, 1)
        time.sleep(3 * openers.POLL)
        assert not ring.dropped(5, 1)
    assert within(5, lambda: ring.dropped(5, 1))
    other.close()


def test_a_rotation_between_two_looks_leads_to_the_newer_epoch(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    other = KeyRing.open(ring._directory, FileRoot(ring._directory / "root.key"))
    real, seen = other.epochs, [(1,)]
    monkeypatch.setattr(other, "epochs", lambda bucket: seen.pop() if seen else real(bucket))
    ring.destroy(5, 1)
    assert other.current(5)[0] == 2
    other.close()
