// Workers that take keys from a queue and run a handler on each. No handler can break the loop, and stopping waits for what runs.
import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { sanitizeLine } from "../text.ts";
import type { QueueLane, Work, WorkQueue } from "./queue.ts";

/** What a pass says of the next one. */
export interface PassResult {
  /** Look again after this many ms at the latest; absent: only when something changes. */
  requeueAfterMs?: number | undefined;
}

/** One finished pass, for metrics. */
export interface PassReport {
  key: string;
  lane: QueueLane;
  outcome: "Done" | "Failed";
  /** From due to begun, ms. */
  waitedMs: number;
  /** From begun to ended, ms. */
  tookMs: number;
}

export interface WorkerOptions {
  queue: WorkQueue;
  /** Passes at once. */
  concurrency: number;
  /** Further passes at once that only urgent keys may use, so that slow ordinary ones never delay them; default half of `concurrency`. */
  urgentConcurrency?: number;
  /** A rejection is retried with back-off; a number `retryAfterMs` on the error (ApiError has it) is honoured. */
  handle(key: string, work: Work): Promise<PassResult>;
  /** Told after every pass. */
  onPass?(report: PassReport): void;
  clock: Clock;
  logger: Logger;
}

/** Runs until `signal` aborts, and resolves when the passes that ran then have ended. Closes the queue. Never rejects. */
export async function runWorkers(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const { queue, concurrency, urgentConcurrency = Math.max(1, Math.floor(concurrency / 2)) } = options;
  const workers: Promise<void>[] = [];
  for (let i = 0; i < concurrency + urgentConcurrency; i++) {
    workers.push(work(options, i < concurrency ? "any" : "urgent", signal));
  }
  await Promise.all(workers);
  queue.close();
}

async function work(options: WorkerOptions, lanes: "any" | "urgent", signal: AbortSignal): Promise<void> {
  for (;;) {
    const work = await options.queue.take(lanes, signal);
    if (work === undefined) return;
    await pass(options, work);
  }
}

async function pass(options: WorkerOptions, work: Work): Promise<void> {
  const { queue, clock, logger } = options;
  const begun = clock.monotonic();
  let outcome: PassReport["outcome"] = "Done";
  try {
    // In an async function, so that a handler that throws before its first await is treated alike.
    const result = await (async () => options.handle(work.key, work))();
    queue.done(work, result.requeueAfterMs);
  } catch (error) {
    outcome = "Failed";
    queue.failed(work, retryAfterMs(error));
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const fields = { key: work.key, failures: work.failures + 1, error: sanitizeLine(text, 1024), ...stackOfBug(error) };
    logger.warn(fields, "pass failed, will be tried again");
  }
  try {
    options.onPass?.({ key: work.key, lane: work.lane, outcome, waitedMs: work.waitedMs, tookMs: clock.monotonic() - begun });
  } catch (error) {
    logger.error({ error: sanitizeLine(String(error)) }, "the observer of passes failed");
  }
}

function retryAfterMs(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("retryAfterMs" in error)) return undefined;
  return typeof error.retryAfterMs === "number" ? error.retryAfterMs : undefined;
}

/** Where a bug was; what the API server refuses is no bug, and its stack says nothing. */
function stackOfBug(error: unknown): { stack?: string } {
  const isBug = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  if (!isBug || !error.stack) return {};
  const frames = error.stack.split("\n").filter((line) => line.startsWith("    at "));
  return { stack: sanitizeLine(frames.map((frame) => frame.trim()).join(" | "), 2048) };
}
