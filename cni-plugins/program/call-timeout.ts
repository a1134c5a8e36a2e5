/** A plugin that takes longer than this is stuck. */
export const callTimeoutMs = 60_000;
