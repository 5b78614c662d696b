"""`python -m custodes` is `custodes`."""

from custodes.cli import main

if __name__ == "__main__":
    main()
