"""`python -m maestro.cli`."""

from maestro.cli import main

main()
