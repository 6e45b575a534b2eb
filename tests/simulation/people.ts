// What people and Git do, step by step, as writes of theirs to the API server.

import type { StoredObject } from "../../src/sandbox/api.ts";
import type { Act, DeploymentPlan, Plan } from "./plan.ts";
import { KEPT } from "./state.ts";
import type { World } from "./world.ts";

const API = "rollguard.dev/v1alpha1";
const of = (resource: string) => ({ group: "rollguard.dev", version: "v1alpha1", resource });
const DEPLOYMENTS = of("modeldeployments");
const VERSIONS = of("modelversions");
const POLICIES = of("rollbackpolicies");
const SOURCES = of("metricsources");

/** The policy's times: short ones, so that much happens in a few simulated minutes. */
export const TIMES = { intervalMs: 5000, count: 2, of: 3, cooldownMs: 30_000 };

const nameOf = (deployment: string, version: string) => `${deployment}-${version}`;

function versionObject(deployment: string, version: string): object {
  const name = nameOf(deployment, version);
  return {
    apiVersion: API,
    kind: "ModelVersion",
    metadata: { name, namespace: "default" },
    spec: {
      model: deployment,
      version,
      artifact: { uri: `https://models.example/${name}`, digest: `sha256:${version.slice(1).padStart(64, "0")}`, load: "None" },
      serving: { env: [{ name: "SETTING", value: version }] },
    },
  };
}

function policyObject({ name, mode }: DeploymentPlan, stepwise: boolean): object {
  return {
    apiVersion: API,
    kind: "RollbackPolicy",
    metadata: { name, namespace: "default" },
    spec: {
      mode,
      warmup: "1s",
      bake: "15s",
      builtInInterval: "10s",
      available: { unready: "50%", for: "20s" },
      onMissingData: { after: "60s" },
      checks: [
        {
          name: "errors",
          source: "prometheus",
          query: 'error_share{name="${name}",revision="${revision}"}',
          window: "5s",
          interval: "5s",
          threshold: { max: 0.1 },
          breach: { count: TIMES.count, of: TIMES.of },
        },
      ],
      // Where the end must not depend on timing, no outage of an operator may make a return miss its deadline.
      rollback: { cooldown: "30s", verify: "15s", deadline: stepwise ? "15m" : "120s", maxDepth: 2 },
    },
  };
}

const strategyOf = ({ strategy }: DeploymentPlan, stepwise: boolean): object => ({
  type: strategy,
  drain: "2s",
  progressDeadline: stepwise ? "120s" : "60s",
  standby: { replicas: "100%", for: "60s" },
  ...(strategy === "Canary" ? { canary: { steps: [{ weight: 50, hold: "10s" }] } } : {}),
});

const templateOf = (variant: string): object => ({
  spec: {
    containers: [
      {
        name: "server",
        image: "toy:1",
        env: [{ name: "VARIANT", value: variant }],
        ports: [{ name: "http", containerPort: 8080 }],
      },
    ],
  },
});

function deploymentObject(plan: DeploymentPlan, version: string, stepwise: boolean): object {
  const { name, replicas, probe } = plan;
  return {
    apiVersion: API,
    kind: "ModelDeployment",
    metadata: { name, namespace: "default" },
    spec: {
      model: name,
      version: nameOf(name, version),
      replicas,
      policy: { name },
      strategy: strategyOf(plan, stepwise),
      template: templateOf("0"),
      ...(probe ? { probe: { path: "/predict", timeout: "1s" } } : {}),
    },
  };
}

type Editable = StoredObject & { spec: Record<string, unknown> };

/** Everything that is there before the first step. */
export function prepare(world: World): void {
  world.as("user", () => {
    world.server.create(SOURCES, {
      apiVersion: API,
      kind: "MetricSource",
      metadata: { name: "prometheus" },
      spec: { type: "Prometheus", address: "http://metrics.example", namespaces: ["*"], freeQueries: true },
    });
    for (const deployment of world.plan.deployments) {
      world.server.create(POLICIES, policyObject(deployment, world.plan.stepwise));
      for (const version of Object.keys(deployment.fates)) world.server.create(VERSIONS, versionObject(deployment.name, version));
    }
  });
}

/** Does one step where it can be done now. */
export function perform(world: World, name: string, act: Act, token: string): void {
  const plan = world.planOf(name);
  if (!plan) return;
  const { server } = world;
  const live = world.state.get<Editable>(KEPT.deployments, name);
  if (act.do !== "Create" && !live) return;
  world.person(name, JSON.stringify(act));
  const edit = (change: (object: Editable) => void) => {
    const object = server.get(DEPLOYMENTS, "default", name) as Editable | undefined;
    if (!object || object.metadata.deletionTimestamp !== undefined) return;
    change(object);
    server.update(DEPLOYMENTS, object);
  };
  const annotate = (key: string, value: string) =>
    edit((object) => {
      object.metadata.annotations = { ...object.metadata.annotations, [`rollguard.dev/${key}`]: value };
    });
  const set = (spec: object) => edit((object) => Object.assign(object.spec, spec));
  world.as("user", () => {
    switch (act.do) {
      case "Create":
        if (!live) server.create(DEPLOYMENTS, deploymentObject(plan, act.version, world.plan.stepwise));
        return;
      case "Pin":
        return set({ version: nameOf(name, act.version) });
      case "Template":
        return set({ template: templateOf(act.variant) });
      case "Scale":
        return set({ replicas: act.replicas });
      case "Policy":
        return editPolicy(world, name, act);
      case "Pause":
        if (act.by === "Spec") return set({ paused: act.paused });
        return annotate(act.paused ? "pause" : "resume", `${name}/${token}`);
      case "Retry":
        return annotate("retry", `${nameOf(name, act.target)}/${token}`);
      case "RollbackTo":
        return annotate("rollback-to", `${act.target === "previous" ? "previous" : nameOf(name, act.target)}/${token}`);
      case "Promote": {
        const { candidate, active } = (live?.status ?? {}) as { candidate?: { revision: number }; active?: { revision: number } };
        return annotate("promote", `r${candidate?.revision ?? active?.revision ?? 0}/${token}`);
      }
      case "Approve": {
        const { recommendation, active } = (live?.status ?? {}) as {
          recommendation?: { from: { revision: number } };
          active?: { revision: number };
        };
        return annotate("approve", `r${recommendation?.from.revision ?? active?.revision ?? 0}/${token}`);
      }
      case "Revoke": {
        const version = server.get(VERSIONS, "default", nameOf(name, act.version)) as Editable | undefined;
        if (version) server.update(VERSIONS, { ...version, spec: { ...version.spec, lifecycle: "Revoked" } });
        return;
      }
      case "Sync":
        return edit((object) => {
          object.metadata.annotations = { ...object.metadata.annotations, "git.example/synced": token };
        });
      case "Publish":
        if (!server.get(VERSIONS, "default", nameOf(name, act.version)))
          server.create(VERSIONS, versionObject(name, act.version));
        return;
      case "Delete":
        server.delete(DEPLOYMENTS, "default", name);
    }
  });
}

function editPolicy({ server }: World, name: string, { max, bake }: { max: number; bake: string }): void {
  const policy = server.get(POLICIES, "default", name) as (Editable & { spec: { checks: object[] } }) | undefined;
  if (!policy) return;
  const checks = policy.spec.checks.map((check) => ({ ...check, threshold: { max } }));
  server.update(POLICIES, { ...policy, spec: { ...policy.spec, bake, checks } });
}

/** Whether the operator has seen all that a person did: the generation and each request. */
export function isObserved(world: World, plan: Plan): boolean {
  return plan.deployments.every(({ name }) => {
    const live = world.state.get<StoredObject>(KEPT.deployments, name);
    if (!live) return true;
    const { observedGeneration, handled = {} } = (live.status ?? {}) as {
      observedGeneration?: number;
      handled?: Record<string, string>;
    };
    if (observedGeneration !== live.metadata.generation) return false;
    const asked = Object.entries(live.metadata.annotations ?? {}).flatMap(([key, value]) => {
      const kind = REQUESTS[key];
      return kind === undefined ? [] : [handled[kind] === value];
    });
    return asked.every(Boolean);
  });
}

const REQUESTS: Record<string, string> = {
  "rollguard.dev/retry": "retry",
  "rollguard.dev/rollback-to": "rollbackTo",
  "rollguard.dev/promote": "promote",
  "rollguard.dev/approve": "approve",
  "rollguard.dev/pause": "pause",
  "rollguard.dev/resume": "resume",
};
