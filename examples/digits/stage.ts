// What the demo stands on, whichever cluster that is: what is applied, what is read, who sends the traffic.
import { readFileSync } from "node:fs";
import path from "node:path";
import { loadAll } from "js-yaml";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import type { RolloutRecord } from "../../src/api/rolloutrecord.ts";
import { systemClock } from "../../src/clock.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import type { KubeObject } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import type { ClientOptions, Clients } from "./client.ts";
import { WEIGHTS_PORT } from "./versions.ts";

export const NAMESPACE = "demo";
export const NAME = "digits";
/** As a person with kubectl would be named in the record. */
const USER = "kubectl-demo";

/** Reads and writes, as a person with kubectl does. */
export interface Desk {
  client: KubeClient;
  /** Applies a YAML file of this folder, as `kubectl apply` would; `edit` may change what is applied. */
  apply(file: string, edit?: (object: KubeObject) => void): Promise<void>;
  applyObjects(objects: readonly KubeObject[]): Promise<void>;
  deployment(): Promise<ModelDeployment>;
  records(): Promise<RolloutRecord[]>;
}

export interface Stage extends Desk {
  /** What it is, in a few words. */
  about: string;
  /** What a shell needs so that kubectl finds the cluster; absent: it does already. */
  kubeconfig?: string | undefined;
  /** Where clients find the Service; undefined until it has an address. */
  serviceUrl(): Promise<string | undefined>;
  /** Starts clients of the Service from where it can be reached. */
  startClients(options: ClientOptions): Clients;
  /** Why the operator of this stage has ended; undefined while it runs. */
  operatorEnded(): string | undefined;
  /** What the operator logged, for when something goes wrong. */
  log(): Promise<string[]>;
  close(): Promise<void>;
}

/**
 * @param kubeconfig a file; absent: as kubectl finds it
 * @param store where the weights are served, such as "127.0.0.1:18787"; asked at each `apply`
 */
export function openDesk(kubeconfig: string | undefined, store: () => string): Desk {
  const client = connect({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    clock: systemClock,
    userAgent: "rollguard-demo",
    fieldManager: USER,
  });
  const key = { namespace: NAMESPACE, name: NAME };
  const applyObjects = async (objects: readonly KubeObject[]) => {
    // As with --force-conflicts: `kubectl scale` owns the replicas from then on.
    for (const object of objects) await client.apply(object, { fieldManager: USER, force: true });
  };
  return {
    client,
    applyObjects,
    async apply(file, edit) {
      const objects = loadAll(readFileSync(path.join(import.meta.dirname, file), "utf8")) as KubeObject[];
      for (const object of objects) {
        moveWeights(object, store());
        edit?.(object);
      }
      await applyObjects(objects);
    },
    deployment: async () => (await client.get(RESOURCES.modelDeployments, key)) as unknown as ModelDeployment,
    async records() {
      const page = await client.listAll(RESOURCES.rolloutRecords, { namespace: NAMESPACE });
      const records = page.items as unknown as RolloutRecord[];
      return records.sort((a, b) => a.spec.sequence - b.spec.sequence);
    },
  };
}

/** Points a version's weights at where they are served now. */
function moveWeights(object: KubeObject, store: string): void {
  if (object.kind !== "ModelVersion") return;
  const { artifact } = (object as KubeObject & { spec: { artifact: { uri: string } } }).spec;
  artifact.uri = artifact.uri.replace(`127.0.0.1:${WEIGHTS_PORT}/`, `${store}/`);
}

/** Ends what was opened, the last one first; nothing stops at an error. */
export async function endAll(opened: (() => unknown)[]): Promise<void> {
  for (const end of opened.reverse().splice(0)) {
    try {
      await end();
    } catch {
      // What is left is removed all the same.
    }
  }
}
