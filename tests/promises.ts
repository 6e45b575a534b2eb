// Which test shows which promise. docs/promises.md is made from this, and tests/house/promises.test.ts holds it true: each title
// is that of a test, or of a group of tests, in that file.

export interface Promised {
  promise: string;
  /** Below tests/. */
  file: string;
  /** As it is written there, placeholders included. */
  test: string;
}

const of =
  (file: string) =>
  (promise: string, test: string): Promised => ({ promise, file, test });

const job = of("core/main-job.test.ts");
const incidents = of("core/incidents.test.ts");
const properties = of("core/properties.test.ts");
const people = of("core/people.test.ts");
const limits = of("core/limits.test.ts");
const gates = of("core/gates.test.ts");
const pins = of("core/pins.test.ts");
const canary = of("core/canary.test.ts");
const recreate = of("core/recreate.test.ts");
const scale = of("core/scale.test.ts");
const faults = of("core/faults.test.ts");
const baselines = of("core/baseline.test.ts");
const verdicts = of("core/verdict.test.ts");
const statistics = of("core/statistics.test.ts");
const layers = of("core/layers.test.ts");
const breaker = of("core/breaker.test.ts");
const freeze = of("core/freeze.test.ts");
const crash = of("operator/crash.test.ts");
const hands = of("operator/hands.test.ts");
const wins = of("core/who-wins.test.ts");
const phases = of("core/phases.test.ts");
const stalls = of("core/stalls.test.ts");
const interplay = of("core/interplay.test.ts");
const content = of("operator/content.test.ts");
const returns = of("core/returns.test.ts");
const writes = of("operator/writes.test.ts");
const identity = of("operator/identity.test.ts");
const real = of("operator/main-job.test.ts");
const routes = of("operator/canary.test.ts");
const restart = of("operator/restart.test.ts");
const requests = of("operator/people.test.ts");
const policies = of("operator/policies.test.ts");
const storm = of("operator/storm.test.ts");
const sampler = of("operator/sampler.test.ts");
const prometheus = of("operator/prometheus.test.ts");
const kept = of("operator/kept.test.ts");
const succession = of("operator/succession.test.ts");
const reads = of("operator/reads.test.ts");
const lease = of("kube/lease.test.ts");
const reflector = of("kube/reflector.test.ts");

/** The promises by the heading that they stand under. */
export const PROMISES: Record<string, readonly Promised[]> = {
  "One pass over a deployment": [
    properties(
      "The decision is pure: the same snapshot and time give the same answer",
      "whatever happens, every promise holds after every decision",
    ),
    crash(
      "A crash at any point, a stale cache or a second leader converges to the same end",
      "Killed after any request, before or after the server committed it: the same end state as without the kill, no double rollback, no lost entry",
    ),
    crash("A second leader comes to the same end", "two operators, of which one leads: the same end"),
    job("A pass that changes nothing writes nothing", "a pass that changes nothing writes nothing"),
    hands("… in the whole operator", "a pass that changes nothing writes nothing: ten minutes of guarding"),
    wins("Who wins: the first rule that matches and can act now", "$first goes before $next"),
    wins(
      "A rule that is held states its reason and passes on: a new pin can always mend what has nowhere to return to",
      "a rule that matches and is held states its reason and passes on, so that a new pin can always mend what has nowhere to return to",
    ),
    canary(
      "When active and candidate breach the same check, it is no fault of the candidate",
      "when active and candidate breach the same check, it is no fault of the candidate",
    ),
    interplay(
      "… also where the verdict of one comes later, and neither is quarantined for it",
      "when active and candidate breach the same check, it is no fault of the candidate, whose verdict comes first or not",
    ),
  ],
  "Phases and transitions": [
    properties(
      "Phases follow the table, sequences have no gaps, passes come to rest",
      "whatever happens, every promise holds after every decision",
    ),
    phases("Each phase leads where its row says", "each phase leads where its row says"),
    phases(
      "Ready · Reconciling · Stalled tell the truth in every phase",
      "kubectl wait and kstatus tell the truth in every phase",
    ),
    phases(
      "A transition takes its number when it begins, and has one outcome when it ends",
      "a transition takes its number when it begins, and has one outcome when it ends",
    ),
    stalls(
      "Each Stalled reason has a way in, is told once, and what serves goes on",
      "Stalled by every reason: what serves goes on",
    ),
    stalls("… and each way out of it", "$reason: $how: $to"),
    stalls("… which are all that the table names", "%s has a way to every phase of its row"),
    stalls(
      "… and no other: VersionContentChanged only by retry or a new pin, also when the old content is made again",
      "$reason stays: $how",
    ),
    incidents("Two stalls at once do not take turns", "two stalls at once do not take turns"),
    interplay("A stall ends with what it is about, and with nothing else", "a stall ends"),
    real(
      "NameTaken goes back to where it was, by adopt or when the name is free",
      "a Service that another owner controls, or nobody, is not touched: Stalled, NameTaken; adopt lifts that",
    ),
    incidents(
      "ReturnFailed: a walk that ended does not begin again by itself",
      "a walk that found no target does not begin again by itself",
    ),
    incidents(
      "… but for a revocation, with back-off",
      "a revoked version whose targets do not start is tried again with back-off: each try is a transition",
    ),
    incidents("A transition has one outcome and is its own", "each transition is its own"),
  ],
  "What a revision is": [
    properties("The hash is fixed by golden values", "is fixed by golden values"),
    identity("It covers what would run", "the hash covers what would run"),
    identity(
      "… and nothing else: bad weights under a new name are the same, a label change redeploys nothing",
      "and nothing else: bad weights under a new name are still the same, and a label change redeploys nothing",
    ),
    pins("Bad weights under a new name are still quarantined", "bad weights under a new name are still quarantined"),
    content("ConfigMaps travel with the revision", "the ConfigMaps that the template names travel with the revision"),
    real(
      "… and come back with it, also when Git changed the original",
      "the ConfigMaps that the template names come back with the revision, also when Git changed the original",
    ),
    content("Secrets are neither read nor copied", "Secrets are neither read nor copied: what names them stays as it is"),
    kept(
      "The rendered template is kept and never rendered again: upgrading the operator restarts no model",
      "the rendered template is kept and never rendered again: another operator's fetch image restarts no model, and a return brings the old one back",
    ),
    requests("The target survives the deletion of its ModelVersion", "the version of the target: the target survives it"),
    pins(
      "The same hash is the same number; it stays proven, and bakes again when it is pinned again",
      "it stays proven, and bakes again when it is pinned again",
    ),
    pins("Numbers are never used twice for a name", "numbers are never used twice for a name"),
    requests(
      "… also not after it was deleted and made again",
      "a deployment, and making it again: revisions and sequences go on from the records",
    ),
    requests(
      "… and cooldown and budget go on from them, too",
      "… and so do cooldown and budget: making it again is no way around them",
    ),
    hands("An edit of our fields is undone and named in an event", "$what is put right"),
    hands(
      "… and what we decided ourselves is no edit",
      "our own decisions are no edits, also where the cache is behind: a rollout, a return, a scale",
    ),
    hands(
      "Other writers' fields are left alone",
      "other writers' fields are left alone: labels, an HPA's annotation, also through a rollback",
    ),
    kept("The newest ten proven ones keep their ControllerRevision", "the newest ten proven ones keep their ControllerRevision"),
    job(
      "While nothing was ever proven, the last active one that did not breach is the standby",
      "while nothing was ever proven, the last active revision that did not breach is the target, marked unproven",
    ),
    kept(
      "… and keeps its Deployment and its ControllerRevision",
      "while nothing was ever proven, the last active one that did not breach keeps its Deployment and its ControllerRevision",
    ),
    kept("A quarantine entry that matches the pin is never dropped", "a quarantine entry that matches the pin is never dropped"),
    pins(
      "A ModelVersion that was made again with other content waits for a retry",
      "a ModelVersion that was made again under its name with other content: Stalled, VersionContentChanged",
    ),
  ],
  "Three gates, three kinds of evidence": [
    gates(
      "Switch: pods, probe, checks and sources; NoData and Insufficient of a revision without traffic do not block",
      "Switch: what the first traffic of a candidate waits for, and what it does not",
    ),
    canary(
      "Switch: the probe inference is answered as expected",
      "the candidate's first pods answer the probe before the selector is widened",
    ),
    recreate(
      "Switch: no source of a Critical check in error, asked of the active one",
      "a source in error: asked of the active one, and nothing is scaled down",
    ),
    canary("Canary steps after the first need each Critical check Healthy", "missing data holds the step with its reason: %s"),
    canary(
      "… and a built-in check sets a share back, and holds no step for want of samples",
      "a candidate with a share of the traffic is judged by the built-in checks, too",
    ),
    gates(
      "Prove: each Critical check is Healthy, gave `of` samples, and these cover the bake",
      "Prove: the samples and the time that they cover, of each Critical check",
    ),
    verdicts(
      "Of the time between two neighbours at most two intervals count",
      "of the time between two neighbours at most two intervals count",
    ),
    gates(
      "NoBaseline is left out of the gates and named",
      "a comparison whose baseline is missing is NoData with the reason NoBaseline",
    ),
    incidents(
      "A breach that was not returned starts the bake anew",
      "what breached while it baked bakes anew: half a bake proves nothing",
    ),
    gates(
      "BakeStarved after three times bake; a person's promote proves it, marked",
      "BakeStarved: after three times bake without the samples",
    ),
    properties("Nothing is proven on unknown data", "whatever happens, every promise holds after every decision"),
    gates("Verify: the samples after the return, and its time", "Verify: the samples after the return, and its time"),
    gates(
      "Verify ends Unverified for want of data; a waiting candidate then takes traffic",
      "ends Unverified at the deadline for want of data; the record is written, and a waiting candidate takes the traffic",
    ),
    incidents(
      "progressDeadline counts only while pods are being waited for",
      "the progress deadline counts only while pods are being waited for",
    ),
    gates(
      "… nor while the fetch of the weights reports progress",
      "the progress deadline does not run while the fetch of the weights reports progress",
    ),
  ],
  "Rolling out": [
    job(
      "A missing version touches nothing that serves, and stalls after 60 s",
      "a pin that names a missing version touches nothing that serves, and stalls after 60 s with the names that exist",
    ),
    job("… so does another model's or a revoked one", "a pin that names %s touches nothing that serves"),
    job(
      "BlueGreen: a new hash gets the traffic in one write, bakes and is proven",
      "a new hash becomes the candidate, gets the traffic in one write, bakes, and is proven",
    ),
    canary("Canary by replica share", "goes by its steps, holds each, takes everything after the last, bakes and is proven"),
    canary("An older standby is gone first", "an older standby is gone before the selector is widened"),
    canary(
      "ActiveUnproven holds the candidate",
      "while the active one is unproven the candidate holds instead, until that one is proven",
    ),
    canary(
      "… or returned, or a person promotes it",
      "… or returned: then the candidate goes on beside the one that has the traffic back",
    ),
    canary(
      "A share of more than double the weight holds and says so",
      "the share that is really reached is shown, and one of more than double the step's weight holds and says so",
    ),
    canary(
      "A setback at any step sends all weight back in one write",
      "a setback at any step sends all weight back in one write",
    ),
    routes(
      "The operator makes and owns the route",
      "the operator makes and owns the route; the weights go by the steps and end at 100/0",
    ),
    routes(
      "A route that is not accepted holds the rollout and says so",
      "a route that no Gateway accepts holds the rollout and says so",
    ),
    routes(
      "Somebody else's route is only patched under a test",
      "an adopted one is only patched with a test: two weights change and nothing else, also while another writer is at it",
    ),
    recreate(
      "Recreate: the old one is down and gone first",
      "the old one is scaled down and gone first; then the candidate is brought up, takes the traffic and is proven",
    ),
    recreate("… and comes back by itself", "Recreate: the old one comes back by itself"),
    of("operator/recreate.test.ts")(
      "… also when the operator dies in between",
      "Killed after any request while the candidate does not get ready: the old one comes back by itself, once",
    ),
    faults("What is the model's fault and what is the cluster's", "$state ($seen): $consequence $reason"),
    job(
      "The cluster's fault quarantines nothing: tried again with back-off",
      "a candidate that the cluster can't start is not quarantined: it is scaled down and tried again with back-off",
    ),
    recreate(
      "With Recreate a dry run comes before the old one is scaled down",
      "a dry run of the candidate comes before the old one is scaled down: a refused one is InvalidTemplate, nothing is scaled down or tried again",
    ),
    job(
      "A newer pin supersedes, going back cancels",
      "a newer pin during a rollout supersedes the candidate, and going back to the active one cancels it",
    ),
    job(
      "A pin during a return gets traffic only when it has ended",
      "a pin during a return gets traffic only when the return has ended",
    ),
    recreate("… with Recreate it is brought up after the return", "a pin during a return is brought up after the return"),
    job(
      "A first version that breaches keeps serving, and a person is told",
      "a first version that breaches has nothing to return to: it keeps serving, and a person is told",
    ),
    scale(
      "The pods that lost the traffic stay for drain after the EndpointSlices hold only ready pods of the new one",
      "the pods that lost the traffic stay for `drain` after the EndpointSlices hold only ready pods of the new one",
    ),
    scale("What receives traffic follows the replicas", "what receives traffic follows the replicas"),
    scale("A scale to zero and back", "a scale to zero and back (KEDA)"),
    scale("A PodDisruptionBudget where asked for", "a PodDisruptionBudget"),
    scale("Standby for its time and size, then cold", "the standby's size"),
  ],
  "Guarding and rolling back": [
    job(
      "The guard never ends",
      "the guard never ends: a breach a month after promotion rolls back within the same time as one during a rollout",
    ),
    returns(
      "The target is the revision that was proven last, by the end of its latest proof, not by number",
      "is the revision that was proven last, by the end of its latest proof and not by its number",
    ),
    returns(
      "While something was proven, what never was is no target",
      "once something was proven, what never was is no target, though it serves as the standby",
    ),
    returns(
      "restoredAt is when the EndpointSlices hold only ready pods of the target",
      "restoredAt is when the EndpointSlices hold only ready pods of the target",
    ),
    returns(
      "Until the active revision is proven, the last proven one stays at full size",
      "until the active revision is proven the last proven one stays at its full size, whatever a standby's size is",
    ),
    returns(
      "Judging begins, with warm-up, when the target has its full size",
      "from when it has its full size, with its warm-up: what it shows while it has less is not its doing",
    ),
    returns(
      "It is verified for all of verify, from when the traffic was restored",
      "it is verified for all of verify from when the traffic was restored, however long it took to start",
    ),
    returns(
      "If none starts, the one that had the traffic is started again",
      "if no target starts, the one that had the traffic has it again, and is started again",
    ),
    returns(
      "A walk is one incident: neither cooldown nor budget stops it",
      "the walk goes on in a cooldown and past a budget: it is one incident, and counts once",
    ),
    returns(
      "From detection a return is begun at once, and verified within 15 minutes when warm",
      "a return is decided and begun in the same pass, and verified within 15 minutes when warm, with the policy that nobody wrote",
    ),
    job("A target that is no better is passed over", "one whose own baseline lies beyond the breached threshold is passed over"),
    scale("RollbackReady says what is missing", "RollbackReady names what is missing: what was proven and can't be returned to"),
    job(
      "Warm: the traffic moves in one write",
      "a breach while baking returns the traffic in one write, verifies, quarantines and records both transitions",
    ),
    job(
      "Cold: scaled up first, the breached one serves until then",
      "a cold return scales the target up first; until then the breached one serves",
    ),
    of("operator/foreign-pods.test.ts")(
      "A pod that only bears our labels is no ready pod of the target",
      "does not count as ready: a cold target gets its traffic when pods of its own are ready",
    ),
    recreate(
      "Recreate goes the same way back",
      "the breached one is scaled down, its pods are awaited gone, and only then the clock of the target's start runs",
    ),
    job(
      "The same metric breached on the target is a common cause",
      "a target that breaches the same check in verify is the common cause: the walk ends and a person is told",
    ),
    incidents(
      "A common cause of one check does not silence the others",
      "a common cause of one check does not silence the others",
    ),
    incidents(
      "Walking on needs a maxDepth above 1",
      "maxDepth 2: the next proven one is tried, in the same return and the same record",
    ),
    job(
      "A target that is not ready within a third of the deadline is passed over",
      "a target that is not ready within a third of the deadline is passed over, and the one that had the traffic goes on",
    ),
    hands(
      "The same pin, synced again, writes nothing",
      "the same pin, synced again by Git every three seconds, changes nothing and writes nothing",
    ),
    job(
      "A new hash, or a retry, is tried",
      "the same pin, synced again, changes nothing and writes nothing; a new hash or a retry is tried",
    ),
    job(
      "Cooldown protects a proven one, never a baking one",
      "cooldown protects a proven active revision from a second automatic rollback, never a baking one",
    ),
    job(
      "Budget counts and holds only returns from a proven one",
      "budget counts and holds only automatic returns from a proven active revision",
    ),
    properties(
      "Budget, cooldown and breaker hold for random policies and traces",
      "whatever happens, every promise holds after every decision",
    ),
    properties(
      "A metric that swings causes at most one incident a cooldown, and never A→B→A→B",
      "a metric that swings around its threshold at any period causes at most one incident a cooldown, and never A→B→A→B",
    ),
    storm(
      "The storm breaker stops returns and says why, once",
      "none is returned, one condition and one event say why, and each deployment says what it would do",
    ),
    storm("It resumes by itself", "it resumes by itself when they are well again, and nothing was returned"),
    storm(
      "… or when a person says so",
      "a person says to go on, once: they return, and it does not open again for what was bad by then",
    ),
    storm("Its state survives a restart", "its state survives a restart"),
    breaker(
      "It opens by share and least number",
      "it opens when more than the share, and at least so many, went bad within the time",
    ),
    limits("It opens for one source alone", "the storm breaker of one source holds only what that source measures"),
    storm(
      "It opens for one namespace alone",
      "only its returns are held: a deployment of another namespace is returned as ever, also after a restart",
    ),
    limits("Recommend shows the decision and waits for approval", "it shows the decision and waits for approval"),
    limits(
      "… never before taking traffic from an unproven revision",
      "it never waits before taking traffic from an unproven revision",
    ),
    limits("… and lapses when its reason is gone", "it lapses when its reason is gone, and not because nothing is known"),
    limits("Observe only records what would have happened", "Observe only records what would have happened"),
    job(
      "Paused says what it would do",
      "paused stops automatic rollbacks and says what it would do; a person's rollback goes on",
    ),
    people("Paused does not stop scaling", "it does not stop scaling"),
    people("… nor healing", "it does not stop healing: a Service that was turned elsewhere is turned back"),
    people("… nor revocation", "it does not stop a revocation"),
    limits("… nor the rollbacks of a Required policy", "pausing does not stop the returns of a Required policy"),
    freeze("Freeze stops only more traffic to a candidate", "freeze stops only more traffic to a candidate"),
    freeze("Promote overrides it and is recorded", "promote overrides it and is recorded"),
    people(
      "Revocation is kept with the revision",
      "a revoked version leaves, recorded with who revoked it; revocation is kept with the revision",
    ),
    of("operator/revocations.test.ts")(
      "revokedDigests everywhere",
      "revokedDigests of a cluster policy leave wherever they serve, recorded with who revoked; a pin to them is refused with the policy's name, also when the digest is taken out again",
    ),
    of("operator/revocations.test.ts")("… paced", "the pace of revocations"),
    people(
      "A person's rollback is quarantined and recorded with the reason",
      "a person's rollback is quarantined and recorded with the person's reason",
    ),
    limits(
      "A deadline that will be missed is told once, with what is in the way",
      "%s: a person is told at once, once, before the deadline, with what is in the way",
    ),
  ],
  Verdicts: [
    of("core/builtin.test.ts")(
      "Built-in checks count only what the model can be blamed for",
      "pods on a node that is not ready, evicted, or not scheduled are no evidence",
    ),
    of("core/verdict-table.test.ts")(
      "Each shape of an answer has its one verdict",
      "there are at least forty shapes, each named once, and each verdict and reason is among them",
    ),
    of("core/verdict-table.test.ts")(
      "Unknown is never Breached nor Healthy",
      "whatever a source says: unknown is never Breached nor Healthy, a breach has its bad samples, nothing counts twice, and all is bounded",
    ),
    verdicts(
      "Samples whose windows overlap count as one",
      "samples whose windows overlap count as one, from late timers and refills too",
    ),
    verdicts(
      "Where a check has a threshold and a baseline, either may breach it",
      "where a check has a threshold and a baseline, either may breach it",
    ),
    verdicts(
      "In guard a relative check acts as Hold",
      "in guard a relative check acts as Hold, unless it says guard: Rollback and its baseline covers at least 24 hours",
    ),
    baselines(
      "Its baseline grows by the hour of the day while proven and healthy",
      "the baseline keeps growing while the revision is proven and healthy, and only then",
    ),
    baselines(
      "A baseline is of the query that it was measured with",
      "what was measured with another query, or asked of another source, is no baseline, whatever the name of the check",
    ),
    baselines(
      "… and an hour with fewer samples than a verdict looks at is none",
      "an hour with fewer samples than a verdict looks at is no baseline, and is no part of the 24 hours that it has to cover",
    ),
    faults(
      "Pods on a node that is not ready are no evidence",
      "pods on a node that is not ready are no evidence, whatever they show",
    ),
    of("operator/foreign-pods.test.ts")("… nor is it measured", "is not scraped"),
    policies(
      "When a check as merged changes, its window begins anew and no other",
      "when a check as merged changes, the window of that check begins anew, and no other",
    ),
    gates("Changes of other fields leave windows alone", "a changed warm-up leaves windows alone"),
    restart(
      "A restart does not forget a breach",
      "A restart does not forget a breach: the successor takes the traffic back as if nothing had happened",
    ),
    restart("… nor invents one", "A restart invents no breach: nothing is done, and the next breach counts as ever"),
    restart(
      "Sources without history begin anew",
      "it is the history that it remembers by: a source without one begins anew, and does not return",
    ),
    job(
      "During an outage of a source: no rollback, no proof, MetricsAvailable=False within two intervals",
      "an outage of a source (%s) rolls nothing back, proves nothing, and says so within two intervals",
    ),
    prometheus(
      "… with a real Prometheus",
      "during an outage of a source: no rollback, no proof, MetricsAvailable=False within two intervals",
    ),
    limits(
      "An alert after onMissingData.after",
      "it is noted at once, told once after onMissingData.after, never rolls back, and ends by itself",
    ),
    limits("onMissingData.action", "%s: a candidate waits for missing data only where the policy says so"),
    of("core/clockstep.test.ts")(
      "A step of the clock by an hour causes nothing: whatever is waited for goes on from where it stood",
      "a step of the server's clock by an hour causes nothing",
    ),
    baselines("… and does not blind", "a step of the server's clock by an hour"),
    of("operator/clock.test.ts")(
      "… in the whole operator",
      "a step of the clock by an hour, there and back, moves no traffic and changes no object, and a breach after it is returned from",
    ),
    of("kube/servertime.test.ts")("… of our own wall clock", "a step of the wall clock by an hour causes nothing"),
    statistics(
      "Of 10,000 healthy series at most 5 % are ever breached",
      "over 10,000 healthy series of 1,000 looks each, at most 5 % are ever breached",
    ),
    statistics(
      "How many samples a doubling takes",
      "it catches a doubling of a 1 % error rate, with more requests than an interval that may look once",
    ),
    statistics(
      "The mean time to a false alarm is the promised one",
      "the mean time to a false alarm is at least the promised one: $perSample requests a sample",
    ),
    statistics(
      "The delay is the same on day 1 and on day 90",
      "the delay to catch a doubling of a 1 % error rate is the same on day 1 and on day 90: %d before",
    ),
    sampler(
      "One query a tick answers all that use the same source alike",
      "1,000 deployments with 3 checks at 30 s are at most 60 queries a minute",
    ),
    sampler("Phases are spread", "phases are spread evenly, and the same for all checks of a deployment"),
  ],
  Policies: [
    layers("A lower layer may tighten", "%s: a lower layer may tighten it"),
    layers(
      "… and what loosens is refused with the layer that forbids it",
      "%s: loosening is refused, with the layer that forbids it and what was kept",
    ),
    layers(
      "A lower layer never loosens, for random policies",
      "a lower layer never loosens: every field is at least as tight as each Required layer that has an order says",
    ),
    layers("Each field has an origin", "every origin names a layer that exists, and every field in force has one"),
    policies(
      "A policy that vanishes counts as it last was valid",
      "a policy that vanishes in a rollout counts as it last was valid: the candidate is still taken back by its check",
    ),
    policies(
      "One that becomes invalid as well",
      "a policy that becomes invalid counts as it last was valid, and its own status says why",
    ),
    policies("The last valid one survives a restart", "the last valid policy survives a restart"),
  ],
  "History and audit": [
    writes(
      "No secret, raw newline or terminal escape reaches a log, status, event or record",
      "no secret, raw newline or terminal escape reaches a log, status, event or record",
    ),
    properties("Sequence numbers have no gaps", "whatever happens, every promise holds after every decision"),
    kept("The status stays below 32 KiB after 10,000 rollbacks", "the status stays below 32 KiB after 10,000 rollbacks"),
    kept(
      "… and with 40 checks of two revisions",
      "the status stays below 32 KiB with 40 checks of two revisions during a canary, and each transition is recorded",
    ),
    kept("Entries without a record go last", "entries without a record go last, and the newest of them never"),
    crash(
      "A record is created until it exists; each has exactly one",
      "Killed after any request, before or after the server committed it: the same end state as without the kill, no double rollback, no lost entry",
    ),
    of("core/retention.test.ts")(
      "Records beyond their limits are pruned, oldest first, never the last one",
      "records beyond their limits by count and age are pruned, oldest first, never the last one of a deployment",
    ),
    of("operator/prune.test.ts")(
      "… at a pace, and by the leader alone",
      "at a pace: none in the first minute, then no more than so many a minute, by the leader alone",
    ),
    crash(
      "Events go out after the status is written, at least once",
      "events are told at least once, and told again they are the same one: killed at a request %s",
    ),
    crash(
      "… also where the answer to the status write is lost",
      "a status write whose answer is lost: what it said is told all the same",
    ),
    crash(
      "An events API that is dead delays no return, and records by ten minutes at most",
      "an events API that is dead delays no return, and records by ten minutes at most",
    ),
    crash(
      "Events are told also where what follows fails",
      "every event is told, also where what follows the decision fails at first",
    ),
    of("kube/events.test.ts")(
      "No secret, raw newline or terminal escape reaches an event",
      "No secret, raw newline or terminal escape reaches an event, and its note is bounded",
    ),
    of("server/telemetry.test.ts")("No secret reaches a log", "no secret reaches the log, by name, by kind or by look"),
    of("cli/views.test.ts")(
      "… nor a terminal",
      "no terminal escape, line break or reordering mark of an answer reaches the terminal",
    ),
  ],
  "Many and failing": [
    writes(
      "Every write carries the resource version that it was decided on",
      "every write carries the resource version that it was decided on",
    ),
    writes(
      "Where a child's number is above the snapshot's, the API server is asked, not the cache",
      "that a child shows and the cache does not: the deployment is read from the API server, and nothing is undone",
    ),
    lease("On SIGTERM the lease is released", "on SIGTERM the lease is released and the successor acts within a second"),
    succession(
      "… and the successor acts within a second, whatever a list of everything takes",
      "its successor acts within a second, although to list everything takes longer",
    ),
    succession("… also in the middle of a return", "in the middle of a return: the successor moves the traffic within a second"),
    crash(
      "… and goes on where it stands",
      "on SIGTERM the lease is released and the successor goes on where it stands, in the middle of a return",
    ),
    lease("A killed leader is succeeded within 12 s", "a killed leader is succeeded within 12 s, whenever it dies"),
    lease(
      "A leader steps down before another may lead",
      "a leader that can't renew steps down before the lease can be taken by another",
    ),
    lease("Never two leaders at once, whatever happens", "never two leaders at once by monotonic time, and in the end one"),
    succession("One that stands by writes nothing", "writes nothing, whatever happens around it"),
    succession(
      "… and decides on what is there when it leads",
      "whose watches have silently died decides on what is there, and not on what it had seen",
    ),
    succession("A late leader writes nothing and exits", "writes nothing and ends: paused %s"),
    hands(
      "A decision number that is not ours: the counter is set above it",
      "a decision number that somebody raised: the counter is set above it, and an event says so",
    ),
    reads(
      "Any read error causes no change, at the start",
      "any read error causes no change: %s, of each kind, at the start of an operator",
    ),
    reads(
      "… nor while guarding; what was missed is done then",
      "any read error causes no change: %s for a minute while guarding; then what was missed is done",
    ),
    reflector("429 and Retry-After are honoured by reads", "429 and Retry-After are honoured, on the list and on the watch"),
    crash("… and by writes: the same end", "$how, at every other of the $what: the same end"),
    of("kube/client-faults.test.ts")(
      "Rollbacks and the lease have their own lane",
      "rollbacks and the lease have their own lane: an urgent call passes ordinary ones that hang",
    ),
    crash("409 is retried on fresh data", "409 is retried on fresh data: %s change under every other write of them"),
    reflector("410 costs one relist", "410 costs one relist, as an answer and as an event, and tells the differences"),
    reflector(
      "A dead, silent or half-open watch is noticed and reopened",
      "a dead, silent or half-open watch is noticed and reopened",
    ),
    crash(
      "Killed after any request: the same end, no double rollback, no lost entry",
      "Killed after any request, before or after the server committed it: the same end state as without the kill, no double rollback, no lost entry",
    ),
  ],
  "The decision matrix": [
    of("cli/trial.test.ts")(
      "matrix in four forms",
      "matrix prints a policy's situations as a table, as Markdown, as JSON and as one page of HTML",
    ),
    of("cli/trial.test.ts")(
      "… for a deployment, the row that applies now",
      "matrix of a deployment reads its policy in force and marks the row that applies now",
    ),
    of("cli/trial.test.ts")(
      "replay, side by side with a second policy",
      "replay asks a Prometheus for a past time, records it, and shows what two policies would have done",
    ),
    of("trial/lint.test.ts")("lint: each rule finds what is wrong and nothing else", "%s finds what is wrong and nothing else"),
  ],
};

/** docs/promises.md. */
export function promisesPage(): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const sections = Object.entries(PROMISES).map(([heading, promises]) =>
    [
      `## ${heading}`,
      "",
      "| promise | test | in |",
      "|---|---|---|",
      ...promises.map(({ promise, file, test }) => `| ${cell(promise)} | ${cell(test)} | [${file}](../tests/${file}) |`),
    ].join("\n"),
  );
  return `${[
    "# Promises and their tests",
    "Made from `tests/promises.ts` by `npm run generate`; a test holds each row to a test or a group of tests of that name.",
    ...sections,
  ].join("\n\n")}\n`;
}
