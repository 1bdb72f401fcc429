"""`python -m eyechart` is the command line."""

from eyechart.cli import main

main()
