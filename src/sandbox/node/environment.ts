// The environment, command and paths of a container's process, as the kubelet would resolve them. A local process has no
// mount namespace: mount paths in command, arguments and values are rewritten to the pod's folder.
import path from "node:path";
import type { SandboxApi } from "../api.ts";
import { CONFIG_MAPS, type Container, type EnvVar, type Pod, SECRETS, SERVICES, type Service } from "../controllers/kinds.ts";
import { quantity } from "../controllers/text.ts";

/** A container that can't be made as it is written; the kubelet's waiting reason and message. */
export class ContainerConfigError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Where the parts of a pod are on this machine. */
export interface PodFolder {
  root: string;
  /** Volume name → folder. */
  volumes: Map<string, string>;
  /** Where the process writes its termination message. */
  terminationLog: string;
}

/** The value of a downward API field, or undefined for a path that there is none of. */
export function fieldValue(pod: Pod, fieldPath: string): string | undefined {
  const { metadata } = pod;
  const key = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (key) return (key[1] === "labels" ? metadata.labels : metadata.annotations)?.[key[2] ?? ""] ?? "";
  switch (fieldPath) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid;
    case "metadata.labels":
      return pairs(metadata.labels);
    case "metadata.annotations":
      return pairs(metadata.annotations);
    case "spec.nodeName":
      return pod.spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec.serviceAccountName ?? "default";
    case "status.podIP":
    case "status.podIPs":
      return pod.status?.podIP ?? "";
    case "status.hostIP":
    case "status.hostIPs":
      return "127.0.0.1";
    default:
      return undefined;
  }
}

/** The variables that the container declares, expanded; throws ContainerConfigError where a source is missing. */
export function declaredEnv(api: SandboxApi, pod: Pod, container: Container): Record<string, string> {
  const env: Record<string, string> = pod.spec.enableServiceLinks === false ? {} : serviceLinks(api, pod);
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const data = configMapRef
      ? mapData(api, pod, "configmap", configMapRef.name, configMapRef.optional)
      : secretRef
        ? mapData(api, pod, "secret", secretRef.name, secretRef.optional)
        : {};
    for (const [name, value] of Object.entries(data ?? {})) env[prefix + name] = value.toString("utf8");
  }
  for (const variable of container.env ?? []) {
    const value = variable.valueFrom ? valueFrom(api, pod, container, variable) : expand(variable.value ?? "", env);
    if (value !== undefined) env[variable.name] = value;
  }
  return env;
}

/** `$(NAME)` becomes the variable's value where there is one; `$$` stands for `$`. */
export function expand(text: string, env: Record<string, string>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name?: string) =>
    name === undefined ? "$" : Object.hasOwn(env, name) ? (env[name] ?? "") : whole,
  );
}

/** Rewrites mount paths (and that of the termination log) to where they are; a path counts only from its beginning. */
export function pathRewriter(container: Container, folder: PodFolder): (text: string) => string {
  const places = new Map<string, string>();
  for (const { name, mountPath, subPath } of container.volumeMounts ?? []) {
    const volume = folder.volumes.get(name);
    const from = mountPath.replace(/\/+$/, "");
    if (volume && from) places.set(from, subPath ? path.join(volume, subPath) : volume);
  }
  places.set(container.terminationMessagePath ?? "/dev/termination-log", folder.terminationLog);
  // The longest first: a mount within another one wins, as it does in a container.
  const froms = [...places.keys()].sort((a, b) => b.length - a.length).map((from) => from.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(?<=^|[^\\w./-]|file://)(?:${froms.join("|")})(?![\\w.-])`, "g");
  return (text) => text.replace(pattern, (from) => places.get(from) ?? from);
}

/** The data of a ConfigMap or Secret; undefined where it is missing and optional. */
export function mapData(
  api: SandboxApi,
  pod: Pod,
  kind: "configmap" | "secret",
  name: string,
  optional: boolean | undefined,
): Record<string, Buffer> | undefined {
  const object = api.get(kind === "secret" ? SECRETS : CONFIG_MAPS, pod.metadata.namespace, name);
  if (!object) {
    if (optional) return undefined;
    throw new ContainerConfigError("CreateContainerConfigError", `${kind} "${name}" not found`);
  }
  const result: Record<string, Buffer> = {};
  const plain = kind === "secret" ? object.stringData : object.data;
  const encoded = kind === "secret" ? object.data : object.binaryData;
  for (const [key, value] of Object.entries(encoded ?? {})) result[key] = Buffer.from(String(value), "base64");
  for (const [key, value] of Object.entries(plain ?? {})) result[key] = Buffer.from(String(value), "utf8");
  return result;
}

function valueFrom(api: SandboxApi, pod: Pod, container: Container, variable: EnvVar): string | undefined {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = variable.valueFrom ?? {};
  if (fieldRef) {
    const value = fieldValue(pod, fieldRef.fieldPath);
    if (value !== undefined) return value;
    throw new ContainerConfigError("CreateContainerConfigError", `unsupported fieldPath: ${fieldRef.fieldPath}`);
  }
  if (resourceFieldRef) {
    const [list, resource] = resourceFieldRef.resource.split(".");
    const amounts = list === "requests" ? container.resources?.requests : container.resources?.limits;
    return String(Math.ceil(quantity(amounts?.[resource ?? ""]) ?? 0));
  }
  const kind = secretKeyRef ? "secret" : "configmap";
  const ref = secretKeyRef ?? configMapKeyRef;
  if (!ref) return undefined;
  const value = mapData(api, pod, kind, ref.name, ref.optional)?.[ref.key];
  if (value !== undefined) return value.toString("utf8");
  if (ref.optional) return undefined;
  const where = `${kind === "secret" ? "Secret" : "ConfigMap"} ${pod.metadata.namespace}/${ref.name}`;
  throw new ContainerConfigError("CreateContainerConfigError", `couldn't find key ${ref.key} in ${where}`);
}

/** There is no name server here, so these are how a pod finds the Services of its namespace. */
function serviceLinks(api: SandboxApi, pod: Pod): Record<string, string> {
  const env: Record<string, string> = {};
  for (const service of api.list(SERVICES, pod.metadata.namespace) as Service[]) {
    const { clusterIP, ports } = service.spec;
    if (!clusterIP || clusterIP === "None" || !ports?.[0]) continue;
    const name = service.metadata.name.toUpperCase().replaceAll("-", "_");
    env[`${name}_SERVICE_HOST`] = clusterIP;
    env[`${name}_SERVICE_PORT`] = String(ports[0].port);
  }
  return env;
}

function pairs(map: Record<string, string> | undefined): string {
  return Object.entries(map ?? {})
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}
