// What is run for a container: its argv, environment, folder and log; and the images that a registry would not have.
import fs from "node:fs";
import path from "node:path";
import type { Container, Pod } from "../controllers/kinds.ts";
import type { NodeContext } from "./context.ts";
import { ContainerConfigError, declaredEnv, expand, type PodFolder, pathRewriter } from "./environment.ts";
import type { ProcessSpec } from "./processes.ts";

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin";

/** Throws ContainerConfigError for what the kubelet would refuse to create. */
export function launchSpec(ctx: NodeContext, pod: Pod, container: Container, folder: PodFolder, log: string): ProcessSpec {
  const declared = declaredEnv(ctx.api, pod, container);
  const rewrite = pathRewriter(container, folder);
  const resolve = (words: readonly string[] | undefined) => (words ?? []).map((word) => rewrite(expand(word, declared)));
  const entry = container.command?.length ? resolve(container.command) : (imageCommand(ctx, container.image) ?? []);
  const argv = [...entry, ...resolve(container.args)];
  if (argv.length === 0) throw new ContainerConfigError("CreateContainerError", "no command specified");
  for (const place of ["tmp", `logs/${container.name}`]) fs.mkdirSync(path.join(folder.root, place), { recursive: true });
  const env: Record<string, string> = {
    // Node comes from the one that runs the sandbox: "node" means the same version everywhere.
    PATH: `${path.dirname(process.execPath)}:${SYSTEM_PATH}`,
    HOME: folder.root,
    TMPDIR: path.join(folder.root, "tmp"),
    HOSTNAME: pod.metadata.name,
    POD_DIR: folder.root,
    TERMINATION_LOG: folder.terminationLog,
  };
  for (const [name, value] of Object.entries(declared)) env[name] = rewrite(value);
  const cwd = container.workingDir ? path.resolve(ctx.cwd, rewrite(container.workingDir)) : ctx.cwd;
  return { argv, env, cwd, log };
}

/** Why the image can't be had, in the words of a container runtime; undefined where it can. */
export function pullFailure(ctx: NodeContext, image: string | undefined): string | undefined {
  if (!image || imageCommand(ctx, image)) return undefined;
  const what = `failed to pull and unpack image "${image}": failed to resolve reference "${image}"`;
  if (ctx.missingImages.has(image) || image.includes("does-not-exist")) return `${what}: ${image}: not found`;
  // A sick registry is not a missing image, and the operator must tell them apart.
  if (image.includes("registry-unreachable")) return `${what}: failed to do request: dial tcp 192.0.2.1:443: i/o timeout`;
  return undefined;
}

/** By the full name, or without tag and digest. */
function imageCommand(ctx: NodeContext, image: string | undefined): string[] | undefined {
  if (!image) return undefined;
  const bare = image.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  const command = ctx.images[image] ?? ctx.images[bare];
  return command && [...command];
}
