// Addresses on the loopback range: a sandbox claims one 127.X.0.0/16 of its own, the lower half is for pods, the upper
// for Services. Where only 127.0.0.1 exists (macOS without aliases) all share it, and ports are handed out instead.
import { randomInt } from "node:crypto";
import net from "node:net";

// Held by a listener while the range is in use: it goes with the process, however that ends.
const CLAIM_PORT = 46_199;
const ATTEMPTS = 64;

export interface Loopback {
  /** True where every address is 127.0.0.1, so that ports have to differ. */
  readonly shared: boolean;
  podIp(): string;
  /** Gives an address back, to be used again last of all. */
  releasePodIp(ip: string): void;
  serviceIp(): string;
  close(): Promise<void>;
}

/** Claims a range; `shared: true` forces what happens on a machine that has 127.0.0.1 only. */
export async function claimLoopback(options: { shared?: boolean } = {}): Promise<Loopback> {
  for (let attempt = 0; attempt < ATTEMPTS && !options.shared; attempt++) {
    const octet = randomInt(16, 250);
    const claim = await listenOn(`127.${octet}.0.1`);
    if (claim === "no address") break;
    if (claim !== "taken") return range(octet, claim);
  }
  return {
    shared: true,
    podIp: () => "127.0.0.1",
    releasePodIp: () => {},
    serviceIp: () => "127.0.0.1",
    close: async () => {},
  };
}

/** What `ApiServer` takes as `allocateServiceIp`. */
export function serviceIpAllocator(loopback: Loopback): () => string {
  return () => loopback.serviceIp();
}

function range(octet: number, claim: net.Server): Loopback {
  let nextPod = 1;
  let nextService = 0;
  const free: string[] = [];
  return {
    shared: false,
    podIp() {
      // 127.X.0.2 to 127.X.127.255; then the longest unused ones again.
      if (nextPod < 0x7fff) return address(octet, ++nextPod);
      return free.shift() ?? address(octet, 0x7fff);
    },
    releasePodIp: (ip) => void free.push(ip),
    serviceIp() {
      nextService = (nextService % 0x7ffe) + 1;
      return address(octet, 0x8000 + nextService);
    },
    close: () => new Promise((resolve) => claim.close(() => resolve())),
  };
}

function address(octet: number, host: number): string {
  return `127.${octet}.${host >> 8}.${host & 0xff}`;
}

function listenOn(host: string): Promise<net.Server | "taken" | "no address"> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE" ? "taken" : "no address"));
    server.listen(CLAIM_PORT, host, () => resolve(server.unref()));
  });
}
