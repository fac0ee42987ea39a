"""The nightly's memory in the master's database, which several masters share."""

from __future__ import annotations

from typing import Any

from minios_steps.core.nightly.memory import Memory

_OBJECT = ("nightly", "minios.Nightly")
_STATE = "memory"


async def load_memory(master: Any) -> Memory:
    """What the last nightly left; nothing before the first one."""
    number = await master.db.state.getObjectId(*_OBJECT)
    return Memory.from_json(await master.db.state.getState(number, _STATE, None))


async def keep_memory(master: Any, memory: Memory) -> None:
    """Replace it; what is the same is not written again."""
    number = await master.db.state.getObjectId(*_OBJECT)
    if await master.db.state.getState(number, _STATE, None) != memory.as_json():
        await master.db.state.setState(number, _STATE, memory.as_json())
