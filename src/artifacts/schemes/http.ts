// http and https: one GET, bytes as they are. Redirects are followed within the same origin or to an allowed host, never
// from https to http, and the token goes to the first origin only.
import { Agent, type Dispatcher, request } from "undici";
import { ArtifactError, sourceError } from "../errors.ts";
import { isAllowedHost, printable } from "../location.ts";
import type { Opened, OpenOptions, Scheme } from "./scheme.ts";

const MAX_REDIRECTS = 5;

export const httpScheme: Scheme = {
  names: ["https", "http"],
  async open(uri, options) {
    if (options.allowedHosts && !isAllowedHost(uri, options.allowedHosts)) {
      throw new ArtifactError("HostNotAllowed", `${uri.host} is not among the hosts that artifacts may be fetched from`);
    }
    // The limits are the caller's signal; undici's own would end slow but steady downloads.
    const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
    try {
      return await follow(uri, options, agent);
    } catch (error) {
      await agent.destroy();
      // An aborted request reports the abort, not why: the reason is the limit that was reached.
      options.signal.throwIfAborted();
      throw sourceError(error, printable(uri));
    }
  },
};

async function follow(uri: URL, options: OpenOptions, agent: Agent): Promise<Opened> {
  let at = uri;
  for (let hop = 0; ; hop++) {
    const { statusCode, headers, body } = await request(at, {
      method: "GET",
      dispatcher: agent,
      signal: options.signal,
      headers: {
        accept: "*/*",
        "accept-encoding": "identity",
        "user-agent": "rollguard-fetch",
        ...authorization(at, uri, options.token),
      },
    });
    if (statusCode === 200) return opened(at, { headers, body }, agent);
    const location = headers.location;
    await body.dump({ limit: 64 * 1024, signal: options.signal }).catch(() => {});
    if (!isRedirect(statusCode) || typeof location !== "string") throw refusal(at, statusCode);
    if (hop >= MAX_REDIRECTS)
      throw new ArtifactError("ArtifactUnavailable", `${printable(uri)} redirects more than ${MAX_REDIRECTS} times`);
    at = redirected(at, location, uri, options.allowedHosts);
  }
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);

function redirected(from: URL, location: string, first: URL, allowed: readonly string[] | undefined): URL {
  if (!URL.canParse(location, from)) throw new ArtifactError("RedirectRefused", `${printable(from)} redirects to what is no URI`);
  const to = new URL(location, from);
  const sameOrigin = to.origin === first.origin;
  const web = to.protocol === "https:" || to.protocol === "http:";
  const downgrade = from.protocol === "https:" && to.protocol !== "https:";
  if (!web || downgrade || to.username || to.password || !(sameOrigin || (allowed && isAllowedHost(to, allowed)))) {
    throw new ArtifactError(
      "RedirectRefused",
      `${printable(from)} redirects to ${to.protocol}//${to.host}, which is not allowed`,
    );
  }
  return to;
}

function authorization(at: URL, first: URL, token: string | undefined): Record<string, string> {
  const loopback = at.hostname === "localhost" || at.hostname === "[::1]" || /^127\./.test(at.hostname);
  if (!token || at.origin !== first.origin || !(at.protocol === "https:" || loopback)) return {};
  return { authorization: `Bearer ${token}` };
}

function refusal(at: URL, status: number): ArtifactError {
  if (status === 404 || status === 410)
    return new ArtifactError("ArtifactNotFound", `${printable(at)} is not there (HTTP ${status})`);
  if (status === 401 || status === 403) {
    return new ArtifactError("ArtifactUnauthorized", `${printable(at)} wants other credentials (HTTP ${status})`);
  }
  return new ArtifactError("ArtifactUnavailable", `${printable(at)} answered HTTP ${status}`);
}

function opened(at: URL, answer: Pick<Dispatcher.ResponseData, "headers" | "body">, agent: Agent): Opened {
  const { headers, body } = answer;
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new ArtifactError(
      "ArtifactUnavailable",
      `${printable(at)} was sent with content-encoding ${String(encoding)}, though none was asked for`,
    );
  }
  const length = typeof headers["content-length"] === "string" ? Number(headers["content-length"]) : undefined;
  return {
    body,
    ...(length !== undefined && Number.isSafeInteger(length) ? { length } : {}),
    endIsCertain: length !== undefined || headers["transfer-encoding"] !== undefined,
    close: () => agent.destroy(),
  };
}
