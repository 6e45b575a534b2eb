// What the tests of the sandbox's node share: manifests of real servers, waiting, and clients that count failures.
import http from "node:http";
import path from "node:path";
import type { SandboxApi, StoredObject } from "../../src/sandbox/api.ts";
import {
  type Container,
  DEPLOYMENTS,
  type Deployment,
  PODS,
  type Pod,
  SERVICES,
  type Service,
} from "../../src/sandbox/controllers/kinds.ts";
import { serviceUrl } from "../../src/sandbox/node/proxy.ts";

const SERVER = path.join(import.meta.dirname, "fixtures/server.ts");

/** A container that runs the fixture server. */
export function serverContainer(version: string, more: Partial<Container> = {}): Container {
  return {
    name: "server",
    image: `server:${version}`,
    command: ["node", SERVER],
    env: [
      { name: "VERSION", value: version },
      { name: "PORT", value: "8080" },
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
    ],
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 1, failureThreshold: 1 },
    ...more,
  };
}

export function deployment(
  name: string,
  containers: Container[],
  spec: Partial<Deployment["spec"]> = {},
  labels: Record<string, string> = { app: name },
): object {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } }, ...spec },
  };
}

export function service(name: string, selector: Record<string, string>, targetPort: number | string = "http"): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { selector, ports: [{ name: "http", port: 8000, targetPort }] },
  };
}

export function pod(name: string, spec: Partial<Pod["spec"]> & Pick<Pod["spec"], "containers">): object {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels: { app: name } }, spec };
}

/** A container that runs a line of the shell. */
export function shell(name: string, script: string, more: Partial<Container> = {}): Container {
  return { name, image: "sh", command: ["sh", "-c", script], ...more };
}

/** Polls until `read` gives something other than undefined or false; says what it last saw when the time is over. */
export async function eventually<T>(
  what: string,
  read: () => T | Promise<T>,
  seconds = 12,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + 1000 * seconds;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false && value !== null) return value as NonNullable<Exclude<T, false>>;
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export function getPod(api: SandboxApi, name: string): Pod | undefined {
  return api.get(PODS, "default", name) as Pod | undefined;
}

export function podsOf(api: SandboxApi, labels: Record<string, string>): Pod[] {
  return api.list(PODS, "default", labels) as Pod[];
}

/** The status of a container of the pod, also of an init container. */
export function containerStatus(found: Pod | undefined, name: string): StoredObject["status"] | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = (found?.status ?? {}) as Record<string, { name: string }[]>;
  return [...containerStatuses, ...initContainerStatuses].find((each) => each.name === name);
}

export async function available(api: SandboxApi, name: string, replicas: number): Promise<Deployment> {
  return eventually(`${replicas} available of ${name}`, () => {
    const found = api.get(DEPLOYMENTS, "default", name) as Deployment;
    const { observedGeneration, replicas: all, updatedReplicas, availableReplicas } = found.status ?? {};
    const settled = observedGeneration === found.metadata.generation;
    return settled && all === replicas && updatedReplicas === replicas && availableReplicas === replicas && found;
  });
}

export async function urlOf(api: SandboxApi, name: string): Promise<string> {
  return eventually(`an address of ${name}`, () => serviceUrl(api.get(SERVICES, "default", name) as Service));
}

export interface Clients {
  answers: Map<string, number>;
  failures: string[];
  stop(): Promise<void>;
}

/** Clients that ask without pause: half of them keep their connection, half open one for each request. */
export function startClients(url: string, count = 6): Clients {
  const answers = new Map<string, number>();
  const failures: string[] = [];
  const kept = new http.Agent({ keepAlive: true, maxSockets: Math.ceil(count / 2) });
  let stopped = false;
  const client = async (agent: http.Agent | false) => {
    while (!stopped) {
      try {
        const version = (await get(url, agent)).split(" ")[0] ?? "";
        answers.set(version, (answers.get(version) ?? 0) + 1);
      } catch (error) {
        failures.push(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const all = Array.from({ length: count }, (_, index) => client(index % 2 === 0 ? kept : false));
  return {
    answers,
    failures,
    async stop() {
      stopped = true;
      await Promise.all(all);
      kept.destroy();
    },
  };
}

/** The body of a 200; rejects for anything else. */
export function get(url: string, agent: http.Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () =>
        response.statusCode === 200 ? resolve(body) : reject(new Error(`status ${response.statusCode}`)),
      );
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
