"""Fill in the secrets of `.env.example`: `python3 scripts/new_env.py > .env`. Needs nothing but Python."""

import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

EXAMPLE: Final = Path(__file__).resolve().parent.parent / ".env.example"
SECRET_BYTES: Final = 32

NEW: Final[Mapping[str, Callable[[], str]]] = {
    "POSTGRES_PASSWORD": lambda: secrets.token_hex(SECRET_BYTES),
    "REDIS_PASSWORD": lambda: secrets.token_hex(SECRET_BYTES),
    "HISHAB_TOKEN_KEYS": lambda: f"{secrets.token_hex(4)}:{secrets.token_hex(SECRET_BYTES)}",
    "HISHAB_PIN_PEPPER": lambda: secrets.token_hex(SECRET_BYTES),
    "HISHAB_WEBHOOK_SECRET_KEYS": lambda: urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
}


def main() -> None:
    """Print the example with a new secret in each place that waits for one."""
    sys.stdout.writelines(f"{filled_in(line)}\n" for line in EXAMPLE.read_text(encoding="utf-8").splitlines())


def filled_in(line: str) -> str:
    """Add a secret to a line that names one."""
    name = line.removesuffix("=")
    return f"{name}={NEW[name]()}" if name in NEW else line


if __name__ == "__main__":
    main()
