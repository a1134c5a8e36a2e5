import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';

import type { Reporter, TestModule } from 'vitest/node';

import { repositoryRoot } from '#bin/paths.ts';
import { renderTimes, type FileTimes } from './file-times.ts';
import { idleShare, readMachineTicks, type MachineTicks } from './processor-time.ts';
import { timesFile } from './times-file.ts';

/** A run of fewer files is somebody's look at what he works on. */
const filesMin = 15;

interface Span {
  readonly beginMs: number;
  readonly endMs: number;
}

/** Prints where a run's time went, and leaves it in `build/test-times.json`. */
export class TimesReporter implements Reporter {
  readonly #spans = new Map<string, Span>();
  #ticks: MachineTicks = { idle: 0, all: 0 };
  #startMs = 0;

  onTestRunStart(): void {
    this.#startMs = performance.now();
    this.#ticks = readMachineTicks();
    this.#spans.clear();
  }

  onTestModuleQueued(module: TestModule): void {
    const now = performance.now();
    this.#spans.set(module.moduleId, { beginMs: now, endMs: now });
  }

  onTestModuleEnd(module: TestModule): void {
    const endMs = performance.now();
    this.#spans.set(module.moduleId, { beginMs: this.#spans.get(module.moduleId)?.beginMs ?? endMs, endMs });
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    if (modules.length < filesMin) return;
    const times = {
      wallMs: performance.now() - this.#startMs,
      idleShare: idleShare(this.#ticks, readMachineTicks()),
      files: modules.map((module) => this.#timesOf(module)),
    };
    mkdirSync(dirname(timesFile), { recursive: true });
    writeFileSync(timesFile, `${JSON.stringify(times)}\n`);
    console.log(renderTimes(times).join('\n'));
  }

  #timesOf(module: TestModule): FileTimes {
    const { beginMs, endMs } = this.#spans.get(module.moduleId) ?? {
      beginMs: this.#startMs,
      endMs: this.#startMs,
    };
    const { workerMs = 0, childrenMs = 0 } = module.meta();
    const state = module.state();
    return {
      name: relative(repositoryRoot, module.moduleId),
      project: module.project.name,
      // One that has no end, as its process had none, has not passed.
      status: state === 'passed' || state === 'skipped' ? state : 'failed',
      tests: [...module.children.allTests()].length,
      beginMs: beginMs - this.#startMs,
      wallMs: endMs - beginMs,
      workerMs,
      childrenMs,
    };
  }
}
