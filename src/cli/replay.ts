// `replay`: what a policy would have done with the metrics of a past time, from a source's history or from a recorded file.
import { readFileSync, writeFileSync } from "node:fs";
import { formatDuration, parseDuration } from "../api/common.ts";
import type { MetricSource } from "../api/metricsource.ts";
import { systemClock } from "../clock.ts";
import { queryOf } from "../controllers/sampler.ts";
import type { Check, Policy } from "../core/policy.ts";
import { resolvePolicy } from "../core/resolve.ts";
import type { KubeObject, Secret } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { createSource } from "../signals/createsource.ts";
import type { Source, Variables } from "../signals/types.ts";
import { sanitizeLine } from "../text.ts";
import { replayLines, replaySvg } from "../trial/plot.ts";
import { formatRecording, parseRecording, type Recording, RecordingError } from "../trial/recording.ts";
import { type Replayed, replay } from "../trial/replay.ts";
import { span } from "./format.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { onePolicy } from "./manifests.ts";
import { cell, document, facts, type Style, table } from "./output.ts";
import { type CommonOptions, type Session, withSession } from "./session.ts";

export interface ReplayOptions extends CommonOptions {
  filename?: string;
  against?: string;
  recording?: string;
  record?: string;
  prometheus?: string;
  source?: string;
  from?: string;
  to?: string;
  name?: string;
  workload?: string;
  revision?: string;
  /** Commander's own `--version` is not used by this program. */
  modelVersion?: string;
  operatorNamespace?: string;
  validation?: string[];
  bake?: boolean;
  svg?: string;
}

const usage = (message: string, ...hints: string[]) => new CliError(message, hints, EXIT.usage);

export async function replayCommand(options: ReplayOptions, io: Io): Promise<number> {
  if (options.filename === undefined) throw usage("which policy? name its file with -f policy.yaml");
  const policies = [options.filename, ...(options.against === undefined ? [] : [options.against])].map((file) => {
    const { kind, metadata, spec } = onePolicy(file);
    return { name: `${kind}/${metadata.name}`, policy: resolvePolicy(spec) };
  });
  const [first, second] = policies;
  if (first && second && first.name === second.name) {
    first.name = `${first.name} (${options.filename})`;
    second.name = `${second.name} (${options.against})`;
  }
  const { recording, fromMs, toMs } = await recorded(
    policies.map((one) => one.policy),
    options,
    io,
  );
  if (options.record !== undefined)
    writeFileSync(options.record, formatRecording(recording, options.record.endsWith(".csv") ? "csv" : "json"));
  const metrics = validation(options.validation ?? []);
  const replays = policies.map((one) =>
    replay({ ...one, recording, fromMs, toMs, metrics, ...(options.bake ? { bake: true } : {}) }),
  );
  if (options.svg !== undefined) writeFileSync(options.svg, replaySvg(replays, recording));
  const format = options.output ?? "table";
  if (format === "json" || format === "yaml") io.out(document(replays, format));
  else io.out(render(replays, recording, { terminal: io.terminal, color: io.color, width: io.width, wide: format === "wide" }));
  return EXIT.ok;
}

function validation(given: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    given.map((one) => {
      const [name = "", value = ""] = one.split("=");
      if (name === "" || value === "" || !Number.isFinite(Number(value)))
        throw usage("--validation must be such as accuracy=0.94");
      return [name, Number(value)];
    }),
  );
}

/** RFC 3339, `now`, or how long ago, such as 2h or 7d. */
export function timeOption(text: string, now: number, flag: string): number {
  if (text === "now") return now;
  const at = Date.parse(text);
  if (/^\d{4}-\d\d-\d\dT/.test(text) && Number.isFinite(at)) return at;
  try {
    return now - parseDuration(text);
  } catch {
    throw usage(`${flag} must be a time such as 2026-11-24T10:00:00Z, how long ago such as 2h or 7d, or now`);
  }
}

async function recorded(policies: readonly Policy[], options: ReplayOptions, io: Io) {
  const now = systemClock.now();
  const times = {
    from: options.from === undefined ? undefined : timeOption(options.from, now, "--from"),
    to: options.to === undefined ? undefined : timeOption(options.to, now, "--to"),
  };
  const recording = options.recording === undefined ? await asked(policies, options, times, io) : fromFile(options.recording);
  const all = [...recording.values()].flat();
  if (all.length === 0) throw new CliError("there is nothing to replay: no reading was found");
  const known = new Set(policies.flatMap((one) => one.checks.map((check) => check.name)));
  const strange = [...recording.keys()].filter((name) => !known.has(name));
  if (strange.length > 0)
    io.err(`the recording has ${strange.map((one) => sanitizeLine(one, 63)).join(", ")}, which no policy checks\n`);
  const fromMs = times.from ?? all.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY);
  const toMs = times.to ?? all.reduce((most, { at }) => Math.max(most, at), 0);
  if (fromMs >= toMs) throw usage("--from must be before --to");
  return { recording, fromMs, toMs };
}

function fromFile(file: string): Recording {
  try {
    return parseRecording(readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof RecordingError) throw new CliError(`${file}: ${error.message}`);
    throw new CliError(
      `can't read ${sanitizeLine(file)}: ${sanitizeLine(error instanceof Error ? error.message : String(error))}`,
    );
  }
}

/** Asks the history of each check once, also where two policies have it. */
async function asked(
  policies: readonly Policy[],
  options: ReplayOptions,
  { from, to }: { from: number | undefined; to: number | undefined },
  io: Io,
): Promise<Recording> {
  if (from === undefined) throw usage("since when? --from 2h, or a time, or --recording with a file");
  const toMs = to ?? systemClock.now();
  const checks = new Map<string, Check>();
  for (const check of policies.flatMap((one) => one.checks)) {
    const known = checks.get(check.name);
    if (check.source === undefined) continue;
    if (
      known &&
      [known.query, known.numerator, known.denominator].join() !== [check.query, check.numerator, check.denominator].join()
    )
      throw new CliError(`the policies ask different things as ${check.name}`, [
        "rename one of the checks, or replay them one by one",
      ]);
    if (!known || known.intervalMs > check.intervalMs) checks.set(check.name, check);
  }
  const read = async (source: Source, check: Check) => {
    if (!source.readRange)
      throw new CliError(`the source of ${check.name} has no history to replay: Pods and Web sources keep none`, [
        "--source or --prometheus names a Prometheus that scrapes the same pods; --recording reads a file",
      ]);
    const query = queryOf({ check, variables: variables(options, check) }, []);
    const readings = await source.readRange(query, { fromMs: from, toMs, stepMs: check.intervalMs }, io.signal);
    const [only] = readings;
    if (only && readings.length === 1 && only.kind === "Error")
      throw new CliError(`${check.name}: ${only.message ?? "the source does not answer"}`);
    return [check.name, readings] as const;
  };
  if (options.prometheus !== undefined) {
    const source = createSource(
      { type: "Prometheus", address: options.prometheus, timeout: "60s" },
      { clock: systemClock, secret: noSecret },
    );
    try {
      return new Map(await Promise.all([...checks.values()].map((check) => read(source, check))));
    } finally {
      source.close();
    }
  }
  let found: Recording = new Map();
  await withSession(options, io, async (session) => {
    const sources = new Map<string, Source>();
    try {
      for (const check of checks.values()) {
        const name = options.source ?? check.source ?? "";
        const source = sources.get(name) ?? (await fromCluster(session, name, options.operatorNamespace ?? "rollguard-system"));
        sources.set(name, source);
        found = new Map([...found, await read(source, check)]);
      }
      return EXIT.ok;
    } finally {
      for (const source of sources.values()) source.close();
    }
  });
  return found;
}

const noSecret = () => Promise.reject(new Error("there are no secrets for --prometheus"));

async function fromCluster({ client }: Session, name: string, namespace: string): Promise<Source> {
  const object = await client.find<MetricSource & KubeObject>(RESOURCES.metricSources, { name });
  if (!object)
    throw new CliError(`there is no MetricSource ${sanitizeLine(name, 253)}`, ["or name a server with --prometheus URL"]);
  const secret = async (of: string, key: string) => {
    const { data } = await client.get<Secret>(RESOURCES.secrets, { namespace, name: of });
    return Buffer.from(data?.[key] ?? "", "base64")
      .toString("utf8")
      .trim();
  };
  return createSource(object.spec, { clock: systemClock, secret });
}

function variables(options: ReplayOptions, check: Check): Variables {
  const { namespace = "default", name = "", revision, workload, modelVersion = "" } = options;
  const number = revision?.replace(/^r/, "") ?? /-r(\d+)$/.exec(workload ?? "")?.[1];
  const asks = [check.query, check.numerator, check.denominator, check.freshness].join(" ");
  const named = workload ?? (name !== "" && number !== undefined ? `${name}-r${number}` : undefined);
  if (named === undefined && asks.includes("${workload}"))
    throw usage(
      `${check.name} asks for \${workload}`,
      "name the revision that served: --workload fraud-scorer-r7, or --name and --revision",
    );
  return {
    namespace,
    name: name || (named ?? "").replace(/-r\d+$/, ""),
    version: modelVersion,
    revision: number ?? "0",
    window: formatDuration(check.windowMs),
    workload: named ?? "",
  };
}

function render(replays: readonly Replayed[], recording: Recording, style: Style): string {
  const [first] = replays;
  if (!first) return "";
  const iso = (ms: number) => new Date(ms).toISOString().replace(".000Z", "Z");
  const counted = (one: Replayed, kind: string) => one.incidents.filter((incident) => incident.kind === kind).length;
  const summary = table(
    ["POLICY", "WOULD ROLL BACK", "WOULD RECOMMEND", "OBSERVED", "BREACHES", "HELD", "SLOWEST TO SEE"],
    replays.map((one) => [
      cell(one.name),
      cell(counted(one, "Returned"), counted(one, "Returned") > 0 ? "bad" : "good"),
      cell(counted(one, "Recommended")),
      cell(counted(one, "Observed")),
      cell(one.breaches.length),
      cell(one.held.length),
      cell(
        one.breaches.length > 0 ? span(Math.max(...one.breaches.map((breach) => breach.seenAt - breach.firstBadAt))) : undefined,
      ),
    ]),
    style,
  );
  const details = replays.map((one) => {
    const lines: [number, string, string, string][] = [
      ...one.breaches.map((breach): [number, string, string, string] => [
        breach.seenAt,
        "breached",
        `${breach.check} (${breach.severity})`,
        `seen ${span(breach.seenAt - breach.firstBadAt)} after its first bad sample${breach.untilAt === undefined ? "" : `; over after ${span(breach.untilAt - breach.seenAt)}`}`,
      ]),
      ...one.incidents.map((incident): [number, string, string, string] => [
        incident.at,
        { Returned: "ROLLS BACK", Recommended: "recommends", Observed: "would roll back" }[incident.kind],
        incident.check,
        `${incident.message}; ${span(incident.at - incident.firstBadAt)} after its first bad sample`,
      ]),
      ...one.held.map((held): [number, string, string, string] => [
        held.at,
        `held for ${span(held.untilAt - held.at)}`,
        held.reason,
        held.message,
      ]),
      ...(one.provenAt === undefined
        ? []
        : [[one.provenAt, "proven", "-", "the bake is over"] as [number, string, string, string]]),
    ];
    lines.sort((a, b) => a[0] - b[0]);
    const rows = lines.map(([at, what, about, words]) => [cell(iso(at)), cell(what), cell(about), cell(words)]);
    return `\n${one.name}\n${rows.length > 0 ? table(["TIME", "WHAT", "CHECK OR REASON", "WHY"], rows, style) : "nothing would have happened\n"}`;
  });
  const data = facts(
    [
      ["from", cell(iso(first.fromMs))],
      ["to", cell(iso(first.toMs))],
      ...first.checks.map(({ name, samples, missing }): [string, ReturnType<typeof cell>] => [
        name,
        cell(`${samples} samples${missing > 0 ? `, ${missing} without data` : ""}`, samples === 0 ? "unsure" : "plain"),
      ]),
    ],
    style,
  );
  const plot = replayLines(replays, recording, Math.min(style.width, 120)).join("\n");
  return `${data}\n${plot}\n\n${summary}${details.join("")}`;
}
