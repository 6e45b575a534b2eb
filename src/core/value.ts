// What a condition says, before it is compared with what it said.

export type Value = { status: "True" | "False" | "Unknown"; reason: string; message: string };
export const value = (status: boolean | undefined, reason: string, message: string): Value => ({
  status: status === undefined ? "Unknown" : status ? "True" : "False",
  reason,
  message,
});
