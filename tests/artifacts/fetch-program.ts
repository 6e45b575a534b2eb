// Runs the init container's program as a process of its own, as `rollguard fetch` does.
import { runFetch } from "../../src/artifacts/run.ts";

const ended = new AbortController();
process.once("SIGTERM", () => ended.abort());
process.exitCode = await runFetch(process.env, process.argv.slice(2), { signal: ended.signal });
