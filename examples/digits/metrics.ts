// What the model server shows at /metrics. Counters begin at zero, so that their first increase is seen as one.
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export type Path = "/predict" | "/feedback" | "other";

export interface Metrics {
  request(path: Path, code: number, seconds: number): void;
  feedback(correct: boolean): void;
  /** Feedback about another revision's answer: after a switch it may arrive here. */
  ignored(): void;
  uncertain(): void;
  text(): Promise<string>;
  contentType: string;
}

/** Answers that the live accuracy is the mean of. */
const RECENT = 200;

export function createMetrics(info: { version: string; revision: string; rejectBelow: number }): Metrics {
  const registers = [new Registry()];
  const requests = new Counter({
    name: "http_requests_total",
    help: "Answers by path and status.",
    labelNames: ["path", "code"],
    registers,
  });
  const duration = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time from the request's head to the end of the answer.",
    labelNames: ["path"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const feedback = new Counter({
    name: "digits_feedback_total",
    help: "Answers whose truth came to be known.",
    labelNames: ["outcome"],
    registers,
  });
  const ignored = new Counter({
    name: "digits_feedback_ignored_total",
    help: "Feedback about answers of another revision.",
    registers,
  });
  const uncertain = new Counter({ name: "digits_uncertain_total", help: "Answers that scored below REJECT_BELOW.", registers });
  new Gauge({ name: "digits_model_info", help: "What serves.", labelNames: ["version", "revision"], registers }).set(
    { version: info.version, revision: info.revision },
    1,
  );
  new Gauge({ name: "digits_reject_below", help: "The setting REJECT_BELOW.", registers }).set(info.rejectBelow);
  for (const code of ["200", "500"]) for (const path of ["/predict", "/feedback"]) requests.inc({ path, code }, 0);
  for (const outcome of ["correct", "wrong"]) feedback.inc({ outcome }, 0);

  const recent: boolean[] = [];
  let accuracy: Gauge | undefined;
  return {
    request(path, code, seconds) {
      requests.inc({ path, code: String(code) });
      duration.observe({ path }, seconds);
    },
    feedback(correct) {
      feedback.inc({ outcome: correct ? "correct" : "wrong" });
      recent.push(correct);
      if (recent.length > RECENT) recent.shift();
      // Absent until something is known: zero would be a lie.
      accuracy ??= new Gauge({
        name: "digits_live_accuracy",
        help: `Share of the last ${RECENT} known answers that were right.`,
        registers,
      });
      accuracy.set(recent.filter(Boolean).length / recent.length);
    },
    ignored: () => ignored.inc(),
    uncertain: () => uncertain.inc(),
    text: () => registers[0]?.metrics() ?? Promise.resolve(""),
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
  };
}
