// Lint rules about a deployment: its strategy against its size and its policy, its probe and its images.

import { formatDuration, parseDuration } from "../api/common.ts";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { shareAt } from "../core/canary.ts";
import type { DeploymentSubject, Found, LintRule } from "./lint-rule.ts";

type Container = Record<string, unknown>;

function containers({ spec }: DeploymentSubject): { path: string; container: Container }[] {
  const pod = (spec.template as { spec?: Record<string, unknown> }).spec ?? {};
  return (["initContainers", "containers"] as const).flatMap((list) => {
    const found = pod[list];
    return Array.isArray(found)
      ? found.map((container, index) => ({ path: `spec.template.spec.${list}[${index}]`, container: container as Container }))
      : [];
  });
}

/** The container that serves. */
function server(subject: DeploymentSubject) {
  const all = containers(subject).filter(({ path }) => path.includes(".containers["));
  return all.find(({ container }) => container.name === subject.spec.container) ?? all[0];
}

const one = (when: boolean, path: string, message: string): Found[] => (when ? [{ path, message }] : []);

/** A name after the last slash that has neither a tag nor a digest. */
function floats(image: string): boolean {
  if (image.includes("@sha256:")) return false;
  const name = image.slice(image.lastIndexOf("/") + 1);
  return !name.includes(":") || name.endsWith(":latest");
}

/** What the slowest Critical metric needs at one step, ms. */
function neededMs({ policy }: DeploymentSubject): number {
  const checks = (policy?.checks ?? []).filter((check) => check.source !== undefined && check.severity === "Critical");
  return checks.length === 0 ? 0 : Math.max(...checks.map((check) => check.intervalMs * check.breach.count));
}

export const DEPLOYMENT_RULES: readonly LintRule<DeploymentSubject>[] = [
  {
    id: "canary-share-not-reached",
    severity: "Warning",
    about: "A canary by replica share can't express the weight: above 50 % not at all, and with few replicas only coarsely.",
    mend: "use a route, more replicas, or a weight that the replicas can express",
    find: ({ spec }) => {
      const { canary } = spec.strategy;
      if (spec.strategy.type !== "Canary" || !canary || canary.route) return [];
      return canary.steps.flatMap(({ weight }, index) => {
        const path = `spec.strategy.canary.steps[${index}].weight`;
        const share = shareAt({ spec } as ModelDeployment, canary, index);
        if (weight > 50) return one(weight < 100, path, `${weight} % can't be had by replicas: at most 50 % is reached`);
        return one(
          share > 2 * weight,
          path,
          `${spec.replicas} replicas reach ${share} %, more than double the ${weight} %: the rollout holds`,
        );
      });
    },
  },
  {
    id: "canary-hold-too-short",
    severity: "Warning",
    about: "A canary step is shorter than its checks need to breach: it ends before it could show anything.",
    mend: "hold each step at least for interval × count of the slowest Critical check",
    find: (subject) => {
      const needed = neededMs(subject);
      return (subject.spec.strategy.canary?.steps ?? []).flatMap(({ hold }, index) =>
        one(
          hold !== undefined && parseDuration(hold) < needed,
          `spec.strategy.canary.steps[${index}].hold`,
          `${hold} is shorter than the ${formatDuration(needed)} that the checks need`,
        ),
      );
    },
  },
  {
    id: "standby-never-warm",
    severity: "Warning",
    about: "The standby is scaled to zero as soon as the next one is proven: every later return is cold.",
    mend: "keep it for a while, such as strategy.standby.for: 1h",
    find: ({ spec: { strategy } }) =>
      one(
        strategy.type !== "Recreate" && parseDuration(strategy.standby.for) === 0,
        "spec.strategy.standby.for",
        "0s: there is no warm standby once a revision is proven",
      ),
  },
  {
    id: "deadline-before-warmup",
    severity: "Warning",
    about: "Pods have less time to get ready than they have afterwards to warm up.",
    mend: "lengthen strategy.progressDeadline: loading weights takes its time",
    find: ({ spec, policy }) => {
      const deadline = parseDuration(spec.strategy.progressDeadline);
      return one(
        policy !== undefined && deadline < policy.warmupMs,
        "spec.strategy.progressDeadline",
        `${formatDuration(deadline)} is shorter than the warmup of ${formatDuration(policy?.warmupMs ?? 0)}`,
      );
    },
  },
  {
    id: "probe-missing",
    severity: "Warning",
    about: "Without a probe the first inference of a new version is a user's.",
    mend: "set spec.probe: a real request with a known answer",
    find: ({ spec }) => one(spec.probe === undefined, "spec.probe", "no inference is tried before a version gets traffic"),
  },
  {
    id: "readiness-missing",
    severity: "Warning",
    about: "Without a readiness probe pods count as ready before the model is loaded.",
    mend: "give the serving container a readinessProbe that answers when the model is loaded",
    find: (subject) => {
      const found = server(subject);
      if (!found) return [];
      return one(found.container.readinessProbe === undefined, `${found.path}.readinessProbe`, "the serving container has none");
    },
  },
  {
    id: "image-floats",
    severity: "Warning",
    about:
      "An image without a tag or digest (or :latest) can change under a proven revision, and a return would not bring the old one back.",
    mend: "name the digest, such as image: server@sha256:…, or at least a tag that never moves",
    find: (subject) =>
      containers(subject).flatMap(({ path, container: { image } }) =>
        one(typeof image === "string" && floats(image), `${path}.image`, `${String(image)} has no fixed tag or digest`),
      ),
  },
  {
    id: "policy-missing",
    severity: "Error",
    about: "The deployment names a policy that does not exist: only the built-in checks guard it.",
    mend: "create the policy, or name one that exists",
    find: ({ spec, policyFound }) =>
      one(policyFound === false, "spec.policy.name", `there is no ${spec.policy?.kind} ${spec.policy?.name}`),
  },
  {
    id: "policy-none",
    severity: "Warning",
    about: "The deployment names no policy: only pods that fail are noticed.",
    mend: "name a policy in spec.policy",
    find: ({ spec, policy }) =>
      one(
        spec.policy === undefined && !(policy?.checks ?? []).some((check) => check.source !== undefined),
        "spec.policy",
        "no policy is named; the built-in checks alone guard it",
      ),
  },
];
