"""States at a given rate from `burst_start` until they are made or `burst_stop`; odd native values by `burst_native`."""

import asyncio
import datetime
import decimal
import enum
import time


class _Plain(enum.Enum):
    A = "alpha"


class _Text(enum.StrEnum):
    B = "beta"
    D = "m10"


class _Int(enum.IntEnum):
    C = 7


class _Flag(enum.IntFlag):
    X = 1
    Y = 4


def native_values():
    """Values that only Python code (no REST call) can put into an attribute."""
    return {
        "tuple_int": (1, 2, 3),
        "tuple_rgb": (255, 168, 24),
        "tuple_one": (5,),
        "set_one": {"only"},
        "set_str": {"b", "a", "c"},
        "frozenset_one": frozenset({1}),
        "datetime_utc": datetime.datetime(
            2024, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc
        ),
        "datetime_naive": datetime.datetime(2024, 1, 2, 3, 4, 5),
        "date": datetime.date(2024, 1, 2),
        "time": datetime.time(3, 4, 5),
        "timedelta": datetime.timedelta(days=1, seconds=5),
        "enum_str_value": _Plain.A,
        "str_enum": _Text.B,
        "int_enum": _Int.C,
        "int_flag": _Flag.X | _Flag.Y,
        "nan": float("nan"),
        "inf": float("inf"),
        "ninf": float("-inf"),
        "decimal": decimal.Decimal("1.10"),
        "bigint53": 2**53 + 1,
        "bigint63": 2**63 - 1,
        "float_int": 3.0,
        "neg_zero": -0.0,
        "none": None,
        "true": True,
        "list_mixed": [1, 1.0, True, None, "x'y", 'x"y', {"a": 1}],
        "list_enum": [_Text.B],
        "list_enum_10": [_Text.D],
        "list_date": [datetime.date(2024, 1, 2)],
        "list_nan": [float("nan")],
        "dict_int_key": {1: "one", 2: "two"},
        "bytes": b"abc",
        "nested": {"t": (1, 2), "d": datetime.date(2024, 1, 2)},
    }


async def async_setup(hass, config):
    tasks = set()

    async def run(data):
        """Make `n` state changes at `rate` a second; without a rate `batch` in each turn of the loop."""
        n = int(data.get("n", 1000))
        rate = float(data.get("rate", 0))
        entities = int(data.get("entities", 200))
        prefix = data.get("prefix", "burst")
        attributes = {f"a{i}": i * 1.5 for i in range(int(data.get("attrs", 6)))}
        attributes["unit_of_measurement"] = data.get("unit", "W")
        attributes["friendly_name"] = "Burst sensor"
        batch = max(1, int(rate // 100)) if rate else int(data.get("batch", 50))
        started = time.monotonic()
        done = 0
        while done < n:
            for _ in range(min(batch, n - done)):
                hass.states.async_set(
                    f"sensor.{prefix}_{done % entities}", str(done), {**attributes, "seq": done}
                )
                done += 1
            due = started + done / rate if rate else 0
            await asyncio.sleep(max(0, due - time.monotonic()))
        seconds = time.monotonic() - started
        hass.bus.async_fire(
            "burst_done", {"n": n, "seconds": seconds, "id": data.get("id")}
        )

    async def start(event):
        task = hass.async_create_background_task(run(event.data), "burst")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def stop(event):
        for task in list(tasks):
            task.cancel()

    async def native(event):
        for key, value in native_values().items():
            hass.states.async_set(
                f"sensor.native_{key}", "1", {"v": value, "unit_of_measurement": "native"}
            )
        hass.states.async_set("sensor.native_all", "all", native_values())
        hass.bus.async_fire("burst_native_done", {})

    hass.bus.async_listen("burst_start", start)
    hass.bus.async_listen("burst_stop", stop)
    hass.bus.async_listen("burst_native", native)
    return True
