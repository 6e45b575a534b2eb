// Readiness, liveness and startup probes as the kubelet runs them: HTTP, TCP and commands, with periods and thresholds.
import http from "node:http";
import https from "node:https";
import net from "node:net";
import type { Clock, Timer } from "../../clock.ts";
import type { HttpGet, Probe } from "../controllers/kinds.ts";

export interface ProbeTarget {
  ip: string;
  /** The number behind a port's name; undefined where there is none. */
  port(port: number | string): number | undefined;
  /** Runs a command beside the container; resolves with what was wrong, or undefined. */
  exec(command: string[], timeoutMs: number): Promise<string | undefined>;
}

/** Probes until `stop`. `settled` is called when the result passed its threshold, and again only when it changes. */
export function startProbe(
  clock: Clock,
  probe: Probe,
  target: ProbeTarget,
  settled: (ok: boolean, message: string) => void,
  failed: (message: string) => void,
): { stop(): void } {
  const periodMs = 1000 * (probe.periodSeconds ?? 10);
  let timer: Timer | undefined;
  let stopped = false;
  let last: boolean | undefined;
  let run = 0;
  let previous: boolean | undefined;

  const round = async () => {
    const began = clock.monotonic();
    const message = await probeOnce(probe, target);
    if (stopped) return;
    const ok = message === undefined;
    run = ok === previous ? run + 1 : 1;
    previous = ok;
    if (!ok) failed(message);
    if (run >= (ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)) && ok !== last) {
      last = ok;
      settled(ok, message ?? "");
    }
    if (!stopped) timer = clock.after(Math.max(0, began + periodMs - clock.monotonic()), () => void round());
  };
  timer = clock.after(1000 * (probe.initialDelaySeconds ?? 0), () => void round());
  return {
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

/** One attempt: undefined when it succeeded, otherwise what was wrong, in the kubelet's words. Never rejects. */
export async function probeOnce(probe: Probe, target: ProbeTarget): Promise<string | undefined> {
  const timeoutMs = 1000 * (probe.timeoutSeconds ?? 1);
  if (probe.exec) return target.exec(probe.exec.command, timeoutMs);
  const wanted = probe.httpGet?.port ?? probe.tcpSocket?.port;
  const port = wanted === undefined ? undefined : target.port(wanted);
  if (port === undefined) return `couldn't find port: ${wanted ?? "none is named"}`;
  if (probe.httpGet) return httpGet(probe.httpGet, probe.httpGet.host ?? target.ip, port, timeoutMs);
  return tcpConnect(probe.tcpSocket?.host ?? target.ip, port, timeoutMs);
}

export function httpGet(get: HttpGet, host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  const path = get.path?.startsWith("/") ? get.path : `/${get.path ?? ""}`;
  const scheme = get.scheme?.toLowerCase() === "https" ? "https" : "http";
  const url = `${scheme}://${host}:${port}${path}`;
  const headers: Record<string, string> = { "user-agent": "kube-probe/1.36", accept: "*/*", connection: "close" };
  for (const { name, value } of get.httpHeaders ?? []) headers[name] = value;
  return new Promise((resolve) => {
    const options = { headers, agent: false, signal: AbortSignal.timeout(timeoutMs), rejectUnauthorized: false } as const;
    const request = (scheme === "https" ? https : http).get(url, options, (response) => {
      response.resume();
      const code = response.statusCode ?? 0;
      resolve(code >= 200 && code < 400 ? undefined : `HTTP probe failed with statuscode: ${code}`);
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      const timedOut = error.name === "AbortError" || error.name === "TimeoutError";
      resolve(`Get "${url}": ${timedOut ? "context deadline exceeded" : error.message}`);
    });
  });
}

function tcpConnect(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: timeoutMs });
    const done = (message: string | undefined) => {
      socket.destroy();
      resolve(message);
    };
    socket.on("connect", () => done(undefined));
    socket.on("timeout", () => done(`dial tcp ${host}:${port}: i/o timeout`));
    socket.on("error", (error) => done(`dial tcp ${host}:${port}: ${error.message}`));
  });
}
