"""`python -m cli`: the same as `vigil`."""

from cli.main import main

main()
