// Makes dist/: rollguard.js with its chunks (operator, CLI and fetch; nothing else is needed but Node, so the folder can be
// copied anywhere), and sandbox.js, which `rollguard sandbox` loads and no image contains. `--sourcemap` adds source maps,
// `--outdir DIR` names another folder.
import { execFileSync } from "node:child_process";
import { chmodSync, globSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { type BuildOptions, build, type Plugin } from "esbuild";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({ options: { sourcemap: { type: "boolean", default: false }, outdir: { type: "string" } } });
const outdir = values.outdir ?? join(root, "dist");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

/** The commit of the tree, marked where the tree differs from it; ROLLGUARD_COMMIT outside of a git checkout, as in an image. */
function commit(): string {
  if (process.env.ROLLGUARD_COMMIT) return process.env.ROLLGUARD_COMMIT;
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    return `${git("rev-parse", "--short=12", "HEAD")}${git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "-dirty"}`;
  } catch {
    return "";
  }
}

/** The sandbox stays a file of its own: the one dynamic import of it is left in place, pointing at its neighbour. */
const sandboxApart: Plugin = {
  name: "sandbox-apart",
  setup(context) {
    context.onResolve({ filter: /\/sandbox\/sandbox\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./sandbox.js", external: true } : undefined,
    );
  },
};

/**
 * undici's own entry loads its mocks, caches, WebSockets and fetch at once, which is 7 MB of memory at rest. This one has what the
 * program and client-node import, and nothing else. `request` as undici makes it, less the forms of calling that nobody uses.
 */
const UNDICI = `
const Dispatcher = require("./lib/dispatcher/dispatcher");
const api = require("./lib/api");
Object.assign(Dispatcher.prototype, api);
const request = (url, options) => {
  const { origin, pathname, search } = new URL(url);
  const { dispatcher, ...rest } = options;
  return api.request.call(dispatcher, { ...rest, origin, path: pathname + search });
};
module.exports = {
  Dispatcher,
  Agent: require("./lib/dispatcher/agent"),
  ProxyAgent: require("./lib/dispatcher/proxy-agent"),
  errors: require("./lib/core/errors"),
  request,
  get fetch() { return require("./lib/web/fetch").fetch; },
};`;

/**
 * client-node does not say that importing its files does nothing, so esbuild would keep hundreds of generated models of which
 * the operator uses none; zod brings its messages in fifty languages. All of that would be memory at rest. An export that is
 * missing in these shorter entries fails the build.
 */
const leaner: Plugin = {
  name: "leaner",
  setup(context) {
    const client = (file: string, contents: string) =>
      context.onLoad({ filter: new RegExp(`[\\\\/]@kubernetes[\\\\/]client-node[\\\\/]dist[\\\\/]${file}$`) }, ({ path }) => ({
        contents,
        resolveDir: dirname(path),
      }));
    client("index\\.js", `export { KubeConfig } from "./config.js";`);
    client(
      "gen[\\\\/]index\\.js",
      `export { createConfiguration } from "./configuration.js"; export { ServerConfiguration } from "./servers.js";`,
    );
    context.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: `export { default as en } from "./en.js";`,
    }));
    context.onLoad({ filter: /[\\/]node_modules[\\/]undici[\\/]index\.js$/ }, ({ path }) => ({
      contents: UNDICI,
      resolveDir: dirname(path),
    }));
  },
};

// Packages written for CommonJS call `require` for Node's own modules, which an ES module does not have.
const REQUIRE = `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);`;

const common: BuildOptions = {
  outdir,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22.19",
  // Names stay: they are in stack traces and in the source of the sandbox's reaper.
  minifyWhitespace: true,
  legalComments: "none",
  sourcemap: values.sourcemap ? "linked" : false,
  banner: { js: REQUIRE },
  logLevel: "warning",
  define: { ROLLGUARD_BUILD: JSON.stringify({ version, commit: commit() }) },
  metafile: true,
};

// Only what a build makes, since --outdir may be any folder.
for (const name of globSync(["{rollguard,sandbox}.js{,.map}", "*-????????.js{,.map}"], { cwd: outdir }))
  rmSync(join(outdir, name));
// Chunks, not one file: a part that is imported lazily is then loaded only when it is used, and still without what it does not use.
const program = await build({
  ...common,
  entryPoints: { rollguard: join(root, "src/main.ts") },
  splitting: true,
  chunkNames: "[name]-[hash]",
  plugins: [sandboxApart, leaner],
});
const sandbox = await build({ ...common, entryPoints: { sandbox: join(root, "src/sandbox/sandbox.ts") } });
chmodSync(join(outdir, "rollguard.js"), 0o755);

for (const [what, made] of Object.entries({ "rollguard.js and its chunks": program, "sandbox.js": sandbox })) {
  const outputs = Object.entries(made.metafile?.outputs ?? {}).filter(([file]) => file.endsWith(".js"));
  console.error(`${outdir}: ${what}: ${Math.round(outputs.reduce((sum, [, { bytes }]) => sum + bytes, 0) / 1024)} KB`);
}
