"""APScheduler on asyncio with a lock of keys through redis-py.

The environment says what to do; see ../src/peer/work.rs.
"""

import asyncio
import logging
import os
import sys
import threading
import time
import uuid
from datetime import timezone

import redis.asyncio
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

# It warns of each run that is a second late.
logging.disable(logging.CRITICAL)
tasks, period, port = (int(os.environ[f"PEER_{name}"]) for name in ("TASKS", "PERIOD", "PORT"))
starts = []


async def main():
    # As many connections as the other peers have, and whoever finds none free waits.
    pool = redis.asyncio.BlockingConnectionPool(port=port, max_connections=20, timeout=None)
    store = redis.asyncio.Redis(connection_pool=pool)

    async def fire(task):
        instant = int(time.time()) // period * period  # jobs are not told theirs
        key = f"task:lock:peer_{task}"
        if await store.set(key, str(uuid.uuid4()), nx=True, ex=30):
            starts.append((task, instant, time.time_ns() // 1000))
            await store.delete(key)

    scheduler = AsyncIOScheduler(timezone=timezone.utc)
    for task in range(tasks):
        trigger = CronTrigger(second=f"*/{period}", timezone=timezone.utc)
        scheduler.add_job(fire, trigger, args=(task,))
    scheduler.start()
    print("{}", flush=True)
    await asyncio.Event().wait()


def write_at_end():
    sys.stdin.read()
    with open(os.environ["PEER_FILE"], "w") as file:
        file.writelines("%d %d %d\n" % start for start in list(starts))
    print("{}", flush=True)
    os._exit(0)


threading.Thread(target=write_at_end, daemon=True).start()
asyncio.run(main())
