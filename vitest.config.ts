import { defineConfig } from "vitest/config";

// Three workers on the two cores of a small machine: tests that start real processes wait for most of their time.
export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    reporters: ["default"],
  },
});
