// Softmax regression: ten weighted sums of the pixels, turned into probabilities. The weights' file format, prediction and
// training, in plain arithmetic that gives the same bits on every machine.
import { CLASSES, type Digit, generator, PIXELS, shuffle } from "./data.ts";

/** One row of pixel weights and one bias for each digit. */
export interface Model {
  /** CLASSES × PIXELS, row by row. */
  weights: Float32Array;
  biases: Float32Array;
}

export interface Hyperparameters {
  epochs: number;
  batchSize: number;
  learningRate: number;
  /** The learning rate is multiplied by this after each epoch. */
  decay: number;
  /** Pull of the weights towards zero (L2). */
  l2: number;
  seed: number;
}

/** "DIGT", format 1, classes, pixels: four little-endian 32-bit words before the numbers. */
const HEADER = Uint32Array.of(0x54474944, 1, CLASSES, PIXELS);
const HEADER_BYTES = HEADER.length * 4;
export const MODEL_BYTES = HEADER_BYTES + CLASSES * (PIXELS + 1) * 4;

/**
 * e^x for x ≤ 0. Math.exp may differ in the last bit between engines and processors; sums and products may not, and the
 * digests of the weights must come out the same everywhere.
 */
function exp(x: number): number {
  if (x < -700) return 0;
  const halvings = Math.round(-x / Math.LN2);
  const rest = x + halvings * Math.LN2;
  let term = 1;
  let sum = 1;
  for (let n = 1; n <= 14; n++) {
    term = (term * rest) / n;
    sum += term;
  }
  for (let n = 0; n < halvings; n++) sum /= 2;
  return sum;
}

/** The probability of each digit. */
export function probabilities(model: Model, pixels: Uint8Array): Float64Array {
  const scores = new Float64Array(CLASSES);
  let highest = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < CLASSES; row++) {
    let sum = model.biases[row] ?? 0;
    const start = row * PIXELS;
    for (let i = 0; i < pixels.length; i++) {
      const pixel = pixels[i] as number;
      if (pixel !== 0) sum += ((model.weights[start + i] as number) * pixel) / 255;
    }
    scores[row] = sum;
    if (sum > highest) highest = sum;
  }
  let total = 0;
  for (let row = 0; row < CLASSES; row++) {
    const value = exp((scores[row] as number) - highest);
    scores[row] = value;
    total += value;
  }
  for (let row = 0; row < CLASSES; row++) scores[row] = (scores[row] as number) / total;
  return scores;
}

/** The most probable digit and its probability. */
export function predict(model: Model, pixels: Uint8Array): { digit: number; score: number; probabilities: Float64Array } {
  const all = probabilities(model, pixels);
  let digit = 0;
  for (let row = 1; row < CLASSES; row++) if ((all[row] as number) > (all[digit] as number)) digit = row;
  return { digit, score: all[digit] as number, probabilities: all };
}

/** Share of the digits that are recognised, 0 to 1. */
export function accuracy(model: Model, digits: readonly Digit[]): number {
  let right = 0;
  for (const { pixels, label } of digits) if (predict(model, pixels).digit === label) right++;
  return right / digits.length;
}

/** Mini-batch gradient descent from zero; the seed fixes the order of the digits, and with it every bit of the result. */
export function train(digits: readonly Digit[], { epochs, batchSize, learningRate, decay, l2, seed }: Hyperparameters): Model {
  const model: Model = { weights: new Float32Array(CLASSES * PIXELS), biases: new Float32Array(CLASSES) };
  const random = generator(seed);
  const order = [...digits];
  let rate = learningRate;
  for (let epoch = 0; epoch < epochs; epoch++) {
    shuffle(order, random);
    for (let start = 0; start < order.length; start += batchSize) step(model, order.slice(start, start + batchSize), rate, l2);
    rate *= decay;
  }
  return model;
}

function step(model: Model, batch: readonly Digit[], rate: number, l2: number): void {
  const slopes = new Float64Array(CLASSES * PIXELS);
  const biasSlopes = new Float64Array(CLASSES);
  for (const { pixels, label } of batch) {
    const errors = probabilities(model, pixels);
    errors[label] = (errors[label] as number) - 1;
    for (let row = 0; row < CLASSES; row++) {
      const error = errors[row] as number;
      biasSlopes[row] = (biasSlopes[row] as number) + error;
      const offset = row * PIXELS;
      for (let i = 0; i < pixels.length; i++) {
        const pixel = pixels[i] as number;
        if (pixel !== 0) slopes[offset + i] = (slopes[offset + i] as number) + (error * pixel) / 255;
      }
    }
  }
  const { weights, biases } = model;
  const scale = rate / batch.length;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] as number;
    weights[i] = weight - scale * (slopes[i] as number) - rate * l2 * weight;
  }
  for (let row = 0; row < CLASSES; row++) biases[row] = (biases[row] as number) - scale * (biasSlopes[row] as number);
}

/** The file's content: header, weights, biases, all little-endian whatever the machine. */
export function encodeModel(model: Model): Buffer {
  const file = Buffer.alloc(MODEL_BYTES);
  HEADER.forEach((word, i) => {
    file.writeUInt32LE(word, i * 4);
  });
  let offset = HEADER_BYTES;
  for (const numbers of [model.weights, model.biases]) for (const number of numbers) offset = file.writeFloatLE(number, offset);
  return file;
}

/** Throws where the file is no model of this shape, or holds a number that is none. */
export function decodeModel(file: Buffer): Model {
  if (file.length !== MODEL_BYTES) throw new Error(`a model has ${MODEL_BYTES} bytes, this file has ${file.length}`);
  HEADER.forEach((word, i) => {
    if (file.readUInt32LE(i * 4) !== word) throw new Error(`no digits model: word ${i} of the header is not ${word}`);
  });
  const numbers = Float32Array.from({ length: CLASSES * (PIXELS + 1) }, (_, i) => file.readFloatLE(HEADER_BYTES + i * 4));
  if (!numbers.every(Number.isFinite)) throw new Error("no digits model: a weight is not a finite number");
  return { weights: numbers.slice(0, CLASSES * PIXELS), biases: numbers.slice(CLASSES * PIXELS) };
}
