import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

import { describeError, PodwrightError } from '#base/errors.ts';
import { hostArchitecture, type Architecture } from '#native/launch/syscall-numbers.ts';
import { assumeImages, readImages, type ImageSource } from './plan/plan-image.ts';
import { planPod } from './plan/plan-pod.ts';
import { readPods } from './plan/read-pods.ts';
import { createPlannedNetwork } from './plan/recorder.ts';
import { printText } from './terminal/print.ts';
import type { OutputFormat } from './terminal/progress.ts';

export interface PlanOptions {
  /** `-` for standard input. */
  readonly filename: string;
  /** A node's data directory. */
  readonly imageStore?: string;
  /** Where the scheduler of a cluster would put it, instead. */
  readonly cluster?: boolean;
  readonly namespace: string;
  readonly kubeconfig?: string;
  readonly data: string;
  readonly output: OutputFormat;
}

/** `podwright plan`: prints what a node would do to run the pods of a file, and does none of it. */
export async function runPlan({ filename, imageStore, ...options }: PlanOptions): Promise<void> {
  if (options.cluster === true) {
    const { runWhatIf } = await import('./plan/cluster/command.ts');
    await runWhatIf(await readManifest(filename), filename, options);
    return;
  }
  const images = imageStore === undefined ? assumeImages : await readImages(imageStore);
  const manifest = await readManifest(filename);
  printText(await renderPlan(manifest, { source: filename, images, architecture: hostArchitecture }));
}

async function readManifest(filename: string): Promise<string> {
  if (filename === '-') return text(process.stdin);
  try {
    return await readFile(filename, 'utf8');
  } catch (cause) {
    throw new PodwrightError('E_NOT_FOUND', `read ${filename}`, { cause });
  }
}

export interface RenderOptions {
  /** What errors call the text. */
  readonly source: string;
  readonly images: ImageSource;
  readonly architecture: Architecture;
}

/** The plans of all pods of a manifest, in its order: the same text for the same input. */
export async function renderPlan(
  manifestText: string,
  { source, images, architecture }: RenderOptions,
): Promise<string> {
  const manifest = readPods(manifestText, source);
  const network = createPlannedNetwork();
  const never = new AbortController().signal; // Nothing in it waits.
  const plans: string[] = manifest.others.map((other) => `# not planned: ${other}\n`);
  for (const pod of manifest.pods) {
    try {
      plans.push(await planPod(pod, { manifest, images, network, architecture }, never));
    } catch (cause) {
      const name = `${pod.metadata?.namespace ?? ''}/${pod.metadata?.name ?? ''}`;
      throw new PodwrightError('E_INVALID', `plan pod ${name}: ${describeError(cause)}`, { cause });
    }
  }
  return plans.join('\n');
}
