// What a person decides: says what will happen, writes the request with a token of its own, and waits until the operator has
// handled it. Once each: the same command again is another request.
import { randomUUID } from "node:crypto";
import type { ModelDeployment } from "../api/modeldeployment.ts";
import { ANNOTATIONS, CLI_FIELD_MANAGER, type RequestKind } from "../api/names.ts";
import { systemClock } from "../clock.ts";
import type { KubeObject } from "../kube/objects.ts";
import { RESOURCES } from "../kube/resources.ts";
import { follow } from "./follow.ts";
import { revision } from "./format.ts";
import { CliError, EXIT, type Io } from "./io.ts";
import { document } from "./output.ts";
import { type CommonOptions, findDeployment, type Session, unknownDeployment, withSession } from "./session.ts";

export interface RequestOptions extends CommonOptions {
  reason?: string;
  wait?: boolean;
  timeout?: string;
}

type Status = NonNullable<ModelDeployment["status"]>;
type Deployment = ModelDeployment & KubeObject;

/** What came of a request; the document of `-o json|yaml`. */
interface Result {
  request: string;
  value: string;
  handled: boolean;
  /** Why it was refused. */
  refused?: string;
  phase?: string;
  message?: string;
}

const WHERE_IT_RUNS = "see whether the operator runs: kubectl get pods -A -l app.kubernetes.io/name=rollguard";
/** The API server takes more; people and records do not need it. */
const MAX_REASON = 1024;

/** The target that is meant where none is named; a CliError where there is nothing to ask for. */
export function targetOf(kind: RequestKind, mdep: ModelDeployment): string {
  const status: Status = mdep.status ?? {};
  switch (kind) {
    case "pause":
    case "resume":
      return mdep.metadata.name;
    case "retry":
      return mdep.spec.version;
    case "rollbackTo":
      return "previous";
    case "approve":
      if (status.recommendation?.mode === "Recommend") return `r${status.recommendation.from.revision}`;
      throw new CliError(`nothing is recommended for ${mdep.metadata.name} now`, [
        "`status` shows what is; `rollback` needs no recommendation",
      ]);
    case "promote": {
      const found = status.candidate ?? (status.active?.baking ? status.active : undefined);
      if (found) return `r${found.revision}`;
      throw new CliError(`${mdep.metadata.name} has no candidate, and nothing bakes`, ["`status` shows where it stands"]);
    }
  }
}

/** What the request will do where it is not refused, in one sentence. */
export function willHappen(kind: RequestKind, mdep: ModelDeployment, target: string): string {
  const status: Status = mdep.status ?? {};
  const active = status.active ? revision(status.active) : "nothing";
  const ready = status.conditions?.find((one) => one.type === "RollbackReady");
  switch (kind) {
    case "rollbackTo": {
      const about = target === "previous" && ready?.status === "True" ? ` (${ready.message})` : "";
      return `the traffic goes from ${active} back to ${target}${about}; ${active} is quarantined until a retry`;
    }
    case "approve": {
      const to = status.recommendation?.to;
      return `the traffic goes from ${active} back to ${to ? revision(to) : "the last proven revision"}, as recommended: ${status.recommendation?.message ?? ""}`;
    }
    case "promote": {
      const { candidate, rollout, freeze } = status;
      if (candidate && (target === `r${candidate.revision}` || target === candidate.version)) {
        const frozen = freeze?.active ? `, past the freeze until ${freeze.until}` : "";
        const step = rollout?.step === undefined ? "takes the traffic" : "goes on to its next step";
        return `${revision(candidate)} ${step} as soon as its pods are ready, whatever its checks say${frozen}; the record says so`;
      }
      return `${target} counts as proven before its bake is over; the record says so`;
    }
    case "retry":
      return `the quarantine or stall of ${target} is lifted, and it is tried again where it is pinned`;
    case "pause":
      return "rollouts and automatic returns stop; scaling, healing, revocations, your own rollback and the returns of a Required policy go on";
    case "resume":
      return "rollouts and automatic returns go on; what was held meanwhile is done now";
  }
}

/** `approve|promote|retry|rollback|pause|resume <name> [target]`. */
export function request(
  kind: RequestKind,
  name: string,
  asked: string | undefined,
  options: RequestOptions,
  io: Io,
): Promise<number> {
  const seconds = Number(options.timeout ?? 60);
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new CliError("--timeout must be a number of seconds above 0", [], EXIT.usage);
  if (asked !== undefined && !/^[A-Za-z0-9][-.A-Za-z0-9]{0,252}$/.test(asked))
    throw new CliError("the target must be the name of a version, a revision such as r7, or previous", [], EXIT.usage);
  if ((options.reason?.length ?? 0) > MAX_REASON)
    throw new CliError(`--reason must have at most ${MAX_REASON} characters`, [], EXIT.usage);
  return withSession(options, io, async (session) => {
    const mdep = await findDeployment(session, name);
    if (!mdep) throw await unknownDeployment(session, name);
    if (!mdep.status?.handled)
      throw new CliError(`no operator has looked at ${name} yet: a request that is there first is noted and not acted on`, [
        WHERE_IT_RUNS,
      ]);
    const target = asked ?? targetOf(kind, mdep);
    const value = `${target}/${new Date(session.client.serverNow()).toISOString()}-${randomUUID().slice(0, 8)}`;
    const annotation = ANNOTATIONS[kind];
    const plain = options.output === "json" || options.output === "yaml";
    if (!plain) io.out(`unless it is refused: ${willHappen(kind, mdep, target)}\n`);
    await write(session, mdep, { [annotation]: value, ...(options.reason ? { [ANNOTATIONS.changeCause]: options.reason } : {}) });
    if (!plain) io.out(`asked: ${annotation}: ${value}\n`);
    const result: Result = { request: annotation, value, handled: false };
    const end = options.wait === false ? undefined : await handled(session, name, kind, value, seconds);
    if (end) Object.assign(result, end);
    if (plain) io.out(document(result, options.output === "yaml" ? "yaml" : "json"));
    if (options.wait === false) return EXIT.ok;
    if (result.refused !== undefined) throw new CliError(`refused: ${result.refused}`);
    if (!plain) io.out(`done: ${result.phase ?? "-"}: ${result.message ?? ""}\n`);
    return EXIT.ok;
  });
}

function write({ client }: Session, mdep: Deployment, annotations: Record<string, string>): Promise<unknown> {
  const { name, namespace } = mdep.metadata;
  const key = { name, ...(namespace === undefined ? {} : { namespace }) };
  return client.patch(
    RESOURCES.modelDeployments,
    key,
    "merge",
    { metadata: { annotations } },
    { fieldManager: CLI_FIELD_MANAGER },
  );
}

/** Resolves when the operator has handled the request: the status says which it has, and why it refused one. */
async function handled(session: Session, name: string, kind: RequestKind, value: string, seconds: number) {
  const late = new AbortController();
  const timer = systemClock.after(seconds * 1000, () => late.abort(new Error("nobody handled it")));
  try {
    for await (const [mdep] of follow(session, name, AbortSignal.any([session.io.signal, late.signal]))) {
      const { status } = mdep ?? {};
      if (status?.handled?.[kind] !== value) continue;
      const refused = status.refused?.request === value ? { refused: status.refused.message } : {};
      return { handled: true, ...refused, phase: status.phase, message: status.message };
    }
  } finally {
    timer.cancel();
  }
  throw new CliError(`no operator handled it within ${seconds} s; it stays asked`, [WHERE_IT_RUNS]);
}
