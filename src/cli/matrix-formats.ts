// What `matrix` prints; apart from the command, so that the help loads nothing else.
import type { CommonOptions } from "./session.ts";

export const MATRIX_FORMATS = ["table", "wide", "json", "yaml", "markdown", "html"] as const;
export type MatrixFormat = (typeof MATRIX_FORMATS)[number];

export type MatrixOptions = Omit<CommonOptions, "output"> & { output?: MatrixFormat; filename?: string };
