// scripts/setup.mjs as a process of its own, in a checkout of a temporary folder; npm is a stand-in that says that it was run.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "./files.ts";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "rollguard-setup-"));
  for (const folder of ["clone/scripts", "other"]) mkdirSync(join(dir, folder), { recursive: true });
  copyFileSync(join(ROOT, "scripts/setup.mjs"), join(dir, "clone/scripts/setup.mjs"));
  writeFileSync(join(dir, "clone/package-lock.json"), "{}");
  writeFileSync(join(dir, "npm.cjs"), `require("node:fs").writeFileSync(${JSON.stringify(join(dir, "npm-ran"))}, "");`);
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

function setup() {
  const env = { ...process.env, npm_execpath: join(dir, "npm.cjs") };
  return spawnSync(process.execPath, [join(dir, "clone/scripts/setup.mjs")], { env, encoding: "utf8" });
}

test("setup installs into a folder of its own", () => {
  mkdirSync(join(dir, "clone/node_modules"));
  expect(setup().status).toBe(0);
  expect(existsSync(join(dir, "npm-ran"))).toBe(true);
});

test("setup never installs through a link, which would empty another checkout's packages, and says what to do", () => {
  symlinkSync(join(dir, "other"), join(dir, "clone/node_modules"));
  const { status, stderr } = setup();
  expect(status).toBe(1);
  expect(stderr).toContain("Remove the link");
  expect(existsSync(join(dir, "npm-ran"))).toBe(false);
});
