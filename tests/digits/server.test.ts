import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type Answer, startClients } from "../../examples/digits/client.ts";
import { loadDigits } from "../../examples/digits/data.ts";
import { startWeights } from "../../examples/digits/weights.ts";
import { fetchArtifact } from "../../src/artifacts/fetch.ts";
import { folder, sha256 } from "../artifacts/support.ts";
import { EXAMPLE, metric, post, serving, startServer, weights } from "./support.ts";

const { live } = loadDigits();
const first = live[0] ?? expect.fail();

describe("the model server", () => {
  it("answers real predictions of weights that were fetched and verified, and says what it is", async () => {
    const store = await startWeights(0);
    const { port } = store.address() as { port: number };
    const destination = await folder();
    try {
      const fetched = await fetchArtifact({
        uri: `http://127.0.0.1:${port}/digits-1.0.0.bin`,
        digest: sha256(readFileSync(weights("digits-1.0.0"))),
        destination,
        timeoutMs: 10_000,
      });
      const { url } = await serving("digits-1.0.0", "4", { ROLLGUARD_MODEL_FILE: fetched.path, REJECT_BELOW: "0.5" });
      const { status, json } = await post(`${url}/predict`, { pixels: Array.from(first.pixels) });
      expect({ status, json }).toMatchObject({ status: 200, json: { version: "digits-1.0.0", revision: "4", rejectBelow: 0.5 } });
      expect(json.probabilities).toHaveLength(10);
      const encoded = await post(`${url}/predict`, { pixels: Buffer.from(first.pixels).toString("base64") });
      expect(encoded.json).toEqual(json);
      expect(await (await fetch(`${url}/info`)).json()).toEqual({ version: "digits-1.0.0", revision: "4", rejectBelow: 0.5 });
    } finally {
      store.close();
      store.closeAllConnections();
    }
  });

  it("is right as often as the world found, not as often as its validation said", async () => {
    const right = async (name: string): Promise<number> => {
      const { url } = await serving(name, "1");
      let correct = 0;
      for (const { pixels, label } of live) {
        const { json } = await post(`${url}/predict`, { pixels: Buffer.from(pixels).toString("base64") });
        if (json.digit === label) correct++;
      }
      return correct / live.length;
    };
    expect(await Promise.all(["digits-1.0.0", "digits-2.0.0", "digits-2.0.1"].map(right))).toEqual([0.916, 0.639, 0.925]);
  });

  it("counts feedback about its own answers, right and wrong, and no other's", async () => {
    const { url } = await serving("digits-1.0.0", "4");
    expect(await metric(url, 'digits_feedback_total{outcome="wrong"}')).toBe(0);
    expect(await metric(url, 'http_requests_total{path="/predict",code="500"}')).toBe(0);
    expect(await metric(url, "digits_live_accuracy")).toBeUndefined();
    const say = async (predicted: number, truth: number, revision: string) =>
      (await post(`${url}/feedback`, { predicted, truth, revision })).json.counted;
    expect([await say(3, 3, "4"), await say(3, 5, "4"), await say(1, 1, "4"), await say(3, 5, "3")]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(await metric(url, 'digits_feedback_total{outcome="correct"}')).toBe(2);
    expect(await metric(url, 'digits_feedback_total{outcome="wrong"}')).toBe(1);
    expect(await metric(url, "digits_feedback_ignored_total")).toBe(1);
    expect(await metric(url, "digits_live_accuracy")).toBeCloseTo(2 / 3);
    expect(await metric(url, 'http_requests_total{path="/feedback",code="200"}')).toBe(4);
    expect(await metric(url, 'digits_model_info{version="digits-1.0.0",revision="4"}')).toBe(1);
  });

  it.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["too few pixels", { pixels: [1, 2] }],
    ["no pixel", { pixels: Array.from({ length: 784 }, () => 256) }],
    ["a text that is no digit", { pixels: "abc" }],
    ["nothing", {}],
  ])("refuses %s as the client's fault, not its own", async (_kind, body) => {
    const { url } = await serving("digits-1.0.0", "1");
    expect((await post(`${url}/predict`, body)).status).toBe(400);
    expect((await post(`${url}/predict`, { pixels: Buffer.from(first.pixels).toString("base64") })).status).toBe(200);
  });

  it.each([
    ["weights that are none", { ROLLGUARD_MODEL_FILE: path.join(EXAMPLE, "server.ts") }, "a model has 31416 bytes"],
    ["weights that are not there", { ROLLGUARD_MODEL_FILE: "/nonexistent" }, "ENOENT"],
    [
      "a setting out of range",
      { ROLLGUARD_MODEL_FILE: weights("digits-1.0.0"), REJECT_BELOW: "2" },
      "REJECT_BELOW must be from 0 to 1",
    ],
  ])("does not start with %s", async (_kind, env, words) => {
    await expect(startServer(env)).rejects.toThrow(new RegExp(`the server ended with 1: .*${words}`, "s"));
  });
});

describe("clients", () => {
  it("drain loses no request of clients, whether they keep their connection or not", async () => {
    const old = await serving("digits-1.0.0", "1", { REJECT_BELOW: "0.5" });
    const next = await serving("digits-2.0.1", "2", { REJECT_BELOW: "0.5" });
    // A Service in small: each new connection goes to whom the selector names.
    let target = new URL(old.url);
    const service = createTcpServer((client) => {
      const pod = connect(Number(target.port), target.hostname);
      client.pipe(pod).pipe(client);
      client.on("error", () => pod.destroy());
      pod.on("error", () => client.destroy());
    });
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const { port } = service.address() as { port: number };
    const answers: Answer[] = [];
    const clients = startClients({
      url: `http://127.0.0.1:${port}`,
      keepAlive: 3,
      fresh: 3,
      ratePerSecond: 60,
      stream: live,
      onAnswer: (answer) => answers.push(answer),
    });
    await expect.poll(() => clients.counts().answered, { timeout: 10_000 }).toBeGreaterThan(40);
    target = new URL(next.url);
    // Kept connections still call the old one.
    await expect.poll(() => clients.counts().byRevision.size, { timeout: 10_000 }).toBe(2);
    old.terminate();
    expect(await old.ended).toEqual([0, null]);
    const before = clients.counts().byRevision.get("2")?.answered ?? 0;
    await expect.poll(() => clients.counts().byRevision.get("2")?.answered, { timeout: 10_000 }).toBeGreaterThan(before + 40);
    const counts = await clients.stop();
    service.close();
    expect(counts).toMatchObject({ failed: 0, failures: [] });
    expect(counts.sent).toBe(answers.length);
    for (const keepAlive of [true, false]) {
      const revisions = answers
        .filter((answer) => answer.keepAlive === keepAlive && answer.prediction)
        .map(({ prediction }) => prediction?.revision);
      expect(new Set(revisions)).toEqual(new Set(["1", "2"]));
    }
    const wrong = answers.filter(({ prediction }) => prediction && prediction.digit !== prediction.truth).length;
    expect(counts.wrong).toBe(wrong);
  }, 40_000);

  it("not ready at once when it drains, and still serves who comes late", async () => {
    const { url, terminate, ended } = await serving("digits-1.0.0", "1");
    const kept = connect(Number(new URL(url).port), "127.0.0.1");
    await new Promise((resolve) => kept.once("connect", resolve));
    terminate();
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 5000 }).toBe(503);
    const { status, headers } = await post(`${url}/predict`, { pixels: Buffer.from(first.pixels).toString("base64") });
    expect([status, headers.get("connection")]).toEqual([200, "close"]);
    kept.destroy();
    expect(await ended).toEqual([0, null]);
  });

  it("count as failed what failed, and try nothing twice", async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? "");
      if (asked.length % 3 === 0) response.writeHead(503).end("busy");
      else if (asked.length % 3 === 1) request.socket.destroy();
      // Every third one gets no answer.
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const clients = startClients({
      url: `http://127.0.0.1:${port}`,
      keepAlive: 1,
      fresh: 1,
      ratePerSecond: 50,
      stream: live,
      timeoutMs: 100,
    });
    await expect.poll(() => asked.length, { timeout: 10_000 }).toBeGreaterThan(8);
    const counts = await clients.stop();
    server.closeAllConnections();
    server.close();
    expect(counts).toMatchObject({ answered: 0, failed: counts.sent, sent: asked.length });
    const reasons = counts.failures.map(({ failure }) => failure).join();
    expect(reasons).toMatch(/HTTP 503: busy/);
    expect(reasons).toMatch(/socket hang up|ECONNRESET/);
    expect(reasons).toMatch(/abort/i);
  });
});
