// Makes a fresh clone ready, then runs what it is given: node scripts/setup.mjs [<script.ts> | <tool>] [arguments]
// Installs the locked packages when they are missing or older than the lock. Plain JavaScript without dependencies, so that any
// Node from 18 on can run it; the Node that Rollguard needs comes with the packages and runs the rest.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, "node_modules", ".bin");

function install() {
  const stamp = join(root, "node_modules", ".rollguard-setup");
  const hash = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  // `npm ci` empties the folder first, and would follow a link: another checkout would lose its packages.
  if (lstatSync(join(root, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink()) {
    console.error(
      "rollguard: node_modules is a link to a folder that was not installed from this package-lock.json; installing would empty it.\n" +
        "Remove the link, or run `npm run setup` in the checkout that it leads to.",
    );
    process.exit(1);
  }
  console.error("rollguard: installing the packages of package-lock.json (the first time only; about half a minute) …");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const [command, all] = npm ? [process.execPath, [npm, ...args]] : ["npm", args];
  if (spawnSync(command, all, { cwd: root, stdio: ["ignore", 2, "inherit"] }).status !== 0) {
    console.error(
      "rollguard: `npm ci` failed; the lines above say why. With a network that reaches the npm registry, run it again.",
    );
    process.exit(1);
  }
  writeFileSync(stamp, hash);
}

/** The Node of the packages where this platform has one, otherwise this one. */
function run([what, ...args]) {
  const own = join(bin, "node");
  const node = existsSync(own) ? own : process.execPath;
  const [command, all] = what.endsWith(".ts") ? [node, [what, ...args]] : [join(bin, what), args];
  const child = spawn(command, all, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  });
  // A terminal sends Ctrl-C to both; the child decides when it has ended.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    console.error(`rollguard: ${what} could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
}

install();
if (process.argv.length > 2) run(process.argv.slice(2));
