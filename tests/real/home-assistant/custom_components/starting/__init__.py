"""States from before Home Assistant has started: its start waits ten seconds for them."""

import asyncio

SECONDS = 10
RATE = 100
ENTITIES = 20


async def async_setup(hass, config):
    for i in range(SECONDS * RATE):
        hass.states.async_set(f"sensor.starting_{i % ENTITIES}", str(i))
        await asyncio.sleep(1 / RATE)
    return True
