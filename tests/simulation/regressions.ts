// What the simulation found, each as the shortest plan that showed it, with the seed of its finding: they must stay found.

import type { Plan } from "./plan.ts";

export interface Regression {
  /** What was wrong, in a sentence. */
  name: string;
  plan: Plan;
}

const base: Pick<Plan, "latency" | "operators" | "stepwise" | "troubles" | "faults"> = {
  latency: "Small",
  operators: 1,
  stepwise: false,
  troubles: [],
  faults: [],
};

export const REGRESSIONS: readonly Regression[] = [
  {
    name: "when somebody deleted the lease, a standby took it at once: two led for up to three seconds, and wrote one status against each other",
    plan: {
      ...base,
      seed: 170,
      operators: 2,
      deployments: [
        {
          name: "m0",
          strategy: "BlueGreen",
          replicas: 2,
          mode: "Observe",
          probe: true,
          fates: { v1: "Good" },
          variants: { "1": "Bad" },
        },
      ],
      steps: [
        { after: 651, deployment: "m0", act: { do: "Create", version: "v1" } },
        { after: 65_857, deployment: "m0", act: { do: "Template", variant: "1" } },
      ],
      faults: [{ kind: "lease-deleted", at: 71_758, ms: 0, count: 1, on: "", pick: 0 }],
    },
  },
];
