// Leader election: two electors on one API server, with time, faults and deaths in the test's hands.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import { Elector, type TermEnd } from "../../src/kube/lease.ts";
import { silentLogger } from "../../src/log.ts";
import type { FaultAction, Faults } from "../../src/sandbox/apiserver/faults.ts";
import { ApiServer } from "../../src/sandbox/apiserver/server.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

const ID = { group: "coordination.k8s.io", version: "v1", resource: "leases" };

interface Candidate {
  elector: Elector;
  /** As SIGTERM. */
  stop(): void;
  /** As SIGKILL: nothing of it reaches the server any more. */
  kill(): void;
  /** What happens to its next requests. */
  faults: (Faults | undefined)[];
  /** Holds its work back when the term ends, until called. */
  finishWork(): void;
  leads(): boolean;
  terms: number;
  end: TermEnd | undefined;
  done: Promise<void>;
}

function world() {
  const clock = new FakeClock();
  const server = new ApiServer({ clock });
  const requests: string[] = [];
  const candidates: Candidate[] = [];
  const byAgent = new Map<string, Candidate & { dead?: boolean }>();
  server.intercept = (request) => {
    const agent = request.headers["user-agent"] ?? "";
    requests.push(`${agent} ${request.method}`);
    const candidate = byAgent.get(agent);
    return candidate?.dead ? { before: { do: "hang" } } : candidate?.faults.shift();
  };
  const join = (identity: string, options: { slowWork?: boolean; agent?: string } = {}): Candidate => {
    const agent = options.agent ?? identity;
    const client: KubeClient = connect({ clock, dispatcher: server.dispatcher(), userAgent: agent });
    const elector = new Elector({
      client,
      namespace: "default",
      name: "rollguard",
      identity,
      clock,
      logger: silentLogger,
      random: () => 1,
    });
    const stop = new AbortController();
    const work = Promise.withResolvers<void>();
    if (!options.slowWork) work.resolve();
    const candidate: Candidate & { dead?: boolean } = {
      elector,
      stop: () => stop.abort(new Error("SIGTERM")),
      kill: () => {
        candidate.dead = true;
      },
      faults: [],
      finishWork: () => work.resolve(),
      leads: () => !candidate.dead && elector.remainingMs() > 0,
      terms: 0,
      end: undefined,
      done: Promise.resolve(),
    };
    byAgent.set(agent, candidate);
    candidates.push(candidate);
    candidate.done = elector
      .run(stop.signal, {
        onElected: async (term) => {
          candidate.terms++;
          await new Promise<void>((resolve) => term.addEventListener("abort", () => resolve(), { once: true }));
          await work.promise;
        },
      })
      .then((end) => {
        candidate.end = end;
      });
    return candidate;
  };
  const lease = () => server.get(ID, "default", "rollguard");
  /** Advances in small steps and fails as soon as two lead. */
  const pass = async (ms: number, step = 50) => {
    for (let t = 0; t < ms; t += step) {
      await clock.advance(Math.min(step, ms - t));
      expect(candidates.filter((c) => c.leads()).length, "leaders at once").toBeLessThanOrEqual(1);
    }
  };
  return { clock, server, requests, join, lease, pass };
}

describe("leader election", () => {
  test("the first leads and stays leader, the second stands by, at few requests", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(60_000);
    expect(a.leads()).toBe(true);
    expect(b.leads()).toBe(false);
    expect(w.lease()?.spec).toMatchObject({ holderIdentity: "a", leaseDurationSeconds: 10, leaseTransitions: 0 });
    expect(w.lease()?.spec.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    const of = (name: string) => w.requests.filter((request) => request.startsWith(`${name} `)).length;
    expect(of("a")).toBeLessThanOrEqual(23);
    // A read and a watch.
    expect(of("b")).toBeLessThanOrEqual(4);
    for (const c of [a, b]) c.stop();
    await w.pass(5_000);
    expect([a.end, b.end]).toEqual(["Stopped", "Stopped"]);
    expect(w.clock.timers).toBe(0);
  });

  test("on SIGTERM the lease is released and the successor acts within a second", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(7_000);
    a.stop();
    await w.pass(1000);
    expect(a.end).toBe("Stopped");
    expect(b.leads()).toBe(true);
    expect(b.terms).toBe(1);
    expect(w.lease()?.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
    b.stop();
    await w.pass(1000);
  });

  test("also when the successor's watch does not work", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    // Reads are answered, watches refused: it polls.
    const refuse = w.server.intercept;
    w.server.intercept = (request, path) =>
      request.url.includes("watch=true")
        ? { before: { do: "refuse", status: 403, reason: "Forbidden" } }
        : refuse?.(request, path);
    await w.pass(7_000);
    a.stop();
    await w.pass(1000);
    expect(b.leads()).toBe(true);
    b.stop();
    await w.pass(1000);
  });

  test("the lease is released only when the work has ended, and is renewed until then", async () => {
    const w = world();
    const a = w.join("a", { slowWork: true });
    await w.pass(100);
    const b = w.join("b");
    await w.pass(1000);
    a.stop();
    await w.pass(30_000);
    expect(a.leads()).toBe(true);
    expect(b.leads()).toBe(false);
    a.finishWork();
    await w.pass(1000);
    expect(b.leads()).toBe(true);
    b.stop();
    await w.pass(1000);
  });

  test("a killed leader is succeeded within 12 s, whenever it dies", async () => {
    for (const dies of [0, 1000, 2900, 3000, 3050, 4500]) {
      const w = world();
      const a = w.join("a");
      await w.pass(100);
      const b = w.join("b");
      await w.pass(3000 + dies);
      a.kill();
      let waited = 0;
      for (; !b.leads() && waited < 20_000; waited += 100) await w.pass(100);
      expect(waited, `killed after ${dies} ms`).toBeLessThanOrEqual(12_000);
      b.stop();
      await w.pass(1000);
    }
  });

  test("a leader that can't renew steps down before the lease can be taken by another", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(5_000);
    a.faults = Array.from({ length: 1000 }, (): Faults => ({ before: { do: "reset" } }));
    let steppedDown: number | undefined;
    let taken: number | undefined;
    for (let t = 0; t < 15_000; t += 50) {
      await w.pass(50);
      if (!a.leads()) steppedDown ??= t;
      if (b.leads()) taken ??= t;
    }
    expect(steppedDown).toBeLessThan(taken ?? 0);
    expect(a.end).toBe("Lost");
    expect(b.leads()).toBe(true);
    b.stop();
    await w.pass(1000);
  });

  test("a renewal counts from when it was sent, not from when its slow answer came", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    a.faults = [
      { after: { do: "delay", ms: 2_400 } },
      ...Array.from({ length: 1000 }, (): Faults => ({ before: { do: "reset" } })),
    ];
    // `pass` fails when two lead at once.
    await w.pass(20_000);
    expect(a.end).toBe("Lost");
    expect(b.leads()).toBe(true);
    b.stop();
    await w.pass(1000);
  });

  test("an outage of the API server that is shorter than the lease costs nothing", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(3_200);
    let out = true;
    w.server.intercept = () => (out ? { before: { do: "refuse", status: 503 } } : undefined);
    await w.pass(7_000);
    out = false;
    await w.pass(20_000);
    expect(a.leads()).toBe(true);
    expect(a.terms).toBe(1);
    a.stop();
    await w.pass(1000);
  });

  test("a renewal that was committed though its answer was lost does not cost the lease", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const lost: FaultAction[] = [{ do: "reset" }, { do: "refuse", status: 500 }, { do: "hang" }];
    for (const after of lost) {
      a.faults = [{ after }];
      await w.pass(12_000);
      expect(a.leads()).toBe(true);
    }
    expect(a.terms).toBe(1);
    a.stop();
    await w.pass(1000);
    expect(w.lease()?.spec.holderIdentity).toBe("");
  });

  test("so does the taking of it: it leads with the next try", async () => {
    const w = world();
    const a = w.join("a");
    a.faults = [undefined, { after: { do: "reset" } }];
    await w.pass(2000);
    expect(a.leads()).toBe(true);
    a.stop();
    await w.pass(1000);
  });

  test("steps of the wall clock by an hour, on either side, change nothing", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(4_000);
    for (const step of [3_600_000, -7_200_000]) {
      w.clock.stepWall(step);
      await w.pass(15_000);
      expect(a.leads()).toBe(true);
      expect(b.leads()).toBe(false);
    }
    for (const c of [a, b]) c.stop();
    await w.pass(2000);
  });

  test("two processes with the same identity never lead at once", async () => {
    const w = world();
    const a = w.join("twin", { agent: "first" });
    await w.pass(100);
    const b = w.join("twin", { agent: "second" });
    await w.pass(15_000);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
    a.kill();
    await w.pass(12_000);
    expect(b.leads()).toBe(true);
    b.stop();
    await w.pass(1000);
  });

  test("a lease that somebody deletes is made again by its holder, and nobody else leads meanwhile", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(4_000);
    w.server.delete(ID, "default", "rollguard");
    for (let passed = 0; passed < 20_000; passed += 100) {
      await w.pass(100);
      expect([a.leads(), b.leads()]).toEqual([true, false]);
    }
    expect(w.lease()?.spec.holderIdentity).toBe("a");
    for (const c of [a, b]) c.stop();
    await w.pass(2000);
  });

  test("a lease that is deleted when its holder is dead is taken when it would have run out, not before", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(4_000);
    a.kill();
    w.server.delete(ID, "default", "rollguard");
    await w.pass(7_000);
    expect(b.leads()).toBe(false);
    await w.pass(5_000);
    expect(b.leads()).toBe(true);
    b.stop();
    await w.pass(1000);
  });

  test("a lease that somebody takes by hand is lost at the next renewal", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const lease = w.lease();
    if (lease) w.server.update(ID, { ...lease, spec: { ...lease.spec, holderIdentity: "a person" } });
    await w.pass(3_200);
    expect(a.leads()).toBe(false);
    await w.pass(5_000);
    expect(a.end).toBe("Lost");
  });

  test("stopped while standing by, it leaves at once and leaves the lease alone", async () => {
    const w = world();
    const a = w.join("a");
    await w.pass(100);
    const b = w.join("b");
    await w.pass(4_000);
    b.stop();
    await settle();
    expect(b.end).toBe("Stopped");
    expect(w.lease()?.spec.holderIdentity).toBe("a");
    a.stop();
    await w.pass(1000);
    expect(w.clock.timers).toBe(0);
  });
});

describe("whatever happens to requests", () => {
  const action = fc.constantFrom<FaultAction>(
    { do: "reset" },
    { do: "hang" },
    { do: "delay", ms: 1500 },
    { do: "delay", ms: 8000 },
    { do: "refuse", status: 500 },
    { do: "refuse", status: 429, retryAfterSeconds: 5 },
    { do: "refuse", status: 409, reason: "Conflict" },
  );
  const fault: fc.Arbitrary<Faults | undefined> = fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 2 },
    { arbitrary: action.map((before) => ({ before })), weight: 2 },
    { arbitrary: action.map((after) => ({ after })), weight: 2 },
  );
  const event = fc.record({
    wait: fc.integer({ min: 100, max: 9000 }),
    who: fc.nat(1),
    what: fc.constantFrom("faults", "faults", "stop", "kill", "wall"),
    faults: fc.array(fault, { maxLength: 8 }),
  });

  test("never two leaders at once by monotonic time, and in the end one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 6 }), async (events) => {
        const w = world();
        const both = [w.join("c0"), w.join("c1")];
        let joined = 2;
        for (const { wait, who, what, faults } of events) {
          await w.pass(wait, 100);
          const candidate = both[who];
          if (candidate === undefined) continue;
          if (what === "faults") candidate.faults = [...faults];
          else if (what === "wall") w.clock.stepWall(faults.length % 2 ? 3_600_000 : -3_600_000);
          else {
            if (what === "stop") candidate.stop();
            else candidate.kill();
            both[who] = w.join(`c${joined++}`);
          }
        }
        for (const [i, candidate] of both.entries()) {
          candidate.faults = [];
          // One that lost its lease has left, as it should; a new process takes its place.
          if (candidate.end !== undefined) both[i] = w.join(`c${joined++}`);
        }
        await w.pass(30_000, 200);
        expect(both.filter((candidate) => candidate.leads())).toHaveLength(1);
        for (const candidate of both) candidate.stop();
        await w.pass(3_000, 200);
      }),
      { numRuns: 25 },
    );
  });
});
