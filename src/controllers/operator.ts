// Puts the operator together: client, caches, queue, sampler, sources, leader election. Nothing is decided here.

import type { Gauge } from "prom-client";
import type { Clock } from "../clock.ts";
import { type OperatorOptions, OWN_IMAGE } from "../config.ts";
import { connect, type KubeClient } from "../kube/client.ts";
import { EventRecorder } from "../kube/events.ts";
import { Elector } from "../kube/lease.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Logger } from "../log.ts";
import type { Health } from "../server/health.ts";
import { unlessAborted } from "../signals/coalesce.ts";
import type { SourceDeps } from "../signals/types.ts";
import { countApiCalls, type Metrics } from "../telemetry.ts";
import { userAgent } from "../version.ts";
import { WorkQueue } from "../workqueue/queue.ts";
import { runWorkers } from "../workqueue/worker.ts";
import type { Executor } from "./apply.ts";
import { Caches } from "./caches.ts";
import { Edits } from "./edits.ts";
import { Memory } from "./memory.ts";
import { reconcileNamed } from "./named.ts";
import { Notifications } from "./notifications.ts";
import { podsOf } from "./observe.ts";
import { ownImage } from "./ownimage.ts";
import { Policies } from "./policies.ts";
import { Prober } from "./prober.ts";
import { PRUNE_EVERY_MS, pruneRecords } from "./prune.ts";
import { Reconciler } from "./reconcile.ts";
import { RevocationPace } from "./revocations.ts";
import { Sampler } from "./sampler.ts";
import { scrapeTargets } from "./scrapetargets.ts";
import { Secrets } from "./secrets.ts";
import { SourceHealth } from "./sourcehealth.ts";
import { Sources } from "./sources.ts";
import { Storm } from "./storm.ts";
import { eventSink, Teller } from "./teller.ts";
import { reconcileVersion } from "./versions.ts";

export interface OperatorDeps {
  logger: Logger;
  metrics: Metrics;
  health: Health;
  clock: Clock;
  signal: AbortSignal;
  /** In place of connecting by the options: a client that was made already (tests, simulation). */
  client?: KubeClient;
  /** In place of connections to sources and to probed pods: metrics and probes without sockets (tests, simulation). */
  sourceDispatcher?: SourceDeps["dispatcher"];
  /** 0 to 1, in place of Math.random for jitter and back-off: a simulation must repeat itself. */
  random?: () => number;
  /** In place of the sinks' own connections, likewise. */
  sinkDispatcher?: SourceDeps["dispatcher"];
  /** MetricSources, ClusterRollbackPolicies and the RollguardConfig of --cluster-objects, in place of those of the API server. */
  clusterObjects?: readonly KubeObject[] | undefined;
}

/** A write may take as long as this; the lease must be held for longer when it begins. */
const WRITE_LIMIT_MS = 4000;

/** How long changes of a version's or policy's users are gathered before its status is written. */
const GATHER_MS = 1000;

/** Thrown where a write was due and the lease is no longer ours for sure. */
export class NotLeading extends Error {}

/** Fills a gauge anew at each scrape. prom-client calls `collect` of the gauge; it has no other way to set one later. */
function gaugeOf<L extends string>(
  gauge: Gauge<L>,
  fill: (set: (labels: Record<L, string>, value: number) => void) => void,
): void {
  Object.assign(gauge, {
    collect() {
      gauge.reset();
      fill((labels, value) => gauge.set(labels, value));
    },
  });
}

function countBy<T>(items: readonly T[], keys: (item: T) => readonly string[], each: (key: string, count: number) => void): void {
  const counts = new Map<string, number>();
  for (const key of items.flatMap(keys)) counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const [key, count] of counts) each(key, count);
}

/** Runs until the signal aborts or the lease is lost; resolves when all that ran has ended and the lease was released. */
export async function runOperator(options: OperatorOptions, deps: OperatorDeps): Promise<void> {
  const { clock, logger, metrics, health, signal } = deps;
  const client =
    deps.client ??
    connect({
      clock,
      userAgent: userAgent(),
      onCall: countApiCalls(metrics),
      ...(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig }),
      ...(options.context === undefined ? {} : { context: options.context }),
    });
  const { random, clusterObjects } = deps;
  const caches = new Caches({ client, clock, logger, random, namespaces: options.namespaces, clusterObjects });
  const ended = new AbortController();
  try {
    health.ready("api", "connecting");
    health.ready("caches", "they are being filled");
    // Also while another one leads: whoever succeeds it has to act at once.
    caches.start(AbortSignal.any([signal, ended.signal])).then(
      () => health.ready("caches", undefined),
      () => undefined,
    );
    if (!options.leaderElect) {
      await lead(options, deps, client, caches, signal, () => Number.POSITIVE_INFINITY);
      return;
    }
    const elector = new Elector({
      client,
      namespace: options.operatorNamespace,
      name: "rollguard",
      identity: options.identity,
      clock,
      logger,
      ...(deps.random ? { random: deps.random } : {}),
    });
    health.ready("api", undefined);
    await elector.run(signal, {
      onElected: (term) => lead(options, deps, client, caches, term, () => elector.remainingMs()),
    });
  } finally {
    ended.abort(new Error("the operator ends"));
    if (!deps.client) await client.close();
  }
}

async function lead(
  options: OperatorOptions,
  deps: OperatorDeps,
  client: KubeClient,
  caches: Caches,
  signal: AbortSignal,
  remainingMs: () => number,
): Promise<void> {
  const { clock, logger, metrics, health } = deps;
  const chance = deps.random ? { random: deps.random } : {};
  const term = new AbortController();
  const end = () => term.abort(signal.reason);
  if (signal.aborted) return;
  signal.addEventListener("abort", end, { once: true });
  const pod = { namespace: options.operatorNamespace, name: options.identity };
  const fetchImage = options.fetchImage ?? (await ownImage(pod, { client, clock, logger, signal: term.signal })) ?? OWN_IMAGE;
  const queue = new WorkQueue({ clock, ...chance });
  const versions = new WorkQueue({ clock, ...chance });
  const named = new WorkQueue({ clock, ...chance });
  const memory = new Memory();
  const assertLeading = () => {
    if (remainingMs() < WRITE_LIMIT_MS) throw new NotLeading("the lease is not held for long enough to finish a write");
  };
  const secrets = new Secrets(client, clock, options.operatorNamespace);
  const sources = new Sources({
    client,
    caches,
    clock,
    secrets,
    onQuery: (source) => metrics.sourceQueries.inc({ source }),
    ...(deps.sourceDispatcher === undefined ? {} : { dispatcher: deps.sourceDispatcher }),
  });
  const sourceHealth = new SourceHealth(clock, (source) => named.addAfter(`MetricSource//${source}`, GATHER_MS));
  const sampler = new Sampler({
    clock,
    now: () => client.serverNow(),
    // A freshness beside a preset is a query of the tenant's own.
    source: ({ source, preset, freshness }, namespace) =>
      sources.get(source ?? "", namespace, preset === true && freshness === undefined),
    pods: (key, revision, source) => ({
      facts: podsOf(caches, key, revision),
      targets: scrapeTargets(caches, key, revision, (source && caches.sources.get(undefined, source)?.spec.pods) || {}),
    }),
    onSample: (key, notice) => {
      // First the storm breaker: what it holds must be held when the deployment is decided on.
      storm.sample(key, notice);
      if (notice.urgent) queue.addUrgent(key);
      else queue.add(key);
    },
    onReading: (source, kind, seconds, message) => {
      sourceHealth.note(source, kind === "Error" ? (message ?? "no answer") : undefined);
      metrics.sourceRequests.inc({ source, outcome: kind });
      metrics.sourceDuration.observe({ source }, seconds);
    },
  });
  const prober = new Prober({
    clock,
    memory,
    targets: (key, revision, port) => scrapeTargets(caches, key, revision, { port, path: "/" }),
    onAnswer: (key) => queue.addUrgent(key),
    ...(deps.sourceDispatcher === undefined ? {} : { dispatcher: deps.sourceDispatcher }),
  });
  const controller = "rollguard.dev/operator";
  const events = new EventRecorder({ client, clock, logger, controller, instance: options.identity, ...chance });
  // One after the other: both write the status of the one RollguardConfig.
  const configs = new WorkQueue({ clock, ...chance });
  const notifications = new Notifications({
    client,
    caches,
    clock,
    ...chance,
    now: () => client.serverNow(),
    secret: (name, key) => secrets.read(name, key),
    environment: options.environment,
    assertLeading,
    events,
    metrics,
    logger,
    onDirty: () => configs.addAfter("notifications", GATHER_MS),
    ...(deps.sinkDispatcher === undefined ? {} : { dispatcher: deps.sinkDispatcher }),
  });
  const teller = new Teller({ sinks: [eventSink(events), notifications], clock, logger, again: (key) => queue.add(key) });
  const storm: Storm = new Storm({
    client,
    caches,
    clock,
    now: () => client.serverNow(),
    assertLeading,
    events,
    notifications,
    logger,
    onDirty: (delayMs) => (delayMs === 0 ? configs.add("storm") : configs.addAfter("storm", delayMs)),
    onClosed: (keys) => {
      for (const key of keys) queue.addUrgent(key);
    },
  });
  const executor: Executor = { client, caches, assertLeading, settled: new WeakMap(), edits: new Edits(events) };
  const reconciler = new Reconciler({
    ...executor,
    clock,
    memory,
    sampler,
    policies: new Policies(caches),
    storm,
    pace: new RevocationPace(clock),
    environment: options.environment,
    trustPinnedBy: options.trustPinnedBy ?? false,
    prober,
    teller,
    metrics,
    logger,
    fetch: { image: fetchImage, command: options.fetchCommand },
  });
  const records = new WorkQueue({ clock });
  const onPruned = (reason: string) => metrics.recordsPruned.inc({ reason });
  const prune = () => pruneRecords({ client, caches, logger, assertLeading, now: () => client.serverNow(), onPruned });
  const runStatuses = (from: WorkQueue, write: (key: string) => Promise<void>) => {
    const handle = (key: string) => write(key).then(() => ({}));
    return runWorkers({ queue: from, concurrency: 1, clock, logger, handle }, term.signal);
  };
  metrics.leader.set(1);
  // Counted when they are asked for: a gauge that is kept up to date in every pass would cost more and could drift.
  gaugeOf(metrics.queueDepth, (set) => {
    const { normal, urgent } = queue.stats();
    set({ lane: "normal" }, normal);
    set({ lane: "urgent" }, urgent);
  });
  gaugeOf(metrics.stormBreakerOpen, (set) => set({}, storm.open ? 1 : 0));
  gaugeOf(metrics.deployments, (set) =>
    countBy(
      caches.deployments.list(),
      (one) => [one.status?.phase ?? "New"],
      (phase, count) => set({ phase }, count),
    ),
  );
  gaugeOf(metrics.checks, (set) =>
    countBy(
      caches.deployments.list(),
      (one) => (one.status?.checks ?? []).map((line) => line.verdict),
      (verdict, count) => set({ verdict }, count),
    ),
  );
  try {
    await unlessAborted(
      caches.follow({
        onChange: (key) => queue.add(key),
        // Many deployments of one version change together: one write for all of them.
        onVersion: (key) => versions.addAfter(key, GATHER_MS),
        onNamed: (key) => named.addAfter(key, GATHER_MS),
        onConfig: () => {
          storm.configured();
          notifications.configured();
        },
      }),
      term.signal,
    );
    health.ready("api", undefined);
    // What an earlier operator held is held before anything is decided.
    storm.start();
    records.addAfter("all", PRUNE_EVERY_MS);
    logger.info({ identity: options.identity, deployments: caches.deployments.list().length }, "the caches are filled; guarding");
    await Promise.all([
      runWorkers(
        {
          queue,
          concurrency: options.workers,
          clock,
          logger,
          handle: (key) => reconciler.reconcile(key),
          onPass: ({ outcome, tookMs, waitedMs, lane }) => {
            metrics.reconcileDuration.observe({ outcome }, tookMs / 1000);
            metrics.reconcileWait.observe({ lane }, waitedMs / 1000);
          },
        },
        term.signal,
      ),
      runWorkers({ queue: records, concurrency: 1, clock, logger, handle: prune }, term.signal),
      runStatuses(configs, (key) => (key === "storm" ? storm.write() : notifications.write())),
      runStatuses(versions, (key) => reconcileVersion(executor, key, () => client.serverNow())),
      runStatuses(named, (key) =>
        reconcileNamed(
          executor,
          key,
          (source) => sourceHealth.of(source),
          () => client.serverNow(),
        ),
      ),
    ]);
  } catch (error) {
    if (!term.signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", end);
    term.abort(new Error("the term is over"));
    metrics.leader.set(0);
    sampler.stop();
    storm.stop();
    await prober.stop();
    sources.close();
    teller.stop();
    await Promise.all([notifications.stop(), events.stop()]);
  }
}
