// The seam for faults: what may be made to happen to a request before its effect, or after it and before its answer.

import type { Clock } from "../../clock.ts";
import { StatusError } from "../api.ts";
import type { ApiRequest, ResourcePath } from "./http.ts";

export type FaultAction =
  /** Waits, then goes on. */
  | { do: "delay"; ms: number }
  /** Answers with an error. */
  | { do: "refuse"; status: number; reason?: string; message?: string; retryAfterSeconds?: number }
  /** Cuts the connection. */
  | { do: "reset" }
  /** Never answers; ends with the client's patience. */
  | { do: "hang" };

export interface Faults {
  /** Before the request has any effect. */
  before?: FaultAction;
  /** After its effect: the client does not learn whether there was one. */
  after?: FaultAction;
}

/** Asked at each request; `path` is undefined for those that name no resource. */
export type Intercept = (request: ApiRequest, path: ResourcePath | undefined) => Faults | undefined;

/** The client's connection is to be cut. */
export class ConnectionReset extends Error {
  readonly code = "ECONNRESET";
}

/** Throws StatusError or ConnectionReset, or resolves when the request may go on. */
export async function suffer(action: FaultAction | undefined, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  switch (action?.do) {
    case "delay":
      return new Promise((resolve) => clock.after(action.ms, resolve));
    case "refuse": {
      const details = action.retryAfterSeconds === undefined ? undefined : { retryAfterSeconds: action.retryAfterSeconds };
      throw new StatusError(action.status, action.reason ?? "", action.message ?? "injected fault", details);
    }
    case "reset":
      throw new ConnectionReset("read ECONNRESET");
    case "hang":
      return new Promise((_, reject) => {
        const cut = () => reject(new ConnectionReset("read ECONNRESET"));
        if (signal?.aborted) cut();
        signal?.addEventListener("abort", cut, { once: true });
      });
    default:
  }
}
