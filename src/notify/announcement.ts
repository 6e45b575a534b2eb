// What is told, whoever is told it, and the topic that it belongs to.

import type { HistoryEntry } from "../api/modeldeployment-status.ts";
import { TOPICS, type Topic } from "../api/notifications.ts";
import { STALLED_REASONS } from "../api/reasons.ts";

export interface Announcement {
  /** The same id for the same object is the same happening, also after a restart. */
  id: string;
  /** What it happened to: a ModelDeployment, or the RollguardConfig. */
  regarding: { apiVersion: string; kind: string; metadata: { name: string; namespace?: string; uid?: string } };
  type: "Normal" | "Warning";
  /** Why, in CamelCase. */
  reason: string;
  /** For people; becomes one line. */
  note: string;
  /** When it happened, RFC 3339. */
  at: string;
  /** Of the end of a transition its outcome; `Stalled` where a person is needed. */
  outcome?: HistoryEntry["outcome"] | "Stalled";
  /** The transition that it is about, as far as it has come. */
  transition?: Partial<HistoryEntry> & Pick<HistoryEntry, "sequence">;
}

/** Who can be told. */
export interface Sink {
  /** Resolves when it was told, or never will be. Rejects where that is not known: the sink was stopped before. */
  tell(announcement: Announcement): Promise<void>;
}

const OF_REASON: Readonly<Record<string, Topic | "Nobody">> = {
  RollingBack: "Returning",
  Recovered: "Stalled",
  ReturnRecommended: "Recommended",
  WouldAct: "Recommended",
  RecommendationLapsed: "Recommended",
  DataIsBack: "MissingData",
  StormBreakerOpened: "StormBreaker",
  StormBreakerClosed: "StormBreaker",
  // Comes with the end of the transition that it is the consequence of.
  Quarantined: "Nobody",
};

const isTopic = (word: string): word is Topic => (TOPICS as readonly string[]).includes(word);

/** What it is filtered by; undefined: steps on the way, which events tell and no sink does. */
export function topicOf({ type, reason, outcome }: Announcement): Topic | undefined {
  if (outcome !== undefined) return outcome;
  const known = OF_REASON[reason];
  if (known !== undefined) return known === "Nobody" ? undefined : known;
  if ((STALLED_REASONS as readonly string[]).includes(reason)) return "Stalled";
  if (isTopic(reason)) return reason;
  return type === "Warning" ? "Warning" : undefined;
}
