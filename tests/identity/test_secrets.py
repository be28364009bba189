"""Secret files: private, whole, made once however many start at once."""

import fcntl
import os
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from motorcade.identity.errors import SecretsError
from motorcade.identity.secrets import SecretsDirectory, write_file


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_directory_and_files_are_their_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)  # the most generous there is
    try:
        secrets = SecretsDirectory(tmp_path / "secrets")
        assert secrets.read_or_make("key", lambda: b"secret") == b"secret"
    finally:
        os.umask(old)
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(path) for path in (tmp_path / "secrets").iterdir()} == {0o600}


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    secrets = SecretsDirectory(tmp_path / "secrets")
    assert secrets.read_or_make("key", lambda: b"first") == b"first"
    assert SecretsDirectory(tmp_path / "secrets").read_or_make("key", lambda: b"second") == b"first"


def test_what_others_could_read_is_refused(tmp_path: Path) -> None:
    secrets = SecretsDirectory(tmp_path / "secrets")
    secrets.read_or_make("key", lambda: b"secret")
    secrets.path("key").chmod(0o640)
    with pytest.raises(SecretsError, match=r"mode 640.*chmod"):
        secrets.read_or_make("key", lambda: b"other")
    secrets.path("key").chmod(0o600)
    secrets.path("key").parent.chmod(0o755)
    with pytest.raises(SecretsError, match="mode 755"):
        SecretsDirectory(tmp_path / "secrets")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="nothing_here"):
        SecretsDirectory(tmp_path / "secrets").read("nothing_here")


def test_a_secret_is_replaced_only_when_no_longer_good(tmp_path: Path) -> None:
    secrets = SecretsDirectory(tmp_path / "secrets")
    secrets.replace_unless("key", lambda _: False, lambda: b"first")
    secrets.replace_unless("key", lambda content: content == b"first", lambda: b"second")
    assert secrets.read("key") == b"first"
    secrets.replace_unless("key", lambda content: content != b"first", lambda: b"second")
    assert secrets.read("key") == b"second"


def test_a_failed_making_leaves_nothing(tmp_path: Path) -> None:
    secrets = SecretsDirectory(tmp_path / "secrets")

    def fail() -> bytes:
        raise RuntimeError("no entropy")

    with pytest.raises(RuntimeError):
        secrets.read_or_make("key", fail)
    assert secrets.read_or_make("key", lambda: b"later") == b"later"


def test_a_file_left_by_a_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".key.{os.getpid()}").write_bytes(b"half")
    write_file(tmp_path / "key", b"whole", mode=0o600)
    assert (tmp_path / "key").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_who_comes_second_waits_and_takes_the_first_ones_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = SecretsDirectory(tmp_path / "secrets")
    second_at_the_lock = threading.Event()
    locked = fcntl.flock

    def flock(file: int, operation: int) -> None:
        if threading.current_thread() is second:
            second_at_the_lock.set()
        locked(file, operation)

    def make_while_the_second_waits() -> bytes:
        second.start()
        second_at_the_lock.wait()
        return b"first"

    monkeypatch.setattr(fcntl, "flock", flock)
    found: list[bytes] = []
    second = threading.Thread(
        target=lambda: found.append(secrets.read_or_make("key", lambda: b"second"))
    )
    assert secrets.read_or_make("key", make_while_the_second_waits) == b"first"
    second.join()
    assert found == [b"first"]


def test_processes_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    context = get_context("spawn")
    with context.Pool(4) as processes:
        found = processes.map(_make, [(str(tmp_path / "secrets"), n) for n in range(16)], 1)
    assert len(set(found)) == 1


def _make(job: tuple[str, int]) -> bytes:
    path, number = job
    return SecretsDirectory(Path(path)).read_or_make("key", lambda: b"made by %d" % number)
