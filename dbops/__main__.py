"""`python -m dbops`."""

from dbops.cli.main import main

main()
