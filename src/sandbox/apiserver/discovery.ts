// Discovery: which groups, versions and resources are served (/api, /apis, /apis/<group>/<version>, /version).
import { noSuchPath } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import { groupVersion, type Registry, type ResourceDef } from "./resources.ts";

/** Whose behaviour is followed. */
export const VERSION: JsonObject = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.3+rollguard-sandbox",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "2026-11-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: "linux/amd64",
};

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUB_VERBS = ["get", "patch", "update"];

/** The answer to a discovery path, or undefined where it is none. Throws 404 for an unknown group or version. */
export function discover(registry: Registry, pathname: string): JsonObject | undefined {
  const parts = pathname.split("/").filter((part) => part !== "");
  if (pathname === "/version") return VERSION;
  if (parts[0] === "api") {
    if (parts.length === 1) return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
    if (parts.length === 2) return resourceList(registry, "", parts[1] ?? "");
  }
  if (parts[0] !== "apis") return undefined;
  const groups = [...new Set(registry.all().map((def) => def.group))].filter((group) => group !== "");
  if (parts.length === 1) return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map((name) => group(registry, name)) };
  if (parts.length === 2) {
    if (!groups.includes(parts[1] ?? "")) throw noSuchPath();
    return { kind: "APIGroup", apiVersion: "v1", ...group(registry, parts[1] ?? "") };
  }
  return parts.length === 3 ? resourceList(registry, parts[1] ?? "", parts[2] ?? "") : undefined;
}

function group(registry: Registry, name: string): JsonObject {
  const served = registry.all().filter((def) => def.group === name);
  const versions = [...new Set(served.map((def) => def.version))].map((version) => ({
    groupVersion: `${name}/${version}`,
    version,
  }));
  return { name, versions, preferredVersion: versions[0] };
}

function resourceList(registry: Registry, name: string, version: string): JsonObject {
  const served = registry.all().filter((def) => def.group === name && def.version === version);
  if (served.length === 0) throw noSuchPath();
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupVersion({ group: name, version }),
    resources: served.flatMap(entries),
  };
}

function entries(def: ResourceDef): JsonObject[] {
  const { resource, kind, namespaced } = def;
  const list: JsonObject[] = [
    {
      name: resource,
      singularName: def.singular,
      namespaced,
      kind,
      verbs: VERBS,
      ...(def.shortNames.length > 0 ? { shortNames: def.shortNames } : {}),
      ...(def.categories.length > 0 ? { categories: def.categories } : {}),
    },
  ];
  const sub = (name: string, subKind: string, verbs: string[], extra: JsonObject = {}) =>
    list.push({ name: `${resource}/${name}`, singularName: "", namespaced, ...extra, kind: subKind, verbs });
  if (def.hasStatus) sub("status", kind, SUB_VERBS);
  if (def.scale !== undefined) sub("scale", "Scale", SUB_VERBS, { group: "autoscaling", version: "v1" });
  if (kind === "Pod") sub("log", kind, ["get"]);
  return list;
}
