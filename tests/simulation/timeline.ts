// The story of a run as lines that a person reads: who did what, what went wrong, what was decided, and where the traffic went.

import type { ModelDeploymentStatus } from "../../src/api/modeldeployment-status.ts";
import type { StoredObject } from "../../src/sandbox/api.ts";
import { selectedBy } from "./checker.ts";
import type { Plan } from "./plan.ts";
import { type Commit, KEPT } from "./state.ts";
import type { Witness } from "./world.ts";

const clock = (ms: number) => {
  const seconds = Math.floor(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, "0")}.${String(Math.round(ms % 1000)).padStart(3, "0")}`;
};

export class Timeline implements Witness {
  readonly lines: string[] = [];

  #line(at: number, who: string, what: string): void {
    this.lines.push(`${clock(at)}  ${who.padEnd(11)} ${what}`);
  }

  committed({ storage, object, previous, type, at, by }: Commit): void {
    const { name } = object.metadata;
    if (storage === KEPT.deployments) {
      const [was, is] = [statusLine(previous), statusLine(object)];
      if (type === "DELETED") this.#line(at, by, `${name} is gone`);
      else if (was !== is && by.startsWith("operator-")) this.#line(at, by, `${name} ${is}`);
    } else if (storage === KEPT.services && !name.endsWith("-preview")) {
      const [was, is] = [selectedBy(previous), selectedBy(object)];
      if (type === "DELETED") this.#line(at, by, `Service ${name} is deleted`);
      else if (was !== is) this.#line(at, by, `Service ${name} → ${is === 0 ? "all pods" : `r${is}`}`);
    } else if (storage === KEPT.records && type === "ADDED") this.#line(at, by, `record ${name}`);
    else if (storage === KEPT.children && type !== "MODIFIED")
      this.#line(at, by, `child ${name} is ${type === "ADDED" ? "made" : "deleted"}`);
    else if (storage === KEPT.leases) {
      const [was, is] = [previous, object].map((one) => (one?.spec as { holderIdentity?: string } | undefined)?.holderIdentity);
      if (was !== is) this.#line(at, by, `the lease is ${is ? `${is}'s` : "free"}`);
    } else if (storage === KEPT.pods) {
      const [was, is] = [isReady(previous), isReady(object)];
      if (was !== is) this.#line(at, "kubelet", `${name} is ${is ? "ready" : "not ready"}`);
    }
  }

  process(at: number, name: string, what: string): void {
    this.#line(at, name, what);
  }

  fault(at: number, kind: string, deployment: string | undefined): void {
    this.#line(at, "FAULT", `${kind}${deployment ? ` (${deployment})` : ""}`);
  }

  person(at: number, deployment: string, what: string): void {
    this.#line(at, "person", `${deployment} ${what}`);
  }

  logged(at: number, process: string, level: string, fields: object, message: string): void {
    if (level === "info") return;
    const { error } = fields as { error?: string };
    this.#line(at, process, `${message}${error ? `: ${error.slice(0, 160)}` : ""}`);
  }
}

const isReady = (pod: StoredObject | undefined): boolean =>
  ((pod?.status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? []).some(
    (one) => one.type === "Ready" && one.status === "True",
  );

function statusLine(object: StoredObject | undefined): string {
  const { phase, reason, sequence, active, candidate, decision } = (object?.status ?? {}) as ModelDeploymentStatus;
  const refs = [
    active && `active r${active.revision}${active.baking ? " (bakes)" : ""}`,
    candidate && `candidate r${candidate.revision}`,
  ];
  return [`${phase}/${reason}`, ...refs.filter(Boolean), `sequence ${sequence ?? 0}`, `decision ${decision ?? 0}`].join(", ");
}

/** The plan in a few lines. */
export function describe({ seed, operators, latency, stepwise, deployments, troubles, steps, faults }: Plan): string {
  let time = 0;
  return [
    `seed ${seed}: ${operators} operator${operators > 1 ? "s" : ""}, latency ${latency}${stepwise ? ", each step waits until all is at rest" : ""}`,
    ...deployments.map(
      (one) =>
        `  ${one.name}: ${one.strategy}, ${one.replicas} replicas, ${one.mode}${one.probe ? ", probed" : ""}; ${JSON.stringify(one.fates)}${
          Object.keys(one.variants).length > 0 ? ` templates ${JSON.stringify(one.variants)}` : ""
        }`,
    ),
    ...troubles.map(
      (one) =>
        `  ${one.deployment} ${one.version ?? "whatever serves"} measures badly from ${clock(one.from)} to ${clock(one.to)}`,
    ),
    ...steps.map(({ after, deployment, act }) => {
      time += after;
      return `  ${stepwise ? "then" : clock(time)} ${deployment} ${JSON.stringify(act)}`;
    }),
    ...faults.map(
      (one) =>
        `  ${clock(one.at)} fault ${one.kind} on "${one.on}" ${one.count} times, ${one.ms} ms, pick ${one.pick.toFixed(3)}`,
    ),
  ].join("\n");
}
