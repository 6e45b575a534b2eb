// One source's trouble is its own, and the same question is asked once.

import { afterEach, describe, expect, it } from "vitest";
import { answering, closeServers, started } from "./server.ts";
import { one, pod, scalar, source } from "./support.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await closeServers();
});
function opened(...args: Parameters<typeof source>) {
  const asked = source(...args);
  cleanups.push(() => asked.close());
  return asked;
}

describe("identical queries are asked once", () => {
  it("those under way, and those of the same tick", async () => {
    const server = await started((_req, res) => void setTimeout(() => res.end(one(3)), 50));
    const asked = opened({ type: "Prometheus", address: server.url }, { coalesceMs: 60_000 });
    const readings = await Promise.all(Array.from({ length: 20 }, () => asked.read(scalar("up"))));
    readings.push(await asked.read(scalar("up")));
    expect(readings.every((reading) => reading.kind === "Value" && reading.value === 3)).toBe(true);
    expect(server.requests).toHaveLength(1);
    await asked.read(scalar("down"));
    expect(server.requests).toHaveLength(2);
  });

  it("of another tenant they are other queries", async () => {
    const server = await started(answering({ body: one(3) }));
    const asked = opened({ type: "Prometheus", address: server.url, tenancy: { queryParameter: "ns" } }, { coalesceMs: 60_000 });
    const query = scalar("up");
    await Promise.all([asked.read(query), asked.read({ ...query, variables: { ...query.variables, namespace: "ranking" } })]);
    expect(server.requests.map((request) => request.url).sort()).toEqual(["/api/v1/query?ns=fraud", "/api/v1/query?ns=ranking"]);
  });

  it("later they are asked again", async () => {
    const server = await started(answering({ body: one(3) }));
    const asked = opened({ type: "Prometheus", address: server.url }, { coalesceMs: 0 });
    await asked.read(scalar("up"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await asked.read(scalar("up"));
    expect(server.requests).toHaveLength(2);
  });
});

describe("One slow or broken source never delays another", () => {
  it("while one hangs with many queries, the other answers", async () => {
    const slow = await started(answering({ behaviour: "hang" }));
    const quick = await started(answering({ body: one(1) }));
    const hanging = opened({ type: "Prometheus", address: slow.url, timeout: "3s" });
    const fine = opened({ type: "Prometheus", address: quick.url, timeout: "3s" });
    let ended = 0;
    const stuck = Array.from({ length: 50 }, (_, index) => hanging.read(scalar(`up + ${index}`)).finally(() => ended++));
    for (let i = 0; i < 10; i++) expect(await fine.read(scalar(`up + ${i}`))).toMatchObject({ kind: "Value" });
    expect(ended).toBe(0);
    // No more than its own lane was taken.
    expect(slow.requests.length).toBeLessThanOrEqual(8);
    hanging.close();
    expect((await Promise.all(stuck)).every((reading) => reading.kind === "Error")).toBe(true);
  });

  it("a source that keeps failing is left alone for a while, then asked again", async () => {
    let broken = true;
    const server = await started((_req, res) => (broken ? res.writeHead(503).end() : res.end(one(1))));
    const asked = opened({ type: "Prometheus", address: server.url }, { coalesceMs: 0 });
    for (let i = 0; i < 10; i++) expect((await asked.read(scalar(`up + ${i}`))).kind).toBe("Error");
    expect(server.requests).toHaveLength(5);
    expect((await asked.read(scalar("up"))).message).toMatch(/not asked: the last 5 requests failed \(HTTP 503\)/);
    broken = false;
    await expect
      .poll(() => asked.read(scalar("up")).then((reading) => reading.kind), { timeout: 10_000, interval: 100 })
      .toBe("Value");
    expect((await asked.read(scalar("up + 1"))).kind).toBe("Value");
  });

  it("a query that the server refuses does not close the source for the others", async () => {
    const server = await started((req, res) => {
      const bad = server.requests.at(-1)?.body.includes("bad");
      void req;
      if (bad) res.writeHead(400).end(JSON.stringify({ status: "error", errorType: "bad_data", error: "parse error" }));
      else res.end(one(1));
    });
    const asked = opened({ type: "Prometheus", address: server.url }, { coalesceMs: 0 });
    for (let i = 0; i < 10; i++) expect((await asked.read(scalar(`bad + ${i}`))).message).toContain("parse error");
    expect((await asked.read(scalar("good"))).kind).toBe("Value");
  });

  it("a pod that hangs costs its revision its own time limit, and another revision nothing", async () => {
    const hanging = await started(answering({ behaviour: "hang" }));
    const fine = await started(answering({ body: "x 1\n" }));
    const asked = opened({ type: "Pods", timeout: "1s" });
    const query = scalar("sum(x)", { pods: [pod(fine.port, "a"), pod(hanging.port, "b")] });
    let slowDone = false;
    const slow = asked.read(query).finally(() => {
      slowDone = true;
    });
    const other = scalar("sum(x)", { pods: [pod(fine.port, "c")] });
    expect(await asked.read({ ...other, variables: { ...other.variables, workload: "scorer-r8" } })).toMatchObject({
      kind: "Value",
      value: 1,
    });
    expect(slowDone).toBe(false);
    const reading = await slow;
    expect(reading).toMatchObject({ kind: "Value", value: 1 });
    expect(reading.message).toBe("1 of 2 pods answered; left out: b (no complete answer within 1000 ms)");
  });
});

it("a reader that gives up is let go at once, and the others still get their answer", async () => {
  const server = await started((_req, res) => void setTimeout(() => res.end(one(3)), 100));
  const asked = opened({ type: "Prometheus", address: server.url });
  const abort = new AbortController();
  const given = asked.read(scalar("up"), abort.signal);
  const kept = asked.read(scalar("up"));
  abort.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  expect(await kept).toMatchObject({ kind: "Value", value: 3 });
});

it("a closed source answers Error", async () => {
  for (const type of ["Prometheus", "Web", "Pods"] as const) {
    const asked = opened({ type, address: "http://127.0.0.1:9" });
    asked.close();
    asked.close();
    const query = type === "Web" ? "/#$.a" : "up";
    expect(await asked.read(scalar(query, { pods: [pod(9)] }))).toMatchObject({
      kind: "Error",
      message: "the source was closed",
    });
  }
});
