// croner with a lock of keys through node-redis.
//
// The environment says what to do; see ../src/peer/work.rs.
'use strict';
const fs = require('node:fs');
const { randomUUID } = require('node:crypto');
const { Cron } = require('croner');
const { createClient } = require('redis');

const [tasks, period, port] = ['TASKS', 'PERIOD', 'PORT'].map((name) =>
  Number(process.env[`PEER_${name}`]));
const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const starts = [];

async function main() {
  const store = createClient({ url: `redis://127.0.0.1:${port}` });
  store.on('error', (error) => console.error(`croner: ${error}`));
  await store.connect();

  async function fire(task) {
    const instant = Math.floor(Date.now() / 1000 / period) * period; // jobs are not told theirs
    const key = `task:lock:peer_${task}`;
    const taken = await store.sendCommand(['SET', key, randomUUID(), 'NX', 'EX', '30']);
    if (taken === null) return;
    starts.push([task, instant, nowUs()]);
    await store.sendCommand(['DEL', key]);
  }

  const jobs = [];
  for (let task = 0; task < tasks; task++) {
    jobs.push(new Cron(`*/${period} * * * * *`, { timezone: 'UTC' }, () => fire(task)));
  }
  console.log('{}');
  process.stdin.on('end', () => {
    fs.writeFileSync(process.env.PEER_FILE, starts.map((s) => `${s.join(' ')}\n`).join(''));
    console.log('{}');
    process.exit(0);
  });
  process.stdin.resume();
}

main();
