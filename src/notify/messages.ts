// What is sent of an announcement: CloudEvents 1.0.2 in structured JSON mode, and the text of a Slack-compatible webhook. Pure.

import { recordName } from "../api/names.ts";
import type { Topic } from "../api/notifications.ts";
import { sanitizeLine } from "../text.ts";
import type { Announcement } from "./announcement.ts";

export interface Message {
  contentType: string;
  body: string;
}

/** UTF-16 code units of a note in a message: as long as that of an event. */
const MAX_NOTE = 1024;
/** Of a Slack text: 4,000 characters is what Slack asks senders to keep to, and it cuts at 40,000. */
const MAX_TEXT = 4000;

type Revision = NonNullable<NonNullable<Announcement["transition"]>["to"]>;

const pointer = (revision: Revision | undefined) =>
  revision && { version: revision.version, revision: revision.revision, artifactDigest: revision.artifactDigest };

function transitionOf({ regarding, transition }: Announcement): object | undefined {
  if (!transition) return undefined;
  const { sequence, action, outcome, trigger, startedAt, finishedAt, detectedAt, decidedAt, restoredAt, verifiedAt } = transition;
  // Undefined members are left out by JSON.stringify.
  return {
    sequence,
    action,
    outcome,
    trigger,
    from: pointer(transition.from),
    to: pointer(transition.to),
    startedAt,
    detectedAt,
    decidedAt,
    restoredAt,
    verifiedAt,
    finishedAt,
    record: outcome === undefined ? undefined : recordName(regarding.metadata.name, sequence),
  };
}

/** `/apis/rollguard.dev/v1alpha1/namespaces/fraud/modeldeployments/scorer`: where the API server has it. */
function pathOf({ apiVersion, kind, metadata: { namespace, name } }: Announcement["regarding"]): string {
  const scope = namespace === undefined ? "" : `/namespaces/${namespace}`;
  return `/apis/${apiVersion}${scope}/${kind.toLowerCase()}s/${name}`;
}

/**
 * CloudEvents 1.0.2, the JSON event format in structured mode. `id` is the object's uid and the announcement's id: the same happening has
 * the same id however often it is sent.
 * @param environment the operator's; the source of the event
 */
export function cloudEvent(announcement: Announcement, topic: Topic, environment: string): Message {
  const { regarding, id, at, reason, type, note } = announcement;
  const { namespace, name, uid } = regarding.metadata;
  const event = {
    specversion: "1.0",
    id: sanitizeLine(`${uid ?? name}/${id}`, 512),
    source: environment === "" ? "/rollguard" : `/rollguard/${encodeURIComponent(environment)}`,
    type: `dev.rollguard.${topic}`,
    subject: pathOf(regarding),
    time: at,
    datacontenttype: "application/json",
    data: {
      regarding: { kind: regarding.kind, namespace, name, uid },
      environment: environment === "" ? undefined : environment,
      severity: type,
      reason,
      message: sanitizeLine(note, MAX_NOTE),
      transition: transitionOf(announcement),
    },
  };
  return { contentType: "application/cloudevents+json; charset=utf-8", body: JSON.stringify(event) };
}

/**
 * Text that is nothing but text to Slack and to those who take its webhooks: its three control characters as entities
 * (https://api.slack.com/docs/message-formatting), and a zero-width space where others would see a mention (`@channel` in Mattermost) or
 * make a link of an address that a stranger wrote.
 */
export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("@", "@\u200b")
    .replaceAll("://", ":\u200b//");
}

/** One line of a Slack text. With its time: it may come late, and beside others. */
export function slackLine({ regarding, reason, type, note, outcome, at }: Announcement, environment: string): string {
  const { namespace, name } = regarding.metadata;
  const where = namespace === undefined ? name : `${namespace}/${name}`;
  const sign = type === "Warning" ? ":warning: " : "";
  const prefix = environment === "" ? "" : `[${escapeText(sanitizeLine(environment, 63))}] `;
  const what = outcome === "Stalled" ? `Stalled, ${reason}` : reason;
  const words = `${prefix}*${escapeText(where)}* ${escapeText(what)}: ${escapeText(sanitizeLine(note, MAX_NOTE))}`;
  return `${sign}${words} (${escapeText(sanitizeLine(at, 64))})`;
}

/** How many of these lines, from the first on, are one text; at least one. */
export function fitting(lines: readonly string[]): number {
  let length = 0;
  const end = lines.findIndex((line, index) => {
    length += line.length + 1;
    return index > 0 && length > MAX_TEXT;
  });
  return end < 0 ? lines.length : end;
}

export function slackMessage(lines: readonly string[]): Message {
  return { contentType: "application/json; charset=utf-8", body: JSON.stringify({ text: lines.join("\n") }) };
}
