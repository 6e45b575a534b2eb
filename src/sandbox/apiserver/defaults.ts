// The defaults of the built-in kinds (k8s.io/kubernetes/pkg/apis/{core,apps}/v1/defaults.go), for the fields that the
// sandbox's own controllers and the operator's templates use: an operator that compares what it wrote with what it reads
// must meet them here too.
import { arrayAt, isObject, type JsonObject, objectAt } from "./json.ts";

function fill(target: JsonObject, defaults: JsonObject): void {
  for (const [key, value] of Object.entries(defaults)) if (target[key] === undefined) target[key] = value;
}

function objectsAt(value: unknown, path: string): JsonObject[] {
  return arrayAt(value, path).filter(isObject);
}

/** Fills in what the API server would. */
export function applyDefaults(kind: string, object: JsonObject): void {
  const spec = object.spec;
  switch (kind) {
    case "Deployment":
      if (isObject(spec)) deployment(spec);
      break;
    case "ReplicaSet":
      if (!isObject(spec)) break;
      fill(spec, { replicas: 1 });
      podSpec(objectAt(spec, "template.spec"));
      break;
    case "Pod":
      if (isObject(spec)) {
        podSpec(spec);
        fill(spec, { enableServiceLinks: true });
      }
      break;
    case "Service":
      if (isObject(spec)) service(spec);
      break;
    case "Secret":
      fill(object, { type: "Opaque" });
      break;
    case "Namespace":
      if (!isObject(object.spec)) object.spec = {};
      fill(objectAt(object, "spec"), { finalizers: ["kubernetes"] });
      break;
    default:
  }
}

function deployment(spec: JsonObject): void {
  fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} });
  const strategy = objectAt(spec, "strategy");
  fill(strategy, { type: "RollingUpdate" });
  if (strategy.type === "RollingUpdate") {
    fill(strategy, { rollingUpdate: {} });
    fill(objectAt(strategy, "rollingUpdate"), { maxUnavailable: "25%", maxSurge: "25%" });
  }
  const template = spec.template;
  if (!isObject(template)) return;
  podSpec(objectAt(template, "spec"));
}

function podSpec(spec: JsonObject): void {
  if (!Array.isArray(spec.containers)) return;
  fill(spec, {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    securityContext: {},
    schedulerName: "default-scheduler",
  });
  for (const item of [...objectsAt(spec, "containers"), ...objectsAt(spec, "initContainers")]) container(item);
  for (const volume of objectsAt(spec, "volumes")) {
    if (isObject(volume.configMap)) fill(volume.configMap, { defaultMode: 420 });
    if (isObject(volume.secret)) fill(volume.secret, { defaultMode: 420 });
    if (Object.keys(volume).length === 1) volume.emptyDir = {};
  }
}

function container(item: JsonObject): void {
  const image = String(item.image ?? "");
  const tag = /:([^/:]+)$/.exec(image.split("@")[0] ?? "")?.[1];
  const pullsAlways = !image.includes("@") && (tag === undefined || tag === "latest");
  fill(item, {
    imagePullPolicy: pullsAlways ? "Always" : "IfNotPresent",
    resources: {},
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
  });
  for (const port of objectsAt(item, "ports")) fill(port, { protocol: "TCP" });
  for (const variable of objectsAt(item, "env")) {
    const field = objectAt(variable, "valueFrom.fieldRef");
    if (Object.keys(field).length > 0) fill(field, { apiVersion: "v1" });
  }
  for (const name of ["readinessProbe", "livenessProbe", "startupProbe"]) {
    const probe = item[name];
    if (!isObject(probe)) continue;
    fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
    if (isObject(probe.httpGet)) fill(probe.httpGet, { path: "/", scheme: "HTTP" });
  }
}

function service(spec: JsonObject): void {
  fill(spec, { type: "ClusterIP", sessionAffinity: "None" });
  if (spec.type !== "ExternalName") {
    fill(spec, { internalTrafficPolicy: "Cluster", ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" });
  }
  for (const port of objectsAt(spec, "ports")) {
    fill(port, { protocol: "TCP" });
    if (port.targetPort === undefined || port.targetPort === "" || port.targetPort === 0) port.targetPort = port.port;
  }
}
