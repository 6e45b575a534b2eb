// Queries that fall due at about the same time are asked as one: each is marked with a label of its own, and the answer is
// taken apart by the marks. A group that fails is taken apart as well, so that nobody's query can harm another's.

import type { Clock } from "../../clock.ts";
import { Coalescer } from "../coalesce.ts";
import type { Endpoint, EndpointRequest } from "../endpoint.ts";
import type { HttpAnswer } from "../http.ts";
import { isContained, type Shape, typeOf } from "../promql/shape.ts";
import type { Answer } from "../reading.ts";
import { interpret } from "./answers.ts";

/** Set by us on every series, whatever it had there: no query can answer in another's place. */
const LABEL = "rollguard_query";
const MAX_TEXTS = 512;
const MAX_LENGTH = 128 * 1024;
/** Points that an answer may hold; some 40 bytes each. */
const MAX_POINTS = 20_000;
/** Into how many parts a group that failed is taken: two steps find the one at fault among 256. */
const PARTS = 16;
/** How long a query that spoiled a group is asked alone, and how long groups that were too large stay smaller, ms. */
const APART_MS = 600_000;
const MAX_REMEMBERED = 10_000;

/** What became of texts that were asked together. */
export type Together<T> =
  /** What each says, all for the same time. */
  | { answers: ReadonlyMap<string, T> }
  /** The source is at fault. */
  | { failure: Answer }
  /** Ask each by itself. `suspect`: they may have spoiled a group; say so (`setApart`) if they fail by themselves as well. */
  | { suspect: boolean };

/** Where and for what times is asked. Only the same targets are asked together. */
export interface Target {
  url: URL;
  /** What is sent beside the query. */
  form: Readonly<Record<string, string>>;
  /** How many points an answer to one text may have. */
  points: number;
}

export interface GathererOptions<T> {
  endpoint: Endpoint;
  clock: Clock;
  /** ms */
  gatherMs: number;
  /** The same texts asked again within this time get the same answers, ms. */
  coalesceMs: number;
  /** The answers by their marks; undefined: the group as a whole has none. */
  interpret(answer: HttpAnswer, now: number, label: string): Map<string, T> | undefined;
  /** What a text without any series says. */
  none(now: number): T;
}

/** Texts as they are asked, with the type of each. */
type Typed = ReadonlyMap<string, Shape>;

interface Bundle<T> {
  texts: Typed;
  resolve(result: Together<T>): void;
}

interface Group<T> {
  target: Target;
  bundles: Bundle<T>[];
  texts: Set<string>;
  length: number;
}

export class Gatherer<T> {
  readonly #options: GathererOptions<T>;
  readonly #open = new Map<string, Group<T>>();
  /** The types of queries as they are written: many deployments ask the same. */
  readonly #types = new Map<string, Shape | undefined>();
  /** Until when a text is asked alone, monotonic ms. */
  readonly #apart = new Map<string, number>();
  readonly #asked: Coalescer<Together<T>>;
  #limit = { texts: MAX_TEXTS, until: 0 };

  constructor(options: GathererOptions<T>) {
    this.#options = options;
    this.#asked = new Coalescer(options.clock, options.coalesceMs);
  }

  /**
   * Asks some texts for one and the same time, with others that are asked now. Never rejects.
   * @param texts each query as it is written → as it is asked
   */
  ask(target: Target, texts: ReadonlyMap<string, string>): Promise<Together<T>> {
    const typed = this.#typed(texts);
    if (!typed || typed.size * target.points > MAX_POINTS) return Promise.resolve({ suspect: false });
    const key = keyOf(target);
    return this.#asked.ask(
      JSON.stringify([key, ...typed.keys()]),
      () => new Promise((resolve) => this.#join(key, target, { texts: typed, resolve })),
    );
  }

  /** These are asked alone for a while. */
  setApart(texts: Iterable<string>): void {
    const { clock } = this.#options;
    if (this.#apart.size > MAX_REMEMBERED) this.#apart.clear();
    for (const text of texts) this.#apart.set(text, clock.monotonic() + APART_MS);
  }

  #join(key: string, target: Target, bundle: Bundle<T>): void {
    const { clock, gatherMs } = this.#options;
    let group = this.#open.get(key);
    const isFull = (one: Group<T>) => {
      const texts = one.texts.size + bundle.texts.size;
      const most = clock.monotonic() < this.#limit.until ? this.#limit.texts : MAX_TEXTS;
      return texts > most || texts * target.points > MAX_POINTS || one.length > MAX_LENGTH;
    };
    if (group && isFull(group)) {
      this.#close(key, group);
      group = undefined;
    }
    if (!group) {
      const opened: Group<T> = { target, bundles: [], texts: new Set(), length: 0 };
      group = opened;
      this.#open.set(key, opened);
      clock.after(gatherMs, () => {
        if (this.#open.get(key) === opened) this.#close(key, opened);
      });
    }
    group.bundles.push(bundle);
    for (const text of bundle.texts.keys()) {
      if (!group.texts.has(text)) group.length += text.length;
      group.texts.add(text);
    }
  }

  #close(key: string, group: Group<T>): void {
    this.#open.delete(key);
    void this.#send(group.target, group.bundles, false);
  }

  /** @returns whether they were answered together */
  async #send(target: Target, bundles: readonly Bundle<T>[], suspect: boolean): Promise<boolean> {
    const { endpoint } = this.#options;
    const tell = (result: Together<T>) => {
      for (const { resolve } of bundles) resolve(result);
    };
    const typed: Typed = new Map(bundles.flatMap((bundle) => [...bundle.texts]));
    const texts = [...typed.keys()];
    if (texts.length === 1) {
      tell({ suspect });
      return false;
    }
    const request = requestOf(target, combined(typed), Math.min(Math.max(endpoint.timeoutMs / 2, 1000), endpoint.timeoutMs));
    const outcome = await endpoint.fetch(`${target.url.href}\n${request.body}`, request);
    const sick = "failure" in outcome ? !outcome.byQuery : [429, 502].includes(outcome.answer.status);
    if (sick) {
      const failure =
        "failure" in outcome ? endpoint.error(outcome.failure, outcome.at) : endpoint.read(outcome.answer, outcome.at, interpret);
      tell({ failure });
      return false;
    }
    const found = "answer" in outcome ? this.#options.interpret(outcome.answer, outcome.at, LABEL) : undefined;
    if (found) {
      tell({ answers: new Map(texts.map((text, index) => [text, found.get(String(index)) ?? this.#options.none(outcome.at)])) });
      return true;
    }
    if (bundles.length === 1) tell({ suspect: true });
    else await this.#takeApart(target, bundles, texts.length);
    return false;
  }

  async #takeApart(target: Target, bundles: readonly Bundle<T>[], texts: number): Promise<void> {
    const size = Math.ceil(bundles.length / PARTS);
    const parts = Array.from({ length: Math.ceil(bundles.length / size) }, (_, i) => bundles.slice(i * size, (i + 1) * size));
    const answered = await Promise.all(parts.map((part) => this.#send(target, part, true)));
    // Nobody is at fault: it was too much for one query.
    if (size > 1 && answered.every((one) => one)) {
      this.#limit = { texts: Math.max(Math.ceil(texts / 2), PARTS), until: this.#options.clock.monotonic() + APART_MS };
    }
  }

  #isApart(text: string): boolean {
    const until = this.#apart.get(text);
    if (until === undefined || this.#options.clock.monotonic() < until) return until !== undefined;
    this.#apart.delete(text);
    return false;
  }

  /** Undefined where one of them has to be asked alone. */
  #typed(texts: ReadonlyMap<string, string>): Typed | undefined {
    const typed = new Map<string, Shape>();
    for (const [written, text] of texts) {
      if (this.#isApart(text) || !isContained(text)) return undefined;
      if (!this.#types.has(written)) {
        if (this.#types.size > MAX_REMEMBERED) this.#types.clear();
        // Whatever the values of variables are, they are within strings, or numbers: the type is that of all.
        this.#types.set(written, typeOf(text));
      }
      const type = this.#types.get(written);
      if (!type) return undefined;
      typed.set(text, type);
    }
    return typed;
  }
}

function combined(texts: Typed): string {
  return anyOf(
    [...texts].map(([text, type], index) => {
      const vector = type === "scalar" ? `vector(${text})` : text;
      return `label_replace(${vector},"${LABEL}","${index}","","")`;
    }),
  );
}

function keyOf({ url, form }: Target): string {
  return `${url.href}\n${new URLSearchParams(form)}`;
}

/** A form, as Prometheus takes queries of any length. */
export function requestOf(target: Target, query: string, timeoutMs?: number): EndpointRequest & { body: string } {
  return {
    method: "POST",
    url: target.url,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ query, ...target.form }).toString(),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

/** A tree rather than a chain: `or` compares all series of its two sides. */
function anyOf(parts: readonly string[]): string {
  const middle = Math.ceil(parts.length / 2);
  return parts.length <= 1 ? (parts[0] ?? "") : `(${anyOf(parts.slice(0, middle))} or ${anyOf(parts.slice(middle))})`;
}
