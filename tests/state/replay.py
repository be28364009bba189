"""Another process that replays a log: prints the digest of its snapshot. Started by the tests."""

import hashlib
import sys
from pathlib import Path

from motorcade.log.files import OsFiles
from motorcade.state.snapshots import SnapshotStore
from tests.state.deployment import Deployment


def main(directory: str, reader_bytes_max: str) -> None:
    deployment = Deployment(Path(directory), reader_bytes_max=int(reader_bytes_max))
    own = Path(directory) / f"state of {reader_bytes_max}"
    deployment.snapshots = SnapshotStore(own, OsFiles())
    print(hashlib.sha256(deployment.run()[1]).hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])
