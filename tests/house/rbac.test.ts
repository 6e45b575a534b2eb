// What the manifests grant, read as they are written: to the operator no more than it needs, to people nothing that would let them write
// the audit trail or rise above themselves. The chart's rules are made from these (npm run generate -- --check).
import { loadAll } from "js-yaml";
import { describe, expect, test } from "vitest";
import { KINDS } from "../../src/api/kinds.ts";
import { files, read } from "./files.ts";

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}
interface Role {
  kind: string;
  metadata: { name: string; labels: Record<string, string> };
  rules: Rule[];
}

const objects = (...patterns: string[]) =>
  files(...patterns)
    .flatMap((file) => loadAll(read(file)) as { kind?: string }[])
    .filter((one) => one?.kind !== undefined);
const roles = (...patterns: string[]) =>
  objects(...patterns).filter((one): one is Role => /^(Cluster)?Role$/.test(one.kind ?? ""));

const OPERATOR = roles("manifests/base/*.yaml");
const USERS = roles("manifests/user-roles/*.yaml");
const EVERY = roles("manifests/**/*.yaml");

const named = (list: readonly Role[], name: string) => {
  const found = list.find((one) => one.metadata.name === name);
  if (!found) throw new Error(`there is no role ${name}`);
  return found;
};
/** Each right by itself: `<verb> <group>/<resource>`, with the names that it is limited to. */
const rights = ({ rules }: Role) =>
  rules.flatMap(({ apiGroups, resources, verbs, resourceNames }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.map((verb) => `${verb} ${group}/${resource}${resourceNames ? ` ${resourceNames}` : ""}`),
      ),
    ),
  );

test("the roles are those that are known here", () => {
  expect(OPERATOR.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    "ClusterRole rollguard",
    "ClusterRole rollguard-cluster-scope",
    "Role rollguard-own-namespace",
  ]);
  expect(USERS.map(({ metadata }) => metadata.name)).toEqual([
    "rollguard-view",
    "rollguard-edit",
    "rollguard-admin",
    "rollguard-platform",
  ]);
});

describe.each(EVERY.map((role) => [role.metadata.name, role] as const))("%s", (_name, role) => {
  test("has no wildcard, and nobody rises by it", () => {
    const words = role.rules.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]);
    expect(words.length).toBeGreaterThan(0);
    expect(words.filter((word) => word.includes("*"))).toEqual([]);
    // impersonate, bind and escalate; tokens, exec and the like; roles, and what decides about requests.
    expect(words.filter((word) => ["escalate", "bind", "impersonate", "approve", "sign"].includes(word))).toEqual([]);
    expect(
      words.filter((word) =>
        /^(serviceaccounts|users|groups)|\/(token|exec|attach|portforward|proxy|eviction|ephemeralcontainers)$/.test(word),
      ),
    ).toEqual([]);
    expect(
      words.filter((word) =>
        /^(rbac|admissionregistration|certificates|apiextensions|authentication|authorization)\.k8s\.io$/.test(word),
      ),
    ).toEqual([]);
  });

  test("has no right on secrets, unless in the operator's own namespace to read one by its name", () => {
    const own = role.kind === "Role" && role.metadata.name === "rollguard-own-namespace";
    expect(rights(role).filter((right) => right.includes("/secrets"))).toEqual(own ? ["get /secrets"] : []);
  });
});

test("the operator writes no spec that a user owns, and changes no record of the audit trail", () => {
  const writes = OPERATOR.flatMap(rights).filter(
    (right) => right.includes(" rollguard.dev/") && !/^(get|list|watch) /.test(right),
  );
  expect(writes.sort()).toEqual(
    [
      ...["clusterrollbackpolicies", "metricsources"].map((name) => `update rollguard.dev/${name}/status`),
      "create rollguard.dev/rollguardconfigs",
      "create rollguard.dev/rolloutrecords",
      "delete rollguard.dev/rolloutrecords",
      "update rollguard.dev/modeldeployments/finalizers",
      ...["modeldeployments", "modelversions", "rollbackpolicies", "rollguardconfigs"].map(
        (name) => `update rollguard.dev/${name}/status`,
      ),
    ].sort(),
  );
});

test("the rules that an operator of one namespace has too name nothing that belongs to the cluster", () => {
  const wide = [
    ...KINDS.filter(({ namespaced }) => !namespaced).map(({ plural }) => plural),
    "nodes",
    "namespaces",
    "persistentvolumes",
  ];
  const found = named(OPERATOR, "rollguard").rules.flatMap(({ resources }) => resources);
  expect(found.filter((resource) => wide.includes(resource.split("/")[0] ?? ""))).toEqual([]);
});

test("whatever the operator watches, it may list and watch", () => {
  const may = new Set(
    OPERATOR.filter(({ kind }) => kind === "ClusterRole")
      .flatMap(rights)
      .map((right) => right.replace(/ .*\//, " ")),
  );
  const watched = [...read("src/controllers/caches.ts").matchAll(/RESOURCES\.(\w+)/g)].map(([, name = ""]) => name.toLowerCase());
  expect(watched.length).toBeGreaterThan(8);
  expect(
    watched.flatMap((name) => ["get", "list", "watch"].map((verb) => `${verb} ${name}`)).filter((right) => !may.has(right)),
  ).toEqual([]);
});

test("people read all that is in their namespace, deploy with edit, and never write a status or a record", () => {
  const label = (role: Role) => Object.keys(role.metadata.labels).filter((name) => name.startsWith("rbac.authorization.k8s.io/"));
  expect(Object.fromEntries(USERS.map((role) => [role.metadata.name, label(role)]))).toEqual({
    "rollguard-view": ["rbac.authorization.k8s.io/aggregate-to-view"],
    "rollguard-edit": ["rbac.authorization.k8s.io/aggregate-to-edit"],
    "rollguard-admin": ["rbac.authorization.k8s.io/aggregate-to-admin"],
    "rollguard-platform": [],
  });
  const readable = rights(named(USERS, "rollguard-view"));
  for (const { plural } of KINDS.filter(({ namespaced }) => namespaced))
    expect(readable).toContain(`list rollguard.dev/${plural}`);
  expect(readable.filter((right) => !/^(get|list|watch) /.test(right))).toEqual([]);
  const all = USERS.flatMap(rights);
  expect(all.filter((right) => !right.includes(" rollguard.dev/"))).toEqual([]);
  expect(all.filter((right) => /\/(status|finalizers)$/.test(right))).toEqual([]);
  expect(all.filter((right) => /^(create|update|patch) .*\/rolloutrecords$/.test(right))).toEqual([]);
});

test("the chart grants by the rules of the manifests only", () => {
  const templates = files("charts/rollguard/templates/*").filter((file) => !/\/(_rules\.tpl|user-roles\.yaml)$/.test(file));
  const granted = templates.flatMap((file) => [...read(file).matchAll(/^rules:\n(.*)/gm)].map(([, next = ""]) => next.trim()));
  expect(granted).toEqual(['{{- include (printf "rollguard.rules.%s" $name) $ | nindent 2 }}']);
});
