// Makes the images where no container engine is to be had, from what the Dockerfile takes: Node and the bundle. As OCI archives:
// node scripts/image.ts [--outdir DIR]
// rollguard.tar is the operator, the command line and the init container that fetches weights; digits-server.tar is the model
// server of examples/digits and the store of its weights.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ImageSpec, programFiles, writeImage } from "./oci.ts";

const root = join(import.meta.dirname, "..");
const NODE = "/usr/local/bin/node";
/** What a registry and its users are asked to bear, packed. */
export const LIMIT = 70 * 1000 * 1000;

/** As containerd and the engines read the names that the manifests and examples/digits write. */
export const OPERATOR_IMAGE = `docker.io/library/rollguard:${versionOf()}`;
export const DIGITS_IMAGE = "docker.io/library/digits-server:1";

export interface Images {
  /** Paths of the archives. */
  operator: string;
  digits: string;
}

/** Writes both archives into `outdir`. `bundle` is a folder that build.ts made; without it the bundle is made anew. */
export function makeImages(outdir: string, bundle?: string): Images {
  mkdirSync(outdir, { recursive: true });
  const temporary = mkdtempSync(join(tmpdir(), "rollguard-image-"));
  try {
    const dist = bundle ?? temporary;
    const builder = join(root, "scripts/build.ts");
    if (!bundle) execFileSync(process.execPath, [builder, "--outdir", dist], { stdio: ["ignore", "ignore", "inherit"] });
    const images = { operator: join(outdir, "rollguard.tar"), digits: join(outdir, "digits-server.tar") };
    writeOperatorImage(dist, OPERATOR_IMAGE, images.operator);
    writeImage(digitsImage(), images.digits);
    return images;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Writes the operator's image of a bundle that build.ts made, under a name. */
export function writeOperatorImage(dist: string, reference: string, archive: string): void {
  writeImage({ ...operatorImage(dist), reference }, archive);
}

function versionOf(): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}

/** Node with its libraries, and what the C library wants to know about users and names. */
function base(): Pick<ImageSpec, "files" | "user" | "env" | "level"> {
  return {
    files: {
      ...programFiles(process.execPath, NODE),
      "/etc/passwd": { text: "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n" },
      "/etc/group": { text: "root:x:0:\nnonroot:x:65532:\n" },
      "/etc/nsswitch.conf": { text: "hosts: files dns\n" },
    },
    user: "65532:65532",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", NODE_ENV: "production" },
    level: 6,
  };
}

function labels(title: string, description: string): Record<string, string> {
  const about = { title, description, version: versionOf(), licenses: "Apache-2.0" };
  return Object.fromEntries(Object.entries(about).map(([name, value]) => [`org.opencontainers.image.${name}`, value]));
}

function operatorImage(dist: string): Omit<ImageSpec, "reference"> {
  const common = base();
  // The sandbox stays out of it, as in the Dockerfile.
  const parts = readdirSync(dist).filter((name) => name.endsWith(".js") && name !== "sandbox.js");
  return {
    ...common,
    files: { ...common.files, ...Object.fromEntries(parts.map((name) => [`/app/${name}`, join(dist, name)])) },
    entrypoint: ["node", "/app/rollguard.js"],
    command: ["operator"],
    labels: labels("rollguard", "Kubernetes operator that takes model deployments back to the last proven version by itself"),
  };
}

/** The example as it lies in the repository, so that the commands of its manifests work in both; only what the server loads. */
function digitsImage(): ImageSpec {
  const common = base();
  const example = [
    "server.ts",
    "metrics.ts",
    "model.ts",
    "data.ts",
    "versions.ts",
    "weights.ts",
    "weights",
    "client.ts",
    "remote.ts",
  ];
  const paths = [
    ...example.map((name) => `examples/digits/${name}`),
    ...["prom-client", "tdigest", "bintrees", "@opentelemetry/api"].map((name) => `node_modules/${name}`),
  ];
  return {
    ...common,
    reference: DIGITS_IMAGE,
    files: {
      ...common.files,
      "/app/package.json": { text: '{"type":"module"}\n' },
      ...Object.fromEntries(paths.map((path) => [`/app/${path}`, join(root, path)])),
    },
    workingDir: "/app",
    entrypoint: ["node"],
    command: ["examples/digits/server.ts"],
    labels: labels("digits-server", "Model server of Rollguard's example"),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { outdir: { type: "string", default: join(root, "dist/images") } } });
  for (const archive of Object.values(makeImages(values.outdir))) {
    const { size } = statSync(archive);
    console.log(`${archive}: ${(size / 1e6).toFixed(1)} MB (at most ${LIMIT / 1e6})`);
    if (size > LIMIT) process.exitCode = 1;
  }
}
