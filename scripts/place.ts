// Where a demo or a test on a real Kubernetes runs: `local` (the kit of tests/cluster/), `kind`, or `current`, the cluster of the
// kubeconfig's current context, after asking.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { type Cluster, startCluster } from "../tests/cluster/start.ts";
import { DIGITS_IMAGE, makeImages, OPERATOR_IMAGE } from "./image.ts";
import { startKind } from "./kind.ts";

export const PLACES = ["local", "kind", "current"] as const;
export type PlaceName = (typeof PLACES)[number];

/** A real cluster, ready for pods, with both images at hand. */
export interface Place {
  name: PlaceName;
  /** Path of a kubeconfig; absent: the user's own, as kubectl finds it. */
  kubeconfig?: string;
  /** Path of a kubectl. */
  kubectl: string;
  /** The images, as its nodes find them. */
  images: { operator: string; digits: string };
  /** Of the kit only: its parts, its audit log. */
  cluster?: Cluster;
  /** Ends the cluster, unless it was there before. */
  close(): Promise<void>;
}

export interface PlaceOptions {
  say: (line: string) => void;
  /** For `current`: no question. */
  yes?: boolean;
  /** For `current`: where its nodes pull the images, such as registry.example/team; absent: they have them by their plain names. */
  imagePrefix?: string;
}

/** What the command lines of the demo and the tests take, and read with `placeOptions`. */
export const PLACE_ARGS = {
  cluster: { type: "string", default: "sandbox" },
  yes: { type: "boolean", short: "y" },
  "image-prefix": { type: "string" },
} as const;

export const PLACE_USAGE = `  --cluster sandbox   an embedded Kubernetes in this process; needs nothing else (the default of the demo)
  --cluster local     a real Kubernetes of one node, built once and started here; Linux, root, no container engine (tests/cluster/README.md)
  --cluster kind      a real one in a container, with kind; needs Docker, podman or nerdctl, and kubectl
  --cluster current   the cluster of the kubeconfig's current context, after asking (--yes: without asking);
                      --image-prefix REGISTRY/PATH says where its nodes pull rollguard:<version> and digits-server:1`;

/** Throws an Error that names the choices. */
export function placeName(name: string): PlaceName {
  const found = PLACES.find((one) => one === name);
  if (!found) throw new Error(`--cluster ${name}: must be one of sandbox, ${PLACES.join(", ")}\n${PLACE_USAGE}`);
  return found;
}

/** Starts or finds the cluster. Throws an Error that says what is missing and how to get it. */
export async function openPlace(name: PlaceName, options: PlaceOptions): Promise<Place> {
  if (name === "current") return openCurrent(options);
  const folder = mkdtempSync(join(tmpdir(), "rollguard-place-"));
  const images = { operator: OPERATOR_IMAGE, digits: DIGITS_IMAGE };
  try {
    if (name === "kind") {
      const kubectl = ownKubectl();
      const kubeconfig = join(folder, "kubeconfig");
      const kind = startKind(kubeconfig, options.say);
      const close = async () => {
        kind.close();
        rmSync(folder, { recursive: true, force: true });
      };
      try {
        options.say("making the images and loading them");
        kind.load(Object.values(makeImages(folder)));
        return { name, kubeconfig, kubectl, images, close };
      } catch (error) {
        await close();
        throw error;
      }
    }
    const archives = Object.values(makeImages(folder));
    const cluster = await startCluster({ audit: true, images: archives, say: options.say });
    rmSync(folder, { recursive: true, force: true });
    return { name, kubeconfig: cluster.kubeconfigPath, kubectl: cluster.kubectl, images, cluster, close: () => cluster.close() };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function ownKubectl(): string {
  if (spawnSync("kubectl", ["version", "--client"]).status === 0) return "kubectl";
  throw new Error("kubectl is not on the PATH: see https://kubernetes.io/docs/tasks/tools/");
}

async function openCurrent({ yes, imagePrefix, say }: PlaceOptions): Promise<Place> {
  if (!yes) await askFirst(say);
  const short = (image: string) => image.replace("docker.io/library/", "");
  const placed = (image: string) => (imagePrefix === undefined ? image : `${imagePrefix.replace(/\/$/, "")}/${short(image)}`);
  return {
    name: "current",
    kubectl: ownKubectl(),
    images: { operator: placed(OPERATOR_IMAGE), digits: placed(DIGITS_IMAGE) },
    close: async () => undefined,
  };
}

/** Says which cluster is the current one and what is going to be done there. Throws an Error unless a person says yes. */
export async function askFirst(say: (line: string) => void): Promise<void> {
  const context = spawnSync(ownKubectl(), ["config", "current-context"], { encoding: "utf8" });
  if (context.status !== 0) throw new Error(`kubectl has no current context: ${context.stderr.trim()}`);
  const where = `the cluster of the context "${context.stdout.trim()}"`;
  say(`${where}: CRDs and the operator are installed there unless they are, and the namespace demo is made and deleted again`);
  if (!(await agreed(`Go on with ${where}? [y/N] `))) throw new Error("not without your yes (or --yes)");
}

async function agreed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(question);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}
