// One request to one sink: where to from its spec or a Secret, no redirects, bounded in time, and in words whether to try again.
// Whatever the server answers is not read; the URL is a secret and never in a word of it.

import { parseDuration } from "../api/common.ts";
import type { SinkSpec } from "../api/notifications.ts";
import { retryAfterMs } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import { hostProblem } from "../signals/addresses.ts";
import { Connections, readCredentials, readSecret } from "../signals/credentials.ts";
import { exchange, HttpFailure } from "../signals/http.ts";
import { userAgent } from "../version.ts";
import type { Message } from "./messages.ts";

export type Attempt =
  | { outcome: "Delivered" }
  /** It may work later; `waitMs`: not before so long, as the server asks. */
  | { outcome: "Again"; why: string; waitMs?: number }
  /** The same again would be refused again. */
  | { outcome: "Refused"; why: string };

export interface WebhookDeps {
  clock: Clock;
  /** A value of a Secret in the operator's own namespace; rejects where there is none. Asked for each request, so cache it. */
  secret(name: string, key: string): Promise<string>;
  /** Makes the requests instead of a connection pool of its own (tests, simulation). */
  dispatcher?: Parameters<typeof exchange>[0];
}

/** As much of an answer is taken in, and thrown away. */
const MAX_ANSWER_BYTES = 4096;

export class Webhook {
  readonly #spec: SinkSpec;
  readonly #deps: WebhookDeps;
  readonly #timeoutMs: number;
  readonly #connections: Connections;
  readonly #closed = new AbortController();
  readonly #userAgent = userAgent();

  constructor(spec: SinkSpec, deps: WebhookDeps) {
    this.#spec = spec;
    this.#deps = deps;
    this.#timeoutMs = parseDuration(spec.timeout);
    this.#connections = new Connections(this.#timeoutMs);
  }

  /** Never rejects. */
  async send({ contentType, body }: Message): Promise<Attempt> {
    const { clock, secret, dispatcher } = this.#deps;
    const access = { secret, clock, timeoutMs: this.#timeoutMs };
    let answer: Awaited<ReturnType<typeof exchange>>;
    let asked = false;
    try {
      const url = await this.#url();
      const { headers, ca } = await readCredentials(this.#spec, access);
      asked = true;
      answer = await exchange(dispatcher ?? this.#connections.to(ca), clock, {
        url,
        method: "POST",
        headers: { ...headers, "content-type": contentType, "user-agent": this.#userAgent },
        body,
        timeoutMs: this.#timeoutMs,
        maxBodyBytes: MAX_ANSWER_BYTES,
        statusOnly: true,
        signal: this.#closed.signal,
      });
    } catch (error) {
      // Anything else may hold the URL.
      const why = error instanceof HttpFailure ? error.message : "the request can't be made";
      const isFinal = asked && error instanceof HttpFailure && !error.lasting;
      return { outcome: isFinal ? "Refused" : "Again", why };
    }
    const { status, retryAfter } = answer;
    if (status >= 200 && status < 300) return { outcome: "Delivered" };
    if (status !== 429 && status < 500) return { outcome: "Refused", why: `HTTP ${status}` };
    const waitMs = retryAfterMs(retryAfter, clock.now());
    return { outcome: "Again", why: `HTTP ${status}`, ...(waitMs === undefined ? {} : { waitMs }) };
  }

  /** What is under way may end; nothing more is sent. */
  retire(): void {
    this.#connections.retire();
  }

  close(): void {
    this.#closed.abort();
    this.#connections.close();
  }

  async #url(): Promise<URL> {
    const { url, urlSecretRef } = this.#spec;
    const { clock, secret } = this.#deps;
    const text = urlSecretRef ? await readSecret(urlSecretRef, { secret, clock, timeoutMs: this.#timeoutMs }) : (url ?? "");
    const where = urlSecretRef ? `what the secret ${urlSecretRef.name} has under ${urlSecretRef.key}` : "the URL";
    const parsed = URL.parse(text);
    if (!parsed || (parsed.protocol !== "http:" && parsed.protocol !== "https:"))
      throw new HttpFailure(`${where} is no http or https URL`, false);
    if (parsed.username || parsed.password) throw new HttpFailure(`${where} has a user in it: use auth.secretRef`, false);
    const problem = hostProblem(parsed);
    if (problem) throw new HttpFailure(`${where} leads to ${problem}`, false);
    return parsed;
  }
}
