// How a server of the platform team is spoken to: credentials and CA from Secrets of the operator's own namespace, read anew for
// each request, and connections that know only that CA and no address that must not be called.

import { Agent, type Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import { guardedLookup } from "./addresses.ts";
import { HttpFailure } from "./http.ts";

export interface KeyRef {
  name: string;
  key: string;
}

export interface Access {
  /** The secret's value is a token (Bearer) or `user:password` (Basic). */
  auth?: { type?: "Bearer" | "Basic"; secretRef: KeyRef } | undefined;
  headers?: Record<string, string> | undefined;
  tls?: { caRef?: KeyRef } | undefined;
}

export interface CredentialsDeps {
  /** A value of a Secret in the operator's own namespace; rejects where there is none. Asked for each request, so cache it. */
  secret(name: string, key: string): Promise<string>;
  clock: Clock;
  /** How long reading one may take, ms. */
  timeoutMs: number;
}

export interface Credentials {
  /** Names in lower case. */
  headers: Record<string, string>;
  ca: string | undefined;
  /** What must not be shown. */
  secrets: string[];
}

/** Rejects with HttpFailure, which names the Secret and nothing of what is in it. */
export async function readCredentials(access: Access, deps: CredentialsDeps): Promise<Credentials> {
  const { auth, tls } = access;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(access.headers ?? {})) headers[name.toLowerCase()] = value;
  // Headers may hold a key as well.
  const secrets = Object.values(headers).filter((value) => value.length >= 8);
  if (auth) {
    const secret = await readSecret(auth.secretRef, deps);
    if (!/^[\u0020-\u007e]+$/.test(secret))
      throw new HttpFailure(`the secret ${auth.secretRef.name} can't be sent as a header`, false);
    const basic = Buffer.from(secret).toString("base64");
    headers.authorization = auth.type === "Basic" ? `Basic ${basic}` : `Bearer ${secret}`;
    secrets.push(secret, basic, ...(auth.type === "Basic" ? [secret.slice(secret.indexOf(":") + 1)] : []));
  }
  return { headers, ca: tls?.caRef ? await readSecret(tls.caRef, deps) : undefined, secrets };
}

/** Trimmed and not empty. Rejects with HttpFailure, as `readCredentials`. */
export async function readSecret({ name, key }: KeyRef, deps: CredentialsDeps): Promise<string> {
  // A reader that hangs would hold its place in the lane for good.
  let timer: { cancel(): void } | undefined;
  let value: string;
  try {
    value = await Promise.race([
      deps.secret(name, key),
      new Promise<never>((_, reject) => {
        timer = deps.clock.after(deps.timeoutMs, () => reject(new Error("late")));
      }),
    ]);
  } catch {
    // The reason may hold what was read.
    throw new HttpFailure(`the secret ${name} (key ${key}) can't be read`, false);
  } finally {
    timer?.cancel();
  }
  if (value.trim() === "") throw new HttpFailure(`the secret ${name} has an empty ${key}`, false);
  return value.trim();
}

/** A connection pool for one server, made anew when its CA changes. */
export class Connections {
  #agent: { ca: string | undefined; dispatcher: Dispatcher } | undefined;
  readonly #timeoutMs: number;

  /** @param timeoutMs how long connecting may take */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  to(ca: string | undefined): Dispatcher {
    if (this.#agent && this.#agent.ca === ca) return this.#agent.dispatcher;
    this.retire();
    const dispatcher = new Agent({
      connect: { timeout: this.#timeoutMs, lookup: guardedLookup(), ...(ca === undefined ? {} : { ca }) },
    });
    this.#agent = { ca, dispatcher };
    return dispatcher;
  }

  /** What is under way may end. */
  retire(): void {
    this.#agent?.dispatcher.close().catch(() => {});
    this.#agent = undefined;
  }

  close(): void {
    this.#agent?.dispatcher.destroy().catch(() => {});
    this.#agent = undefined;
  }
}
