"""`python -m kore` is the console command `kore`."""

from kore.cli import main

if __name__ == "__main__":
    main()
