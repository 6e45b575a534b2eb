// What tests/core/statistics.test.ts measured; it fails when a method gives other numbers. docs/verdicts.md shows them.

export const MEASURED = {
  healthy: {
    series: 10000,
    looks: 1000,
    sequence: 0.0022,
    fixed: 0.354,
  },
  doubling: {
    series: 2000,
    sequence: {
      half: 1550,
      most: 3150,
    },
    fixed: {
      half: 400,
      most: 1350,
      once: 0.0344,
    },
  },
  falseAlarms: [
    {
      perSample: 50,
      promised: 1000,
      mean: 2327,
    },
    {
      perSample: 500,
      promised: 1000,
      mean: 3641,
    },
  ],
  delays: [
    {
      before: 0.005,
      days: 1,
      mean: 3298,
      half: 3500,
      most: 5000,
      falseAlarms: 0,
      series: 200,
    },
    {
      before: 0.005,
      days: 90,
      mean: 3430,
      half: 3500,
      most: 5500,
      falseAlarms: 0,
      series: 200,
    },
    {
      before: 0.01,
      days: 1,
      mean: 3205,
      half: 3000,
      most: 5000,
      falseAlarms: 0,
      series: 200,
    },
    {
      before: 0.01,
      days: 90,
      mean: 3085,
      half: 3000,
      most: 5000,
      falseAlarms: 59,
      series: 200,
    },
  ],
};
