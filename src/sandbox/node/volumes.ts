// A pod's volumes as folders: emptyDir, configMap, secret, downwardAPI, projected, hostPath. Their content is written once,
// when the pod starts; a later edit of a ConfigMap does not reach a running pod (with subPath it never does in Kubernetes).
import fs from "node:fs";
import path from "node:path";
import type { SandboxApi } from "../api.ts";
import type { KeyToPath, Pod, Volume, VolumeSource } from "../controllers/kinds.ts";
import { ContainerConfigError, fieldValue, mapData } from "./environment.ts";

/** Makes the folders below `root`; throws ContainerConfigError (reason FailedMount) for what is missing or not supported. */
export function makeVolumes(api: SandboxApi, pod: Pod, root: string): Map<string, string> {
  const folders = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.hostPath) {
      folders.set(volume.name, volume.hostPath.path);
      continue;
    }
    const folder = path.join(root, volume.name);
    fs.mkdirSync(folder, { recursive: true });
    folders.set(volume.name, folder);
    if (volume.emptyDir) continue;
    const sources = volume.projected ? (volume.projected.sources ?? []) : [volume];
    for (const [file, content] of sources.flatMap((source) => filesOf(api, pod, volume, source))) {
      const target = path.join(folder, file);
      if (path.relative(folder, target).startsWith("..")) throw failed(volume, `path "${file}" leaves the volume`);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.writeFileSync(target, content);
    }
  }
  return folders;
}

function filesOf(api: SandboxApi, pod: Pod, volume: Volume, source: VolumeSource): [string, Buffer | string][] {
  const { configMap, secret, downwardAPI } = source;
  if (downwardAPI) {
    return (downwardAPI.items ?? []).map((item) => [item.path, fieldValue(pod, item.fieldRef?.fieldPath ?? "") ?? ""]);
  }
  const kind = secret ? "secret" : "configmap";
  const name = secret ? (secret.secretName ?? secret.name) : configMap?.name;
  if (!name) throw failed(volume, "the sandbox has no such kind of volume");
  const { items, optional } = secret ?? configMap ?? {};
  let data: Record<string, Buffer> | undefined;
  try {
    data = mapData(api, pod, kind, name, optional);
  } catch (error) {
    throw failed(volume, (error as Error).message);
  }
  return pick(volume, data ?? {}, items, optional === true || data === undefined);
}

function pick(
  volume: Volume,
  data: Record<string, Buffer>,
  items: KeyToPath[] | undefined,
  lenient: boolean,
): [string, Buffer][] {
  if (!items) return Object.entries(data);
  return items.flatMap(({ key, path: file }): [string, Buffer][] => {
    const content = data[key];
    if (content) return [[file, content]];
    if (lenient) return [];
    throw failed(volume, `references non-existent config key: ${key}`);
  });
}

function failed(volume: Volume, message: string): ContainerConfigError {
  return new ContainerConfigError("FailedMount", `MountVolume.SetUp failed for volume "${volume.name}" : ${message}`);
}
