"""What a log tells of an exception: where and what kind, and nothing of the data it was about."""

import sys

from shared.telemetry import tell_exception


def told(raising: Exception, *, because: Exception | None = None) -> str:
    pin = "48151"
    try:
        try:
            if because is not None:
                raise because
        finally:
            raise raising
    except type(raising):
        del pin
        return tell_exception(sys.exc_info())  # pyright: ignore[reportArgumentType] (there is one)


def test_tells_where_and_of_what_kind() -> None:
    text = told(ValueError("it is odd"))
    assert "ValueError: it is odd" in text
    assert "in told" in text


def test_tells_the_first_line_only() -> None:
    text = told(ValueError('violates "users_email_key"\nDETAIL:  Key (email)=(asha@example.com) already exists.'))
    assert "users_email_key" in text
    assert "asha@example.com" not in text


def test_tells_what_led_to_it_without_its_data_either() -> None:
    text = told(RuntimeError("second"), because=ValueError("first\nDETAIL:  asha@example.com"))
    assert text.index("ValueError: first") < text.index("RuntimeError: second")
    assert "asha@example.com" not in text
