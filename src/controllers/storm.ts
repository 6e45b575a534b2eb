// Keeps the storm breaker: hears every sample, decides by core/breaker.ts, and writes what it decided on the RollguardConfig.
// It holds from the moment that it opens; the status follows, and is what a successor begins with.

import { parseDuration, parsePercent } from "../api/common.ts";
import { API_VERSION, CONFIG_NAME, FIELD_MANAGER } from "../api/names.ts";
import { type RollguardConfig, RollguardConfigSpecSchema, type RollguardConfigStatus } from "../api/rollguardconfig.ts";
import type { Clock, Timer } from "../clock.ts";
import {
  type Assessment,
  assess,
  type BadRun,
  type BreakerSettings,
  type BreakerState,
  concerns,
  type Guarded,
  resumeBreaker,
} from "../core/breaker.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { KubeClient } from "../kube/client.ts";
import { isKind } from "../kube/errors.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import type { Logger } from "../log.ts";
import type { Sink } from "../notify/announcement.ts";
import { type CachedDeployment, keyOf } from "./cached.ts";
import type { Caches } from "./caches.ts";
import { isNewer } from "./memory.ts";
import { differences } from "./objects.ts";
import { stormMessage, stormStatus } from "./stormstatus.ts";

/** One sample of one check, as far as a storm is concerned. */
export interface StormSample {
  revision: number;
  check: string;
  /** Absent: a built-in check. */
  source?: string;
  /** Beyond the threshold. */
  bad: boolean;
  /** False: it can't be told, which is neither good nor bad. */
  usable: boolean;
}

export interface StormDeps {
  client: KubeClient;
  caches: Pick<Caches, "configs" | "deployments" | "hasClusterScope">;
  clock: Clock;
  /** The API server's time, ms epoch. */
  now(): number;
  assertLeading(): void;
  events: Pick<EventRecorder, "record">;
  notifications: Sink;
  logger: Logger;
  /** The status is to be written: now, or within a few seconds. */
  onDirty(delayMs: number): void;
  /** It closed: what it held is to be looked at. */
  onClosed(keys: string[]): void;
}

type Config = RollguardConfig & KubeObject;

/** How often an open breaker is looked at without a sample, and its numbers are written, ms. */
const LOOK_MS = 5000;
/** What began longer ago is not told again by a new operator, ms. */
const RETELL_MS = 600_000;
/** So many deployments that are gone may be remembered before they are looked for. */
const SLACK = 64;

/** What one deployment's checks say: since when they are bad, by check. */
interface Heard {
  revision: number;
  runs: Map<string, BadRun>;
  /** Of the revision before, until this one has a sample: what goes on being bad after a return went bad before it. */
  earlier: Map<string, BadRun>;
}

export class Storm {
  #deps: StormDeps;
  #heard = new Map<string, Heard>();
  #state: BreakerState = { open: false };
  #last: Assessment | undefined;
  #handledResume: string | undefined;
  /** When this operator began to listen, ms epoch; undefined: it has not yet. */
  #startedAt: number | undefined;
  #timer: Timer | undefined;
  #written: Config | undefined;

  constructor(deps: StormDeps) {
    this.#deps = deps;
  }

  get open(): boolean {
    return this.#state.open;
  }

  /** Begins with what the status says; to be called when the caches are filled and before anything is decided. */
  start(): void {
    const status = this.#config()?.status;
    this.#startedAt = this.#deps.now();
    const { active = false, since, source, namespace, resumedAt } = status?.storm ?? {};
    this.#state = {
      open: active,
      ...(since === undefined ? {} : { since: Date.parse(since) }),
      ...(active && source !== undefined ? { source } : {}),
      ...(active && namespace !== undefined ? { namespace } : {}),
      ...(resumedAt === undefined ? {} : { resumedAt: Date.parse(resumedAt) }),
    };
    this.#handledResume = status?.handledResume;
    this.configured();
    const config = this.#config();
    // What an operator that is gone may not have come to tell; told again it is the same.
    if (config && since !== undefined && this.#startedAt - Date.parse(since) < RETELL_MS) this.#tell(config, status ?? {});
    if (this.open) this.#look();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The configuration changed, or was looked at for the first time. */
  configured(): void {
    if (this.#startedAt === undefined) return;
    const asked = this.#config()?.spec.stormBreaker.resume;
    if (asked !== undefined && asked !== this.#handledResume) {
      this.#handledResume = asked;
      const wasOpen = this.open;
      if (wasOpen) this.#become({ state: resumeBreaker(this.#state, this.#deps.now()), guarded: 0, bad: [] });
      this.#deps.onDirty(0);
    }
    if (this.open) this.#assess();
    if (this.#config()) this.#deps.onDirty(0);
  }

  /** Takes a sample in before the deployment is decided on: the breaker has to open first. */
  sample(key: string, sample: StormSample): void {
    if (!sample.usable || this.#active(key)?.revision !== sample.revision) return;
    const known = this.#heard.get(key);
    const isSame = known?.revision === sample.revision;
    const heard = isSame ? known : { revision: sample.revision, runs: new Map(), earlier: known?.runs ?? new Map() };
    this.#heard.set(key, heard);
    const { check } = sample;
    if (!sample.bad) heard.earlier.delete(check);
    if (sample.bad === heard.runs.has(check)) return;
    if (!sample.bad) heard.runs.delete(check);
    else {
      const since = heard.earlier.get(check)?.since ?? (isSame || !this.#isResumed() ? this.#deps.now() : 0);
      heard.runs.set(check, { since, ...(sample.source === undefined ? {} : { source: sample.source }) });
    }
    if (sample.bad || this.open) this.#assess();
  }

  /** What holds the automatic returns of a proven revision of this deployment. */
  of(key: string): Snapshot["storm"] {
    if (!this.open || !concerns(this.#state, key) || this.#guardedRevision(key) === undefined) return undefined;
    const { source } = this.#state;
    return { message: stormMessage(this.#state), ...(source === undefined ? {} : { source }) };
  }

  /** Writes the status where it differs; for a worker, which tries again what failed. */
  async write(): Promise<void> {
    const { client, caches } = this.#deps;
    // One that came from a file has no status: what is held is told by the deployments, the log and the metrics.
    if (!caches.hasClusterScope) return;
    const config = this.#config() ?? (this.#isWorthAnObject() ? await this.#create() : undefined);
    if (!config) return;
    const status = stormStatus(config, {
      state: this.#state,
      ...(this.#last ? { last: this.#last } : {}),
      ...(this.#handledResume === undefined ? {} : { handledResume: this.#handledResume }),
      now: this.#deps.now(),
    });
    if (differences(status, config.status ?? {}).length === 0) return;
    this.#deps.assertLeading();
    const { apiVersion, kind, metadata, spec } = config;
    const { name, uid, resourceVersion } = metadata;
    this.#written = await client.replaceStatus<Config>(
      { apiVersion, kind, metadata: { name, uid, resourceVersion }, spec, status } as Config,
      { fieldManager: FIELD_MANAGER },
    );
    if ((config.status?.storm?.active ?? false) !== (status.storm?.active ?? false)) this.#tell(config, status);
  }

  #tell(config: Config, { storm }: RollguardConfigStatus): void {
    const opened = storm?.active ?? false;
    const told = {
      regarding: config,
      type: opened ? ("Warning" as const) : ("Normal" as const),
      reason: opened ? "StormBreakerOpened" : "StormBreakerClosed",
      note: storm?.message ?? "",
      id: `storm-${storm?.since}`,
    };
    this.#deps.events.record({ ...told, action: "Decide" });
    const at = storm?.since ?? new Date(this.#deps.now()).toISOString();
    // Rejects only when this operator ends: its successor tells it.
    this.#deps.notifications.tell({ ...told, at }).catch(() => undefined);
  }

  #settings(): BreakerSettings {
    const { enabled, share, atLeast, within } = (this.#config()?.spec ?? RollguardConfigSpecSchema.parse({})).stormBreaker;
    return { enabled, share: parsePercent(share), atLeast, withinMs: parseDuration(within) };
  }

  /** What was written last, until the cache shows it or something newer. */
  #config(): Config | undefined {
    const cached = this.#deps.caches.configs.get(undefined, CONFIG_NAME);
    const written = this.#written;
    if (!written || !cached || written.metadata.uid !== cached.metadata.uid) return cached;
    return isNewer(written.metadata.resourceVersion, cached.metadata.resourceVersion) ? written : cached;
  }

  #isWorthAnObject(): boolean {
    return this.open || this.#state.since !== undefined;
  }

  async #create(): Promise<Config> {
    this.#deps.assertLeading();
    const object = { apiVersion: API_VERSION, kind: "RollguardConfig", metadata: { name: CONFIG_NAME }, spec: {} };
    try {
      return (await this.#deps.client.create(object as KubeObject, { fieldManager: FIELD_MANAGER })) as Config;
    } catch (error) {
      if (!isKind(error, "AlreadyExists")) throw error;
      return this.#deps.client.get<Config>(RESOURCES.rollguardConfigs, { name: CONFIG_NAME });
    }
  }

  /** A person said to go on shortly before this operator began: what is bad at the first look was bad then. */
  #isResumed(): boolean {
    const { resumedAt } = this.#state;
    const startedAt = this.#startedAt ?? 0;
    return resumedAt !== undefined && resumedAt < startedAt && startedAt - resumedAt < this.#settings().withinMs;
  }

  #active(key: string): NonNullable<CachedDeployment["status"]>["active"] {
    const slash = key.indexOf("/");
    return this.#deps.caches.deployments.get(key.slice(0, slash), key.slice(slash + 1))?.status?.active;
  }

  #guardedRevision(key: string): number | undefined {
    const active = this.#active(key);
    return active && active.standing === "Proven" && !active.baking ? active.revision : undefined;
  }

  #guarded(): Guarded[] {
    return this.#deps.caches.deployments.list().flatMap((one): Guarded[] => {
      const key = keyOf(one);
      const active = one.status?.active;
      if (active?.standing !== "Proven" || active.baking || one.metadata.deletionTimestamp !== undefined) return [];
      const lines = (one.status?.checks ?? []).filter(
        (line) => line.revision === active.revision && line.severity === "Critical",
      );
      const critical = new Set(lines.map((line) => line.name));
      const known = this.#heard.get(key);
      const heard = known?.revision === active.revision ? known : undefined;
      return [
        {
          key,
          sources: lines.flatMap((line) => line.source ?? []),
          runs: [...(heard?.runs ?? [])].flatMap(([check, run]) => (critical.has(check) ? [run] : [])),
          heard: heard !== undefined,
        },
      ];
    });
  }

  #assess(): void {
    const { now, onDirty } = this.#deps;
    const guarded = this.#guarded();
    const found = assess(this.#settings(), this.#state, guarded, now(), this.#startedAt ?? now());
    const changed = found.state.open && String(found.bad) !== String(this.#last?.bad);
    this.#become(found);
    if (changed) onDirty(LOOK_MS);
    if (this.#heard.size > 2 * guarded.length + SLACK) this.#forget();
  }

  #become(found: Assessment): void {
    const before = this.#state;
    this.#state = found.state;
    if (found.state.open) this.#last = found;
    const { open, source, namespace } = found.state;
    if (open === before.open && source === before.source && namespace === before.namespace) return;
    this.#deps.logger.warn({ open, why: stormMessage(this.#state) }, "the storm breaker");
    this.#deps.onDirty(0);
    if (open) this.#look();
    else
      this.#deps.onClosed(
        this.#deps.caches.deployments
          .list()
          .flatMap((one) => (this.#guardedRevision(keyOf(one)) === undefined ? [] : [keyOf(one)])),
      );
  }

  /** Time alone may close it. */
  #look(): void {
    this.#timer?.cancel();
    if (!this.open) return;
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      this.#assess();
      this.#look();
    });
  }

  #forget(): void {
    for (const key of this.#heard.keys()) if (this.#active(key) === undefined) this.#heard.delete(key);
  }
}
