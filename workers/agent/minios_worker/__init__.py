"""Attaches this machine to a minios master. Needs Python 3.7 and its standard library only."""
