// Who is told of what: the sinks of RollguardConfig, what a sink may be told of, and what the status says of each.
import { z } from "zod";
import { counter, duration, entryName, keyRef, matching, message, rules, setList, time } from "./common.ts";
import { OUTCOMES } from "./reasons.ts";

/** What a sink can be told of. Transitions by their end; the rest as it happens. */
export const TOPICS = [
  ...OUTCOMES,
  /** A return begins, or goes on to another target. */
  "Returning",
  /** A person is needed, or no longer. */
  "Stalled",
  "DeadlineWillBeMissed",
  "BakeStarved",
  /** A check is breached, and nothing is returned for it. */
  "CheckBreached",
  /** A person is asked to approve, or told what an observing policy would have done. */
  "Recommended",
  /** Critical checks give nothing for longer than `onMissingData.after`, or give samples again. */
  "MissingData",
  "StormBreaker",
  /** Whatever else is an event of type Warning. */
  "Warning",
] as const;
export type Topic = (typeof TOPICS)[number];

export const SinkSchema = z
  .object({
    name: entryName().describe("Name of the sink."),
    type: z.enum(["CloudEvents", "Slack"]).describe("`CloudEvents` over HTTP, or a `Slack`-compatible webhook."),
    url: matching("^https?://[^ /?#@]+(/[^ ]*)?$", 2048, "must be an http or https URL without user and spaces")
      .optional()
      .describe("Where it is sent. Either this or `urlSecretRef`."),
    urlSecretRef: keyRef()
      .optional()
      .describe("A Secret in the operator's own namespace that holds the URL, where it is a credential."),
    auth: z
      .object({
        type: z
          .enum(["Bearer", "Basic"])
          .default("Bearer")
          .describe("`Bearer`: the secret is the token. `Basic`: it is `user:password`."),
        secretRef: keyRef().describe("A Secret in the operator's own namespace."),
      })
      .optional()
      .describe("How the operator proves who it is."),
    tls: z
      .object({ caRef: keyRef().describe("A Secret in the operator's own namespace with the CA's certificate (PEM).") })
      .optional()
      .describe("How the server is known."),
    topics: z
      .array(z.enum(TOPICS))
      .min(1)
      .max(TOPICS.length)
      .meta(setList)
      .optional()
      .describe("What it is told of. Default: everything."),
    namespaces: z
      .array(matching("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63, "must be the name of a namespace"))
      .min(1)
      .max(256)
      .meta(setList)
      .optional()
      .describe("Whose deployments it is told of, and then of nothing that belongs to the whole cluster. Default: everything."),
    timeout: duration("100ms", "1m").default("5s").describe("How long one request may take."),
  })
  .meta(
    rules(
      { rule: "has(self.url) != has(self.urlSecretRef)", message: "exactly one of url and urlSecretRef must be set" },
      {
        rule: "self.type != 'Slack' || !has(self.url)",
        message: "the URL of a Slack webhook is a credential: it must come from urlSecretRef",
        fieldPath: ".url",
      },
      {
        rule: "self.type != 'Slack' || !has(self.auth)",
        message: "auth does not apply to Slack: remove it",
        fieldPath: ".auth",
      },
    ),
  );
export type SinkSpec = z.infer<typeof SinkSchema>;

export const SinkStatusSchema = z.object({
  name: z.string().max(63).describe("Name of the sink."),
  state: z
    .enum(["Idle", "Delivering", "Failing"])
    .describe("`Idle`: nothing was sent yet. `Failing`: the latest delivery failed; it is tried again, or was given up."),
  failedAt: time().optional().describe("When a delivery last failed."),
  message: message().optional().describe("Why it failed, without the URL."),
  givenUp: counter().optional().describe("Messages that were never delivered, since this operator began to lead."),
});
export type SinkStatus = z.infer<typeof SinkStatusSchema>;
