// For machines with 127.0.0.1 only (macOS without aliases): pods share the address, so each container port of a new pod is
// replaced by one of its own, wherever the template says the old number. Named ports and Services then just work; a server
// that has its port from neither its command, its arguments nor its environment does not.
import type { Container, Pod, PodTemplate, Probe } from "./kinds.ts";

const FIRST = 20_000;
const COUNT = 12_000;
/** JSON: the declared number → the real one. */
const PORTS_ANNOTATION = "sandbox.rollguard.dev/ports";

/** Returns what makes a template's ports unique; the numbers go round, starting at a place that differs by process. */
export function portRewriter(seed: number): (template: PodTemplate) => PodTemplate {
  let next = (seed * 97) % COUNT;
  return (template) => {
    const ports = new Map<number, number>();
    for (const { containerPort } of template.spec.containers.flatMap((each) => each.ports ?? [])) {
      next = (next + 1) % COUNT;
      ports.set(containerPort, FIRST + next);
    }
    if (ports.size === 0) return template;
    const annotations: Record<string, string> = { [PORTS_ANNOTATION]: JSON.stringify(Object.fromEntries(ports)) };
    for (const [name, value] of Object.entries(template.metadata?.annotations ?? {})) annotations[name] = inText(ports, value);
    return {
      ...template,
      metadata: { ...template.metadata, annotations },
      spec: { ...template.spec, containers: template.spec.containers.map((each) => rewritten(ports, each)) },
    };
  };
}

/** The real number of a declared port of the pod. */
export function realPort(pod: Pod, port: number): number {
  const text = pod.metadata.annotations?.[PORTS_ANNOTATION];
  return (text && (JSON.parse(text) as Record<string, number>)[port]) || port;
}

function rewritten(ports: Map<number, number>, container: Container): Container {
  const words = (list: string[] | undefined) => list?.map((word) => inText(ports, word));
  const probe = (each: Probe | undefined): Probe | undefined =>
    each && {
      ...each,
      ...(each.httpGet ? { httpGet: { ...each.httpGet, port: inPort(ports, each.httpGet.port) } } : {}),
      ...(each.tcpSocket ? { tcpSocket: { ...each.tcpSocket, port: inPort(ports, each.tcpSocket.port) } } : {}),
    };
  const result: Container = {
    ...container,
    ports: container.ports?.map((each) => ({ ...each, containerPort: ports.get(each.containerPort) ?? each.containerPort })),
    env: container.env?.map((each) => (each.value === undefined ? each : { ...each, value: inText(ports, each.value) })),
    command: words(container.command),
    args: words(container.args),
    readinessProbe: probe(container.readinessProbe),
    livenessProbe: probe(container.livenessProbe),
    startupProbe: probe(container.startupProbe),
  };
  return JSON.parse(JSON.stringify(result)) as Container;
}

/** A number that stands alone, or after "=" or ":" at the end: 8080, --port=8080, 127.0.0.1:8080. */
function inText(ports: Map<number, number>, text: string): string {
  return text.replace(/(^|[=:])(\d{1,5})$/, (whole, before: string, number: string) => {
    const port = ports.get(Number(number));
    return port === undefined ? whole : `${before}${port}`;
  });
}

function inPort(ports: Map<number, number>, port: number | string): number | string {
  return typeof port === "number" ? (ports.get(port) ?? port) : port;
}
