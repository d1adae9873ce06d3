// A fleet of real processes on a Redis of its own: each replica is the example service.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const target = process.env.CARGO_TARGET_DIR || join(root, "target");
const program = process.env.TASKS || join(target, "debug", "examples", "tasks");

const freePort = () => new Promise((resolve, reject) => {
  const server = createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => resolve(port)) });
});

/// Asks again and again until the answer is true; fails when that takes too long.
export async function until(what, ask, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    let said;
    try { if (await ask()) return } catch (error) { said = error }
    if (Date.now() > end) throw new Error(`not within ${patience} ms: ${what}${said ? `: ${said}` : ""}`);
    await new Promise((r) => setTimeout(r, 150));
  }
}

export class Fleet {
  static async start(replicas = 3) {
    const fleet = new Fleet();
    fleet.dir = mkdtempSync(join(tmpdir(), "tasklock-browser-"));
    fleet.redisPort = await freePort();
    await fleet.startRedis();
    fleet.replicas = [];
    for (let n = 0; n < replicas; n++) fleet.replicas.push(await fleet.startReplica(n, n === 0));
    return fleet;
  }

  async startRedis() {
    const args = ["--port", this.redisPort, "--bind", "127.0.0.1", "--dir", this.dir, "--save", "", "--appendonly", "yes"];
    this.redis = spawn("redis-server", args.map(String), { stdio: "ignore" });
    const { connect } = await import("node:net");
    await until("Redis listens", () => new Promise((resolve) => {
      const socket = connect(this.redisPort, "127.0.0.1", () => { socket.end(); resolve(true) });
      socket.once("error", () => resolve(false));
    }));
  }

  async stopRedis() {
    const gone = new Promise((resolve) => this.redis.once("exit", resolve));
    this.redis.kill("SIGTERM");
    await gone;
  }

  async startReplica(n) {
    const port = await freePort();
    const args = ["--listen", `127.0.0.1:${port}`, "--data", join(this.dir, `data-${n}`), "--demo", "yes"];
    const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${this.redisPort}`, RUST_LOG: "warn" };
    const child = spawn(program, args, { env, stdio: "ignore" });
    const replica = { child, port, url: `http://127.0.0.1:${port}/admin` };
    await until(`replica ${n} answers`, async () => (await fetch(`${replica.url}/api/v1/summary`)).ok);
    return replica;
  }

  async get(n, path) {
    return (await fetch(`${this.replicas[n].url}/api/v1${path}`)).json();
  }

  async kill(n, signal = "SIGKILL") {
    const { child } = this.replicas[n];
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  stop() {
    for (const { child } of this.replicas ?? []) child.kill("SIGKILL");
    this.redis?.kill("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}
