/** Fake nodes of one process: pods have a sandbox, a queue and timers each. */
export const fleetMax = 20_000;
