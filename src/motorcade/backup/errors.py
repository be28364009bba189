"""What can go wrong with backups; each text says what to do."""


class BackupError(Exception):
    """A backup could not be made, or be restored to where it was told."""


class DamagedBackupError(BackupError):
    """A backup is not what was written: the text names the part."""
