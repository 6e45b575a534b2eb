// Every request of a run without faults is a point at which the operator may be killed: before the server has it, after it committed,
// and there again with the successor killed at its first write. All of them must end where the run without faults does.

import { Checker } from "./checker.ts";
import { checkEnd, summary } from "./ending.ts";
import type { Request } from "./network.ts";
import type { Act, Crash, DeploymentPlan, Fate, Plan } from "./plan.ts";
import { run } from "./run.ts";
import type { Witness } from "./world.ts";

function scenario(of: Partial<DeploymentPlan>, acts: Act[], fates: Record<string, Fate> = { v1: "Good", v2: "Bad" }): Plan {
  const deployment: DeploymentPlan = {
    name: "m0",
    strategy: "BlueGreen",
    replicas: 2,
    mode: "Enforce",
    probe: false,
    fates,
    variants: {},
    ...of,
  };
  const steps = acts.map((act) => ({ after: 0, deployment: "m0", act }));
  return { seed: 1, operators: 1, latency: "Small", stepwise: true, deployments: [deployment], troubles: [], steps, faults: [] };
}

const pin = (version: string): Act => ({ do: "Pin", version });
const begin: Act = { do: "Create", version: "v1" };

/** Small ones: each of their requests costs three runs. */
export const SCENARIOS: Record<string, Plan> = {
  "a bad version is returned from": scenario({}, [begin, pin("v2")]),
  "a canary is proven, the next one is returned from": scenario({ strategy: "Canary" }, [begin, pin("v2"), pin("v3")], {
    v1: "Good",
    v2: "Good",
    v3: "Bad",
  }),
  "one after the other where there is no room for two": scenario({ strategy: "Recreate", replicas: 1 }, [begin, pin("v2")]),
  "a person goes back and tries again": scenario(
    {},
    [begin, pin("v2"), { do: "RollbackTo", target: "previous" }, { do: "Retry", target: "v2" }],
    { v1: "Good", v2: "Good" },
  ),
  "a candidate that crashes, and a revoked version": scenario(
    { probe: true },
    [begin, pin("v2"), pin("v3"), { do: "Revoke", version: "v3" }],
    { v1: "Good", v2: "Crashing", v3: "Good" },
  ),
  "deleted and made again": scenario({ replicas: 1 }, [begin, { do: "Delete" }, { do: "Create", version: "v2" }], {
    v1: "Good",
    v2: "Good",
  }),
};

/** One way to crash. */
export interface Point {
  scenario: string;
  /** What the request is, in words. */
  what: string;
  crashes: Crash[];
}

class Requests implements Witness {
  readonly names: string[] = [];
  sent({ caller, method, path, kind }: Request): void {
    if (caller.name !== "operator-1" || path.resource === "leases") return;
    this.names.push([kind === "Watch" ? "WATCH" : method, path.resource, path.name, path.subresource].filter(Boolean).join(" "));
  }
}

interface End {
  end: string;
  broken: string[];
}

async function endOf(plan: Plan, witnesses: Witness[] = []): Promise<End> {
  const checker = new Checker();
  return run(plan, [checker, ...witnesses], ({ world, atRest, simulatedMs }) => {
    checkEnd(checker, { state: world.state, truth: world.truth, at: simulatedMs, atRest });
    return {
      end: summary(world.state).join("\n"),
      broken: checker.violations.map(({ promise, detail }) => `${promise}: ${detail}`),
    };
  });
}

/** The end of a scenario without a crash, and all its points, in the order of the requests. */
export async function pointsOf(name: string): Promise<{ expected: End; points: Point[] }> {
  const plan = SCENARIOS[name];
  if (!plan) throw new Error(`there is no scenario ${name}`);
  const requests = new Requests();
  const expected = await endOf(plan, [requests]);
  const points = requests.names.flatMap((what, request): Point[] => {
    const at = (when: Crash["when"]): Crash => ({ process: 1, request, when });
    const again: Crash = { process: 2, request: "FirstWrite", when: request % 2 === 0 ? "After" : "Before" };
    return [
      { scenario: name, what: `before ${what}`, crashes: [at("Before")] },
      { scenario: name, what: `after ${what}`, crashes: [at("After")] },
      { scenario: name, what: `after ${what}, and again`, crashes: [at("After"), again] },
    ];
  });
  return { expected, points };
}

/** What is wrong with the end of this crash; undefined: it is that of the run without it. */
export async function crashAt({ scenario: name, what, crashes }: Point, expected: End): Promise<string | undefined> {
  const plan = SCENARIOS[name];
  if (!plan) throw new Error(`there is no scenario ${name}`);
  const { end, broken } = await endOf({ ...plan, crashes });
  const where = `${name}, killed ${what} (${JSON.stringify(crashes)})`;
  if (broken.length > 0) return `${where}: ${broken.join("; ")}`;
  if (end === expected.end) return undefined;
  const lines = (text: string, other: string) => text.split("\n").filter((line) => !other.split("\n").includes(line));
  return `${where}: ends with ${lines(end, expected.end).join(" | ")} in place of ${lines(expected.end, end).join(" | ")}`;
}
