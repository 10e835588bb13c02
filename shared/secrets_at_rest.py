"""Keep the secrets of webhook endpoints: the API encrypts them, the worker needs them back to sign with."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class SecretUnreadable(Exception):
    """None of the configured keys opens this secret: a key was taken away before what it encrypted was."""


class SecretsAtRest:
    """Encrypts with the first key, decrypts with any of them, so that keys can rotate."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys, at least one.

        Raises:
            ValueError: There is none, or one is not a Fernet key.
        """
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, secret: bytes) -> bytes:
        """Encrypt a secret for the database."""
        return self._fernet.encrypt(secret)

    def decrypt(self, encrypted: bytes) -> bytes:
        """Decrypt what `encrypt` made.

        Raises:
            SecretUnreadable: No key fits.
        """
        try:
            return self._fernet.decrypt(encrypted)
        except InvalidToken as error:
            raise SecretUnreadable from error
