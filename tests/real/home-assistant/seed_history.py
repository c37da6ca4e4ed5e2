"""seed_history.py DATABASE ENTITIES ROWS START_US STEP_US OFFSET_US: states of the past.

Writes ROWS states of each of sensor.imported_0 … into the recorder's own SQLite file, while
Home Assistant is stopped. Row k of entity i has the state k and was last updated at
START_US + k * STEP_US + i * OFFSET_US.
"""

import datetime
import hashlib
import json
import sqlite3
import sys


def main():
    path, *numbers = sys.argv[1:]
    entities, rows, start_us, step_us, offset_us = map(int, numbers)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous=OFF")

    def states(i, metadata_id, attributes_id):
        for k in range(rows):
            moment = epoch + datetime.timedelta(microseconds=start_us + k * step_us + i * offset_us)
            context = hashlib.md5(f"{i} {k}".encode()).digest()
            yield str(k), moment.timestamp(), attributes_id, 0, context, metadata_id

    with db:
        for i in range(entities):
            metadata_id = db.execute(
                "INSERT INTO states_meta (entity_id) VALUES (?)", (f"sensor.imported_{i}",)
            ).lastrowid
            attributes_id = db.execute(
                "INSERT INTO state_attributes (hash, shared_attrs) VALUES (?, ?)",
                (i, json.dumps({"unit_of_measurement": "W", "friendly_name": f"Imported {i}"})),
            ).lastrowid
            db.executemany(
                "INSERT INTO states (state, last_updated_ts, attributes_id, origin_idx,"
                " context_id_bin, metadata_id) VALUES (?, ?, ?, ?, ?, ?)",
                states(i, metadata_id, attributes_id),
            )
        # Home Assistant looks at nothing before its first run
        first = epoch + datetime.timedelta(microseconds=start_us - step_us)
        db.execute(
            "UPDATE recorder_runs SET start = ? WHERE run_id = (SELECT min(run_id) FROM recorder_runs)",
            (first.strftime("%Y-%m-%d %H:%M:%S.%f"),),
        )
    print(db.execute("SELECT count(*) FROM states").fetchone()[0])


main()
