import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { fetchEnvironment } from "../../src/artifacts/environment.ts";
import { parseProgress } from "../../src/artifacts/progress.ts";
import { runFetch } from "../../src/artifacts/run.ts";
import { entries, folder, serve, sha256 } from "./support.ts";

const PROGRAM = path.join(import.meta.dirname, "fetch-program.ts");
const WEIGHTS = Buffer.alloc(3_000_000, "weights");

interface Setting {
  env: Record<string, string>;
  destination: string;
  terminationLog: string;
}

/** The environment as the operator renders it, and a termination log. */
async function setting(uri: string, more: Record<string, string> = {}): Promise<Setting> {
  const destination = await folder();
  const terminationLog = path.join(await folder(), "termination-log");
  const artifact = { uri, digest: sha256(WEIGHTS), sizeBytes: WEIGHTS.length };
  const variables = fetchEnvironment({
    version: "digits-2.0.0",
    artifact,
    modelPath: destination,
    timeout: "20s",
    idleTimeout: "10s",
  });
  const env = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  return {
    env: { ...env, ROLLGUARD_FETCH_ATTEMPTS: "1", TERMINATION_LOG: terminationLog, ...more },
    destination,
    terminationLog,
  };
}

async function inProcess({ env, terminationLog }: Setting, signal?: AbortSignal) {
  const lines: string[] = [];
  const code = await runFetch(env, [], { write: (line) => lines.push(line), ...(signal ? { signal } : {}) });
  return { code, lines, message: await readFile(terminationLog, "utf8").catch(() => undefined) };
}

function program({ env }: Setting, before = ""): ChildProcess {
  // `exec`, so that the pid is the program's own.
  const child = spawn("/bin/sh", ["-c", `${before} exec "$0" "$1"`, process.execPath, PROGRAM], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

const exit = async (child: ChildProcess) => (await once(child, "exit")) as [number | null, string | null];

describe("rollguard fetch", () => {
  it("ends with 0 and leaves no termination message when the weights are there", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const given = await setting(`${server.url}/m.bin`);
    const { code, lines, message } = await inProcess(given);
    expect({ code, message }).toEqual({ code: 0, message: undefined });
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      msg: "fetched and verified",
      version: "digits-2.0.0",
      bytes: WEIGHTS.length,
    });
    expect(parseProgress(lines[0] ?? "")).toMatchObject({ totalBytes: WEIGHTS.length });
    expect((await inProcess(given)).lines.at(-1)).toContain("already there");
  });

  it("a wrong digest is an error that names the version: exit code 65 and one line that says so", async () => {
    const server = await serve((_request, response) => response.end(Buffer.alloc(WEIGHTS.length)));
    const { code, lines, message } = await inProcess(await setting(`${server.url}/m.bin`));
    expect(code).toBe(65);
    expect(JSON.parse(message ?? "")).toMatchObject({ reason: "DigestMismatch", fault: "Artifact" });
    expect(JSON.parse(message ?? "").message).toMatch(/^version digits-2\.0\.0: m\.bin has digest sha256:.* expected sha256:/);
    expect(lines.at(-1)).toBe(message);
    expect(message).not.toContain("\n");
  });

  it("a server that is not there: exit code 75, fault Source", async () => {
    const { code, message } = await inProcess(await setting("http://127.0.0.1:1/m.bin"));
    expect(code).toBe(75);
    expect(JSON.parse(message ?? "")).toMatchObject({ reason: "ArtifactUnavailable", fault: "Source" });
  });

  it("an answer full of control characters reaches no log and no message", async () => {
    const server = await serve((request) => {
      request.socket.end("HTTP/1.1 302 Found\r\nlocation: http://\u001b[31mevil\u0007.example/\r\n\r\n");
    });
    const { message, lines } = await inProcess(await setting(`${server.url}/m.bin`));
    expect(`${message}${lines.join("")}`).not.toMatch(/\p{Cc}/u);
  });

  it.each([
    ["ROLLGUARD_ARTIFACT_URI", ""],
    ["ROLLGUARD_MODEL_PATH", ""],
    ["ROLLGUARD_ARTIFACT_DIGEST", ""],
    ["ROLLGUARD_ARTIFACT_SIZE", "ten"],
    ["ROLLGUARD_ARTIFACT_FILES", "[{}]"],
    ["ROLLGUARD_FETCH_TIMEOUT", "soon"],
    ["ROLLGUARD_FETCH_VERIFY", "Never"],
    ["ROLLGUARD_FETCH_ATTEMPTS", "0"],
  ])("an incomplete environment is not the model's fault: %s=%j", async (name, value) => {
    const { code, message } = await inProcess(await setting("http://127.0.0.1:1/m.bin", { [name]: value }));
    expect(code).toBe(75);
    expect(JSON.parse(message ?? "")).toMatchObject({ reason: "FetchMisconfigured", fault: "Source" });
  });

  it("takes no arguments", async () => {
    expect(await runFetch({}, ["--force"], { write: () => {} })).toBe(64);
  });

  it("writes the newest progress to a file where one is named", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const file = path.join(await folder(), "progress");
    await inProcess(await setting(`${server.url}/m.bin`, { ROLLGUARD_PROGRESS_FILE: file }));
    expect(parseProgress(await readFile(file, "utf8"))).toMatchObject({ totalBytes: WEIGHTS.length });
  });
});

describe("as a process", () => {
  /** Sends half of the file and then nothing more, until told to send all of it. */
  async function halting() {
    let whole = false;
    const server = await serve((_request, response) => {
      response.writeHead(200, { "content-length": WEIGHTS.length });
      if (whole) response.end(WEIGHTS);
      else response.write(WEIGHTS.subarray(0, WEIGHTS.length / 2));
    });
    return { url: server.url, sendAll: () => (whole = true) };
  }

  /** Waits until bytes lie in the temporary file. */
  async function underWay(destination: string): Promise<void> {
    await expect.poll(() => entries(destination), { timeout: 10_000 }).toHaveLength(1);
    const [partial = ""] = await entries(destination);
    expect(partial).toMatch(/^\.m\.bin\..*\.partial$/);
    await expect
      .poll(async () => (await readFile(path.join(destination, partial))).length, { timeout: 10_000 })
      .toBeGreaterThan(100_000);
  }

  it("killed in the middle it leaves nothing under the target's name, and the next run succeeds", async () => {
    const server = await halting();
    const given = await setting(`${server.url}/m.bin`, { HOSTNAME: "pod-1" });
    const child = program(given);
    await underWay(given.destination);
    child.kill("SIGKILL");
    expect(await exit(child)).toEqual([null, "SIGKILL"]);
    expect(await entries(given.destination)).toHaveLength(1);
    server.sendAll();
    const next = program(given);
    expect(await exit(next)).toEqual([0, null]);
    expect(await entries(given.destination)).toEqual(["m.bin"]);
    expect(sha256(await readFile(path.join(given.destination, "m.bin")))).toBe(sha256(WEIGHTS));
  });

  it("ended by SIGTERM it leaves nothing at all and asks to be tried again", async () => {
    const server = await halting();
    const given = await setting(`${server.url}/m.bin`);
    const child = program(given);
    await underWay(given.destination);
    child.kill("SIGTERM");
    expect(await exit(child)).toEqual([75, null]);
    expect(JSON.parse(await readFile(given.terminationLog, "utf8"))).toMatchObject({
      reason: "FetchInterrupted",
      fault: "Source",
    });
    expect(await entries(given.destination)).toEqual([]);
  });

  it("a disk without room is not the model's fault, and leaves nothing", async () => {
    const server = await serve((_request, response) => response.end(WEIGHTS));
    const given = await setting(`${server.url}/m.bin`);
    await writeFile(given.terminationLog, "");
    // No file may grow beyond 512 KiB; Node ignores the signal that comes with it, and sees EFBIG.
    const child = program(given, "ulimit -f 1024;");
    expect(await exit(child)).toEqual([75, null]);
    expect(JSON.parse(await readFile(given.terminationLog, "utf8"))).toMatchObject({ reason: "DiskFull", fault: "Source" });
    expect(await entries(given.destination)).toEqual([]);
  });
});
