"""Are endpoints' secrets kept so that keys can rotate?"""

import pytest
from cryptography.fernet import Fernet

from shared.secrets_at_rest import SecretsAtRest, SecretUnreadable

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_keeps_a_secret_and_gives_it_back() -> None:
    encrypted = SecretsAtRest([NEW]).encrypt(b"secret")
    assert b"secret" not in encrypted
    assert SecretsAtRest([NEW]).decrypt(encrypted) == b"secret"


def test_reads_what_an_older_key_wrote() -> None:
    assert SecretsAtRest([NEW, OLD]).decrypt(SecretsAtRest([OLD]).encrypt(b"secret")) == b"secret"


def test_says_when_no_key_fits() -> None:
    with pytest.raises(SecretUnreadable):
        SecretsAtRest([NEW]).decrypt(SecretsAtRest([OLD]).encrypt(b"secret"))


def test_wants_a_key() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretsAtRest([])
