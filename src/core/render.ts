// Renders the pod template of a revision, once: what comes out is kept and never rendered again, so that a new operator
// restarts no model and a target survives its ModelVersion.

import { configMapCopyName } from "../api/names.ts";
import { FETCH_CONTAINER } from "./faults.ts";

type Json = Record<string, unknown>;

export interface RenderInput {
  /** Name of the ModelDeployment. */
  name: string;
  revision: number;
  template: Json;
  /** Name of the container that serves; the first one where it is unset. */
  container?: string;
  /** Where the artifact is mounted. */
  modelPath: string;
  serving?: { image?: string; args?: string[]; env?: { name: string; value?: string }[] };
  /** False: the server loads the artifact by itself. */
  fetch: boolean;
  fetchImage: string;
  /** In place of the image's own entry point. */
  fetchCommand?: string[];
  fetchOptions?: { resources?: unknown; envFrom?: unknown; volume?: unknown };
  fetchEnv: { name: string; value: string }[];
  serverEnv: { name: string; value: string }[];
  /** Upper bound of the volume that holds the artifact, such as "2Gi". */
  sizeLimit: string;
  labels: Record<string, string>;
}

const MODEL_VOLUME = "rollguard-model";

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

/** Calls `visit` with every reference to a ConfigMap in a pod template: {name, optional, set}. */
function eachConfigMap(template: Json, visit: (name: string, optional: boolean, rename: (to: string) => void) => void): void {
  const spec = isObject(template.spec) ? template.spec : {};
  const see = (holder: unknown) => {
    if (!isObject(holder) || typeof holder.name !== "string") return;
    visit(holder.name, holder.optional === true, (to) => {
      holder.name = to;
    });
  };
  for (const volume of list(spec.volumes)) {
    see(volume.configMap);
    if (isObject(volume.projected)) for (const source of list(volume.projected.sources)) see(source.configMap);
  }
  for (const container of [...list(spec.initContainers), ...list(spec.containers)]) {
    for (const from of list(container.envFrom)) see(from.configMapRef);
    for (const env of list(container.env)) if (isObject(env.valueFrom)) see(env.valueFrom.configMapKeyRef);
  }
}

/** The ConfigMaps that a template names: they belong to the revision. */
export function configMapsOf(template: Json): { name: string; optional: boolean }[] {
  const found = new Map<string, boolean>();
  eachConfigMap(template, (name, optional) => found.set(name, optional && (found.get(name) ?? true)));
  return [...found].map(([name, optional]) => ({ name, optional })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Later entries win by name, at the place of the first. */
function mergeEnv(...lists: (Json[] | { name: string; value?: string }[])[]): Json[] {
  const merged = new Map<unknown, Json>();
  for (const entry of lists.flat()) merged.set(entry.name, { ...entry });
  return [...merged.values()];
}

function initContainer(input: RenderInput): Json {
  const { resources, envFrom } = input.fetchOptions ?? {};
  return {
    name: FETCH_CONTAINER,
    image: input.fetchImage,
    ...(input.fetchCommand ? { command: input.fetchCommand } : {}),
    args: ["fetch"],
    env: input.fetchEnv,
    ...(envFrom === undefined ? {} : { envFrom }),
    resources: resources ?? { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumeMounts: [{ name: MODEL_VOLUME, mountPath: input.modelPath }],
  };
}

/** The pod template of one revision, with its ConfigMaps replaced by the revision's own copies. */
export function renderTemplate(input: RenderInput): Json {
  const template = structuredClone(input.template);
  eachConfigMap(template, (name, _optional, rename) => rename(configMapCopyName(input.name, input.revision, name)));
  const metadata = isObject(template.metadata) ? template.metadata : {};
  const spec = isObject(template.spec) ? template.spec : {};
  const containers = list(spec.containers).map((container, index) => {
    const serves = input.container === undefined ? index === 0 : container.name === input.container;
    return serves ? serverContainer(container, input) : container;
  });
  const initContainers = [...(input.fetch ? [initContainer(input)] : []), ...list(spec.initContainers)];
  const volume = input.fetchOptions?.volume ?? { emptyDir: { sizeLimit: input.sizeLimit } };
  return {
    ...template,
    metadata: { ...metadata, labels: { ...(isObject(metadata.labels) ? metadata.labels : {}), ...input.labels } },
    spec: {
      ...spec,
      ...(initContainers.length > 0 ? { initContainers } : {}),
      containers,
      ...(input.fetch ? { volumes: [...list(spec.volumes), { name: MODEL_VOLUME, ...(isObject(volume) ? volume : {}) }] } : {}),
    },
  };
}

function serverContainer(container: Json, input: RenderInput): Json {
  const { serving } = input;
  const mounts = input.fetch
    ? [...list(container.volumeMounts), { name: MODEL_VOLUME, mountPath: input.modelPath, readOnly: true }]
    : container.volumeMounts;
  return {
    ...container,
    ...(serving?.image === undefined ? {} : { image: serving.image }),
    ...(serving?.args === undefined ? {} : { args: serving.args }),
    env: mergeEnv(list(container.env), serving?.env ?? [], input.serverEnv),
    ...(mounts === undefined ? {} : { volumeMounts: mounts }),
  };
}
