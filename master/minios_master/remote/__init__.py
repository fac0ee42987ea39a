"""Workers on other machines: invites, the gate they come in by, and who may."""
