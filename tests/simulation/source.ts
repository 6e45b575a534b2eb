// The metrics: what each revision would measure, as the plan says, and the ways in which a source may answer otherwise. It also
// answers the probe inference in the pods' place.

import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { answerQueries } from "../support/queries.ts";
import type { WorldClock } from "./clock.ts";
import { untilAborted } from "./network.ts";

export type SourceTrouble =
  | "Refused"
  | "Silent"
  | "Unavailable"
  | "Html"
  | "Truncated"
  | "NaN"
  | "Empty"
  | "Many"
  | "Old"
  | "Future";

export interface SourceParts {
  clock: WorldClock;
  /** What a revision of a deployment measures at a time, ms of the clock's `now`; undefined: it has no traffic. */
  measures(deployment: string, revision: number, at: number): number | undefined;
  /** A usable value of a time, ms of the clock's `now`, was answered. */
  onSample(deployment: string, revision: number, at: number): void;
  /** What the pod with this address answers to the probe inference. */
  probe(ip: string): { status: number } | undefined;
}

const BAD = "0.9";

export class Source {
  readonly #parts: SourceParts;
  #trouble: SourceTrouble | undefined;
  #until = 0;
  #onHit: () => void = () => {};
  /** How often it was asked. */
  asked = 0;

  constructor(parts: SourceParts) {
    this.#parts = parts;
  }

  fail(trouble: SourceTrouble, ms: number, onHit: () => void): void {
    this.#trouble = trouble;
    this.#until = this.#parts.clock.monotonic() + ms;
    this.#onHit = onHit;
  }

  calm(): void {
    this.#trouble = undefined;
  }

  /** In place of the connections of a process. @param deliver hands an answer to it */
  dispatcher(deliver: (fn: () => void) => void): Dispatcher {
    const request = async (asked: { origin?: URL | string; body?: unknown; signal?: AbortSignal }) => {
      const { hostname } = new URL(String(asked.origin));
      const work = hostname === "metrics.example" ? this.#answer(String(asked.body ?? "")) : this.#probe(hostname);
      const answer = await untilAborted(asked.signal, work);
      await new Promise<void>((resolve) => deliver(resolve));
      return { statusCode: answer.status, headers: answer.headers, body: Readable.from([Buffer.from(answer.body)]) };
    };
    return { request } as unknown as Dispatcher;
  }

  async #probe(ip: string): Promise<{ status: number; headers: Record<string, string>; body: string }> {
    const answer = this.#parts.probe(ip);
    if (!answer) throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    return { status: answer.status, headers: { "content-type": "application/json" }, body: "{}" };
  }

  async #answer(body: string): Promise<{ status: number; headers: Record<string, string>; body: string }> {
    this.asked++;
    const { clock } = this.#parts;
    const trouble = clock.monotonic() < this.#until ? this.#trouble : undefined;
    if (trouble) this.#onHit();
    const ok = (text: string) => ({ status: 200, headers: { "content-type": "application/json" }, body: text });
    switch (trouble) {
      case "Refused":
        throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
      case "Silent":
        return new Promise(() => {});
      case "Unavailable":
        return { status: 503, headers: {}, body: "" };
      case "Html":
        return { status: 200, headers: { "content-type": "text/html" }, body: "<html><body>Please log in</body></html>" };
      case "Truncated":
        return ok(this.#values(body, () => [BAD]).slice(0, -20));
      case "NaN":
        return ok(this.#values(body, () => ["NaN"]));
      case "Empty":
        return ok(this.#values(body, () => []));
      case "Many":
        return ok(this.#values(body, () => [BAD, BAD]));
      case "Old":
        return ok(this.#values(body, () => [BAD], -3_600_000));
      case "Future":
        return ok(this.#values(body, () => [BAD], 3_600_000));
      default:
        return ok(this.#values(body, undefined));
    }
  }

  #values(body: string, lie: (() => string[]) | undefined, shiftMs = 0): string {
    const { clock, measures } = this.#parts;
    return answerQueries(shiftMs === 0 ? body : shifted(body), clock.now() + shiftMs, (text, at) => {
      const [, name, revision] = /name="([^"]+)",revision="(\d+)"/.exec(text) ?? [];
      // The source's clock.
      if (name === undefined) return [at / 1000];
      const value = measures(name, Number(revision), at);
      if (value === undefined) return [];
      if (lie) return lie();
      this.#parts.onSample(name, Number(revision), at);
      return [value];
    });
  }
}

/** Without the time that was asked for: a source that lags answers with its own. */
function shifted(body: string): string {
  const form = new URLSearchParams(body);
  form.delete("time");
  return form.toString();
}
