"""Makes a data directory of a backup. A platform started on it goes on where the backup ends."""

import os
from pathlib import Path
from typing import NamedTuple

from motorcade.backup.errors import BackupError, DamagedBackupError
from motorcade.backup.make import HashedInput
from motorcade.backup.manifest import FileEntry, Manifest
from motorcade.backup.places import Backup, FolderTarget, finished
from motorcade.backup.verify import Damage, check_content, read_manifest


class Restored(NamedTuple):
    manifest: Manifest
    damage: list[Damage]  # what was restored although it is damaged


def restore(backup: Backup, data: Path, *, even_damaged: bool) -> Restored:
    """Write the data directory `data`. It appears whole, or not at all.

    Raises:
        BackupError: `data` holds something already.
        DamagedBackupError: files are damaged, and `even_damaged` does not say to take them as
            they are; or the manifest is, and then nothing helps.
    """
    if data.is_symlink() or (data.exists() and (not data.is_dir() or any(data.iterdir()))):
        raise BackupError(f"{data} is not empty: give a new directory, nothing is overwritten")
    found = read_manifest(backup)
    data.parent.mkdir(parents=True, exist_ok=True)
    damage: list[Damage] = []
    with finished(FolderTarget(data)) as target:
        for entry in found.files:
            damage += [Damage(entry.place, why) for why in _restore(backup, entry, target)]
        if damage and not even_damaged:
            raise DamagedBackupError(_text(damage))
    return Restored(found, damage)


def _restore(backup: Backup, entry: FileEntry, target: FolderTarget) -> list[str]:
    try:
        file = backup.open(entry.place)
    except DamagedBackupError as error:
        return [str(error)]
    with file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        hashed = HashedInput(file)
        target.add(entry.name, size, hashed, mode=entry.mode)
        return list(check_content(entry, hashed))


def _text(damage: list[Damage]) -> str:
    lines = [f"  {name}: {problem}" for name, problem in damage]
    hint = "use another backup, or take what there is with --even-damaged"
    return "\n".join(["the backup is damaged, nothing was restored:", *lines, hint])
