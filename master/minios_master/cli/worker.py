"""Workers on other machines: invite them, look at them, send them away."""

from __future__ import annotations

COMMANDS = {
    "bundle": "worker_bundle:bundle",
    "invite": "worker_invite:invite",
    "list": "worker_list:list_workers",
    "show": "worker_list:show",
    "pause": "worker_control:pause",
    "resume": "worker_control:resume",
    "revoke": "worker_control:revoke",
    "reload": "worker_control:reload",
}
"""As `main.COMMANDS`."""
