// Recreate under random stories: whatever users, metrics and pods do, no two revisions have pods at once, and what can serve serves.

import fc from "fast-check";
import { expect, test } from "vitest";
import { ModelDeploymentStatusSchema } from "../../src/api/modeldeployment-status.ts";
import { World } from "./world.ts";

const RUNS = Number(process.env.ROLLGUARD_TEST_RUNS ?? 15);
const version = fc.constantFrom("v1", "v2", "v3");
const crash = [{ name: "server", init: false, restarts: 3, terminated: { reason: "Error", exitCode: 1, message: "" } }] as never;

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pin" as const), version }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("metric" as const), version, value: fc.constantFrom(0.01, 0.5, -1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const), version, seconds: fc.constantFrom(1, 20, 900) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("break" as const), version, value: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const), seconds: fc.constantFrom(0, 3, 90) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("scale" as const), replicas: fc.constantFrom(0, 1, 3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pause" as const), value: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke" as const), version: fc.constantFrom("v2", "v3") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      kind: fc.constantFrom("retry" as const, "rollbackTo" as const, "promote" as const),
      target: fc.constantFrom("v1", "v2", "v3", "previous", "r2"),
      token: fc.constantFrom("a", "b", "c"),
    }),
  },
);

test("at no time do two revisions have pods, but where ending ones hang past every limit; in the end what can serve serves", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), (story) => {
      const strategy = { type: "Recreate", drain: "1s", progressDeadline: "60s", standby: { replicas: "100%", for: "1h" } };
      const world = new World({ strategy } as never).version("v1").version("v2").version("v3");
      const metrics: Record<string, number> = {};
      const starts: Record<string, number> = {};
      const broken = new Set<string>();
      let ending = 0;
      let hung = false;
      world.measure = (_check, name) => {
        const value = metrics[name] ?? 0.01;
        return value < 0 ? { kind: "Error", message: "refused" } : { kind: "Value", value };
      };
      world.startMs = (name) => (starts[name] ?? 1) * 1000;
      world.breaks = (name) => (broken.has(name) ? crash : undefined);
      world.endMs = () => ending * 1000;
      const pass = world.pass.bind(world);
      world.pass = () => {
        const changed = pass();
        const having = [...world.children.keys()].filter((one) => world.cluster.pods(one, world.now, world).length > 0);
        // A return waits for pods to end a third of the deadline, and no longer: 90 s are more.
        if (having.length > 1 && !hung) throw new Error(`pods of r${having.join(" and r")} at once`);
        return changed;
      };
      world.run(2000);
      for (const one of story) {
        if (one.do === "pin") world.pin(one.version).run(500);
        else if (one.do === "metric") metrics[one.version] = one.value;
        else if (one.do === "start") starts[one.version] = one.seconds;
        else if (one.do === "break") one.value ? broken.add(one.version) : broken.delete(one.version);
        else if (one.do === "end") {
          ending = one.seconds;
          hung ||= ending > 40;
        } else if (one.do === "wait") world.run(one.seconds * 1000);
        else if (one.do === "scale") world.deployment.spec = { ...world.deployment.spec, replicas: one.replicas };
        else if (one.do === "pause") world.deployment.spec = { ...world.deployment.spec, paused: one.value };
        else if (one.do === "revoke") world.version(one.version, { revoked: true });
        else if (one.do === "ask") world.request(one.kind, one.target, one.token).run(500);
        else {
          world.windows.clear();
          delete world.tried;
        }
        expect(ModelDeploymentStatusSchema.safeParse(world.status).error).toBeUndefined();
        if (world.status.active) expect(world.selects).toBe(world.status.active.revision);
      }
      // Everything is well again: whatever serves then has pods, and nothing is half done.
      for (const name of ["v1", "v2", "v3"]) Object.assign(metrics, { [name]: 0.01 });
      for (const name of ["v1", "v2", "v3"]) Object.assign(starts, { [name]: 1 });
      for (const child of world.children.values()) {
        child.readyAt = Math.min(child.readyAt, world.now);
        delete child.broken;
      }
      broken.clear();
      ending = 0;
      world.deployment.spec = { ...world.deployment.spec, replicas: 2, paused: false };
      world.run(900_000);
      if (world.status.active) expect(world.condition("Available")?.status).toBe("True");
      expect(world.status.active?.downSince).toBeUndefined();
    }),
    { numRuns: RUNS, seed: Number(process.env.ROLLGUARD_TEST_SEED ?? 20_261_124) },
  );
}, 180_000);
