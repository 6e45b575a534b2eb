// Services: a real listener on each clusterIP and port, whose new connections go in turn to the ready endpoints. What is
// connected stays where it is until it closes, as with kube-proxy, so traffic moves without a failed request.
import net from "node:net";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../log.ts";
import type { SandboxApi } from "../api.ts";
import { ENDPOINT_SLICES, type EndpointSlice, keyOf, SERVICES, type Service, type ServicePort } from "../controllers/kinds.ts";
import { KeyLoop } from "../controllers/loop.ts";
import { Mirror } from "../controllers/mirror.ts";

/** Where the first port of a Service really listens: "host:port". */
export const ADDRESS_ANNOTATION = "sandbox.rollguard.dev/address";
const CONNECT_TIMEOUT_MS = 2000;

/** "http://host:port" of the Service's first port; undefined while it does not listen. */
export function serviceUrl(service: { metadata: { annotations?: Record<string, string> } }): string | undefined {
  const address = service.metadata.annotations?.[ADDRESS_ANNOTATION];
  return address && `http://${address}`;
}

interface Listener {
  server: net.Server;
  ip: string;
  /** Known once it listens. */
  address?: string;
}

export function startServices(api: SandboxApi, options: { clock: Clock; logger?: Logger }): { stop(): Promise<void> } {
  const { clock, logger } = options;
  // "namespace/name port" → listener
  const listeners = new Map<string, Listener>();
  const sockets = new Set<net.Socket>();
  const turns = new Map<string, number>();
  const loop = new KeyLoop(clock, reconcile, (key, error) =>
    logger?.warn({ key, err: error }, "a pass over a sandbox Service failed and is retried"),
  );
  const services = new Mirror<Service>(api, SERVICES, (service) => loop.mark(keyOf(service)));
  const slices = new Mirror<EndpointSlice>(api, ENDPOINT_SLICES, () => {});

  function reconcile(key: string): undefined {
    const service = services.get(key);
    const ip = service?.spec.clusterIP;
    const wanted = ip && ip !== "None" && service.spec.type !== "ExternalName" ? (service.spec.ports ?? []) : [];
    for (const [id, listener] of listeners) {
      if (!id.startsWith(`${key} `) || (listener.ip === ip && wanted.some((port) => id === `${key} ${port.port}`))) continue;
      listeners.delete(id);
      listener.server.close();
    }
    for (const port of wanted) {
      const id = `${key} ${port.port}`;
      if (ip && !listeners.has(id) && (port.protocol ?? "TCP") === "TCP") listen(key, id, ip, port);
    }
    const first = wanted[0] && listeners.get(`${key} ${wanted[0].port}`)?.address;
    if (!service || !first || service.metadata.annotations?.[ADDRESS_ANNOTATION] === first) return;
    const annotations = { ...service.metadata.annotations, [ADDRESS_ANNOTATION]: first };
    api.update(SERVICES, { ...service, metadata: { ...service.metadata, annotations } });
  }

  function listen(key: string, id: string, ip: string, port: ServicePort): void {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => void serve(key, port.port, client));
    const listener: Listener = { server, ip };
    listeners.set(id, listener);
    server.on("listening", () => {
      const bound = server.address() as net.AddressInfo;
      listener.address = `${bound.address}:${bound.port}`;
      if (listener.address !== `${ip}:${port.port}`) {
        logger?.warn({ key, port: port.port, address: listener.address }, "a sandbox Service listens elsewhere than on its port");
      }
      loop.mark(key);
    });
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (server.listening || listeners.get(id) !== listener) return;
      // A port that needs root (EACCES), is taken, or an address that this machine has not: any free one then.
      const host = error.code === "EADDRNOTAVAIL" ? "127.0.0.1" : ip;
      server.listen(0, host);
    });
    server.listen(port.port, ip);
  }

  /** Ready endpoints' "host:port", or, where there is none, those that end but still serve. */
  function backends(service: Service, number: number): { host: string; port: number }[] {
    const name = service.spec.ports?.find((each) => each.port === number)?.name ?? "";
    const all = slices.ownedBy(service.metadata.uid).flatMap((slice) => {
      const port = slice.ports?.find((each) => (each.name ?? "") === name)?.port;
      if (port === undefined) return [];
      return (slice.endpoints ?? []).map(({ addresses, conditions }) => ({ host: addresses[0] ?? "", port, conditions }));
    });
    const ready = all.filter(({ conditions }) => conditions.ready === true);
    return ready.length > 0 ? ready : all.filter(({ conditions }) => conditions.serving && conditions.terminating);
  }

  async function serve(key: string, number: number, client: net.Socket): Promise<void> {
    track(client);
    const service = services.get(key);
    const choices = service ? backends(service, number) : [];
    const turn = turns.get(key) ?? 0;
    turns.set(key, turn + 1);
    for (let i = 0; i < choices.length; i++) {
      const choice = choices[(turn + i) % choices.length];
      const backend = choice && (await connect(choice.host, choice.port));
      if (!backend) continue;
      track(backend);
      if (client.destroyed) backend.destroy();
      else join(client, backend);
      return;
    }
    // As a Service without endpoints: refused.
    client.resetAndDestroy();
  }

  function track(socket: net.Socket): void {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  return {
    async stop() {
      loop.stop();
      services.stop();
      slices.stop();
      const closed = [...listeners.values()].map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
      listeners.clear();
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function connect(host: string, port: number): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(() => socket.destroy(), CONNECT_TIMEOUT_MS);
    const done = (result: net.Socket | undefined) => {
      clearTimeout(timer);
      resolve(result);
    };
    socket.once("connect", () => done(socket));
    socket.once("error", () => done(undefined));
    socket.once("close", () => done(undefined));
  });
}

/** Each side's end is passed on by itself; a side that breaks off breaks off the other. */
function join(client: net.Socket, backend: net.Socket): void {
  client.pipe(backend);
  backend.pipe(client);
  client.on("close", () => backend.destroySoon());
  backend.on("close", (broken) => (broken ? client.resetAndDestroy() : client.destroySoon()));
}
