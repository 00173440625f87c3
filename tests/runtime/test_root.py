from pathlib import Path

import pytest

from runtime.platform import root_of
from runtime.root import FileRoot, RootError
from runtime.settings import Settings


def code(call: object, *arguments: object) -> str:
    with pytest.raises(RootError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_what_is_wrapped_unwraps_under_the_same_root_and_context_only(tmp_path: Path) -> None:
    root, other = FileRoot.create(tmp_path / "a" / "root.key"), FileRoot.create(tmp_path / "b" / "root.key")
    wrapped = root.wrap(b"secret", b"here")
    assert root.unwrap(wrapped, b"here") == b"secret"
    assert root.unwrap_all([(wrapped, b"here")]) == [b"secret"]
    assert code(root.unwrap, wrapped, b"elsewhere") == "bad_wrapping"
    assert code(other.unwrap, wrapped, b"here") == "bad_wrapping"
    assert code(root.unwrap, b"", b"here") == "bad_wrapping"


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    FileRoot.create(tmp_path / "root.key")
    (tmp_path / "root.key").chmod(0o644)
    assert code(FileRoot, tmp_path / "root.key") == "root_exposed"


def test_a_missing_or_short_key_file_is_refused(tmp_path: Path) -> None:
    assert code(FileRoot, tmp_path / "root.key") == "root_missing"
    (tmp_path / "root.key").touch(mode=0o600)
    assert code(FileRoot, tmp_path / "root.key") == "root_missing"


def test_a_root_is_never_made_over_another(tmp_path: Path) -> None:
    FileRoot.create(tmp_path / "root.key")
    assert code(FileRoot.create, tmp_path / "root.key") == "root_exists"


def test_the_settings_name_the_root(tmp_path: Path) -> None:
    settings = Settings(keys_dir=tmp_path)
    assert code(root_of, settings) == "root_missing"
    wrapped = root_of(settings, create=True).wrap(b"secret", b"here")
    assert root_of(settings, create=True).unwrap(wrapped, b"here") == b"secret"
