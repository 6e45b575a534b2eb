// Everything that a part of the bench stands on: the sandbox's API server and controllers in this process, the operator in
// another, a source and observers. Each part has a world of its own, so that none sees what another left.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import type { ModelDeployment } from "../../src/api/modeldeployment.ts";
import { systemClock } from "../../src/clock.ts";
import { connect, type KubeClient } from "../../src/kube/client.ts";
import type { EndpointSlice, KubeObject, Service } from "../../src/kube/objects.ts";
import { RESOURCES } from "../../src/kube/resources.ts";
import { type ApiRequest, ApiServer, kubeconfig } from "../../src/sandbox/apiserver/index.ts";
import { startControllers } from "../../src/sandbox/controllers/index.ts";
import { createNode } from "../../src/sandbox/node/node.ts";
import { startKubelet } from "./kubelet.ts";
import { Observer } from "./observer.ts";
import { type OperatorProcess, startOperator } from "./operator.ts";
import { type BenchSource, startSource } from "./source.ts";

const ROOT = join(import.meta.dirname, "../..");
export const USER_AGENT = "rollguard-bench";

/** The namespace that the operator guards. */
export const GUARDED = "bench";
/** One that it does not look at: bare writes go here. */
export const BARE = "bare";

/** One request of the operator, not of the bench. */
export interface OperatorRequest {
  method: string;
  resource: string;
  watch: boolean;
}

/** A write as it was sent, by the operator or the bench. */
export interface Written {
  method: string;
  url: string;
  contentType: string;
  body: string;
}

export type Deployed = ModelDeployment & KubeObject;

export interface World {
  /** Of the API server. */
  url: string;
  client: KubeClient;
  source: BenchSource;
  operator: OperatorProcess;
  deployments: Observer<Deployed>;
  services: Observer<Service>;
  slices: Observer<EndpointSlice>;
  /** All requests of the operator since its start; it grows. */
  requests: OperatorRequest[];
  /** Keeps the writes of everybody but those of leases, from now until `stop`. */
  record(): { stop(): Written[] };
  close(): Promise<void>;
}

/** Rejects with the reason, and leaves nothing behind then either. */
export async function startWorld(program: string): Promise<World> {
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const dir = mkdtempSync(join(tmpdir(), "rollguard-bench-"));
    undo.push(() => rmSync(dir, { recursive: true, force: true }));
    const requests: OperatorRequest[] = [];
    let written: Written[] | undefined;
    const server = new ApiServer({
      clock: systemClock,
      intercept: (request, path) => {
        if (written && request.method !== "GET" && path?.resource !== "leases") written.push(writtenOf(request));
        if (!isBench(request)) {
          const resource = [path?.resource, path?.subresource].filter(Boolean).join("/");
          requests.push({ method: request.method, resource, watch: /[?&]watch=true/.test(request.url) });
        }
        return undefined;
      },
    });
    undo.push(() => server.close());
    for (const file of readdirSync(join(ROOT, "crds")).filter((name) => name.endsWith(".yaml"))) {
      for (const crd of loadAll(readFileSync(join(ROOT, "crds", file), "utf8"))) server.installCrd(crd);
    }
    createNode(server, systemClock);
    const controllers = startControllers(server, systemClock);
    undo.push(() => controllers.stop());
    undo.push(startKubelet(server));
    const listening = await server.listen(0);
    undo.push(() => listening.close());
    const config = join(dir, "kubeconfig");
    writeFileSync(config, kubeconfig(listening.url));

    const client = connect({ kubeconfig: config, clock: systemClock, userAgent: USER_AGENT, fieldManager: "bench" });
    undo.push(() => client.close());
    for (const name of [GUARDED, BARE]) await client.apply(namespace(name), { fieldManager: "bench" });
    const source = await startSource();
    undo.push(() => source.close());
    const watched = async <T extends KubeObject>(observer: Observer<T>, resource: Parameters<typeof observer.start>[1]) => {
      await observer.start(client, resource);
      undo.push(() => observer.stop());
      return observer;
    };
    const deployments = await watched(new Observer<Deployed>(), RESOURCES.modelDeployments);
    const services = await watched(new Observer<Service>(), RESOURCES.services);
    const slices = await watched(new Observer<EndpointSlice>(), RESOURCES.endpointSlices);
    const operator = await startOperator(program, config, GUARDED);
    undo.push(() => operator.stop());
    const record = () => {
      const kept: Written[] = [];
      written = kept;
      const stop = () => {
        written = undefined;
        return kept;
      };
      return { stop };
    };
    return { url: listening.url, client, source, operator, deployments, services, slices, requests, record, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function isBench(request: ApiRequest): boolean {
  return request.headers["user-agent"]?.startsWith(USER_AGENT) === true;
}

function writtenOf({ method, url, headers, body = "" }: ApiRequest): Written {
  return { method, url, contentType: headers["content-type"] ?? "application/json", body };
}

function namespace(name: string): KubeObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}
