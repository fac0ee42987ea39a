"""The command line `minios`: one module per command."""
