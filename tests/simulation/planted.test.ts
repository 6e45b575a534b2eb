// That each planted fault can still be planted; whether it is found, `node scripts/simulate/planted.ts` tells.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PLANTED } from "./planted.ts";

test.each(PLANTED)("can be planted: $name", ({ file, find, replace }) => {
  expect(readFileSync(file, "utf8").split(find)).toHaveLength(2);
  expect(replace).not.toBe(find);
});
