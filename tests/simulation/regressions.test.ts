// Each bug that the simulation found, by the shortest plan that showed it.

import { expect, test } from "vitest";
import { REGRESSIONS } from "./regressions.ts";
import { simulate } from "./simulate.ts";

test.each(REGRESSIONS.map(({ name, plan }) => ({ name, plan, seed: plan.seed })))(
  "seed $seed: $name",
  { timeout: 1_200_000 },
  async ({ plan }) => {
    const { violations } = await simulate(plan);
    expect(violations).toEqual([]);
  },
);
