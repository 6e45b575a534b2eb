// What can go wrong, each by its name and with the one place where it acts. `harmless`: it must not change where things end.

import type { Caller, Effect, Request } from "./network.ts";
import type { Pipe } from "./pipe.ts";
import type { Fault } from "./plan.ts";
import type { SourceTrouble } from "./source.ts";
import { KEPT } from "./state.ts";
import type { World } from "./world.ts";

interface FaultKindSpec {
  about: string;
  harmless: boolean;
  ms: readonly [min: number, max: number];
  count: readonly [min: number, max: number];
  /** Resources that it may be about; empty text: any. */
  on: readonly string[];
  begin(world: World, fault: Fault): void;
}

const ANY = [""];
const WRITTEN = [
  "",
  "",
  "modeldeployments",
  "services",
  "deployments",
  "controllerrevisions",
  "rolloutrecords",
  "leases",
  "events",
];
const WATCHED = [
  "",
  "modeldeployments",
  "services",
  "deployments",
  "pods",
  "endpointslices",
  "controllerrevisions",
  "rolloutrecords",
];

type Which = "Write" | "Read" | "Any" | "List";

/** Whether a request is what a fault is about. A watch is a read. */
function concerns(fault: Fault, which: Which): (request: Request) => boolean {
  return ({ path, kind }) => {
    if (fault.on !== "" && path.resource !== fault.on) return false;
    if (fault.on === "" && path.resource === "leases" && which === "Write") return false;
    if (which === "Any") return true;
    if (which === "List") return kind === "List";
    return which === "Write" ? kind === "Write" : kind !== "Write";
  };
}

/** Acts on the next requests. */
function onRequests(
  effect: (fault: Fault) => Effect,
  spec: { about: string; which: Which; ms?: readonly [number, number]; count?: readonly [number, number]; harmless?: boolean },
): FaultKindSpec {
  return {
    about: spec.about,
    harmless: spec.harmless ?? true,
    ms: spec.ms ?? [0, 0],
    count: spec.count ?? [1, 6],
    on: spec.which === "Write" ? WRITTEN : spec.which === "Any" ? ANY : WATCHED,
    begin(world, fault) {
      world.network.arm({
        matches: concerns(fault, spec.which),
        left: fault.count,
        until: world.clock.monotonic() + 40_000,
        effect: effect(fault),
        onHit: ({ path }) => world.hit(fault.kind, path.resource === "modeldeployments" ? path.name : undefined),
      });
    },
  };
}

/** Acts on watches that are open now. */
function onWatches(about: string, act: (pipe: Pipe, fault: Fault) => void, ms: readonly [number, number]): FaultKindSpec {
  return {
    about,
    harmless: true,
    ms,
    count: [1, 3],
    on: WATCHED,
    begin(world, fault) {
      for (const pipe of [...world.network.pipes]) {
        if (fault.on !== "" && pipe.resource !== fault.on) continue;
        world.hit(fault.kind);
        act(pipe, fault);
      }
    },
  };
}

function onProcess(
  about: string,
  ms: readonly [number, number],
  act: (world: World, caller: Caller, fault: Fault) => void,
): FaultKindSpec {
  return {
    about,
    harmless: true,
    ms,
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      const running = world.running();
      const process = running[Math.floor(fault.pick * running.length)];
      if (!process) return;
      world.hit(fault.kind);
      act(world, process, fault);
    },
  };
}

function onSource(about: string, trouble: SourceTrouble): FaultKindSpec {
  return {
    about,
    harmless: false,
    ms: [2000, 40_000],
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      world.source.fail(trouble, fault.ms, () => world.hit(fault.kind));
    },
  };
}

/** A pod that runs, or a deployment's object of a kind, chosen by the fault. */
function choose<T>(list: readonly T[], fault: Fault): T | undefined {
  return list[Math.floor(fault.pick * list.length)];
}

function onPod(
  about: string,
  ms: readonly [number, number],
  act: (world: World, pod: string, fault: Fault) => void,
): FaultKindSpec {
  return {
    about,
    harmless: false,
    ms,
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      const pod = choose(world.kubelet.running(), fault);
      if (!pod) return;
      world.hit(fault.kind, pod.deployment);
      act(world, pod.name, fault);
    },
  };
}

/** Somebody else writes to what is ours. */
function byForeigner(
  about: string,
  storage: string,
  edit: (live: Record<string, never>, fault: Fault) => object | undefined | "Delete",
): FaultKindSpec {
  return {
    about,
    harmless: false,
    ms: [0, 0],
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      const live = choose(
        world.state.list(storage).filter((one) => one.metadata.labels?.["rollguard.dev/deployment"] !== undefined),
        fault,
      );
      if (!live) return;
      const edited = edit(live as unknown as Record<string, never>, fault);
      if (edited === undefined) return;
      world.hit(fault.kind, live.metadata.labels?.["rollguard.dev/deployment"]);
      world.foreign(storage, live.metadata.name, edited);
    },
  };
}

const refuse = (when: "Before" | "After", status: number, reason: string) => (): Effect => ({
  do: "Refuse",
  when,
  status,
  reason,
});
const edited = (object: Record<string, never>, at: "labels" | "annotations", add: Record<string, string>): object => {
  const { metadata } = object as unknown as { metadata: Record<string, object> };
  return { ...object, metadata: { ...metadata, [at]: { ...metadata[at], ...add } } };
};

export const FAULTS = {
  "kill-before-commit": onRequests(() => ({ do: "Kill", when: "Before" }), {
    about: "the operator is killed when a write left it and before the server has it",
    which: "Write",
    count: [1, 1],
  }),
  "kill-after-commit": onRequests(() => ({ do: "Kill", when: "After" }), {
    about: "the operator is killed when the server committed a write and before it heard of it",
    which: "Write",
    count: [1, 1],
  }),
  "kill-at-read": onRequests(() => ({ do: "Kill", when: "After" }), {
    about: "the operator is killed while it reads: often in its start",
    which: "Read",
    count: [1, 1],
  }),
  kill: onProcess("an operator is killed at some time", [0, 0], (_world, process) => process.kill()),
  stop: onProcess("an operator gets SIGTERM", [0, 0], (world, process) => world.stop(process)),
  pause: onProcess("an operator is stopped (SIGSTOP) and woken late", [500, 45_000], (_world, process, { ms }) =>
    process.pause(ms),
  ),
  "pause-at-write": onRequests(({ ms }) => ({ do: "Pause", when: "Before", ms }), {
    about: "an operator is stopped at the moment when its write is on the way",
    which: "Write",
    ms: [500, 45_000],
    count: [1, 1],
  }),
  "clock-step": onProcess("the wall clock of an operator steps by an hour", [0, 0], (world, process, { pick }) =>
    world.stepWall(process, pick < 0.5 ? -3_600_000 : 3_600_000),
  ),
  "lost-answer": onRequests(() => ({ do: "Reset", when: "After" }), {
    about: "the answer to a committed write is lost",
    which: "Write",
  }),
  "cut-before": onRequests(() => ({ do: "Reset", when: "Before" }), {
    about: "the connection is cut before the server has it",
    which: "Any",
  }),
  "silence-after": onRequests(() => ({ do: "Silence", when: "After" }), {
    about: "no answer comes to a committed write",
    which: "Write",
    count: [1, 3],
  }),
  "silence-before": onRequests(() => ({ do: "Silence", when: "Before" }), {
    about: "a request is swallowed",
    which: "Any",
    count: [1, 3],
  }),
  "slow-request": onRequests(({ ms }) => ({ do: "Delay", when: "Before", ms }), {
    about: "a write arrives late, also after the client gave up",
    which: "Write",
    ms: [200, 20_000],
    count: [1, 4],
  }),
  "slow-answer": onRequests(({ ms }) => ({ do: "Delay", when: "After", ms }), {
    about: "an answer is late",
    which: "Any",
    ms: [200, 12_000],
  }),
  conflict: onRequests(refuse("Before", 409, "Conflict"), { about: "409 without a cause", which: "Write" }),
  "touched-before": {
    about: "somebody changes a label of the object just before a write of it arrives: a true 409",
    harmless: false,
    ms: [0, 0],
    count: [1, 6],
    on: ["modeldeployments", "services", "deployments", "controllerrevisions"],
    begin(world, fault) {
      world.network.arm({
        matches: (request) => concerns(fault, "Write")(request) && request.method !== "POST",
        left: fault.count,
        until: world.clock.monotonic() + 40_000,
        effect: { do: "First", act: ({ path }) => world.touch(path) },
        onHit: ({ path }) => world.hit(fault.kind, path.resource === "modeldeployments" ? path.name : undefined),
      });
    },
  },
  throttled: onRequests(() => ({ do: "Refuse", when: "Before", status: 429, reason: "TooManyRequests", retryAfterSeconds: 2 }), {
    about: "429 with Retry-After",
    which: "Any",
  }),
  "gone-at-read": onRequests(refuse("Before", 410, "Expired"), { about: "410 to a list or watch", which: "Read" }),
  "forbidden-read": onRequests(refuse("Before", 403, "Forbidden"), { about: "403 to a list or watch", which: "Read" }),
  "internal-before": onRequests(refuse("Before", 500, "InternalError"), { about: "500 before the commit", which: "Any" }),
  "internal-after": onRequests(refuse("After", 500, "InternalError"), { about: "500 after the commit", which: "Write" }),
  "unavailable-before": onRequests(refuse("Before", 503, "ServiceUnavailable"), { about: "503 before the commit", which: "Any" }),
  "unavailable-after": onRequests(refuse("After", 503, "ServiceUnavailable"), { about: "503 after the commit", which: "Write" }),
  "stale-list": onRequests(({ ms }) => ({ do: "Stale", ms }), {
    about: "a list from a server that lags behind",
    which: "List",
    ms: [200, 15_000],
    count: [1, 4],
  }),
  "watch-end": onWatches("watches end", (pipe) => pipe.finish(), [0, 0]),
  "watch-gone": onWatches("watches end with 410", (pipe) => pipe.gone(), [0, 0]),
  "watch-stall": onWatches(
    "nothing comes on watches for a while, then all of it",
    (pipe, { ms }) => pipe.hold(ms),
    [500, 30_000],
  ),
  "watch-half-open": onWatches("watches go dead without a word", (pipe) => pipe.deafen(), [0, 0]),
  "watch-repeat": onWatches("events are told twice", (pipe, { count }) => pipe.repeat(count), [0, 0]),
  "watch-delay": onWatches("events come late", (pipe, { ms }) => pipe.slow(ms, 20_000), [100, 5000]),
  "watch-skip": onWatches(
    "what happens for a while is never told, until the server says 410",
    (pipe, { ms }) => pipe.skip(ms),
    [200, 8000],
  ),
  "lease-deleted": {
    about: "somebody deletes the lease",
    harmless: true,
    ms: [0, 0],
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      const lease = world.state.get(KEPT.leases, "rollguard");
      if (!lease) return;
      world.hit(fault.kind);
      world.foreign(KEPT.leases, "rollguard", "Delete");
    },
  },
  "second-operator": {
    about: "another operator is started beside those that run",
    harmless: true,
    ms: [5000, 60_000],
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      world.hit(fault.kind);
      world.startGuest(fault.ms);
    },
  },
  "pod-crash": onPod("a container ends once and is started again", [500, 4000], (world, pod, { ms }) =>
    world.kubelet.crash(pod, ms),
  ),
  "pod-unready": onPod("a pod is not ready for a while", [500, 8000], (world, pod, { ms }) => world.kubelet.unready(pod, ms)),
  "pod-vanish": onPod("a pod is deleted", [0, 0], (world, pod) => world.deletePod(pod)),
  "pods-slow": {
    about: "the kubelet makes no container for a while",
    harmless: false,
    ms: [1000, 90_000],
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      world.hit(fault.kind);
      world.kubelet.hold(fault.ms);
    },
  },
  "node-lost": {
    about: "the node is not ready, and so are its pods",
    harmless: false,
    ms: [2000, 40_000],
    count: [1, 1],
    on: ANY,
    begin(world, fault) {
      world.hit(fault.kind);
      world.kubelet.loseNode(fault.ms);
    },
  },
  "source-refused": onSource("the source refuses connections", "Refused"),
  "source-silent": onSource("the source does not answer", "Silent"),
  "source-500": onSource("the source answers 503", "Unavailable"),
  "source-html": onSource("the source answers with a page", "Html"),
  "source-cut": onSource("the source's answer is cut off", "Truncated"),
  "source-nan": onSource("the source answers NaN", "NaN"),
  "source-empty": onSource("the source knows no series", "Empty"),
  "source-many": onSource("the source answers with two series", "Many"),
  "source-old": onSource("the source answers with bad samples that are old", "Old"),
  "source-future": onSource("the source answers with bad samples from the future", "Future"),
  "foreign-label": byForeigner("somebody labels a Service of ours", KEPT.services, (live, { pick }) =>
    edited(live, "labels", { "team.example/label": String(Math.round(pick * 1000)) }),
  ),
  "foreign-decision": byForeigner("somebody raises the decision's number on a Service", KEPT.services, (live) =>
    edited(live, "annotations", { "rollguard.dev/decision": "900" }),
  ),
  "foreign-selector": byForeigner("somebody points a Service at another revision", KEPT.services, (live, { pick }) => {
    const { spec } = live as unknown as { spec: { selector: Record<string, string> } };
    const selector = { ...spec.selector, "rollguard.dev/revision": String(1 + Math.floor(pick * 3)) };
    return { ...live, spec: { ...spec, selector } };
  }),
  "foreign-replicas": byForeigner("somebody scales a child", KEPT.children, (live, { pick }) => {
    const { spec } = live as unknown as { spec: object };
    return { ...live, spec: { ...spec, replicas: Math.floor(pick * 4) } };
  }),
  "foreign-child-deleted": byForeigner("somebody deletes a child", KEPT.children, () => "Delete"),
  "foreign-service-deleted": byForeigner("somebody deletes a Service", KEPT.services, () => "Delete"),
} satisfies Record<string, FaultKindSpec>;

export type FaultKind = keyof typeof FAULTS;
