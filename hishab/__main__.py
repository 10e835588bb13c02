"""`python -m hishab` is `hishab`."""

from hishab.main import main

if __name__ == "__main__":
    main()
