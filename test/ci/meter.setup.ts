/** Loaded before each file of tests: what processor time it took goes with its result to `times-reporter.ts`. */
import { readFileSync } from 'node:fs';

import { afterAll } from 'vitest';

import { parseChildrenMs } from './processor-time.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** Of the process that ran the file, all its threads, in ms. */
    workerMs?: number;
    /** Of the processes that it started and waited for, with theirs. */
    childrenMs?: number;
  }
}

const childrenMs = (): number => parseChildrenMs(readFileSync('/proc/self/stat', 'latin1'));

/** The first file of a process answers for its start, too. */
const seen = Symbol.for('podwright.test.meter');
const isFirst = !Reflect.has(globalThis, seen);
Reflect.set(globalThis, seen, true);

const before = isFirst
  ? { worker: { user: 0, system: 0 }, childrenMs: 0 }
  : { worker: process.cpuUsage(), childrenMs: childrenMs() };

// What is set up first is taken down last. vitest reads the first parameter's text, and takes nothing but a pattern.
// oxlint-disable-next-line no-empty-pattern
afterAll(({}, file) => {
  const { user, system } = process.cpuUsage();
  file.meta.workerMs = (user - before.worker.user + system - before.worker.system) / 1000;
  file.meta.childrenMs = childrenMs() - before.childrenMs;
});
