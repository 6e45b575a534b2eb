// Makes a fresh clone ready: installs the locked packages when they are missing or older than the lock.
// Plain JavaScript without dependencies, so that any Node from 18 on can run it; the Node that Rollguard
// needs comes with the packages and is first in the PATH of every `npm run`.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = `${root}node_modules/.rollguard-setup`;
const hash = createHash("sha256")
  .update(readFileSync(`${root}package-lock.json`))
  .digest("hex");
const installed = existsSync(stamp) && readFileSync(stamp, "utf8") === hash;

if (!installed) {
  console.error("rollguard: installing the packages named in package-lock.json (first run only; about half a minute) …");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const run = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ["ignore", 2, "inherit"] })
    : spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, "inherit"] });
  if (run.status !== 0) {
    console.error(
      "rollguard: `npm ci` failed; the lines above say why. With a network that reaches the npm registry, run the same command again.",
    );
    process.exit(1);
  }
  writeFileSync(stamp, hash);
}
