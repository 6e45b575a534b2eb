#!/usr/bin/env node
// The entry point of `rollguard` and of the kubectl plugin `kubectl rollguard`: streams, signals, and the only place that ends
// the process.
import { basename } from "node:path";
import type { Io } from "./cli/io.ts";
import { run } from "./cli/program.ts";
import { systemClock } from "./clock.ts";
import { terminalHints } from "./config.ts";

const ending = new AbortController();
let askedAt: number | undefined;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    // Whoever asks again does not want to wait; npm and a terminal both sending one Ctrl-C is not asking again.
    askedAt ??= systemClock.monotonic();
    if (systemClock.monotonic() - askedAt > 1000) process.exit(130);
    ending.abort(new Error(`ended by ${name}`));
  });
}
// `rollguard history x | head` closes our output early; that is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

const terminal = process.stdout.isTTY === true;
const io: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  terminal,
  color: terminalHints().color ?? terminal,
  width: process.stdout.columns ?? 80,
  signal: ending.signal,
};

const invokedAs = basename(process.argv[1] ?? "").startsWith("kubectl-") ? "kubectl rollguard" : "rollguard";
// Timers of the clock hold no process; while a command runs, this one does.
const running = setInterval(() => undefined, 2 ** 30);
const code = await run(process.argv.slice(2), invokedAs, io);
clearInterval(running);
// Pipes may take what was written later.
for (const stream of [process.stdout, process.stderr]) await new Promise((done) => stream.write("", done));
// Whatever is still open (a keep-alive connection, a timer of a library) must not hold a finished command.
process.exit(code);
