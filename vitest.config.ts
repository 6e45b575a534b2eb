import { defineConfig } from "vitest/config";

// Two workers: the tests start real processes, and two cores are what a small machine has.
export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    reporters: ["default"],
  },
});
