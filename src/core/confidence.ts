// An anytime-valid confidence sequence for a proportion: it may be looked at after every sample, for as long as a rollout
// and its bake take, and still errs with at most the chosen probability over all looks together.
//
// Method of mixtures: under the true proportion p, the mixture likelihood ratio M_n(p) = ∫ Π f_q(x) dBeta(q) / Π f_p(x) is a
// martingale with mean 1, so by Ville's inequality P(∃n: M_n(p) ≥ 1/α) ≤ α. The set {p : M_n(p) < 1/α} is the sequence.
// H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Statist. 41 (1970);
// S. R. Howard et al., "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Statist. 49 (2021).

/** Where the whole confidence sequence lies relative to a threshold. */
export type Position = "Below" | "Above" | "Undecided";

// Jeffreys prior: spreads well over small error rates, which is where thresholds usually are.
const PRIOR_A = 0.5;
const PRIOR_B = 0.5;

// Lanczos approximation of ln Γ(x) for x > 0 (g = 7, n = 9; C. Lanczos 1964, coefficients by P. Godfrey).
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const z = x - 1;
  const t = z + 7.5;
  let sum = LANCZOS[0] ?? 0;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] ?? 0) / (z + i);
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** 0·ln 0 is 0: no evidence from what did not happen. */
function countTimesLog(count: number, p: number): number {
  return count === 0 ? 0 : count * Math.log(p);
}

/** ln M_n(p): the evidence against the proportion `p` after `hits` in `trials`. */
export function evidenceAgainst(p: number, hits: number, trials: number): number {
  const misses = trials - hits;
  return (
    logBeta(PRIOR_A + hits, PRIOR_B + misses) - logBeta(PRIOR_A, PRIOR_B) - countTimesLog(hits, p) - countTimesLog(misses, 1 - p)
  );
}

/**
 * Says whether the whole confidence sequence lies above or below `threshold`.
 *
 * M_n(p) falls up to the observed proportion and rises after it, so it is enough to look at the threshold itself.
 * `hits` and `trials` may be fractional (extrapolated counters) and are clamped to 0 ≤ hits ≤ trials.
 * @param confidence between 0 and 1, such as 0.95: the probability of never being wrong, over all looks together
 */
export function position(hits: number, trials: number, threshold: number, confidence: number): Position {
  if (!(trials > 0) || !Number.isFinite(hits)) return "Undecided";
  const bounded = Math.min(Math.max(hits, 0), trials);
  const observed = bounded / trials;
  if (threshold <= 0) return bounded > 0 ? "Above" : "Undecided";
  if (threshold >= 1) return observed < 1 ? "Below" : "Undecided";
  if (evidenceAgainst(threshold, bounded, trials) < -Math.log(1 - confidence)) return "Undecided";
  if (observed > threshold) return "Above";
  return observed < threshold ? "Below" : "Undecided";
}
