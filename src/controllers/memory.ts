// What an operator remembers between passes and may lose without harm: the status it wrote before the cache shows it,
// what the probe inference said, which of our names are taken, and which objects were refused.

import type { ModelDeployment } from "../api/modeldeployment.ts";
import type { CheckProfile } from "../core/profile.ts";
import type { ProbeFacts, RefusedChild, TriedChild } from "../core/snapshot.ts";
import type { LostContent } from "./copies.ts";

/** True where resource version `a` is newer than `b`. They are decimal numbers that grow (KEP-5504 makes this a promise). */
export function isNewer(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.length === b.length ? a > b : a.length > b.length;
}

/** Which try of which candidate; the steps of a canary are one try. */
const attemptOf = ({ candidate, rollout }: Attempt) =>
  candidate && `${candidate.hash}/${rollout?.sequence ?? 0}/${rollout?.attempt ?? 1}`;
type Attempt = Pick<NonNullable<ModelDeployment["status"]>, "candidate" | "rollout">;

export class Memory {
  #written = new Map<string, ModelDeployment>();
  #decided = new Map<string, { now: number; monotonic: number }>();
  #profiles = new WeakMap<object, CheckProfile[]>();
  #taken = new Map<string, string>();
  #refused = new Map<string, RefusedChild>();
  #lost = new Map<string, LostContent>();
  #tried = new Map<string, TriedChild>();
  #probes = new Map<string, ProbeFacts & { attempt: string }>();

  /** The profiles that an object of the cache keeps, read once. */
  profiles(object: object, read: () => CheckProfile[]): CheckProfile[] {
    const known = this.#profiles.get(object) ?? read();
    this.#profiles.set(object, known);
    return known;
  }

  /** Both clocks at the last decision that was written; see `clockStep` in core/clockstep.ts. */
  decidedAt(key: string): { now: number; monotonic: number } | undefined {
    return this.#decided.get(key);
  }

  decided(key: string, now: number, monotonic: number): void {
    this.#decided.set(key, { now, monotonic });
  }

  /** The newer of what the cache shows and what was written last. */
  latest(key: string, cached: ModelDeployment | undefined): ModelDeployment | undefined {
    const written = this.#written.get(key);
    if (!cached || !written) return cached;
    if (
      written.metadata.uid === cached.metadata.uid &&
      isNewer(written.metadata.resourceVersion, cached.metadata.resourceVersion)
    )
      return written;
    this.#written.delete(key);
    return cached;
  }

  wrote(key: string, deployment: ModelDeployment): void {
    this.#written.set(key, deployment);
  }

  /** What the probe said of the candidate of this status in this attempt; a retry is probed anew. */
  probe(key: string, status: Attempt | undefined): ProbeFacts | undefined {
    const facts = this.#probes.get(key);
    return status?.candidate && facts?.attempt === attemptOf(status) ? facts : undefined;
  }

  probed(key: string, status: Attempt, facts: ProbeFacts): void {
    this.#probes.set(key, { ...facts, attempt: attemptOf(status) ?? "" });
  }

  /** Why something of ours could not be written because of its name; see the reason NameTaken. */
  nameTaken(key: string): string | undefined {
    return this.#taken.get(key);
  }

  noteNameTaken(key: string, message: string | undefined): void {
    if (message === undefined) this.#taken.delete(key);
    else this.#taken.set(key, message);
  }

  /** What the API server said of a revision's Deployment that it would not take. */
  refused(key: string): RefusedChild | undefined {
    return this.#refused.get(key);
  }

  noteRefused(key: string, refused: RefusedChild | undefined): void {
    if (refused === undefined) this.#refused.delete(key);
    else this.#refused.set(key, refused);
  }

  /** The candidate whose Deployment a dry run accepted last. */
  tried(key: string): TriedChild | undefined {
    return this.#tried.get(key);
  }

  noteTried(key: string, tried: TriedChild): void {
    this.#tried.set(key, tried);
  }

  /** What the revisions of a deployment lost of their content. */
  lost(key: string): LostContent {
    return this.#lost.get(key) ?? new Map();
  }

  /** @returns whether it is news */
  noteLost(key: string, lost: LostContent): boolean {
    const news = JSON.stringify([...lost]) !== JSON.stringify([...this.lost(key)]);
    if (news) this.#lost.set(key, lost);
    return news;
  }

  forget(key: string): void {
    this.#decided.delete(key);
    this.#lost.delete(key);
    this.#tried.delete(key);
    this.#refused.delete(key);
    this.#taken.delete(key);
    this.#written.delete(key);
    this.#probes.delete(key);
  }
}
