/** A node of its own whose runtime is the real one, served as CRI: supervisors, namespaces, overlay roots. The pod network is a loopback. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect } from 'vitest';

import { createRuntime } from '#agent/runtime/create-runtime.ts';
import { createDemoImage } from '#agent/runtime/images/demo-image.ts';
import { makeKernelPlace } from '#agent/runtime/local-runtime.fixture.ts';
import type { LocalRuntime } from '#agent/runtime/local-runtime.ts';
import { serveCri, type CriServerUnderTest } from './cri.fixture.ts';

export interface KernelCri extends CriServerUnderTest {
  readonly root: string;
  /** The agent goes, as with kill -9, and another comes. */
  kill(): Promise<void>;
}

/** `archives`: images beside the one of the demo. */
export async function makeNode(archives: readonly Buffer[] = []): Promise<KernelCri> {
  const root = mkdtempSync('/tmp/h-cri-');
  const place = await makeKernelPlace(root);
  const { options } = place;
  const signal = new AbortController().signal;
  let runtime: LocalRuntime = await createRuntime(options, signal);
  const [image] = await runtime.images.importArchive(await createDemoImage(), {}, signal);
  for (const archive of archives) await runtime.images.importArchive(Readable.from([archive]), {}, signal);
  const cri = await serveCri(runtime, {
    image: image?.names[0] ?? '',
    isReal: true,
    change: { dataDirectory: options.dataDirectory },
  });
  return {
    ...cri,
    root,
    kill: async () => {
      await runtime[Symbol.asyncDispose]();
      runtime = await createRuntime(options, signal);
      await cri.restart(runtime);
    },
    [Symbol.asyncDispose]: async () => {
      for (const { uid } of runtime.observeAll()) {
        await runtime.stopSandbox(uid, signal);
        await runtime.removePod(uid, signal);
      }
      await cri[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(root);
      await rm(root, { recursive: true });
    },
  };
}
