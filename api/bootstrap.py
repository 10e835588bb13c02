"""Make the first operator's key, on the server's side alone: `python -m api.bootstrap --key-file PATH`."""

import argparse
import os
import secrets
from pathlib import Path

from shared.database.connections import API, connect
from shared.database.key_registration import register_key
from shared.domain.api_key import KEY_BYTES, KEY_PREFIX, hash_key
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.scope import OPERATOR
from shared.identifiers import new_id
from shared.settings import Settings, read_settings


def main() -> None:
    """Make the key unless the file holds one, make it known, and print it if it is new. Safe to repeat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key-file", type=Path, required=True, help="kept readable by its owner only")
    path: Path = parser.parse_args().key_file
    settings = read_settings(Settings)
    is_new = not path.exists()
    if is_new:
        write_key(path)
    key = path.read_text().strip()
    # The key is on disk before the database knows of it: a crash in between costs a second run, not the key.
    with connect(settings.database_url, application_name="hishab-bootstrap", timeouts=API) as connection:
        register_key(
            connection,
            key_id=new_id(),
            owner_id=OPERATORS_OWNER_ID,
            key_hash=hash_key(key),
            scopes=[OPERATOR],
        )
    if is_new:
        print(key)


def write_key(path: Path) -> None:
    """Write a new key of 32 random bytes to a file that nobody else can read."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{KEY_PREFIX}{secrets.token_urlsafe(KEY_BYTES)}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


if __name__ == "__main__":
    main()
