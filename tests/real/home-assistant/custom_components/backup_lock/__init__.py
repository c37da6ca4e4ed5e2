"""What a backup does to the recorder, without a backup: its database is locked, and its queue grows.

Only the Supervisor may call the WebSocket's `backup/start` and `backup/end`; these services
call the same two functions of the recorder, and end once they have.
"""

from homeassistant.components.recorder.backup import async_post_backup, async_pre_backup


async def async_setup(hass, config):
    async def lock(call):
        await async_pre_backup(hass)

    async def unlock(call):
        await async_post_backup(hass)

    hass.services.async_register("backup_lock", "lock", lock)
    hass.services.async_register("backup_lock", "unlock", unlock)
    return True
