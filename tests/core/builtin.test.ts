// The built-in checks count only what the model can be blamed for: one pod of each kind beside one that is well.

import { describe, expect, test } from "vitest";
import { podFacts } from "../../src/controllers/facts.ts";
import { noteRestarts, type RestartHistory, restartedShare, unreadyShare } from "../../src/core/builtin.ts";
import type { Pod } from "../../src/kube/objects.ts";
import { START } from "./world.ts";

interface Kind {
  what: string;
  pod: { phase?: string; reason?: string; ready?: boolean; scheduled?: string; container?: object | null; going?: boolean };
  /** False: its node is known not to be ready. */
  nodeReady?: boolean;
  /** Share of the pods that are not ready, and that restarted too often, with one beside it that is well. */
  unready: number;
  restarted: number;
}

const running = { restartCount: 0, state: { running: {} } };
const crashing = { restartCount: 5, state: { waiting: { reason: "CrashLoopBackOff" } } };

const KINDS: Kind[] = [
  { what: "ready", pod: { ready: true }, unready: 0, restarted: 0 },
  { what: "running and not ready", pod: {}, unready: 0.5, restarted: 0 },
  { what: "crashing", pod: { container: crashing }, unready: 0.5, restarted: 0.5 },
  { what: "crashing on a node that is not ready", pod: { container: crashing }, nodeReady: false, unready: 0, restarted: 0 },
  { what: "running on a node that is not ready", pod: {}, nodeReady: false, unready: 0, restarted: 0 },
  { what: "evicted", pod: { phase: "Failed", reason: "Evicted", container: crashing }, unready: 0, restarted: 0 },
  { what: "lost with its node", pod: { phase: "Failed", reason: "NodeLost", container: crashing }, unready: 0, restarted: 0 },
  { what: "not scheduled", pod: { phase: "Pending", scheduled: "Unschedulable", container: null }, unready: 0, restarted: 0 },
  { what: "held by a gate", pod: { phase: "Pending", scheduled: "SchedulingGated", container: null }, unready: 0, restarted: 0 },
  {
    what: "waiting for its image",
    pod: { phase: "Pending", container: { restartCount: 0, state: { waiting: { reason: "ImagePullBackOff" } } } },
    unready: 0,
    restarted: 0,
  },
  { what: "ending", pod: { going: true, container: crashing }, unready: 0, restarted: 0 },
];

function podOf(
  name: string,
  { phase = "Running", reason, ready = false, scheduled, container = running, going }: Kind["pod"],
): Pod {
  const created = new Date(START).toISOString();
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, creationTimestamp: created, ...(going ? { deletionTimestamp: created } : {}) },
    spec: { containers: [], ...(scheduled ? {} : { nodeName: "n" }) },
    status: {
      phase,
      ...(reason ? { reason } : {}),
      conditions: [
        { type: "Ready", status: ready ? "True" : "False" },
        { type: "PodScheduled", status: scheduled ? "False" : "True", ...(scheduled ? { reason: scheduled } : {}) },
      ],
      ...(container ? { containerStatuses: [{ name: "server", ready, ...container }] } : {}),
    },
  } as unknown as Pod;
}

describe("pods on a node that is not ready, evicted, or not scheduled are no evidence", () => {
  test.each(KINDS)("$what", ({ pod, nodeReady = true, unready, restarted }) => {
    const pods = [podFacts(podOf("well", { ready: true }), true), podFacts(podOf("other", pod), nodeReady)];
    const at = START + 60_000;
    expect(unreadyShare(pods, at)).toMatchObject({ kind: "Value", value: unready });
    const history: RestartHistory = new Map();
    noteRestarts(history, pods, at, 600_000);
    expect(restartedShare(history, pods, 3, at)).toMatchObject({ kind: "Value", value: restarted });
  });

  test("where no pod is evidence nothing is known", () => {
    const lost = [podFacts(podOf("other", { container: crashing }), false)];
    expect([unreadyShare(lost, START).kind, restartedShare(new Map(), lost, 3, START).kind]).toEqual(["Empty", "Empty"]);
  });
});
