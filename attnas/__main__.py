"""`python -m attnas` is the command `attnas`."""

from .entry import main

if __name__ == "__main__":
    main()
