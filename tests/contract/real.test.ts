// The contract suite and our manifests against a real API server, only when asked: with ROLLGUARD_E2E=local against a cluster of
// tests/cluster/. What fails here and passes in sandbox.test.ts is a difference between the two.
import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import { Agent } from "undici";
import { afterAll, beforeAll, describe } from "vitest";
import { type Cluster, startCluster } from "../cluster/start.ts";
import type { Connection } from "./client.ts";
import { describeManifests } from "./manifests.ts";
import { describeApiServer } from "./suite.ts";

interface Kubeconfig {
  clusters: [{ cluster: Record<"server" | "certificate-authority-data", string> }];
  users: [{ user: Record<"client-certificate-data" | "client-key-data", string> }];
}

/** By a kubeconfig of one cluster and one user with a certificate. */
function connectionOf(kubeconfigPath: string): Connection {
  const { clusters, users } = load(readFileSync(kubeconfigPath, "utf8")) as Kubeconfig;
  const [{ cluster }] = clusters;
  const [{ user }] = users;
  const pem = (text: string) => Buffer.from(text, "base64");
  const ca = pem(cluster["certificate-authority-data"]);
  const connect = { ca, cert: pem(user["client-certificate-data"]), key: pem(user["client-key-data"]) };
  const dispatcher = new Agent({ connect });
  return { url: cluster.server, dispatcher, close: () => dispatcher.destroy() };
}

describe.skipIf(process.env.ROLLGUARD_E2E !== "local")("a real cluster", () => {
  let cluster: Cluster;

  // The first time Kubernetes is built.
  beforeAll(async () => {
    cluster = await startCluster({ say: console.log });
  }, 45 * 60_000);

  afterAll(() => cluster?.close());

  describeApiServer("the API server of a cluster", async () => connectionOf(cluster.kubeconfigPath));
  describeManifests("our kinds in a cluster", async () => connectionOf(cluster.kubeconfigPath));
});
