"""`python -m hishab` is `hishab`."""

import sys
from importlib import import_module

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command that was asked for."""
    try:
        # Within reach of the except: loading takes half a second, in which Ctrl-C should be as quiet as later.
        import_module("hishab.main").app(prog_name="hishab")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
